"""Further figures of single pieces, each by itself and as its distance to real music.

Only the distances have a direction: no figure is better when it is higher or lower. None is a
headline metric: they show how a system differs once the headline metrics have shown how much.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from bench.contract import Direction, Floats, Measurement, Reference
from bench.music import HIGHEST, Score
from metrics.gap import Gap
from metrics.per_piece import mean

_YANG_LERCH = "Yang and Lerch 2020, On the Evaluation of Generative Models in Music"
_NEITHER = "Neither more nor less is better."


def pitch_class_entropy(score: Score) -> float:
    """The entropy in bits of how long each pitch class sounds; NaN without notes."""
    if not len(score):
        return math.nan
    held = np.bincount(score.pitch % 12, score.duration)
    share = held[held > 0] / held.sum()
    return float((share * -np.log2(share)).sum())


def pitch_range(score: Score) -> float:
    """The distance from the lowest to the highest key in semitones; NaN without notes."""
    return float(np.ptp(score.pitch)) if len(score) else math.nan


def notes_per_quarter(score: Score) -> float:
    """The notes per quarter, silent ones counted; NaN for a piece without length."""
    return len(score) / score.length * score.grid if score.length else math.nan


def note_length(score: Score) -> float:
    """The mean length of notes in quarters; NaN without notes."""
    return float(score.duration.mean() / score.grid) if len(score) else math.nan


def melodic_interval(score: Score) -> float:
    """The mean interval in semitones between attacks of the highest voice; NaN without two."""
    roll = score.sounding()
    highest = HIGHEST - roll[:, ::-1].argmax(axis=1)
    melody = score.pitch[score.pitch == highest[score.onset]]
    return float(np.abs(np.diff(melody)).mean()) if len(melody) > 1 else math.nan


class Descriptor:
    """The mean of a figure over the pieces that have one; the others are counted."""

    version: ClassVar[int] = 1
    direction: ClassVar[Direction] = "none"
    headline: ClassVar[bool] = False
    citation: ClassVar[str] = _YANG_LERCH

    undefined: ClassVar[str] = "no piece has a note"

    @staticmethod
    def of(score: Score) -> float:
        """The figure of one piece; NaN where it has none."""
        raise NotImplementedError

    def prepare(self, reference: Reference) -> None:
        """The reference is not needed."""

    def score(self, samples: Sequence[Score]) -> Measurement:
        """The mean over the pieces that have a value."""
        return mean([self.of(piece) for piece in samples], self.undefined)


class DescriptorGap(Gap):
    """The distance of a figure's distribution over pieces to that of real pieces."""

    citation: ClassVar[str] = f"{_YANG_LERCH} (figure); Villani 2009, Optimal Transport (distance)"

    @staticmethod
    def of(score: Score) -> float:
        """The figure of one piece; NaN where it has none."""
        raise NotImplementedError

    def values(self, pieces: Sequence[Score]) -> Floats:
        """(pieces, 1)."""
        return np.array([[self.of(piece)] for piece in pieces])


class PitchClassEntropy(Descriptor):
    """The mean of the pieces' pitch-class entropy."""

    name: ClassVar[str] = "pitch_class_entropy"
    unit: ClassVar[str] = "bits"
    measures: ClassVar[str] = (
        "How evenly the sounding time is spread over the twelve pitch classes, as an entropy."
    )
    blind_to: ClassVar[str] = f"Which pitch classes, order, rhythm, octaves. {_NEITHER}"
    of = staticmethod(pitch_class_entropy)


class PitchClassEntropyGap(DescriptorGap):
    """Its distance to real music."""

    name: ClassVar[str] = "pitch_class_entropy_gap"
    unit: ClassVar[str] = "bits"
    measures: ClassVar[str] = (
        "The 1-Wasserstein distance between the pieces' pitch-class entropy and that of the test"
        " excerpts; silence counts as 0 bits."
    )
    blind_to: ClassVar[str] = (
        "Which pitch classes, order, rhythm, octaves. A piece of one note counts like silence."
    )
    of = staticmethod(pitch_class_entropy)


class PitchRange(Descriptor):
    """The mean of the pieces' range."""

    name: ClassVar[str] = "pitch_range"
    unit: ClassVar[str] = "semitones"
    measures: ClassVar[str] = "The distance from the lowest key of a piece to the highest."
    blind_to: ClassVar[str] = f"All other keys: one stray note decides the range. {_NEITHER}"
    of = staticmethod(pitch_range)


class PitchRangeGap(DescriptorGap):
    """Its distance to real music."""

    name: ClassVar[str] = "pitch_range_gap"
    unit: ClassVar[str] = "semitones"
    measures: ClassVar[str] = (
        "The 1-Wasserstein distance between the pieces' range and that of the test excerpts;"
        " silence has the range of one note, 0."
    )
    blind_to: ClassVar[str] = (
        "All keys between the outer ones: one stray note decides a piece's range."
    )
    of = staticmethod(pitch_range)


class NotesPerQuarter(Descriptor):
    """The mean of the pieces' note density."""

    name: ClassVar[str] = "notes_per_quarter"
    unit: ClassVar[str] = "notes per quarter"
    measures: ClassVar[str] = "How many notes begin per quarter, silent quarters counted."
    blind_to: ClassVar[str] = f"Which notes they are, and when in the piece they begin. {_NEITHER}"
    undefined: ClassVar[str] = "no piece has a step"
    of = staticmethod(notes_per_quarter)


class NotesPerQuarterGap(DescriptorGap):
    """Its distance to real music."""

    name: ClassVar[str] = "notes_per_quarter_gap"
    unit: ClassVar[str] = "notes per quarter"
    measures: ClassVar[str] = (
        "The 1-Wasserstein distance between the pieces' notes per quarter and that of the test"
        " excerpts; silence has 0."
    )
    blind_to: ClassVar[str] = "Which notes they are, and when in the piece they begin."
    of = staticmethod(notes_per_quarter)


class NoteLength(Descriptor):
    """The mean of the pieces' mean note length."""

    name: ClassVar[str] = "note_length"
    unit: ClassVar[str] = "quarters"
    measures: ClassVar[str] = "How long a piece's notes last on average."
    blind_to: ClassVar[str] = f"Which notes they are, how much lengths differ, rests. {_NEITHER}"
    of = staticmethod(note_length)


class NoteLengthGap(DescriptorGap):
    """Its distance to real music."""

    name: ClassVar[str] = "note_length_gap"
    unit: ClassVar[str] = "quarters"
    measures: ClassVar[str] = (
        "The 1-Wasserstein distance between the pieces' mean note length and that of the test"
        " excerpts; silence counts as 0."
    )
    blind_to: ClassVar[str] = "Which notes they are, how much lengths differ within a piece, rests."
    of = staticmethod(note_length)


class MelodicInterval(Descriptor):
    """The mean of the pieces' mean melodic interval."""

    name: ClassVar[str] = "melodic_interval"
    unit: ClassVar[str] = "semitones"
    measures: ClassVar[str] = (
        "The mean interval between successive attacks of the highest sounding key."
    )
    blind_to: ClassVar[str] = f"Direction, rhythm, all lower voices. {_NEITHER}"
    undefined: ClassVar[str] = "no piece has two attacks"
    of = staticmethod(melodic_interval)


class MelodicIntervalGap(DescriptorGap):
    """Its distance to real music."""

    name: ClassVar[str] = "melodic_interval_gap"
    unit: ClassVar[str] = "semitones"
    measures: ClassVar[str] = (
        "The 1-Wasserstein distance between the pieces' mean melodic interval and that of the test"
        " excerpts; pieces without two attacks count as 0."
    )
    blind_to: ClassVar[str] = (
        "Direction, rhythm, all lower voices. A repeated key counts like silence."
    )
    of = staticmethod(melodic_interval)
