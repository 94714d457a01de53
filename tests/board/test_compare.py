import pytest
from made_up_rows import row, spread

from bench.board import compare
from bench.errors import BenchError

NOISE, OTHER = spread(0), spread(1)


def built(system, skill, noise, *, preset="quick", described="frames"):
    """A row with a skill and a likelihood, as one that was built from jobs."""
    return row(
        system,
        preset=preset,
        skill=skill,
        nats_per_step=5.0 - skill,
        likelihood_kind="exact",
        likelihood_object=described,
        draws={"skill": skill + noise, "nats_per_step": 5.0 - skill + noise},
    )


def test_a_paired_difference_is_found_where_the_intervals_overlap():
    differences = compare.compare(built("a", 0.6, NOISE), built("b", 0.5, NOISE + spread(2, 0.01)))
    assert [(each.figure, each.better) for each in differences] == [
        ("skill", "a"),
        ("nats_per_step", "a"),
    ]
    assert differences[0].low < 0.1 < differences[0].high
    assert differences[0].p < 0.001


def test_what_may_be_chance_has_no_better():
    differences = compare.compare(built("a", 0.6, NOISE), built("b", 0.5, OTHER))
    assert [each.better for each in differences] == ["", ""]


def test_likelihoods_of_different_objects_are_never_compared():
    others = built("b", 0.5, OTHER, described="score")
    differences = compare.compare(built("a", 0.6, NOISE), others)
    assert [each.figure for each in differences] == ["skill"]


def test_rows_of_different_presets_are_never_compared():
    rows = [built("a", 0.6, NOISE), built("b", 0.5, OTHER, preset="smoke")]
    with pytest.raises(BenchError, match="no rows of the same data, preset and protocol"):
        compare.comparable(rows, "a", "b")


def test_rows_of_different_metric_versions_are_never_compared():
    rows = [row("a", metric_versions="isl=2"), row("b", metric_versions="isl=3")]
    with pytest.raises(BenchError, match="no rows of the same data, preset and protocol"):
        compare.comparable(rows, "a", "b")
    same = [row("a", metric_versions="isl=3"), rows[1]]
    assert compare.comparable(same, "a", "b") == [(same[0], same[1])]


def test_a_system_without_a_row_is_answered_with_the_nearest():
    with pytest.raises(BenchError, match="Did you mean markov"):
        compare.named([built("markov", 0.5, NOISE)], "markvo")
