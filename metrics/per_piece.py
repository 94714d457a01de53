"""Values of single pieces: their mean, the distance of their distributions, and draws of both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from bench.contract import Floats, Measurement
from bench.protocol.statistics import RESAMPLES, resamples

NO_SAMPLES = "there are no samples"


def mean(values: Sequence[float], undefined: str) -> Measurement:
    """The mean over the pieces that have a value; `undefined` says why a piece has none (NaN)."""
    pieces = np.asarray(values, dtype=np.float64)
    if not len(pieces):
        return Measurement(None, NO_SAMPLES)
    defined = ~np.isnan(pieces)
    detail = {"undefined_pieces": float(len(pieces) - defined.sum())}
    if not defined.any():
        return Measurement(None, f"no piece has a value: {undefined}", pieces, detail=detail)
    return Measurement(float(pieces[defined].mean()), per_piece=pieces, detail=detail)


def weights(rows: NDArray[np.int64], pieces: int) -> Floats:
    """(rows, pieces) the share of each piece in each row of piece indices."""
    counts = np.zeros((len(rows), pieces))
    np.add.at(counts, (np.arange(len(rows))[:, None], rows), 1)
    return np.asarray(counts / rows.shape[1])


def wasserstein(values: Floats, share: Floats, reference: Floats) -> Floats:
    """(rows,) the 1-Wasserstein distance of values with the weights `share` to the reference's.

    It is the area between the two distribution functions. `share` is (rows, values).
    """
    points = np.concatenate([values, reference])
    order = np.argsort(points, kind="stable")
    other = np.full((len(share), len(reference)), 1 / len(reference))
    between = np.cumsum(np.hstack([share, -other])[:, order], axis=1)
    return np.asarray(np.abs(between[:, :-1]) @ np.diff(points[order]))


@cache
def halves(n: int) -> NDArray[np.bool_]:
    """(RESAMPLES, n) halves of the pieces, drawn without replacement: the same for every system.

    A statistic that repeated pieces distort (distances between distributions, coverage) is not
    resampled with replacement: with fewer different pieces it would be too large. A half has no
    repetitions, and the mean over half of the pieces varies over the halves exactly as the mean
    over all varies over bootstrap resamples. Half number i holds the pieces that occur most often
    in row i of `bench.protocol.statistics.resamples`, so that metrics that are resampled in either
    way vary together, as they must where skills are averaged.
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
    """(RESAMPLES,) draws of a value, made from its values on the `halves` of its pieces.

    On half of the pieces a distance is larger on average; only its variation is used, so the draws
    are centred on the value. The factor is 1 for an even number of pieces.
    """
    if pieces < 2:
        return np.full(len(of_halves), value)
    half = pieces // 2
    varies = (of_halves - of_halves.mean()) * np.sqrt(half / (pieces - half))
    return np.asarray(value + varies)


def distance_draws(value: float, of_halves: Floats, pieces: int) -> Floats:
    """(RESAMPLES,) the same for a distance, which is never below 0."""
    return np.maximum(around(value, of_halves, pieces), 0)


def half_shares(pieces: int) -> Floats:
    """(RESAMPLES, pieces) the share of each piece in each of the `halves`."""
    chosen = halves(pieces).astype(np.float64)
    return np.asarray(chosen / chosen.sum(axis=1, keepdims=True))


def jackknife(value: float, without: Floats) -> Floats:
    """(RESAMPLES,) draws of a value, made from its values `without` each of its pieces.

    For values that halves distort too, because most pieces add little to what the others have.
    """
    part = (len(without) - 1) * (value - without)
    rows = resamples(len(without))
    return np.asarray(value + weights(rows, len(without)) @ (part - part.mean()))


PAIRS = 1000  # of pieces, left out two at a time
ROWS = 500  # of weights at a time, to bound the memory


def jackknife_2(value: float, of: Callable[[Floats], Floats], pieces: int) -> Floats:
    """(RESAMPLES,) the same for a value with interactions of pieces, from leaving out one and two.

    `of` gives the values (rows,) for weights of the pieces (rows, pieces). Let v_k be the variance
    of what sets of k pieces add to what their subsets add. The value's variance is the sum of all
    v_k. The jackknife's is the sum of k v_k, which is too large (Efron & Stein 1981). Leaving out
    pairs gives the sum of k (k - 1) / 2 v_k, and from it, by Cauchy and Schwarz, a variance that is
    too small. The draws have the geometric mean of the two.
    """
    if pieces < 2:
        return np.full(RESAMPLES, value)

    def without(left_out: NDArray[np.int64]) -> Floats:
        """(rows,) the values without the pieces of each row."""
        values = []
        for begin in range(0, len(left_out), ROWS):
            rows = left_out[begin : begin + ROWS]
            kept = np.ones((len(rows), pieces))
            np.put_along_axis(kept, rows, 0.0, axis=1)
            values.append(of(kept))
        return np.concatenate(values)

    each = np.arange(pieces)
    singles = without(each[:, None])
    draws = jackknife(value, singles)
    if pieces < 3:
        return draws
    rng = np.random.default_rng(pieces)
    first = rng.integers(pieces, size=PAIRS)
    second = (first + rng.integers(1, pieces, size=PAIRS)) % pieces
    pairs = without(np.stack([first, second], axis=1))
    together = value - singles[first] - singles[second] + pairs
    part = singles - singles.mean()
    single = (pieces - 1) / pieces * float(part @ part)  # the jackknife's variance
    paired = pieces * (pieces - 1) / 2 * float((together**2).mean())
    if single == 0:
        return draws
    less = (single / (single + 2 * paired)) ** 0.25
    return np.asarray(value + (draws - draws.mean()) * less)
