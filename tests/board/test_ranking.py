import numpy as np
import pytest
from made_up_rows import row

from bench import registry
from bench.board.ranking import contestants, rank, tied
from bench.board.rows import Group
from bench.protocol import statistics


class Gap:
    """A headline metric of which the lower is the better."""

    headline, direction = True, "lower"


@pytest.fixture(autouse=True)
def metrics(monkeypatch):
    """The installed metrics: one, unless a test adds others."""
    known = {"gap": Gap}
    monkeypatch.setattr(registry, "metrics", lambda: known)
    return known


def group_of(floor, ceiling, *others, metrics=("gap",)):
    """A group of rows with such values, and draws around them that are independent."""
    rows = []
    for number, value in enumerate((floor, ceiling, *others)):
        noise = np.random.default_rng(number).normal(size=(len(metrics), statistics.RESAMPLES))
        rows.append(
            row(
                f"system{number}",
                kind=("floor", "ceiling", "paper")[min(number, 2)],
                anchor=(0, 1, None)[min(number, 2)],
                metrics=dict.fromkeys(metrics, float(value)),
                exact=dict.fromkeys(metrics, float(value)),
                draws={m: value + n - n.mean() for m, n in zip(metrics, noise, strict=True)},
            )
        )
    return Group("toy quick", tuple(rows))


def test_the_skill_is_the_share_of_the_way_from_the_floor_to_the_ceiling():
    group = group_of(20.0, 10.0, 12.0)
    rank(group)
    assert [row.skill for row in group.rows] == [0, 1, 0.8]
    assert [row.rank for row in group.rows] == [None, None, 1]
    assert {row.skill_note for row in group.rows} == {""}


@pytest.mark.parametrize(
    ("floor", "note"),
    [
        (11.0, "gap: left out, floor and ceiling cannot be told apart"),
        (2.0, "gap: left out, the floor is better than the ceiling"),
    ],
)
def test_what_does_not_tell_noise_from_music_gives_no_skill_and_says_so(floor, note):
    group = group_of(floor, 10.0, 12.0)
    rank(group)
    for ranked in group.rows:
        assert ranked.metric("gap").skill is ranked.skill is ranked.rank is None
        assert (ranked.skill_coverage, ranked.skill_note) == ("0/1", note)


def test_a_floor_and_a_ceiling_of_one_value_are_never_a_scale():
    group = group_of(10.0, 10.0, 12.0)
    floor, ceiling = group.rows[:2]
    ceiling.evidence.draws["gap"] = floor.evidence.draws["gap"] - 1e-12  # by rounding alone
    rank(group)
    assert group.rows[2].skill_note == "gap: left out, floor and ceiling cannot be told apart"


@pytest.mark.parametrize("skill", [0, 1])
def test_without_a_floor_or_a_ceiling_that_ended_well_there_is_no_skill(skill):
    group = group_of(20.0, 10.0, 12.0)
    group.anchor(skill).status = "partial"
    rank(group)
    assert {row.skill for row in group.rows} == {None}
    assert group.rows[2].skill_note == "gap: no floor or no ceiling to measure by"


def test_a_row_without_a_value_has_no_skill_and_the_others_do(metrics):
    metrics["other"] = Gap
    group = group_of(20.0, 10.0, 12.0, 14.0, metrics=("gap", "other"))
    del group.rows[3].evidence.exact["other"]
    rank(group)
    assert [row.skill for row in group.rows] == [0, 1, 0.8, None]
    assert group.rows[3].metric("gap").skill == 0.6
    assert (group.rows[3].skill_coverage, group.rows[3].skill_note) == ("1/2", "other: no value")


def test_a_row_without_any_score_says_nothing_of_the_metrics_it_lacks():
    group = group_of(20.0, 10.0, 12.0)
    failed = row("failed", status="failed", seeds=0)
    rank(Group(group.title, (*group.rows, failed)))
    assert (failed.skill, failed.rank, failed.skill_coverage) == (None, None, "0/1")
    assert failed.skill_note == ""  # `failure` says it


def test_a_paired_difference_decides_whether_floor_and_ceiling_are_apart():
    group = group_of(11.0, 10.0, 10.5)
    floor, ceiling = group.rows[:2]
    floor.evidence.draws["gap"] = ceiling.evidence.draws["gap"] + 1.0
    rank(group)
    assert group.rows[2].skill == pytest.approx(0.5)


def test_the_rows_that_make_the_scale_are_0_and_1_in_every_draw():
    group = group_of(20.0, 10.0, 12.0)
    rank(group)
    for anchor, skill in zip(group.rows[:2], (0, 1), strict=True):
        assert np.allclose(anchor.evidence.draws["skill"], skill)
    assert group.rows[2].skill_low < 0.8 < group.rows[2].skill_high


@pytest.mark.parametrize("quality", [0.0, 0.5, 0.95])
def test_the_interval_of_the_skill_covers_that_of_the_populations(metrics, quality):
    """Every system is 30 pieces of its population; floor and ceiling are too."""
    metrics["other"] = Gap
    rng, means = np.random.default_rng(5), (4.0, 0.0, 4.0 * (1 - quality))
    covered = 0
    for _ in range(300):
        group = group_of(*means, metrics=("gap", "other"))
        group.rows[2].evidence.trained = False
        difficulty = rng.normal(size=30)  # of the prompts, which all share
        for sampled, mean in zip(group.rows, means, strict=True):
            for metric in ("gap", "other"):
                pieces = mean + difficulty + rng.normal(scale=1.5, size=30)
                sampled.evidence.exact[metric] = float(pieces.mean())
                sampled.evidence.draws[metric] = statistics.mean_draws(pieces)
        rank(group)
        covered += group.rows[2].skill_low <= quality <= group.rows[2].skill_high
    assert 0.90 <= covered / 300 <= 0.98


def test_only_corrected_systems_between_floor_and_ceiling_compete():
    rows = [
        row("a", skill=0.5),
        row("b", skill=0.5, variant="as-published"),
        row("c"),
        row("noise", skill=0.0, kind="floor"),
        row("human", skill=1.0, kind="ceiling"),
    ]
    assert [row.system for row in contestants(rows)] == ["a"]


def test_systems_whose_draws_overlap_are_tied_and_the_floor_is_no_system():
    rng = np.random.default_rng(0)
    means = {"low": 0.2, "alike": 0.595, "high": 0.6}
    rows = [
        row(name, skill=mean, draws={"skill": rng.normal(mean, 0.02, 2000)})
        for name, mean in means.items()
    ]
    floor = row("noise", kind="floor", skill=0.2, anchor=0, draws=rows[0].evidence.draws)
    by_skill, bars = tied([*rows, floor])
    assert [row.system for row in by_skill] == ["high", "alike", "low"]
    assert bars == [(0, 1)]
    assert tied(rows[:1])[1] == tied([])[1] == []
