"""Values of single pieces: their mean, and how far their distribution lies from another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bench.contract import Floats, Measurement

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
