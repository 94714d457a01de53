from itertools import pairwise

import numpy as np
import pytest
from lazy import muspy

from bench.contract import Reference
from bench.music import Score, concatenate
from bench.music.muspy_music import to_muspy
from metrics.structure import (
    GrooveConsistency,
    Repetition,
    StructureGap,
    alike,
    groove_consistency,
    lags_of,
    similarities,
)


def bar(seed, notes=10):
    rng = np.random.default_rng(seed)
    return Score.from_notes(
        rng.integers(0, 16, notes),
        rng.integers(1, 6, notes),
        rng.integers(50, 70, notes),
        length=16,
    )


def form(plan, seed=0):
    """A piece of bars named by letters: equal letters, equal bars."""
    return concatenate([bar(ord(letter) + 100 * seed) for letter in plan])


def reference(test, steps=128):
    return Reference(4, 16, steps, [], [], test, [])


def score_of(cls, samples, test):
    metric = cls()
    metric.prepare(reference(test))
    return metric.score(samples)


def test_bars_are_as_alike_as_what_they_share():
    rows = np.array([[1, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0], [1, 1, 0, 0]], dtype=bool)
    expected = [[1, 1 / 3, 0, 1], [1 / 3, 1, 0, 1 / 3], [0, 0, 0, 0], [1, 1 / 3, 0, 1]]
    assert np.allclose(alike(rows), expected)


def test_the_profile_shows_at_which_distance_bars_return():
    (profile,) = similarities([form("ABABABAB")], 16, 7)
    assert np.allclose(profile[:, [1, 3, 5]], 1)
    assert (profile[:, [0, 2, 4, 6]] < 1).all()
    (through,) = similarities([form("ABCDEFGH")], 16, 7)
    assert (through[0] < 0.5).all()


def test_a_piece_too_short_for_a_distance_has_no_value_there():
    profiles = similarities([form("ABC"), bar(1), Score.silence(0)], 16, 7)
    assert np.isnan(profiles[0, 0]).tolist() == [False, False, True, True, True, True, True]
    assert np.isnan(profiles[1:]).all()


def test_samples_have_as_many_distances_as_fit_at_most_sixteen():
    assert lags_of(reference([], 128)) == 7
    assert lags_of(reference([], 64 * 16)) == 16


def test_the_gap_is_zero_to_itself_and_sees_too_much_and_too_little_repetition():
    test = [form("AABBAABB", seed) for seed in range(20)]
    like = [form("AABBAABB", seed) for seed in range(20, 40)]
    through = [form("ABCDEFGH", seed) for seed in range(20)]
    stuck = [form("AAAAAAAA", seed) for seed in range(20)]
    gaps = [score_of(StructureGap, samples, test).value for samples in (test, like, through, stuck)]
    assert gaps[0] == pytest.approx(0, abs=1e-12)
    assert gaps[1] < 0.1 < min(gaps[2:])
    assert score_of(StructureGap, [Score.silence(128)] * 20, test).value > gaps[2]


def test_repetition_is_the_mean_likeness_and_details_every_distance():
    measurement = score_of(Repetition, [form("ABABABAB"), bar(1)], [])
    assert measurement.detail["lag_2"] == 1
    assert measurement.detail["undefined_pieces"] == 1
    assert measurement.value == pytest.approx(
        np.mean([measurement.detail[f"lag_{n}"] for n in range(1, 8)])
    )
    assert score_of(Repetition, [form("AAAA")], []).value == 1
    assert score_of(Repetition, [Score.silence(64)], []).value == 0
    assert "two bars" in score_of(Repetition, [bar(1)], []).reason


def test_equal_bars_have_a_consistent_groove_where_muspy_adds_an_empty_bar():
    score = form("AAAA")
    assert groove_consistency(score, 16) == 1
    assert muspy.groove_consistency(to_muspy(score), 16) < 1


def test_the_groove_is_that_of_muspy_where_a_piece_ends_within_a_bar():
    score = concatenate([form("ABC"), bar(9).slice(0, 12)])
    rows = [np.bincount(score.onset, minlength=64)[s : s + 16] > 0 for s in (0, 16, 32, 48)]
    expected = np.mean([a == b for a, b in pairwise(rows)])
    assert groove_consistency(score.pad(64), 16) == pytest.approx(expected)
    assert muspy.groove_consistency(to_muspy(score), 16) == pytest.approx(expected)


def test_the_groove_of_less_than_two_bars_is_undefined():
    measurement = score_of(GrooveConsistency, [bar(1), form("AA"), Score.silence(0)], [])
    assert (measurement.value, measurement.detail) == (1, {"undefined_pieces": 2})


def test_without_pieces_there_is_a_reason():
    for cls in (StructureGap, Repetition, GrooveConsistency):
        assert score_of(cls, [], [form("AABB")]).reason == "there are no samples"
    assert "test excerpts" in score_of(StructureGap, [form("AABB")], []).reason
    assert "no test excerpt" in score_of(StructureGap, [form("AABB")], [bar(1)]).reason
