import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lazy import stats

from bench.protocol.statistics import RESAMPLES, resamples
from metrics.per_piece import (
    around,
    distance_draws,
    halves,
    jackknife,
    jackknife_2,
    mean,
    wasserstein,
    weights,
)

VALUES = st.lists(st.floats(-10, 10), min_size=1, max_size=20).map(np.array)


@given(VALUES, VALUES)
def test_the_distance_is_that_of_scipy(values, reference):
    equal = np.full((1, len(values)), 1 / len(values))
    distance = wasserstein(values, equal, reference)
    assert distance == pytest.approx(stats.wasserstein_distance(values, reference), abs=1e-9)


@given(VALUES, VALUES)
def test_each_resample_is_the_distance_of_the_pieces_drawn(values, reference):
    rows = np.random.default_rng(0).integers(len(values), size=(5, len(values)))
    distances = wasserstein(values, weights(rows, len(values)), reference)
    expected = [stats.wasserstein_distance(values[row], reference) for row in rows]
    assert np.allclose(distances, expected, atol=1e-9)


def test_the_mean_leaves_out_pieces_without_a_value_and_counts_them():
    measurement = mean([1.0, np.nan, 3.0], "why")
    assert measurement.value == 2
    assert np.array_equal(measurement.per_piece, [1, np.nan, 3], equal_nan=True)
    assert measurement.detail == {"undefined_pieces": 1}


def test_without_any_value_there_is_the_reason():
    measurement = mean([np.nan, np.nan], "no notes")
    assert measurement.value is None
    assert "no notes" in measurement.reason
    assert mean([], "no notes").reason == "there are no samples"


@pytest.mark.parametrize("n", [2, 7, 40])
def test_halves_hold_half_of_the_pieces_every_piece_as_often(n):
    chosen = halves(n)
    assert chosen.shape == (RESAMPLES, n)
    assert (chosen.sum(axis=1) == n // 2).all()
    assert np.allclose(chosen.mean(axis=0), (n // 2) / n, atol=0.07)


@pytest.mark.parametrize("n", [7, 8, 41, 64])
def test_a_mean_varies_over_halves_as_over_resamples_and_with_them(n):
    values = np.random.default_rng(n).normal(size=n)
    resampled = values[resamples(n)].mean(axis=1)
    halved = np.array([values[row].mean() for row in halves(n)])
    draws = around(values.mean(), halved, n)
    assert draws.mean() == pytest.approx(values.mean())
    assert draws.std() == pytest.approx(values.std() / np.sqrt(n - 1), rel=0.1)
    assert draws.std() == pytest.approx(resampled.std(), rel=0.15)
    assert np.corrcoef(draws, resampled)[0, 1] > 0.6


def test_one_piece_does_not_vary_and_a_distance_is_never_negative():
    assert (around(3.0, np.arange(RESAMPLES), 1) == 3).all()
    assert distance_draws(0.1, np.linspace(0, 9, RESAMPLES), 10).min() == 0


def test_the_jackknife_of_a_mean_is_its_bootstrap():
    values = np.random.default_rng(0).normal(size=20)
    without = (values.sum() - values) / 19
    expected = [values[row].mean() for row in resamples(20)]
    assert np.allclose(jackknife(values.mean(), without), expected)


def test_pieces_that_add_up_vary_as_their_bootstrap():
    values = np.random.default_rng(0).normal(size=20)
    draws = jackknife_2(values.mean(), lambda kept: kept @ values / kept.sum(axis=1), 20)
    expected = np.array([values[row].mean() for row in resamples(20)])
    assert np.corrcoef(draws, expected)[0, 1] > 0.999999
    assert draws.std() == pytest.approx(expected.std(), rel=0.05)
    assert draws.mean() == pytest.approx(values.mean())


def test_interactions_of_two_pieces_do_not_count_twice():
    """The variance of a squared mean of centred values is 2 / n^2; the jackknife's twice that."""
    n, rng = 20, np.random.default_rng(0)
    variances = {"jackknife": [], "pairs": []}
    for _ in range(300):
        values = rng.normal(size=n)

        def squared(kept, values=values):
            return (kept @ values / kept.sum(axis=1)) ** 2

        value = float(squared(np.ones((1, n)))[0])
        variances["jackknife"].append(jackknife(value, squared(1 - np.eye(n))).var())
        variances["pairs"].append(jackknife_2(value, squared, n).var())
    true = 2 / n**2
    assert np.mean(variances["jackknife"]) > 1.9 * true
    assert 0.8 * true < np.mean(variances["pairs"]) < 1.6 * true


def test_few_pieces_have_draws_too():
    def mean_of(kept):
        return kept @ np.arange(kept.shape[1]) / kept.sum(axis=1)

    assert (jackknife_2(0.0, mean_of, 1) == 0).all()
    assert jackknife_2(0.5, mean_of, 2).std() > 0
    assert jackknife_2(1.0, lambda kept: np.ones(len(kept)), 3).std() == 0
