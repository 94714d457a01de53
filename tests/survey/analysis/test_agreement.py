import numpy as np
import pandas as pd
import pytest
from scipy import stats

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


def test_tau_is_scipy_s_with_ties():
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 5, (6, 9)).astype(float), rng.integers(0, 5, (6, 9)).astype(float)
    expected = [stats.kendalltau(a, b).statistic for a, b in zip(x, y, strict=True)]
    assert tau(x, y) == pytest.approx(expected)
    assert np.isnan(tau(np.ones(4), np.arange(4.0)))


@pytest.mark.parametrize("n", [6, 11])
def test_p_is_the_exact_one_or_close_to_it(n):
    rng = np.random.default_rng(n)
    x, y = rng.normal(size=n), rng.normal(size=n)
    y += x
    exact = stats.kendalltau(x, y, method="exact").pvalue
    assert permutation_p(x, y, seed=0) == pytest.approx(exact, abs=1e-9 if n == 6 else 0.01)


def test_a_metric_that_knows_agrees_one_that_is_turned_round_too_and_a_guess_is_inconclusive(
    table, estimates
):
    rng = np.random.default_rng(4)
    figures = {
        name: {"good": effect, "distance": -effect, "wrong": -effect, "guess": rng.normal()}
        for name, effect in EFFECTS.items()
    }
    directions = {"good": "higher", "distance": "lower", "wrong": "higher", "guess": "none"}
    found = {
        one.metric: one
        for one in agreement(estimates, means(estimates), figures, directions, table)
    }
    for name in ("good", "distance"):
        assert found[name].tau > 0.7
        assert found[name].verdict.startswith("agrees with listeners (12 systems")
        assert found[name].p_fdr < 0.01
        assert found[name].tau_low > 0.3
    assert found["wrong"].verdict.startswith("contradicts")
    assert found["wrong"].tau == -found["good"].tau
    assert found["guess"].verdict.startswith("inconclusive (12 systems")


def test_references_are_a_second_figure_and_never_in_the_first(table, estimates):
    rng = np.random.default_rng(5)
    figures = {name: {"guess": rng.normal()} for name in EFFECTS}
    figures |= {"human": {"guess": 9.0}, "anchor": {"guess": -9.0}}
    rated = {**means(estimates), "human": 9.0, "anchor": 1.2}
    one, *_ = agreement(estimates, rated, figures, {"guess": "higher"}, table)
    assert one.systems == 12
    assert one.references == 2
    assert one.tau_with_references > one.tau + 0.1
    without = [estimates.systems.index(name) for name in EFFECTS]
    x = np.array([figures[name]["guess"] for name in EFFECTS])
    assert one.tau == pytest.approx(stats.kendalltau(x, estimates.means[without]).statistic)
    assert one.spearman == pytest.approx(stats.spearmanr(x, estimates.means[without]).statistic)


def test_uncertain_ratings_widen_the_interval():
    few = survey(EFFECTS, clips=2, raters=4, heard=1, seed=2)
    many = survey(EFFECTS, clips=12, raters=16, heard=3, seed=2)
    figures = {name: {"good": effect} for name, effect in EFFECTS.items()}
    width = []
    for table in (few, many):
        found = crossed(table)
        one, *_ = agreement(found, means(found), figures, {"good": "higher"}, table)
        width.append(one.tau_high - one.tau_low)
    assert width[0] > 1.5 * width[1]


def test_with_few_systems_nothing_is_claimed():
    table = survey({"a": 4.0, "b": 5.0, "c": 6.0})
    found = crossed(table)
    figures = {name: {"good": float(n)} for n, name in enumerate("abc")}
    one, *_ = agreement(found, means(found), figures, {"good": "higher"}, table)
    assert one.tau is None
    assert one.verdict == "too few systems: 3; 1 more at least, 20 to be of use"
    figures = {name: {"same": 1.0} for name in EFFECTS}
    table = survey(EFFECTS, heard=1)
    found = crossed(table)
    one, *_ = agreement(found, means(found), figures, {"same": "higher"}, table)
    assert one.verdict.startswith("no answer")


def test_what_a_metric_knows_of_clips_is_told_apart_from_what_it_knows_of_systems(table, estimates):
    # One metric is the clip's own quality, the other only its system's.
    rng = np.random.default_rng(6)
    quality = table.groupby("clip")["score"].mean() - table.groupby("clip")["system"].first().map(
        table.groupby("system")["score"].mean()
    )
    system = table.groupby("clip")["system"].first().map(EFFECTS)
    noise = pd.Series(rng.normal(0, 0.1, len(quality)), quality.index)
    clips = pd.DataFrame({"own": quality + noise, "systems": system + noise})
    figures = {name: {"own": rng.normal(), "systems": effect} for name, effect in EFFECTS.items()}
    found = agreement(
        estimates, means(estimates), figures,
        {"own": "lower", "systems": "higher"}, table, clips,
    )  # fmt: skip
    own, of_system = found
    assert own.slope_high < 0  # better low, and what is high is rated high
    assert own.verdict.startswith("inconclusive")
    assert of_system.slope_low < 0 < of_system.slope_high
    assert of_system.clips == 12 * 8


def test_the_noise_ceiling_is_one_for_sure_means_and_falls_with_doubt():
    sure = crossed(survey(EFFECTS, clips=12, raters=16, heard=3, seed=1))
    doubt = crossed(survey(EFFECTS, clips=2, raters=4, heard=1, seed=2))
    assert ceiling(sure) > 0.95
    assert ceiling(doubt) < ceiling(sure)
    assert ceiling(crossed(survey({"a": 4.0, "b": 5.0}))) is None
