import numpy as np
import pytest

from bench.board import compare
from bench.board.build import Entry, Row
from bench.errors import BenchError
from bench.protocol import statistics


def entry(system, skill, noise, *, preset="quick", object="frames"):
    row = Row(
        system=system, kind="paper", variant="corrected", dataset="toy", dataset_version=1,
        preset=preset, status="ok", seeds=1, pieces=4, steps=32, prompted=True, budget=0,
        budget_unit="updates", device="cpu", dataset_fingerprint="f", jobs="j", skill=skill,
        nats_per_step=5.0 - skill, likelihood_kind="exact", likelihood_object=object,
    )  # fmt: skip
    return Entry(row, {}, {"skill": skill + noise, "nats_per_step": 5.0 - skill + noise}, None)


NOISE = np.random.default_rng(0).normal(scale=0.3, size=statistics.RESAMPLES)
OTHER = np.random.default_rng(1).normal(scale=0.3, size=statistics.RESAMPLES)


def test_a_paired_difference_is_found_where_the_intervals_overlap():
    small = np.random.default_rng(2).normal(scale=0.01, size=statistics.RESAMPLES)
    found = compare.compare(entry("a", 0.6, NOISE), entry("b", 0.5, NOISE + small))
    assert [(one.figure, one.better) for one in found] == [("skill", "a"), ("nats_per_step", "a")]
    assert found[0].low < 0.1 < found[0].high
    assert found[0].p < 0.001


def test_what_may_be_chance_has_no_better():
    found = compare.compare(entry("a", 0.6, NOISE), entry("b", 0.5, OTHER))
    assert [one.better for one in found] == ["", ""]


def test_likelihoods_of_different_objects_are_never_compared():
    found = compare.compare(entry("a", 0.6, NOISE), entry("b", 0.5, OTHER, object="score"))
    assert [one.figure for one in found] == ["skill"]


def test_rows_of_different_presets_are_never_compared():
    rows = [entry("a", 0.6, NOISE), entry("b", 0.5, OTHER, preset="smoke")]
    with pytest.raises(BenchError, match="no rows of the same data, preset and protocol"):
        compare.comparable(rows, "a", "b")


def test_a_system_without_a_row_is_answered_with_the_nearest():
    with pytest.raises(BenchError, match="Did you mean markov"):
        compare.find([entry("markov", 0.5, NOISE)], "markvo")
