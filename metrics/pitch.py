"""How consistently pieces keep to one scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from bench.contract import Direction, Floats, Measurement, Reference
from bench.music import Score
from metrics.per_piece import NO_SAMPLES, distance_draws, half_shares, mean, wasserstein

# The twelve diatonic sets. A natural minor scale is the set of its relative major.
_SCALES = np.array([np.roll([1, 0, 1, 0, 1, 1, 0, 1, 0, 1, 0, 1], tonic) for tonic in range(12)])


def scale_consistency(score: Score) -> float:
    """The share of notes in the scale that has most of them; NaN without notes."""
    if not len(score):
        return math.nan
    classes = np.bincount(score.pitch % 12, minlength=12)
    return float((_SCALES @ classes).max() / len(score))


class ScaleConsistency:
    """The mean of the pieces' scale consistency. A piece without notes has none and is counted."""

    name: ClassVar[str] = "scale_consistency"
    version: ClassVar[int] = 1
    unit: ClassVar[str] = "share of notes"
    direction: ClassVar[Direction] = "none"
    headline: ClassVar[bool] = False
    measures: ClassVar[str] = (
        "The share of a piece's notes in the major or natural minor scale that has most of them, "
        "averaged over the pieces that have notes."
    )
    blind_to: ClassVar[str] = (
        "Order, rhythm and how long notes last. It rises as notes disappear (a single note scores "
        "1), and harmonic minor scores below 1. Neither more nor less is better."
    )
    citation: ClassVar[str] = (
        "Mogren 2016, C-RNN-GAN; as defined in Dong et al. 2020, MusPy: A Toolkit for Symbolic "
        "Music Generation"
    )

    def prepare(self, reference: Reference) -> None:
        """The reference is not needed."""

    def score(self, samples: Sequence[Score]) -> Measurement:
        """The mean over pieces with notes; `undefined_pieces` counts the others."""
        return mean([scale_consistency(piece) for piece in samples], "no piece has a note")


class ScaleConsistencyGap:
    """The distance of the distribution of scale consistency from that of real pieces.

    Scale consistency rises as notes disappear, so that a single note per piece would look like
    music. So where a piece has fewer notes than nearly all real ones, the missing notes count as
    notes out of the scale: its value falls with each of them, down to 0 for silence.
    """

    name: ClassVar[str] = "scale_consistency_gap"
    version: ClassVar[int] = 2
    unit: ClassVar[str] = "share of notes"
    direction: ClassVar[Direction] = "lower"
    headline: ClassVar[bool] = True
    question: ClassVar[str] = "notes"
    measures: ClassVar[str] = (
        "The 1-Wasserstein distance between the scale consistency of the samples and that of test "
        "excerpts of the same length. Where a piece has fewer notes than the 5th percentile of "
        "real excerpts, the missing notes count as notes out of the scale; silence has 0."
    )
    blind_to: ClassVar[str] = (
        "Everything but the pitch classes of a whole piece: order, rhythm, octave, which scale it "
        "is, the number of notes above the usual minimum. It is above 0 for real music too, and "
        "more so with fewer pieces."
    )
    citation: ClassVar[str] = (
        "Mogren 2016, C-RNN-GAN (scale consistency); Villani 2009, Optimal Transport (distance)"
    )

    def prepare(self, reference: Reference) -> None:
        """Find the fewest notes that are usual, and the values of the test excerpts."""
        counts = [len(piece) for piece in reference.tuning or reference.test]
        self._fewest = max(1, int(np.quantile(counts, 0.05))) if counts else 1
        self._reference = self._values(reference.test)

    def score(self, samples: Sequence[Score]) -> Measurement:
        """The distance; draws from halves of the samples."""
        if not len(samples):
            return Measurement(None, NO_SAMPLES)
        if not self._reference.any():
            return Measurement(None, "no test excerpt has a note to compare with")
        values = self._values(samples)
        equal = np.full((1, len(values)), 1 / len(values))
        value = float(wasserstein(values, equal, self._reference)[0])
        drawn = wasserstein(values, half_shares(len(values)), self._reference)
        counts = np.array([len(piece) for piece in samples])
        return Measurement(
            value,
            draws=distance_draws(value, drawn, len(values)),
            detail={
                "undefined_pieces": float((counts == 0).sum()),
                "sparse_pieces": float((counts < self._fewest).sum()),
            },
        )

    def _values(self, pieces: Sequence[Score]) -> Floats:
        return np.array(
            [
                scale_consistency(piece) * min(1, len(piece) / self._fewest) if len(piece) else 0.0
                for piece in pieces
            ]
        )
