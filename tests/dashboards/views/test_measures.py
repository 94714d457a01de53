import numpy as np
import pytest
from lazy import Library, stats
from made_up_rows import row

from bench.survey.analysis.agreement import Agreement
from bench.survey.analysis.results import Span, Study, SystemResult

measures = Library("dashboards.views.measures")


def test_correlations_are_spearmans_over_the_rows_that_have_both():
    rng = np.random.default_rng(0)
    rows = [
        row(metrics={"a": float(a), "b": float(a + b), "c": None if i % 4 == 0 else float(b)})
        for i, (a, b) in enumerate(rng.normal(size=(12, 2)).round(1))
    ]
    found = measures.correlations(rows, ["a", "b", "c"]).set_index(["one", "other"])
    for one in "abc":
        for other in "abc":
            pairs = [(row.value(one), row.value(other)) for row in rows]
            both = [pair for pair in pairs if None not in pair]
            assert found.loc[(one, other), "rho"] == pytest.approx(
                stats.spearmanr(both).statistic if one != other else 1
            )
            assert found.loc[(one, other), "systems"] == len(both)


def test_three_systems_or_equal_values_correlate_with_nothing():
    assert not measures.enough([1.0, 2.0, 3.0])
    assert not measures.enough([1.0] * 9)
    rows = [row(metrics={"a": float(i), "b": 1.0}) for i in range(9)]
    assert measures.correlations(rows, ["a", "b"])["rho"].isna().sum() == 3


def rated():
    """A study of five systems with one metric that is sure, one that is not, one without value."""
    names = [f"s{i}" for i in range(5)]
    values = dict(zip(names, [0.1, 0.2, 0.3, 0.4, 0.5], strict=True))
    sure = {"tau": 0.8, "tau_low": 0.4, "tau_high": 1.0, "verdict": "agrees with listeners (5)"}
    unsure = {"tau": 0.9, "tau_low": -0.1, "tau_high": 1.0, "verdict": "inconclusive (5)"}
    common = {"direction": "higher", "systems": 5, "values": values}
    return Study.model_construct(
        agreement=[
            Agreement(metric="a_wild_guess", **common, **unsure),
            Agreement(metric="scale_gap", **common, **sure),
            Agreement(metric="flat", direction="lower", systems=5, verdict="no answer"),
        ],
        systems=[
            SystemResult.model_construct(system=name, rating=Span(value=3.0 + i, low=2.5 + i))
            for i, name in enumerate([*names, "anchor"])
        ],
    )


def test_the_metric_that_agrees_beyond_doubt_stands_above_a_higher_guess():
    found = measures.with_ratings(rated())
    assert list(found["metric"]) == ["scale gap", "a wild guess"]
    assert list(found["sure"]) == ["beyond doubt", "inconclusive"]
    assert found.loc[0, ["tau", "low", "high"]].tolist() == [0.8, 0.4, 1.0]


def test_only_systems_with_both_a_rating_and_a_value_are_drawn():
    table = measures.rated_systems(rated(), "scale_gap").set_index("system")
    assert table["value"].to_dict() == {f"s{i}": pytest.approx(0.1 + 0.1 * i) for i in range(5)}
    assert table.loc["s2", ["rating", "low", "high"]].tolist() == [5.0, 4.5, 5.0]
    assert measures.rated_systems(rated(), "flat").empty
