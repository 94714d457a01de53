"""What repeats from bar to bar, and how similar that is to real music."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from bench.contract import Direction, Floats, Measurement, Reference
from bench.music import KEYS, Score
from metrics.gap import Gap
from metrics.per_piece import mean
from metrics.shared import shared

MOST_LAGS = 16  # bars
NO_BARS = "no piece has two bars"


def bars_of(score: Score, bar: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(bars, bar * 88) what sounds and (bars, bar) where notes begin, in whole bars."""
    bars = score.length // bar
    sounding = score.sounding()[: bars * bar].reshape(bars, bar * KEYS)
    begun = np.bincount(score.onset, minlength=score.length)[: bars * bar] > 0
    return sounding, begun.reshape(bars, bar)


def alike(rows: NDArray[np.bool_]) -> Floats:
    """(rows, rows) what two rows have in common over what either has; 0 for two empty ones."""
    rolls = rows.astype(np.float32)
    both = rolls @ rolls.T
    size = rolls.sum(axis=1)
    either = size[:, None] + size - both
    return np.asarray(both / np.maximum(either, 1), dtype=np.float64)


@shared
def similarities(pieces: Sequence[Score], bar: int, lags: int) -> Floats:
    """(pieces, 2, lags) how similar bars 1, 2, ... apart are on average: their keys, and attacks.

    NaN where a piece is too short for a lag. Two silent bars have nothing in common.
    """
    profile = np.full((len(pieces), 2, lags), np.nan)
    for number, piece in enumerate(pieces):
        bars = piece.length // bar
        if bars < 2:
            continue
        for kind, rows in enumerate(bars_of(piece, bar)):
            table = alike(rows)
            for lag in range(1, min(lags, bars - 1) + 1):
                profile[number, kind, lag - 1] = np.diagonal(table, lag).mean()
    return profile


def lags_of(reference: Reference) -> int:
    """The number of lags in samples of the reference's length, at most MOST_LAGS."""
    return min(MOST_LAGS, reference.steps // reference.bar - 1)


def groove_consistency(score: Score, bar: int) -> float:
    """The share of a bar's steps at which neighbouring bars agree on whether a note begins.

    Whole bars only; NaN with fewer than two of them.
    """
    _, begun = bars_of(score, bar)
    return float((begun[1:] == begun[:-1]).mean()) if len(begun) > 1 else math.nan


class StructureGap(Gap):
    """The distance of repetition at 1 to 16 bars from that of real music."""

    name: ClassVar[str] = "structure_gap"
    unit: ClassVar[str] = "share in common"
    headline: ClassVar[bool] = True
    question: ClassVar[str] = "form"
    measures: ClassVar[str] = (
        "How similar bars are that are 1, 2, ... up to 16 bars apart: what both have in common over"
        " what either has, for sounding keys and for the steps at which notes begin. The value is"
        " the 1-Wasserstein distance between its distributions over the samples and over the test"
        " excerpts, averaged over the distances between bars."
    )
    blind_to: ClassVar[str] = (
        "What is repeated, repetition in another key or shifted within the bar, and repetition"
        " beyond 16 bars or a sample's length. It is above 0 for real music too, and more so with"
        " fewer pieces."
    )
    citation: ClassVar[str] = (
        "Foote 1999, Visualizing Music and Audio using Self-Similarity (principle); Villani 2009,"
        " Optimal Transport (distance); the profile over lags is ours"
    )

    def values(self, pieces: Sequence[Score]) -> Floats:
        """(pieces, 2 * lags)."""
        lags = max(1, lags_of(self._reference))
        return similarities(pieces, self._reference.bar, lags).reshape(len(pieces), -1)


class Repetition:
    """How much of what sounds in a bar is repeated in later ones."""

    name: ClassVar[str] = "repetition"
    version: ClassVar[int] = 1
    unit: ClassVar[str] = "share in common"
    direction: ClassVar[Direction] = "none"
    headline: ClassVar[bool] = False
    measures: ClassVar[str] = (
        "What sounds in both of two bars of a piece as a share of what sounds in either, for bars"
        " up to 16 bars apart, averaged over distances and pieces; the details give every distance."
    )
    blind_to: ClassVar[str] = (
        "What is repeated, and repetition in another key or shifted within the bar. One held chord"
        " has 1. Neither more nor less is better."
    )
    citation: ClassVar[str] = StructureGap.citation

    def prepare(self, reference: Reference) -> None:
        """Keep the length of a bar, and the number of lags."""
        self._bar, self._lags = reference.bar, max(1, lags_of(reference))

    def score(self, samples: Sequence[Score]) -> Measurement:
        """The mean over pieces with two bars."""
        profile = similarities(list(samples), self._bar, self._lags)[:, 0]
        defined = ~np.isnan(profile)
        count = defined.sum(axis=1)
        total = np.where(defined, profile, 0).sum(axis=1)
        per_piece = np.where(count > 0, total / np.maximum(count, 1), np.nan)
        result = mean(list(per_piece), NO_BARS)
        lags = {
            f"lag_{lag + 1}": float(profile[defined[:, lag], lag].mean())
            for lag in range(self._lags)
            if defined[:, lag].any()
        }
        return Measurement(
            result.value, result.reason, result.per_piece, detail={**result.detail, **lags}
        )


class GrooveConsistency:
    """How similar the rhythms of neighbouring bars are."""

    name: ClassVar[str] = "groove_consistency"
    version: ClassVar[int] = 1
    unit: ClassVar[str] = "share of steps"
    direction: ClassVar[Direction] = "none"
    headline: ClassVar[bool] = False
    measures: ClassVar[str] = (
        "The share of a bar's steps at which neighbouring bars agree on whether a note begins;"
        " whole bars only, so that equal bars have 1."
    )
    blind_to: ClassVar[str] = (
        "Pitch. Steps at which no note begins in either bar agree, so that silence has 1 and finer"
        " grids give higher values. Neither more nor less is better."
    )
    citation: ClassVar[str] = (
        "Wu and Yang 2020, The Jazz Transformer on the Front Line; Dong et al. 2020, MusPy"
        " (corrected: no empty bar after the last)"
    )

    def prepare(self, reference: Reference) -> None:
        """Keep the length of a bar."""
        self._bar = reference.bar

    def score(self, samples: Sequence[Score]) -> Measurement:
        """The mean over pieces with two bars."""
        return mean([groove_consistency(piece, self._bar) for piece in samples], NO_BARS)
