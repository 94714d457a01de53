import numpy as np
import pytest
from lazy import stats

from bench.survey.analysis.checks import checks, nonparametric, order_effects, ordinal
from bench.survey.analysis.mixed import crossed
from bench.survey.analysis.simulation import survey

EFFECTS = {"a": 3.5, "b": 5.0, "c": 6.5}


def ready(table):
    return table.assign(name=table["system"])


def test_a_drift_of_the_scores_is_detected():
    still, tired = (
        ready(survey(EFFECTS, clips=8, raters=30, heard=4, drift=drift, seed=1))
        for drift in (0.0, -2.0)
    )
    effects = order_effects(tired, tired, crossed(tired))
    # The first of twelve positions has a twelfth of the drift already.
    assert effects.drift_low < -2.0 * 11 / 12 < effects.drift_high
    assert effects.drift_p < 0.001
    assert effects.shift < 0.2
    without = order_effects(still, still, crossed(still))
    assert effects.drift - without.drift == pytest.approx(-2.0 * 11 / 12, abs=0.2)


def test_an_effect_of_the_system_before_is_detected():
    table = ready(survey(EFFECTS, clips=8, raters=40, heard=4, seed=2))
    before = table["previous_system"].map(EFFECTS).fillna(5.0) - 5.0
    contrasted = table.assign(score=(table["score"] - 0.5 * before).clip(1, 10))
    effects = order_effects(contrasted, contrasted, crossed(contrasted))
    assert effects.carry_low < -0.5 < effects.carry_high
    assert effects.carry_p < 0.001


def test_without_an_effect_of_the_system_before_its_estimate_averages_to_zero():
    carries = []
    for seed in range(8):
        table = ready(survey(EFFECTS, clips=4, raters=10, heard=3, seed=seed))
        carries.append(order_effects(table, table, crossed(table)).carry)
    assert abs(np.mean(carries)) < 3 * np.std(carries) / np.sqrt(len(carries))


def test_rank_tests_equal_scipys():
    table = survey(EFFECTS, seed=3)
    friedman, pairs, kruskal = nonparametric(table)
    means = table.pivot_table(index="rater", columns="system", values="score")
    statistic, p = stats.friedmanchisquare(means["a"], means["b"], means["c"])
    assert (friedman.statistic, friedman.p) == pytest.approx((statistic, p))
    raw = {
        (first, second): stats.wilcoxon(means[first], means[second], method="approx").pvalue
        for first, second in (("a", "b"), ("a", "c"), ("b", "c"))
    }
    assert {(pair.first, pair.second) for pair in pairs} == set(raw)
    assert max(pair.p for pair in pairs) == pytest.approx(max(raw.values()))
    assert all(pair.p >= raw[pair.first, pair.second] for pair in pairs)
    groups = [rows["score"] for _, rows in table.groupby("system")]
    assert kruskal.p == pytest.approx(stats.kruskal(*groups).pvalue)


def test_friedmans_test_leaves_out_listeners_who_missed_a_system():
    table = survey(EFFECTS, seed=3)
    incomplete = table[~((table["rater"] < 4) & (table["system"] == "b"))]
    friedman, _, kruskal = nonparametric(incomplete)
    assert friedman.raters == 12
    assert kruskal.raters == 16


def test_the_ordinal_order_of_systems_does_not_depend_on_the_spacing_of_the_scale():
    table = survey(EFFECTS, clips=10, raters=20, heard=4, seed=5)
    odds = ordinal(table)
    assert sorted(odds, key=odds.get) == ["a", "b", "c"]
    squeezed = ordinal(table.assign(score=np.log(table["score"])))
    assert squeezed == pytest.approx(odds, abs=0.35)
    assert checks(ready(table), ready(table), crossed(table)).ordinal_agreement == 1.0
