import numpy as np
import pytest
from scipy import stats

from bench.survey.analysis.checks import checks, nonparametric, order_effects, ordinal
from bench.survey.analysis.mixed import crossed
from bench.survey.analysis.simulation import survey

EFFECTS = {"a": 3.5, "b": 5.0, "c": 6.5}


def ready(table):
    return table.assign(name=table["system"])


def test_fatigue_is_found():
    still, tired = (
        ready(survey(EFFECTS, clips=8, raters=30, heard=4, drift=drift, seed=1))
        for drift in (0.0, -2.0)
    )
    found = order_effects(tired, tired, crossed(tired))
    # the first position is a twelfth of the way already
    assert found.drift_low < -2.0 * 11 / 12 < found.drift_high
    assert found.drift_p < 0.001
    assert found.shift < 0.2
    without = order_effects(still, still, crossed(still))
    assert found.drift - without.drift == pytest.approx(-2.0 * 11 / 12, abs=0.2)


def test_the_system_before_colours_the_next_clip():
    table = ready(survey(EFFECTS, clips=8, raters=40, heard=4, seed=2))
    before = table["previous_system"].map(EFFECTS).fillna(5.0) - 5.0
    contrasted = table.assign(score=(table["score"] - 0.5 * before).clip(1, 10))
    found = order_effects(contrasted, contrasted, crossed(contrasted))
    assert found.carry_low < -0.5 < found.carry_high
    assert found.carry_p < 0.001


def test_without_such_an_effect_none_is_found_on_average():
    found = []
    for seed in range(8):
        table = ready(survey(EFFECTS, clips=4, raters=10, heard=3, seed=seed))
        found.append(order_effects(table, table, crossed(table)).carry)
    assert abs(np.mean(found)) < 3 * np.std(found) / np.sqrt(len(found))


def test_tests_without_a_scale_are_scipy_s():
    table = survey(EFFECTS, seed=3)
    friedman, pairs, kruskal = nonparametric(table)
    means = table.pivot_table(index="rater", columns="system", values="score")
    statistic, p = stats.friedmanchisquare(means["a"], means["b"], means["c"])
    assert (friedman.statistic, friedman.p) == pytest.approx((statistic, p))
    raw = {
        (one, other): stats.wilcoxon(means[one], means[other], method="approx").pvalue
        for one, other in (("a", "b"), ("a", "c"), ("b", "c"))
    }
    worst = max(raw.values())
    assert {(one.first, one.second) for one in pairs} == set(raw)
    assert max(one.p for one in pairs) == pytest.approx(worst)
    assert all(one.p >= raw[one.first, one.second] for one in pairs)
    groups = [one["score"] for _, one in table.groupby("system")]
    assert kruskal.p == pytest.approx(stats.kruskal(*groups).pvalue)


def test_listeners_who_missed_a_system_are_not_in_a_test_that_needs_all():
    table = survey(EFFECTS, seed=3)
    some = table[~((table["rater"] < 4) & (table["system"] == "b"))]
    friedman, _, kruskal = nonparametric(some)
    assert friedman.raters == 12
    assert kruskal.raters == 16


def test_the_order_of_systems_does_not_hang_on_the_scale():
    table = survey(EFFECTS, clips=10, raters=20, heard=4, seed=5)
    odds = ordinal(table)
    assert sorted(odds, key=odds.get) == ["a", "b", "c"]
    squeezed = ordinal(table.assign(score=np.log(table["score"])))
    assert squeezed == pytest.approx(odds, abs=0.35)
    assert checks(ready(table), ready(table), crossed(table)).ordinal_agreement == 1.0
