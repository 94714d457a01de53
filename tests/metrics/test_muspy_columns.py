import math
import sys

import numpy as np
import pytest

from bench.contract import Metric, Reference
from bench.music import Score
from metrics import muspy_columns
from metrics.muspy_columns import (
    MuspyEmptyBeatRate,
    MuspyEmptyMeasureRate,
    MuspyGrooveConsistency,
    MuspyMetric,
    MuspyPitchClassEntropy,
    MuspyPitchClassesUsed,
    MuspyPitchEntropy,
    MuspyPitchesUsed,
    MuspyPitchRange,
    MuspyPolyphony,
    MuspyPolyphonyRate,
    MuspyScaleConsistency,
)

ALL = [
    cls
    for cls in vars(muspy_columns).values()
    if isinstance(cls, type) and issubclass(cls, MuspyMetric) and cls is not MuspyMetric
]
SCALE = Score.from_notes(range(0, 32, 4), [4] * 8, [60, 62, 64, 65, 67, 69, 71, 72])


def of(cls, *pieces, bar=16):
    metric = cls()
    metric.prepare(Reference(grid=4, bar=bar, steps=32, train=[], tuning=[], test=[], prompts=[]))
    return metric.score(pieces)


def held(pitches, steps=16):
    return Score.from_notes([0] * len(pitches), [steps] * len(pitches), pitches)


@pytest.mark.parametrize("cls", ALL)
def test_every_column_says_what_it_is_and_ranks_nothing(cls):
    assert isinstance(cls(), Metric)
    assert (cls.direction, cls.headline) == ("none", False)
    assert cls.name == f"muspy_{cls.function}"


@pytest.mark.parametrize(
    ("cls", "value"),
    [
        (MuspyScaleConsistency, 1),
        (MuspyPolyphony, 1),
        (MuspyPolyphonyRate, 0),
        (MuspyPitchEntropy, 3),  # eight keys once each
        (MuspyPitchClassEntropy, 6 / 8 * 3 + 1 / 4 * 2),  # the tonic twice
        (MuspyPitchRange, 12),
        (MuspyPitchesUsed, 8),
        (MuspyPitchClassesUsed, 7),
    ],
)
def test_a_scale_has_the_value_worked_out_by_hand(cls, value):
    measurement = of(cls, SCALE)
    assert measurement.value == pytest.approx(value)
    assert measurement.per_piece.tolist() == [measurement.value]


def test_muspy_s_polyphony_rate_leaves_out_two_keys_together():
    assert of(MuspyPolyphonyRate, held([60, 64])).value == 0
    assert of(MuspyPolyphonyRate, held([60, 64, 67])).value == 1


def test_muspy_s_polyphony_does_not_hear_silence():
    assert of(MuspyPolyphony, held([60, 64], steps=1).pad(1000)).value == 2


def test_muspy_s_scale_consistency_rises_as_music_disappears():
    rng = np.random.default_rng(0)
    pieces = [
        Score.from_notes(range(64), [1] * 64, rng.integers(48, 72, size=64)) for _ in range(20)
    ]
    values = [of(MuspyScaleConsistency, *(p.slice(0, n) for p in pieces)).value for n in (64, 8, 2)]
    assert values == sorted(values)
    assert values[-1] == 1 == of(MuspyScaleConsistency, held([61])).value


def test_muspy_s_scale_consistency_finds_harmonic_minor_inconsistent():
    harmonic = Score.from_notes(range(8), [1] * 8, [60, 62, 63, 65, 67, 68, 71, 72])
    assert of(MuspyScaleConsistency, harmonic).value == 7 / 8


def test_muspy_s_groove_consistency_adds_an_empty_bar_after_the_last_bar_line():
    bars = Score.from_notes(range(0, 64, 16), [16] * 4, [60] * 4)
    assert of(MuspyGrooveConsistency, bars).value == pytest.approx(1 - 1 / (16 * 4))
    short = Score.from_notes(range(0, 64, 16), [15] * 4, [60] * 4)
    assert of(MuspyGrooveConsistency, short).value == 1


def test_muspy_s_groove_consistency_rises_with_a_finer_grid():
    coarse = Score.from_notes([0, 6, 16, 20], [2] * 4, [60] * 4)
    fine = Score.from_notes([0, 24, 64, 80], [8] * 4, [60] * 4, grid=16)
    assert of(MuspyGrooveConsistency, fine, bar=64).value > of(MuspyGrooveConsistency, coarse).value


def test_muspy_s_groove_consistency_needs_two_bars():
    measurement = of(MuspyGrooveConsistency, held([60], steps=8), SCALE)
    assert math.isnan(measurement.per_piece[0])
    assert measurement.detail["undefined_pieces"] == 1


def test_muspy_s_empty_beats_are_filled_by_notes_that_end_on_them():
    ends_on_the_beat = Score.from_notes([0, 8], [4, 4], [60, 60])
    ends_before = Score.from_notes([0, 8], [3, 4], [60, 60])
    assert of(MuspyEmptyBeatRate, ends_on_the_beat).value == 0
    assert of(MuspyEmptyBeatRate, ends_before).value == 1 / 4  # of three beats and one more
    assert of(MuspyEmptyMeasureRate, ends_on_the_beat, bar=4).value == 0
    assert of(MuspyEmptyMeasureRate, ends_before, bar=4).value == 1 / 4


def test_muspy_does_not_see_silence_at_the_end():
    for cls in (MuspyEmptyBeatRate, MuspyPolyphonyRate, MuspyGrooveConsistency):
        assert of(cls, SCALE.pad(320)).value == of(cls, SCALE).value


@pytest.mark.parametrize("cls", ALL)
def test_silence_is_undefined_or_what_muspy_says_of_it(cls):
    measurement = of(cls, Score.silence(16), Score.silence(0))
    counts = (MuspyPitchRange, MuspyPitchesUsed, MuspyPitchClassesUsed)
    if cls in counts:
        assert measurement.value == 0
    else:
        assert measurement.value is None
        assert measurement.detail["undefined_pieces"] == 2


@pytest.mark.parametrize("cls", ALL)
def test_one_note_is_measured_and_no_samples_are_a_reason(cls):
    measurement = of(cls, held([60], steps=20))
    assert math.isfinite(measurement.value)
    assert math.copysign(1, measurement.value) == 1  # muspy's entropy of one key is -0.0
    assert of(cls).reason == "there are no samples"


@pytest.mark.parametrize("cls", ALL)
def test_without_muspy_there_is_a_reason(cls, monkeypatch):
    monkeypatch.setitem(sys.modules, "muspy", None)
    assert "pip install muspy" in of(cls, SCALE).reason
