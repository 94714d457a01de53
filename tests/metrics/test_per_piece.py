import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import wasserstein_distance

from metrics.per_piece import mean, wasserstein, weights

VALUES = st.lists(st.floats(-10, 10), min_size=1, max_size=20).map(np.array)


@given(VALUES, VALUES)
def test_the_distance_is_that_of_scipy(values, reference):
    equal = np.full((1, len(values)), 1 / len(values))
    found = wasserstein(values, equal, reference)
    assert found == pytest.approx(wasserstein_distance(values, reference), abs=1e-9)


@given(VALUES, VALUES)
def test_each_resample_is_the_distance_of_the_pieces_drawn(values, reference):
    rows = np.random.default_rng(0).integers(len(values), size=(5, len(values)))
    found = wasserstein(values, weights(rows, len(values)), reference)
    expected = [wasserstein_distance(values[row], reference) for row in rows]
    assert np.allclose(found, expected, atol=1e-9)


def test_the_mean_leaves_out_pieces_without_a_value_and_counts_them():
    found = mean([1.0, np.nan, 3.0], "why")
    assert found.value == 2
    assert np.array_equal(found.per_piece, [1, np.nan, 3], equal_nan=True)
    assert found.detail == {"undefined_pieces": 1}


def test_without_any_value_there_is_the_reason():
    found = mean([np.nan, np.nan], "no notes")
    assert found.value is None
    assert "no notes" in found.reason
    assert mean([], "no notes").reason == "there are no samples"
