import numpy as np
import pytest
from lazy import pd, stats

from bench.survey.analysis.agreement import agreement, ceiling, permutation_p, tau
from bench.survey.analysis.mixed import crossed
from bench.survey.analysis.simulation import survey

EFFECTS = {f"s{n:02d}": 2.5 + 0.5 * n for n in range(12)}


@pytest.fixture(scope="module")
def table():
    return survey(EFFECTS, clips=8, raters=12, heard=3, seed=1)


@pytest.fixture(scope="module")
def estimates(table):
    return crossed(table)


def means(estimates):
    return dict(zip(estimates.systems, estimates.means.tolist(), strict=True))


def test_tau_equals_scipys_with_ties():
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 5, (6, 9)).astype(float), rng.integers(0, 5, (6, 9)).astype(float)
    expected = [stats.kendalltau(a, b).statistic for a, b in zip(x, y, strict=True)]
    assert tau(x, y) == pytest.approx(expected)
    assert np.isnan(tau(np.ones(4), np.arange(4.0)))


@pytest.mark.parametrize("n", [6, 11])
def test_p_is_exact_for_few_systems_and_close_for_many(n):
    rng = np.random.default_rng(n)
    x, y = rng.normal(size=n), rng.normal(size=n)
    y += x
    exact = stats.kendalltau(x, y, method="exact").pvalue
    assert permutation_p(x, y, seed=0) == pytest.approx(exact, abs=1e-9 if n == 6 else 0.01)


def test_a_true_metric_agrees_in_either_direction_and_a_random_one_is_inconclusive(
    table, estimates
):
    rng = np.random.default_rng(4)
    values = {
        name: {"good": effect, "distance": -effect, "wrong": -effect, "random": rng.normal()}
        for name, effect in EFFECTS.items()
    }
    directions = {"good": "higher", "distance": "lower", "wrong": "higher", "random": "none"}
    results = {
        result.metric: result
        for result in agreement(estimates, means(estimates), values, directions, table)
    }
    for name in ("good", "distance"):
        assert results[name].tau > 0.7
        assert results[name].verdict.startswith("agrees with listeners (12 systems")
        assert results[name].p_fdr < 0.01
        assert results[name].tau_low > 0.3
    assert results["wrong"].verdict.startswith("contradicts")
    assert results["wrong"].tau == -results["good"].tau
    assert results["random"].verdict.startswith("inconclusive (12 systems")


def test_references_give_a_second_tau_and_are_never_in_the_first(table, estimates):
    rng = np.random.default_rng(5)
    values = {name: {"random": rng.normal()} for name in EFFECTS}
    values |= {"human": {"random": 9.0}, "anchor": {"random": -9.0}}
    rated = {**means(estimates), "human": 9.0, "anchor": 1.2}
    result, *_ = agreement(estimates, rated, values, {"random": "higher"}, table)
    assert result.systems == 12
    assert result.references == 2
    assert result.tau_with_references > result.tau + 0.1
    systems = [estimates.systems.index(name) for name in EFFECTS]
    x = np.array([values[name]["random"] for name in EFFECTS])
    y = estimates.means[systems]
    assert result.tau == pytest.approx(stats.kendalltau(x, y).statistic)
    assert result.spearman == pytest.approx(stats.spearmanr(x, y).statistic)


def test_uncertain_ratings_widen_the_interval():
    few = survey(EFFECTS, clips=2, raters=4, heard=1, seed=2)
    many = survey(EFFECTS, clips=12, raters=16, heard=3, seed=2)
    values = {name: {"good": effect} for name, effect in EFFECTS.items()}
    widths = []
    for table in (few, many):
        estimates = crossed(table)
        result, *_ = agreement(estimates, means(estimates), values, {"good": "higher"}, table)
        widths.append(result.tau_high - result.tau_low)
    assert widths[0] > 1.5 * widths[1]


def test_few_systems_and_equal_values_give_no_correlation():
    table = survey({"a": 4.0, "b": 5.0, "c": 6.0})
    estimates = crossed(table)
    values = {name: {"good": float(n)} for n, name in enumerate("abc")}
    result, *_ = agreement(estimates, means(estimates), values, {"good": "higher"}, table)
    assert result.tau is None
    assert (
        result.verdict
        == "too few systems: 3; at least 1 more are needed, and 20 in all for a useful answer"
    )
    values = {name: {"same": 1.0} for name in EFFECTS}
    table = survey(EFFECTS, heard=1)
    estimates = crossed(table)
    result, *_ = agreement(estimates, means(estimates), values, {"same": "higher"}, table)
    assert result.verdict.startswith("no answer")


def test_agreement_within_systems_is_separate_from_agreement_between_systems(table, estimates):
    # One metric measures the quality of the clip, the other one that of its system.
    rng = np.random.default_rng(6)
    quality = table.groupby("clip")["score"].mean() - table.groupby("clip")["system"].first().map(
        table.groupby("system")["score"].mean()
    )
    system = table.groupby("clip")["system"].first().map(EFFECTS)
    noise = pd.Series(rng.normal(0, 0.1, len(quality)), quality.index)
    clips = pd.DataFrame({"own": quality + noise, "systems": system + noise})
    values = {name: {"own": rng.normal(), "systems": effect} for name, effect in EFFECTS.items()}
    directions = {"own": "lower", "systems": "higher"}
    own, of_system = agreement(estimates, means(estimates), values, directions, table, clips)
    assert own.slope_high < 0  # lower is better, and clips with high values are rated high
    assert own.verdict.startswith("inconclusive")
    assert of_system.slope_low < 0 < of_system.slope_high
    assert of_system.clips == 12 * 8


def test_the_noise_ceiling_is_near_1_for_certain_means_and_falls_with_their_uncertainty():
    certain = crossed(survey(EFFECTS, clips=12, raters=16, heard=3, seed=1))
    uncertain = crossed(survey(EFFECTS, clips=2, raters=4, heard=1, seed=2))
    assert ceiling(certain) > 0.95
    assert ceiling(uncertain) < ceiling(certain)
    assert ceiling(crossed(survey({"a": 4.0, "b": 5.0}))) is None
