"""Values of single pieces: their mean, and how far their distribution lies from another."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from bench.contract import Floats, Measurement
from bench.statistics import RESAMPLES, resamples

NO_SAMPLES = "there are no samples"


def mean(values: Sequence[float], undefined: str) -> Measurement:
    """The mean over the pieces that have a value; `undefined` says why a piece has none (NaN)."""
    pieces = np.asarray(values, dtype=np.float64)
    if not len(pieces):
        return Measurement(None, NO_SAMPLES)
    there = ~np.isnan(pieces)
    detail = {"undefined_pieces": float(len(pieces) - there.sum())}
    if not there.any():
        return Measurement(None, f"no piece has a value: {undefined}", pieces, detail=detail)
    return Measurement(float(pieces[there].mean()), per_piece=pieces, detail=detail)


def weights(rows: NDArray[np.int64], pieces: int) -> Floats:
    """(resamples, pieces) the share of each piece in each row of piece indices."""
    counts = np.zeros((len(rows), pieces))
    np.add.at(counts, (np.arange(len(rows))[:, None], rows), 1)
    return np.asarray(counts / rows.shape[1])


def wasserstein(values: Floats, share: Floats, reference: Floats) -> Floats:
    """(resamples,) the 1-Wasserstein distance of weighted values to the reference's equal ones.

    It is the area between the two distribution functions.
    """
    points = np.concatenate([values, reference])
    order = np.argsort(points, kind="stable")
    other = np.full((len(share), len(reference)), 1 / len(reference))
    between = np.cumsum(np.hstack([share, -other])[:, order], axis=1)
    return np.asarray(np.abs(between[:, :-1]) @ np.diff(points[order]))


@cache
def halves(n: int) -> NDArray[np.bool_]:
    """(RESAMPLES, n) halves of the pieces, drawn without replacement: the same for every system.

    A statistic that suffers from repeated pieces (distances between distributions, coverage) is
    not resampled with replacement: it would see fewer different pieces and come out too large. A
    half has no repetitions, and the mean over half of the pieces varies over the halves exactly
    as the mean over all varies over bootstrap resamples. Half number i holds the pieces that row i
    of `bench.statistics.resamples` holds most often, so that metrics that are resampled either
    way move together, as they must where skills are averaged.
    """
    chosen = np.zeros((RESAMPLES, n), dtype=bool)
    if n < 2:
        return np.ones_like(chosen)
    ties = np.random.default_rng(n)
    for row, drawn in enumerate(resamples(n)):
        often = np.bincount(drawn, minlength=n) + ties.random(n)
        chosen[row, np.argpartition(-often, n // 2)[: n // 2]] = True
    chosen.flags.writeable = False
    return chosen


def around(value: float, of_halves: Floats, pieces: int) -> Floats:
    """(RESAMPLES,) draws of a value from what it is on the `halves` of its pieces.

    On half of the pieces a distance is also larger on the whole; only how it varies counts, so
    the draws are centred on the value. The factor is 1 for an even number of pieces.
    """
    if pieces < 2:
        return np.full(len(of_halves), value)
    half = pieces // 2
    varies = (of_halves - of_halves.mean()) * np.sqrt(half / (pieces - half))
    return np.asarray(value + varies)


def distance_draws(value: float, of_halves: Floats, pieces: int) -> Floats:
    """(RESAMPLES,) the same of a distance, which is never below 0."""
    return np.maximum(around(value, of_halves, pieces), 0)


def half_shares(pieces: int) -> Floats:
    """(RESAMPLES, pieces) the share of each piece in each of the `halves`."""
    chosen = halves(pieces).astype(np.float64)
    return np.asarray(chosen / chosen.sum(axis=1, keepdims=True))


def jackknife(value: float, without: Floats) -> Floats:
    """(RESAMPLES,) draws of a value from what it is `without` each of its pieces.

    For what even halves are too few for, as where most pieces add little to what others have.
    """
    part = (len(without) - 1) * (value - without)
    rows = resamples(len(without))
    return np.asarray(value + weights(rows, len(without)) @ (part - part.mean()))
