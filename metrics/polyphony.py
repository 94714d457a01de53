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
    """The mean number of sounding keys where any sounds; NaN without notes."""
    keys = keys_per_step(score)
    return float(keys.sum() / np.count_nonzero(keys)) if len(score) else math.nan


def polyphony_rate(score: Score) -> float:
    """The share of all steps with two or more sounding keys; NaN for a piece of no length."""
    return float(np.mean(keys_per_step(score) >= 2)) if score.length else math.nan


class Polyphony:
    """The mean of the pieces' polyphony. A piece without notes has none and is counted."""

    name: ClassVar[str] = "polyphony"
    version: ClassVar[int] = 1
    unit: ClassVar[str] = "keys"
    direction: ClassVar[Direction] = "none"
    headline: ClassVar[bool] = False
    measures: ClassVar[str] = (
        "The mean number of keys that sound at the steps where any sounds, averaged over the "
        "pieces that have notes."
    )
    blind_to: ClassVar[str] = (
        "Silence: a solo line and one note an hour both score 1; which keys, and when they are "
        "struck. Neither more nor less is better."
    )
    citation: ClassVar[str] = _CITATION

    def prepare(self, reference: Reference) -> None:
        """Nothing of the reference is needed."""

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
        "How many more than two keys sound, which, and when they are struck. Neither more nor "
        "less is better."
    )
    citation: ClassVar[str] = _CITATION

    def prepare(self, reference: Reference) -> None:
        """Nothing of the reference is needed."""

    def score(self, samples: Sequence[Score]) -> Measurement:
        """The mean over pieces."""
        return mean([polyphony_rate(piece) for piece in samples], "no piece has a step")


class PolyphonyGap:
    """How far the number of keys per step is distributed from that of real pieces.

    The distribution is over steps and not over pieces' means: silence, solo lines and chords then
    each have their place, silent pieces need no rule of their own, and a mixture of silence and
    clusters does not pass for four voices.
    """

    name: ClassVar[str] = "polyphony_gap"
    version: ClassVar[int] = 2
    unit: ClassVar[str] = "keys"
    direction: ClassVar[Direction] = "lower"
    headline: ClassVar[bool] = True
    measures: ClassVar[str] = (
        "The 1-Wasserstein distance between the number of keys sounding at a step of the samples "
        "and at a step of test excerpts of the same length, all pieces' steps taken together."
    )
    blind_to: ClassVar[str] = (
        "Which keys sound, their order in time, when they are struck, and whether pieces differ "
        "from each other as real ones do."
    )
    citation: ClassVar[str] = "Villani 2009, Optimal Transport (distance)"

    def prepare(self, reference: Reference) -> None:
        """Take the numbers of keys of the test excerpts."""
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
    """(pieces, 89) at how many steps of each piece so many keys sound."""
    found = [np.bincount(keys_per_step(piece), minlength=KEYS + 1) for piece in pieces]
    return np.array(found, dtype=np.float64).reshape(-1, KEYS + 1)


def _distance(steps: Floats, reference: Floats) -> Floats:
    """(rows,) the area between the distribution functions of each row and the reference's."""
    shares = [
        np.cumsum(counts / counts.sum(axis=1, keepdims=True), axis=1)
        for counts in (steps, reference)
    ]
    return np.asarray(np.abs(shares[0] - shares[1]).sum(axis=1))
