import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lazy import muspy, stats

from bench.contract import Reference
from bench.music import Score
from bench.music.muspy_music import to_muspy
from metrics import descriptors

VALUES = [
    descriptors.PitchClassEntropy,
    descriptors.PitchRange,
    descriptors.NotesPerQuarter,
    descriptors.NoteLength,
    descriptors.MelodicInterval,
]
GAPS = [
    descriptors.PitchClassEntropyGap,
    descriptors.PitchRangeGap,
    descriptors.NotesPerQuarterGap,
    descriptors.NoteLengthGap,
    descriptors.MelodicIntervalGap,
]


def piece(seed, wide=12):
    rng = np.random.default_rng(seed)
    return Score.from_notes(
        np.sort(rng.integers(0, 60, 40)), rng.integers(1, 5, 40), rng.integers(55, 55 + wide, 40),
        length=64,
    )  # fmt: skip


def score_of(cls, samples, test=()):
    metric = cls()
    metric.prepare(Reference(4, 16, 64, [], [], list(test), []))
    return metric.score(samples)


@given(st.lists(st.integers(21, 108), min_size=1, max_size=30))
@settings(deadline=None)
def test_entropy_and_range_are_those_of_muspy_where_all_notes_are_as_long(pitches):
    score = Score.from_notes(range(len(pitches)), [1] * len(pitches), pitches)
    music = to_muspy(score)
    assert descriptors.pitch_class_entropy(score) == pytest.approx(muspy.pitch_class_entropy(music))
    assert descriptors.pitch_range(score) == muspy.pitch_range(music)


def test_entropy_weighs_notes_by_how_long_they_sound():
    score = Score.from_notes([0, 0], [3, 1], [60, 62])
    assert descriptors.pitch_class_entropy(score) == pytest.approx(0.811278, abs=1e-6)


def test_density_and_length_are_in_quarters_on_any_grid():
    for grid in (1, 2, 4):
        score = Score.from_notes([0, grid], [grid, 2 * grid], [60, 62], length=8 * grid, grid=grid)
        assert descriptors.notes_per_quarter(score) == 0.25
        assert descriptors.note_length(score) == 1.5


def test_the_melody_is_the_highest_key_that_sounds():
    # 72 is held over 60 and 62; then 67
    score = Score.from_notes([0, 0, 4, 8], [8, 4, 4, 4], [72, 60, 62, 67])
    assert descriptors.melodic_interval(score) == 5


def test_what_a_piece_lacks_is_undefined():
    silence, single = Score.silence(64), Score.from_notes([0], [4], [60], length=64)
    for cls in VALUES:
        measurement = score_of(cls, [silence, piece(1)])
        expected = 0 if cls is descriptors.NotesPerQuarter else 1
        assert measurement.detail["undefined_pieces"] == expected
        assert score_of(cls, []).reason == "there are no samples"
    assert score_of(descriptors.MelodicInterval, [single]).value is None
    assert score_of(descriptors.NotesPerQuarter, [silence]).value == 0


@pytest.mark.parametrize("cls", GAPS)
def test_the_gap_is_the_distance_of_the_distributions(cls):
    samples, test = [piece(seed, 20) for seed in range(9)], [piece(seed) for seed in range(9, 20)]
    expected = stats.wasserstein_distance([cls.of(p) for p in samples], [cls.of(p) for p in test])
    assert score_of(cls, samples, test).value == pytest.approx(expected)
    assert score_of(cls, test, test).value == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("cls", GAPS)
def test_silence_increases_the_gap(cls):
    test = [piece(seed) for seed in range(20)]
    silent = [Score.silence(64)] * 20
    gaps = [score_of(cls, [*test[: 20 - n], *silent[:n]], test).value for n in (0, 5, 20)]
    assert gaps[0] == pytest.approx(0, abs=1e-12)
    assert 0.01 < gaps[1] < gaps[2]
    assert score_of(cls, [], test).reason == "there are no samples"
    assert "test excerpts" in score_of(cls, test, []).reason
