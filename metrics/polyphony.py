"""How many keys sound together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from bench.contract import Direction, Floats, Measurement, Reference
from bench.music import KEYS, Score
from metrics.per_piece import NO_SAMPLES, distance_draws, half_shares, mean

_CITATION = "Dong et al. 2020, MusPy: A Toolkit for Symbolic Music Generation (corrected)"


def keys_per_step(score: Score) -> NDArray[np.int64]:
    """(steps,) the number of keys that sound at each step."""
    begun = np.bincount(score.onset, minlength=score.length + 1)
    ended = np.bincount(score.end, minlength=score.length + 1)
    return np.cumsum(begun - ended)[: score.length]


def polyphony(score: Score) -> float:
    """The mean number of sounding keys over the steps where any sounds; NaN without notes."""
    keys = keys_per_step(score)
    return float(keys.sum() / np.count_nonzero(keys)) if len(score) else math.nan


def polyphony_rate(score: Score) -> float:
    """The share of all steps with two or more sounding keys; NaN for a piece without length."""
    return float(np.mean(keys_per_step(score) >= 2)) if score.length else math.nan


class Polyphony:
    """The mean of the pieces' polyphony. A piece without notes has none and is counted."""

    name: ClassVar[str] = "polyphony"
    version: ClassVar[int] = 1
    unit: ClassVar[str] = "keys"
    direction: ClassVar[Direction] = "none"
    headline: ClassVar[bool] = False
    measures: ClassVar[str] = (
        "The mean number of sounding keys over the steps at which any key sounds, averaged over "
        "the pieces that have notes."
    )
    blind_to: ClassVar[str] = (
        "Silence: a solo line and one note per hour both score 1. Which keys sound, and when they "
        "are struck. Neither more nor less is better."
    )
    citation: ClassVar[str] = _CITATION

    def prepare(self, reference: Reference) -> None:
        """The reference is not needed."""

    def score(self, samples: Sequence[Score]) -> Measurement:
        """The mean over pieces with notes; `undefined_pieces` counts the others."""
        return mean([polyphony(piece) for piece in samples], "no piece has a note")


class PolyphonyRate:
    """The mean of the pieces' polyphony rate; 0 for silence."""

    name: ClassVar[str] = "polyphony_rate"
    version: ClassVar[int] = 1
    unit: ClassVar[str] = "share of steps"
    direction: ClassVar[Direction] = "none"
    headline: ClassVar[bool] = False
    measures: ClassVar[str] = (
        "The share of all of a piece's steps, silent ones too, at which two or more keys sound."
    )
    blind_to: ClassVar[str] = (
        "How many keys beyond two sound, which keys they are, and when they are struck. Neither "
        "more nor less is better."
    )
    citation: ClassVar[str] = _CITATION

    def prepare(self, reference: Reference) -> None:
        """The reference is not needed."""

    def score(self, samples: Sequence[Score]) -> Measurement:
        """The mean over pieces."""
        return mean([polyphony_rate(piece) for piece in samples], "no piece has a step")


class PolyphonyGap:
    """The distance of the distribution of sounding keys per step from that of real pieces.

    The distribution is over steps and not over pieces' means: so silence, solo lines and chords are
    told apart, silent pieces need no special rule, and a mixture of silence and clusters does not
    look like four voices.
    """

    name: ClassVar[str] = "polyphony_gap"
    version: ClassVar[int] = 2
    unit: ClassVar[str] = "keys"
    direction: ClassVar[Direction] = "lower"
    headline: ClassVar[bool] = True
    question: ClassVar[str] = "notes"
    measures: ClassVar[str] = (
        "The 1-Wasserstein distance between the number of sounding keys per step in the samples "
        "and in test excerpts of the same length; the steps of all pieces are pooled."
    )
    blind_to: ClassVar[str] = (
        "Which keys sound, their order in time, when they are struck, and whether pieces differ "
        "from each other as much as real ones do."
    )
    citation: ClassVar[str] = "Villani 2009, Optimal Transport (distance)"

    def prepare(self, reference: Reference) -> None:
        """Count the sounding keys of the test excerpts."""
        self._reference = _histograms(reference.test).sum(axis=0, keepdims=True)

    def score(self, samples: Sequence[Score]) -> Measurement:
        """The distance; draws from halves of the samples."""
        if not len(samples):
            return Measurement(None, NO_SAMPLES)
        if not self._reference.any():
            return Measurement(None, "there are no test excerpts to compare with")
        steps = _histograms(samples)
        if not steps.any(axis=1).all():
            return Measurement(None, "a sample has no steps")
        value = float(_distance(steps.sum(axis=0, keepdims=True), self._reference)[0])
        drawn = _distance(half_shares(len(samples)) @ steps, self._reference)
        return Measurement(
            value,
            draws=distance_draws(value, drawn, len(samples)),
            detail={"silent_steps": float(steps[:, 0].sum() / steps.sum())},
        )


def _histograms(pieces: Sequence[Score]) -> Floats:
    """(pieces, 89) the number of steps of each piece at which 0, 1, ... 88 keys sound."""
    counts = [np.bincount(keys_per_step(piece), minlength=KEYS + 1) for piece in pieces]
    return np.array(counts, dtype=np.float64).reshape(-1, KEYS + 1)


def _distance(steps: Floats, reference: Floats) -> Floats:
    """(rows,) the area between the distribution functions of each row and the reference's."""
    shares = [
        np.cumsum(counts / counts.sum(axis=1, keepdims=True), axis=1)
        for counts in (steps, reference)
    ]
    return np.asarray(np.abs(shares[0] - shares[1]).sum(axis=1))
