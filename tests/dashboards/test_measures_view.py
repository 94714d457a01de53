import numpy as np
import pytest
from scipy.stats import spearmanr

from dashboards.measures_view import correlations, enough


def test_correlations_are_spearmans_over_the_rows_that_have_both():
    rng = np.random.default_rng(0)
    rows = [
        {"a": float(a), "b": float(a + b), "c": None if i % 4 == 0 else float(b)}
        for i, (a, b) in enumerate(rng.normal(size=(12, 2)).round(1))
    ]
    found = correlations(rows, ["a", "b", "c"]).set_index(["one", "other"])
    for one in "abc":
        for other in "abc":
            both = [(r[one], r[other]) for r in rows if r[one] is not None and r[other] is not None]
            assert found.loc[(one, other), "rho"] == pytest.approx(
                spearmanr(both).statistic if one != other else 1
            )
            assert found.loc[(one, other), "systems"] == len(both)


def test_three_systems_or_equal_values_correlate_with_nothing():
    assert not enough([1.0, 2.0, 3.0])
    assert not enough([1.0] * 9)
    rows = [{"a": float(i), "b": 1.0} for i in range(9)]
    assert correlations(rows, ["a", "b"])["rho"].isna().sum() == 3
