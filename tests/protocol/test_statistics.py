import numpy as np
import pytest

from bench.protocol import statistics


def test_holm_equals_statsmodels():
    from statsmodels.stats.multitest import multipletests

    p = np.random.default_rng(0).uniform(size=20) ** 3
    assert np.allclose(statistics.holm(list(p)), multipletests(p, method="holm")[1])


def test_holm_of_nothing_is_nothing():
    assert statistics.holm([]) == []


def test_resamples_are_the_same_for_every_system_and_cannot_be_changed():
    assert statistics.resamples(12) is statistics.resamples(12)
    with pytest.raises(ValueError, match="read-only"):
        statistics.resamples(12)[0, 0] = 3


def test_mean_draws_equal_a_plain_bootstrap_of_the_mean():
    values = np.random.default_rng(1).normal(size=30)
    rows = statistics.resamples(30)
    draws = statistics.mean_draws(values)
    assert draws is not None
    assert np.allclose(draws, [values[row].mean() for row in rows])


def test_mean_draws_leave_out_pieces_without_a_value():
    values = np.array([1.0, 2.0, np.nan, 3.0] * 10)
    draws = statistics.mean_draws(values)
    assert draws is not None
    assert np.allclose(draws, [np.nanmean(values[row]) for row in statistics.resamples(40)])


def test_mean_draws_of_pieces_without_any_value_are_none():
    assert statistics.mean_draws(np.array([np.nan, np.nan])) is None
    assert statistics.mean_draws(np.zeros(0)) is None


def test_ratio_draws_weigh_pieces_by_their_steps():
    nats, steps = np.array([10.0, 200.0, 30.0]), np.array([1.0, 100.0, 3.0])
    expected = [nats[row].sum() / steps[row].sum() for row in statistics.resamples(3)]
    assert np.allclose(statistics.ratio_draws(nats, steps), expected)


def test_intervals_of_a_mean_cover_the_truth_about_as_often_as_they_say():
    rng = np.random.default_rng(2)
    hits = 0
    for _ in range(300):
        values = rng.gamma(4.0, size=60)
        draws = statistics.mean_draws(values)
        assert draws is not None
        low, high = statistics.interval(draws)
        hits += low <= 4.0 <= high
    assert 0.90 <= hits / 300 <= 0.98


def test_seeds_that_differ_widen_the_interval():
    piece = np.random.default_rng(3).normal(scale=0.01, size=statistics.RESAMPLES)
    alike = statistics.interval(statistics.over_seeds([piece, piece, piece]))
    apart = statistics.interval(statistics.over_seeds([piece - 1, piece, piece + 1]))
    assert apart[1] - apart[0] > 10 * (alike[1] - alike[0])


def draws(mean: float, seed: int, spread: float = 1.0):
    noise = np.random.default_rng(seed).normal(scale=spread, size=statistics.RESAMPLES)
    return mean + noise - noise.mean()


def test_systems_that_do_not_differ_significantly_share_a_rank():
    values = [0.0, 0.1, 10.0]
    ranks = statistics.ranks([draws(v, i) for i, v in enumerate(values)], values)
    assert [rank for rank, _, _ in ranks] == [2, 2, 1]


def test_paired_draws_separate_what_unpaired_ones_would_not():
    shared = draws(0.0, 1)
    values = [0.0, 0.5]
    paired = [shared, shared + 0.5 + draws(0.0, 2, 0.05)]
    assert [rank for rank, _, _ in statistics.ranks(paired, values)] == [2, 1]
    unpaired = [draws(v, i) for i, v in enumerate(values)]
    assert [rank for rank, _, _ in statistics.ranks(unpaired, values)] == [1, 1]


def test_equal_systems_differ_significantly_no_more_often_than_the_level_says():
    rng = np.random.default_rng(4)
    wrong = 0
    for _ in range(200):
        tables = rng.normal(size=(5, 40))  # five systems, equal in truth, over forty prompts
        means = tables.mean(axis=1)
        drawn = [table[statistics.resamples(40)].mean(axis=1) for table in tables]
        wrong += any(rank > 1 for rank, _, _ in statistics.ranks(drawn, list(means)))
    assert wrong / 200 < 0.10


def test_the_interval_of_a_rank_is_bounded_by_significant_differences():
    values = [3.0, 2.0, 1.0]
    ranks = statistics.ranks([draws(v, i, 0.01) for i, v in enumerate(values)], values)
    assert ranks == [(1, 1, 1), (2, 2, 2), (3, 3, 3)]
    values = [3.0, 2.999, 1.0, -9.0]
    ranks = statistics.ranks([draws(v, i, 0.01) for i, v in enumerate(values)], values)
    assert ranks == [(1, 1, 2), (1, 1, 2), (3, 3, 3), (4, 4, 4)]
