import numpy as np
import pytest
import seed_study
from lazy import stats

from bench.protocol import statistics
from bench.protocol.statistics import NOTHING, Repeats, Retraining


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


def repeats(seeds: int, excess: float, pieces: float = 1.0) -> Repeats:
    return Repeats(seeds, excess, pieces)


def test_seeds_that_differ_only_by_their_samples_have_no_excess():
    rng = np.random.default_rng(5)
    excess = []
    for spread in (0.0, 0.5):
        each = []
        for _ in range(200):
            table = rng.normal(size=40) + rng.normal(size=(3, 40))  # shared prompts, own samples
            table += rng.normal(scale=spread, size=(3, 1))
            drawn = np.stack([row[statistics.resamples(40)].mean(axis=1) for row in table])
            each.append(Repeats.of(table.mean(axis=1), drawn).excess)
        excess.append(np.mean(each))
    assert excess[0] == pytest.approx(0.0, abs=0.01)
    assert excess[1] == pytest.approx(0.25, rel=0.25)


def test_without_any_seeds_the_assumed_ratio_counts_and_many_seeds_outweigh_it():
    assert statistics.pool([], 4.0) == 4.0
    many = statistics.pool([repeats(5, 1.0)] * 40, 4.0)
    assert many == pytest.approx(1.0, abs=0.3)


def test_a_system_whose_training_broke_down_hardly_moves_the_others():
    calm = [repeats(3, 1.0)] * 6
    assert statistics.pool([*calm, repeats(3, 500.0)], 1.0) < 3 * statistics.pool(calm, 1.0)


def test_seeds_that_agree_by_chance_never_make_a_spread_of_nothing():
    ratio = statistics.pool([repeats(3, -0.5)] * 10, 4.0)
    assert ratio >= 0.4
    assert statistics.retraining(ratio, 1.0, repeats(3, -0.5)).variance > 0


def test_more_seeds_make_an_interval_narrower_and_a_larger_spread_wider():
    drawn = draws(0.0, 1, 0.01)
    widths = []
    for own in (None, repeats(3, 1.0, 1e-4), repeats(5, 1.0, 1e-4), repeats(5, 4.0, 1e-4)):
        part = statistics.retraining(1e4, 1e-4, own)
        ((low, high),) = statistics.retrained_intervals([0.0], [drawn], [[part]])
        widths.append(high - low)
    assert widths[0] > widths[1] > widths[2] < widths[3]


def test_what_is_not_trained_keeps_the_interval_of_its_draws():
    skewed = np.random.default_rng(0).gamma(2.0, size=statistics.RESAMPLES)
    assert statistics.retrained_intervals([2.0], [skewed], [[NOTHING]]) == [
        statistics.interval(skewed)
    ]


def test_the_p_value_is_below_the_level_where_the_interval_excludes_nothing():
    drawn = draws(0.0, 1, 0.1)
    part = statistics.retraining(2.0, 0.01)
    ((low, high),) = statistics.retrained_intervals([0.0], [drawn], [[part, part]])
    half = (high - low) / 2
    assert statistics.p_retrained(1.05 * half, drawn, [part, part]) < 0.05
    assert statistics.p_retrained(0.95 * half, drawn, [part, part]) > 0.05
    assert statistics.p_retrained(0.0, np.zeros(statistics.RESAMPLES), []) == 1
    assert statistics.p_retrained(0.1, np.zeros(statistics.RESAMPLES), []) == 0


def test_without_training_runs_p_equals_the_normal_one():
    drawn = draws(0.0, 1, 0.1)
    normal = 2 * stats.norm.cdf(-0.15 / np.std(drawn))
    assert statistics.p_retrained(0.15, drawn, [NOTHING]) == pytest.approx(normal, rel=1e-12)


def test_ranks_follow_the_values_and_lie_within_their_bounds():
    rng = np.random.default_rng(6)
    for _ in range(100):
        n = int(rng.integers(2, 12))
        values = list(np.round(rng.normal(size=n), 1))
        drawn = [draws(v, i, float(rng.choice([0.01, 0.1, 0.5]))) for i, v in enumerate(values)]
        parts = [Retraining(float(rng.choice([0.0, 0.01, 0.3])), 4.0) for _ in values]
        ranks = statistics.ranks(drawn, values, parts)
        for value, (rank, low, high) in zip(values, ranks, strict=True):
            assert 1 <= low <= rank <= high <= n
            assert all(rank <= r for v, (r, _, _) in zip(values, ranks, strict=True) if v < value)


def test_an_uncertain_system_does_not_overtake_a_better_one():
    values = [0.9, 0.8, 0.7]  # the second is surely behind the first, the third is not
    parts = [NOTHING, NOTHING, Retraining(0.1, 4.0)]
    drawn = [draws(v, i, 0.005) for i, v in enumerate(values)]
    assert statistics.ranks(drawn, values, parts) == [(1, 1, 2), (2, 2, 3), (2, 1, 3)]


def test_with_the_training_runs_counted_fewer_are_separated():
    values = [0.0, 1.0]
    drawn = [draws(v, i, 0.1) for i, v in enumerate(values)]
    assert statistics.apart(drawn, values).any()
    assert not statistics.apart(drawn, values, [Retraining(0.3, 3.0)] * 2).any()


def test_a_group_of_one_or_none_has_no_pairs():
    assert statistics.apart([], []).shape == (0, 0)
    assert not statistics.apart([draws(0.0, 0)], [0.0]).any()


def test_identical_systems_are_never_separated():
    drawn = draws(0.5, 1)
    assert not statistics.apart([drawn, drawn], [0.5, 0.5]).any()


@pytest.mark.slow
@pytest.mark.parametrize("name", seed_study.WORLDS)
@pytest.mark.parametrize("seeds", [1, 3, 5])
def test_intervals_cover_the_truth_for_systems_of_unequal_spread(name, seeds):
    """The truth: the mean over training runs and pieces. Spreads are .01 to .165 (skill)."""
    world = seed_study.WORLDS[name]
    ((share, _, _),) = seed_study.coverage(world, [seeds] * 20, repeats=400).values()
    assert 0.92 <= share <= 0.98


@pytest.mark.slow
@pytest.mark.parametrize("name", seed_study.WORLDS)
def test_intervals_of_single_seeds_cover_beside_systems_with_three(name):
    world = seed_study.WORLDS[name]
    table = seed_study.coverage(world, seed_study.mixed(20), repeats=400)
    assert {seeds: 0.92 <= share <= 0.98 for seeds, (share, _, _) in table.items()} == {
        1: True,
        3: True,
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", seed_study.WORLDS)
@pytest.mark.parametrize("systems", [10, 40])
def test_equal_systems_are_hardly_ever_separated(name, systems):
    """At most 5 % of boards, within what so many simulated boards can tell (2.5 errors)."""
    world, boards = seed_study.WORLDS[name], 2000 // systems
    for means in ([0.0] * systems, seed_study.partly(systems)):
        false, _ = seed_study.separations(world, means, seed_study.mixed(systems), repeats=boards)
        assert false <= 0.05 + 2.5 * (0.05 * 0.95 / boards) ** 0.5
