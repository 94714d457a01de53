"""The indirect sampling likelihood exactly as Sokolov et al. 2016 computed it.

The values are those of statsmodels' `KDEMultivariate(data=samples, var_type="u" * 88).pdf(test)`
with its default bandwidths, computed in fewer and larger steps. Its faults are kept, since the
paper reports its values: a key that no sample plays has bandwidth 0 and makes every test frame that
plays it NaN, and NaN is left out of the mean, so that a model that plays fewer keys is judged by
fewer frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from bench.contract import Direction, Floats, Measurement, Reference
from bench.music import KEYS, Score
from metrics.per_piece import NO_SAMPLES

MOST_FRAMES = 5000  # of the samples
MOST_POINTS = 2000  # test frames
BLOCK = 1 << 21  # kernels at a time

Bits = NDArray[np.bool_]


class IslLegacy:
    """The mean log density of test frames under statsmodels' density of the samples' frames."""

    name: ClassVar[str] = "isl_legacy"
    version: ClassVar[int] = 1
    unit: ClassVar[str] = "nats per frame"
    direction: ClassVar[Direction] = "higher"
    headline: ClassVar[bool] = False
    required: ClassVar[tuple[str, ...]] = ("human > silence",)  # it fails, which shows the fault
    measures: ClassVar[str] = (
        "The mean log density of test frames under the density that statsmodels' KDEMultivariate,"
        " with unordered variables and its default bandwidths, estimates from the samples' frames;"
        " test frames without a value (NaN) are left out. `dropped` in the details is their share."
    )
    blind_to: ClassVar[str] = (
        "Quality: silence gets the best value. Frames with a key that no sample plays are dropped,"
        " and the kernel is so wide that every key counts independently (Sokolov et al., section"
        " 3.2, saw it break down; their samples were measures, here they are steps). Use isl."
    )
    citation: ClassVar[str] = "Sokolov et al. 2016, section 2.5; Seabold and Perktold 2010"

    def prepare(self, reference: Reference) -> None:
        """Choose the test frames."""
        self._points = frames(reference.test, MOST_POINTS)

    def score(self, samples: Sequence[Score]) -> Measurement:
        """The mean over the test frames that have a value, and the share of the others."""
        if not len(samples):
            return Measurement(None, NO_SAMPLES)
        data = frames(samples, MOST_FRAMES)
        if len(data) <= KEYS or not len(self._points):
            return Measurement(
                None, f"it takes more than {KEYS} frames of samples, and test frames"
            )
        logs = log_density(data, self._points)
        defined = ~np.isnan(logs)
        detail = {"dropped": float(1 - defined.mean()), "frames": float(len(data))}
        if not defined.any():
            return Measurement(None, "it is no number for any test frame", detail=detail)
        return Measurement(float(logs[defined].mean()), detail=detail)


def frames(pieces: Sequence[Score], count: int) -> Bits:
    """(at most count, 88) steps of the pieces, drawn without replacement."""
    ends = np.cumsum([0] + [piece.length for piece in pieces])
    chosen = np.sort(np.random.default_rng(0).permutation(ends[-1])[:count])
    parts = np.searchsorted(chosen, ends)
    rolls = [np.zeros((0, KEYS), dtype=bool)]
    for number, piece in enumerate(pieces):
        steps = chosen[parts[number] : parts[number + 1]] - ends[number]
        if len(steps):
            rolls.append(piece.sounding()[steps])
    return np.concatenate(rolls)


def log_density(data: Bits, points: Bits) -> Floats:
    """(points,) the log of KDEMultivariate(data, "u" * keys).pdf(points); NaN where that is NaN.

    A kernel is a product over keys: 1 - bandwidth where point and datum agree, the bandwidth where
    they differ. Its log is a matrix product. Equal frames are computed once.
    """
    data, weight = np.unique(data, axis=0, return_counts=True)
    points, back = np.unique(points, axis=0, return_inverse=True)
    total = weight.sum()
    share = weight @ data / total
    varies = (share > 0) & (share < 1)
    constant = data[0] & ~varies
    # A key that never changes has one level and bandwidth 0: 0/0 unless the point agrees.
    outside = ((points != constant) & ~varies).any(axis=1)
    width = 1.06 * np.sqrt(share * (1 - share))[varies] * total ** (-1 / (4 + data.shape[1]))
    x, y = data[:, varies].astype(np.float64), points[:, varies].astype(np.float64)
    stay, flip = np.log1p(-width), np.log(width)
    gain = stay - flip
    # log = sum(flip + gain * agree), agree = 1 - x - y + 2 x y
    of_x = x @ -gain + np.log(weight)
    result = np.empty(len(y))
    rows = max(1, BLOCK // len(x))
    for start in range(0, len(y), rows):
        block = y[start : start + rows]
        logs = (2 * gain * block) @ x.T + of_x
        highest = logs.max(axis=1, keepdims=True)
        np.exp(logs - highest, out=logs)
        under = highest[:, 0] + np.log(logs.sum(axis=1)) - block @ gain
        result[start : start + rows] = under + stay.sum() - np.log(total)
    result[outside] = np.nan
    return result[back.ravel()]
