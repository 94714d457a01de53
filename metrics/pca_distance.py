"""How far the samples' windows lie from real ones in the space of their features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from bench.contract import Direction, Floats, Measurement, Reference
from bench.music import Score
from metrics.features import Space, Windows, space
from metrics.per_piece import NO_SAMPLES, around, distance_draws, halves

NO_SPACE = "the training pieces give no two different windows to learn the features' space from"
NO_TEST = "there are no test excerpts to compare with"
PERMUTATIONS = 500
MOST_WINDOWS = 3000  # on either side, where every window is compared with every other


@dataclass(frozen=True)
class Moments:
    """The sums from which the mean and covariance of any choice of pieces are computed."""

    count: Floats  # (pieces,)
    total: Floats  # (pieces, d)
    outer: Floats  # (pieces, d, d)

    @classmethod
    def of(cls, points: Floats, piece: NDArray[np.int64]) -> Moments:
        """The sums over each piece's windows; every piece must have one."""
        starts = np.flatnonzero(np.diff(piece, prepend=-1))
        outer = points[:, :, None] * points[:, None, :]
        return cls(
            np.bincount(piece).astype(np.float64),
            np.add.reduceat(points, starts),
            np.add.reduceat(outer, starts),
        )

    def choose(self, chosen: Floats) -> tuple[Floats, Floats]:
        """(rows, d) means and (rows, d, d) covariances of weighted pieces (rows, pieces)."""
        count = chosen @ self.count
        mean = chosen @ self.total / count[:, None]
        second = np.tensordot(chosen, self.outer, axes=1) / count[:, None, None]
        covariance = second - mean[:, :, None] * mean[:, None, :]
        covariance *= (count / np.maximum(count - 1, 1))[:, None, None]
        return mean, covariance


def frechet(mean: Floats, covariance: Floats, to_mean: Floats, to_covariance: Floats) -> Floats:
    """(rows,) the squared Frechet distance of Gaussians (rows, d) and (rows, d, d) to others.

    The trace of the root of a product is that of a symmetric matrix with the same eigenvalues,
    so that symmetric eigenproblems suffice.
    """
    values, vectors = np.linalg.eigh(to_covariance)
    root = (vectors * np.sqrt(np.maximum(values, 0))[..., None, :]) @ np.swapaxes(vectors, -1, -2)
    inner = np.linalg.eigvalsh(root @ covariance @ root)
    traces = np.trace(covariance, axis1=-2, axis2=-1) + np.trace(to_covariance, axis1=-2, axis2=-1)
    apart = ((mean - to_mean) ** 2).sum(axis=-1)
    distance = apart + traces - 2 * np.sqrt(np.maximum(inner, 0)).sum(axis=-1)
    return np.asarray(np.maximum(distance, 0))


class Compared:
    """Learns the space, and the windows of the test excerpts in it."""

    _space: Space | None

    def prepare(self, reference: Reference) -> None:
        """Learn the space of the training windows, and find the test excerpts' windows."""
        self._space = space(reference)
        self._reference = reference
        if self._space is not None:
            self._test = self._space.windows(list(reference.test))

    def missing(self, samples: Sequence[Score]) -> str:
        """Why the samples cannot be compared; empty: they can."""
        if not len(samples):
            return NO_SAMPLES
        if self._space is None:
            return NO_SPACE
        return "" if self._test.pieces else NO_TEST


class PcaDistance(Compared):
    """The Frechet distance between real and generated windows."""

    name: ClassVar[str] = "pca_distance"
    version: ClassVar[int] = 1
    unit: ClassVar[str] = "squared standard deviations"
    direction: ClassVar[Direction] = "lower"
    headline: ClassVar[bool] = True
    question: ClassVar[str] = "notes"
    required: ClassVar[tuple[str, ...]] = ("human < jitter < noise <= silence",)
    measures: ClassVar[str] = (
        "The squared Frechet distance between the samples' and the test excerpts' four-bar windows:"
        " 59 features of pitch, harmony, rhythm and texture, standardised and projected on 16"
        " principal components of the training windows."
    )
    blind_to: ClassVar[str] = (
        "Order beyond four bars, copying, which key a piece is in, any difference that changes"
        " neither mean nor covariance. It is above 0 for real music too, and more so with fewer"
        " pieces: compare only rows of the same protocol, and see the p-value in the details."
    )
    citation: ClassVar[str] = (
        "Sokolov et al. 2016, section 3.3 (principal components of measures); Heusel et al. 2017,"
        " GANs Trained by a Two Time-Scale Update Rule (distance)"
    )

    def score(self, samples: Sequence[Score]) -> Measurement:
        """The distance; its p-value is the share of random divisions of all pieces with as much."""
        if reason := self.missing(samples):
            return Measurement(None, reason)
        assert self._space is not None  # noqa: S101 - `missing` has seen to it
        windows = self._space.windows(list(samples))
        made, real = self._moments(windows), self._moments(self._test)
        n, m = windows.pieces, self._test.pieces
        to_mean, to_covariance = real.choose(np.ones((1, m)))
        mean, covariance = made.choose(np.ones((1, n)))
        value = float(frechet(mean, covariance, to_mean, to_covariance)[0])
        drawn = frechet(*made.choose(halves(n).astype(float)), to_mean, to_covariance)
        null = self._null(made, real)
        return Measurement(
            value,
            draws=distance_draws(value, drawn, n),
            detail={
                "p_value": float((1 + (null >= value).sum()) / (1 + len(null))),
                "usual_for_real_music": float(np.median(null)),
                "of_the_means": float(((mean - to_mean) ** 2).sum()),
                "windows": float(len(windows.piece)),
                "test_windows": float(len(self._test.piece)),
                "variance_explained": float(self._space.explained.sum()),
            },
        )

    def _moments(self, windows: Windows) -> Moments:
        assert self._space is not None  # noqa: S101
        return Moments.of(self._space.project(windows.features), windows.piece)

    def _null(self, made: Moments, real: Moments) -> Floats:
        """(PERMUTATIONS,) the distance when all pieces are divided at random into two such sets.

        At most as many samples as test excerpts take part.
        """
        rng = np.random.default_rng(0)
        n, m = min(len(made.count), len(real.count)), len(real.count)
        few = rng.permutation(len(made.count))[:n]
        pool = Moments(
            *(
                np.concatenate([getattr(made, name)[few], getattr(real, name)])
                for name in ("count", "total", "outer")
            )
        )
        rows = np.tile(np.arange(n + m), (PERMUTATIONS, 1))
        first = (rng.permuted(rows, axis=1) < n).astype(float)
        return frechet(*pool.choose(first), *pool.choose(1 - first))


class FeatureMmd(Compared):
    """The squared maximum mean discrepancy between real and generated windows."""

    name: ClassVar[str] = "feature_mmd"
    version: ClassVar[int] = 1
    unit: ClassVar[str] = "squared MMD"
    direction: ClassVar[Direction] = "lower"
    headline: ClassVar[bool] = False
    required: ClassVar[tuple[str, ...]] = ("human < jitter < noise <= silence",)
    measures: ClassVar[str] = (
        "The squared maximum mean discrepancy between the samples' and the test excerpts' windows"
        " in the space of pca_distance, with a Gaussian kernel as wide as the median distance of"
        " test windows. Windows of the same piece are not compared, so that it is 0 on average for"
        " real music, however few the pieces."
    )
    blind_to: ClassVar[str] = (
        "Order beyond four bars, copying, which key a piece is in, and whether the windows of a"
        " piece are similar. It may be below 0 by chance."
    )
    citation: ClassVar[str] = (
        "Gretton et al. 2012, A Kernel Two-Sample Test (the estimate without pairs of one cluster"
        " is ours)"
    )

    def score(self, samples: Sequence[Score]) -> Measurement:
        """The unbiased estimate over pairs of windows of different pieces."""
        if reason := self.missing(samples):
            return Measurement(None, reason)
        assert self._space is not None  # noqa: S101
        made, real = few(self._space.windows(list(samples))), few(self._test)
        if made.pieces < 2 or real.pieces < 2:
            return Measurement(None, "it takes two samples and two test excerpts to compare pairs")
        x, y = self._space.project(made.features), self._space.project(real.features)
        width = float(np.median(squared(y, y)[np.triu_indices(len(y), 1)])) or 1.0
        within = by_piece(np.exp(-squared(x, x) / width), made, made)
        others = by_piece(np.exp(-squared(y, y) / width), real, real)
        across = by_piece(np.exp(-squared(x, y) / width), made, real).sum(axis=1)
        sizes, test_sizes = (np.bincount(side.piece).astype(float) for side in (made, real))
        for block in (within, others):
            np.fill_diagonal(block, 0)
        constant = others.sum() / (test_sizes.sum() ** 2 - (test_sizes**2).sum())

        def discrepancy(chosen: Floats) -> Floats:
            """(rows,) the estimate from weighted samples (rows, pieces)."""
            count = chosen @ sizes
            pairs = count**2 - (chosen**2) @ (sizes**2)
            own = ((chosen @ within) * chosen).sum(axis=1) / np.maximum(pairs, 1)
            between = chosen @ across / (count * test_sizes.sum())
            return np.asarray(own + constant - 2 * between)

        value = float(discrepancy(np.ones((1, made.pieces)))[0])
        draws = None
        if made.pieces >= 4:  # half of three pieces has no pair
            draws = around(value, discrepancy(halves(made.pieces).astype(float)), made.pieces)
        return Measurement(value, draws=draws, detail={"pieces_compared": float(made.pieces)})


def few(windows: Windows) -> Windows:
    """The windows of some pieces, chosen at random: at most MOST_WINDOWS, to bound the memory."""
    if len(windows.piece) <= MOST_WINDOWS:
        return windows
    order = np.random.default_rng(0).permutation(windows.pieces)
    sizes = np.bincount(windows.piece, minlength=windows.pieces)
    fits = np.cumsum(sizes[order]) <= MOST_WINDOWS
    chosen = np.sort(order[: max(1, int(fits.sum()))])
    kept = np.isin(windows.piece, chosen)
    piece = np.searchsorted(chosen, windows.piece[kept])
    return Windows(windows.features[kept], piece, len(chosen))


def squared(x: Floats, y: Floats) -> Floats:
    """(x, y) squared Euclidean distances."""
    distances = (x**2).sum(axis=1)[:, None] + (y**2).sum(axis=1) - 2 * x @ y.T
    return np.asarray(np.maximum(distances, 0))


def by_piece(table: Floats, rows: Windows, columns: Windows) -> Floats:
    """(pieces, pieces) the table (windows, windows) added up by piece."""
    starts = [np.flatnonzero(np.diff(side.piece, prepend=-1)) for side in (rows, columns)]
    return np.asarray(np.add.reduceat(np.add.reduceat(table, starts[0], 0), starts[1], 1))
