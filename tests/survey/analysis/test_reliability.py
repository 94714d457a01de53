import numpy as np
import pytest

from bench.survey.analysis.reliability import alpha, intraclass, reliability, weighted_kappa
from bench.survey.analysis.simulation import Components, survey

# Krippendorff (2011), Computing Krippendorff's Alpha-Reliability, section E: 4 observers, 12 units.
OBSERVERS = """
1 2 3 3 2 1 4 1 2 . . .
1 2 3 3 2 2 4 1 2 5 . 3
. 3 3 3 2 3 4 2 2 5 1 .
1 2 3 3 2 4 4 1 2 5 1 .
"""


def test_alpha_equals_krippendorffs_example():
    lines = [line.split() for line in OBSERVERS.strip().splitlines()]
    cells = [(unit, float(v)) for line in lines for unit, v in enumerate(line) if v != "."]
    units, values = (np.array(column) for column in zip(*cells, strict=True))
    assert alpha(values, units, "interval") == pytest.approx(0.8491, abs=5e-5)
    assert alpha(values, units, "ordinal") == pytest.approx(0.8154, abs=5e-5)


def test_alpha_is_1_for_agreement_0_for_chance_and_none_without_pairs():
    units = np.repeat(np.arange(400), 5)
    assert alpha(units % 7.0, units) == 1.0
    chance = np.random.default_rng(0).integers(1, 11, 2000).astype(float)
    assert alpha(chance, units) == pytest.approx(0, abs=0.03)
    assert alpha(np.ones(2000), units) is None
    assert alpha(chance[:3], np.arange(3)) is None
    assert alpha(chance[:0], units[:0]) is None


def test_ordinal_alpha_depends_on_the_order_only_and_interval_alpha_on_distances():
    rng = np.random.default_rng(1)
    units, values = np.repeat(np.arange(30), 4), rng.integers(1, 6, 120).astype(float)
    assert alpha(values**3, units) == pytest.approx(alpha(values, units))
    assert alpha(values**3, units, "interval") != pytest.approx(alpha(values, units, "interval"))
    assert alpha(3 * values + 2, units, "interval") == pytest.approx(
        alpha(values, units, "interval")
    )


def test_kappa_equals_scikit_learns():
    from sklearn.metrics import cohen_kappa_score

    rng = np.random.default_rng(2)
    first = rng.integers(1, 11, 60)
    second = np.clip(first + rng.integers(-2, 3, 60), 1, 10)
    expected = cohen_kappa_score(first, second, weights="quadratic", labels=range(1, 11))
    assert weighted_kappa(first.astype(float), second.astype(float)) == pytest.approx(expected)
    assert weighted_kappa(np.ones(4), np.ones(4)) is None


def test_the_intraclass_correlation_is_the_share_of_variance_between_clips():
    truth = Components(rater=1.0, clip=1.5, rater_system=0.0, residual=1.0)
    effects = dict.fromkeys("abcdef", 5.5)
    correlations = [
        intraclass(survey(effects, 8, 16, 3, components=truth, seed=seed)) for seed in range(4)
    ]
    single, mean = np.mean(correlations, axis=0)
    assert single == pytest.approx(1.5**2 / (1.5**2 + 1 + 1 + 1 / 12), abs=0.07)
    assert mean > 0.85


def test_listeners_who_agree_have_high_reliability_and_random_ones_low():
    effects = {"human": 8.0, "a": 6.0, "b": 4.0, "anchor": 2.0}
    good = reliability(survey(effects, repeats=3))
    assert good.repeats.pairs == 48
    assert good.repeats.kappa > 0.5
    assert good.split_half > 0.95
    assert good.split_half_full > good.split_half
    random = reliability(survey(effects, repeats=3, careless=1.0))
    assert abs(random.alpha_ordinal) < 0.15
    assert random.repeats.change > good.repeats.change + 1
    assert random.icc_single < 0.2


def test_few_listeners_have_no_split_half_correlation():
    few = reliability(survey({"a": 4.0, "b": 5.0, "c": 6.0}, raters=3))
    assert few.split_half is None
    assert few.repeats is None
