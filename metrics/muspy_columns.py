"""MusPy's own figures, with their peculiarities, for comparison with work that reports them."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import ClassVar

from bench.contract import Direction, Measurement, Reference
from bench.music import Score
from metrics.per_piece import mean

_NEITHER = "Neither more nor less is better."


class MuspyMetric:
    """The mean over pieces of one of MusPy's metrics, on the pieces' grid."""

    version: ClassVar[int] = 1
    direction: ClassVar[Direction] = "none"
    headline: ClassVar[bool] = False
    citation: ClassVar[str] = "Dong et al. 2020, MusPy: A Toolkit for Symbolic Music Generation"

    function: ClassVar[str]  # its name in muspy
    by_bar: ClassVar[bool] = False  # whether it needs the steps per bar

    def prepare(self, reference: Reference) -> None:
        """Keep the length of a bar."""
        self._arguments = {"measure_resolution": reference.bar} if self.by_bar else {}

    def score(self, samples: Sequence[Score]) -> Measurement:
        """The mean over the pieces for which MusPy has a value; the others are counted."""
        from bench.music.muspy_music import to_muspy

        try:
            function = getattr(importlib.import_module("muspy"), self.function)
        except ImportError as error:
            return Measurement(None, f"muspy cannot be imported ({error}): pip install muspy")
        values = [float(function(to_muspy(piece), **self._arguments)) for piece in samples]
        return mean(values, "MusPy has none for what it was given, such as pieces without notes")


class MuspyScaleConsistency(MuspyMetric):
    """`muspy.scale_consistency`."""

    name: ClassVar[str] = "muspy_scale_consistency"
    unit: ClassVar[str] = "share of notes"
    function: ClassVar[str] = "scale_consistency"
    measures: ClassVar[str] = (
        "The share of a piece's notes in the major or natural minor scale that has most of them."
    )
    blind_to: ClassVar[str] = f"It rises as notes disappear: a single note scores 1. {_NEITHER}"


class MuspyPolyphony(MuspyMetric):
    """`muspy.polyphony`."""

    name: ClassVar[str] = "muspy_polyphony"
    unit: ClassVar[str] = "keys"
    function: ClassVar[str] = "polyphony"
    measures: ClassVar[str] = (
        "The mean number of sounding keys over the steps at which any key sounds."
    )
    blind_to: ClassVar[str] = f"Silence: one note per hour scores like a solo line. {_NEITHER}"


class MuspyPolyphonyRate(MuspyMetric):
    """`muspy.polyphony_rate`."""

    name: ClassVar[str] = "muspy_polyphony_rate"
    unit: ClassVar[str] = "share of steps"
    function: ClassVar[str] = "polyphony_rate"
    measures: ClassVar[str] = (
        "The share of steps, up to the end of the last note, at which three or more keys sound."
    )
    blind_to: ClassVar[str] = (
        "Two keys together, which its documentation counts and its code (> 2) does not; silence "
        f"at the end. {_NEITHER}"
    )


class MuspyPitchEntropy(MuspyMetric):
    """`muspy.pitch_entropy`."""

    name: ClassVar[str] = "muspy_pitch_entropy"
    unit: ClassVar[str] = "bits"
    function: ClassVar[str] = "pitch_entropy"
    measures: ClassVar[str] = "The entropy of the keys that are struck in a piece."
    blind_to: ClassVar[str] = (
        f"Order, rhythm, octaves as such. It grows with the number of notes. {_NEITHER}"
    )


class MuspyPitchClassEntropy(MuspyMetric):
    """`muspy.pitch_class_entropy`."""

    name: ClassVar[str] = "muspy_pitch_class_entropy"
    unit: ClassVar[str] = "bits"
    function: ClassVar[str] = "pitch_class_entropy"
    measures: ClassVar[str] = "The entropy of the pitch classes that are struck in a piece."
    blind_to: ClassVar[str] = (
        f"Order, rhythm, octaves. It grows with the number of notes. {_NEITHER}"
    )


class MuspyPitchRange(MuspyMetric):
    """`muspy.pitch_range`."""

    name: ClassVar[str] = "muspy_pitch_range"
    unit: ClassVar[str] = "semitones"
    function: ClassVar[str] = "pitch_range"
    measures: ClassVar[str] = (
        "The distance from the lowest key that is struck in a piece to the highest."
    )
    blind_to: ClassVar[str] = (
        "All other keys: one stray note decides the range. Silence has the range of one note, 0."
        f" {_NEITHER}"
    )


class MuspyPitchesUsed(MuspyMetric):
    """`muspy.n_pitches_used`."""

    name: ClassVar[str] = "muspy_n_pitches_used"
    unit: ClassVar[str] = "keys"
    function: ClassVar[str] = "n_pitches_used"
    measures: ClassVar[str] = "The number of different keys that are struck in a piece."
    blind_to: ClassVar[str] = (
        f"How often each is struck. It grows with the length of a piece. {_NEITHER}"
    )


class MuspyPitchClassesUsed(MuspyMetric):
    """`muspy.n_pitch_classes_used`."""

    name: ClassVar[str] = "muspy_n_pitch_classes_used"
    unit: ClassVar[str] = "pitch classes"
    function: ClassVar[str] = "n_pitch_classes_used"
    measures: ClassVar[str] = "The number of different pitch classes that are struck in a piece."
    blind_to: ClassVar[str] = (
        f"How often each is struck. It grows with the length of a piece. {_NEITHER}"
    )


class MuspyEmptyBeatRate(MuspyMetric):
    """`muspy.empty_beat_rate`."""

    name: ClassVar[str] = "muspy_empty_beat_rate"
    unit: ClassVar[str] = "share of quarters"
    function: ClassVar[str] = "empty_beat_rate"
    measures: ClassVar[str] = "The share of a piece's quarters in which nothing sounds."
    blind_to: ClassVar[str] = (
        "Silence after the last note. A note that ends on a quarter also fills the next one, so "
        f"that a quarter rest after it is not counted. {_NEITHER}"
    )


class MuspyEmptyMeasureRate(MuspyMetric):
    """`muspy.empty_measure_rate`."""

    name: ClassVar[str] = "muspy_empty_measure_rate"
    unit: ClassVar[str] = "share of bars"
    function: ClassVar[str] = "empty_measure_rate"
    by_bar: ClassVar[bool] = True
    measures: ClassVar[str] = "The share of a piece's bars in which nothing sounds."
    blind_to: ClassVar[str] = (
        "Silence after the last note. A note that ends on a bar line also fills the next bar. "
        f"{_NEITHER}"
    )


class MuspyGrooveConsistency(MuspyMetric):
    """`muspy.groove_consistency`."""

    name: ClassVar[str] = "muspy_groove_consistency"
    unit: ClassVar[str] = "share of steps"
    function: ClassVar[str] = "groove_consistency"
    by_bar: ClassVar[bool] = True
    measures: ClassVar[str] = (
        "The share of a bar's steps at which neighbouring bars agree on whether a note begins."
    )
    blind_to: ClassVar[str] = (
        "Pitch. It rises with finer grids and fewer notes, and a piece that ends on a bar line is "
        f"compared with one more bar, which is empty. {_NEITHER}"
    )
