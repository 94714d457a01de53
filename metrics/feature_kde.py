"""How likely real windows are under a kernel density of the samples' windows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from bench.contract import Direction, Floats, Measurement, Reference
from bench.music import Score
from metrics.features import Space, Windows, describe
from metrics.pca_distance import Compared, by_piece, few, squared
from metrics.per_piece import around, halves

WIDTHS = np.geomspace(0.05, 20, 30)  # standard deviations of the kernel, in the space's units
NO_TUNING = "there are no tuning excerpts to choose the width of the kernel by"


class FeatureKde(Compared):
    """The mean log density of real windows under a kernel density of the samples' windows."""

    name: ClassVar[str] = "feature_kde"
    version: ClassVar[int] = 1
    unit: ClassVar[str] = "nats per window"
    direction: ClassVar[Direction] = "higher"
    headline: ClassVar[bool] = True
    question: ClassVar[str] = "notes"
    required: ClassVar[tuple[str, ...]] = ("human > jitter > noise >= silence",)
    measures: ClassVar[str] = (
        "The mean log density of the test excerpts' windows under a Gaussian kernel density of the"
        " samples' windows, in the space of pca_distance. The kernel's width is the one under which"
        " the tuning excerpts are likeliest. `skill` in the details is 0 for independent notes that"
        " are as frequent as in training, and 1 for as many windows of training music."
    )
    blind_to: ClassVar[str] = (
        "Order beyond four bars, copying, which key a piece is in. It hardly notices if all samples"
        " are the same few pieces. It grows with the number of windows: compare only rows of the"
        " same protocol."
    )
    citation: ClassVar[str] = (
        "Breuleux, Bengio and Vincent 2011, Quickly Generating Representative Samples (principle);"
        " on features instead of notes: ours, after Theis et al. 2016"
    )

    def prepare(self, reference: Reference) -> None:
        """Learn the space, and find the windows of the tuning excerpts."""
        super().prepare(reference)
        self._anchors: dict[int, tuple[float, float]] = {}
        if self._space is not None:
            self._tuning = self._space.windows(list(reference.tuning))

    def score(self, samples: Sequence[Score]) -> Measurement:
        """The mean log density over all test windows."""
        if reason := self.missing(samples):
            return Measurement(None, reason)
        if not self._tuning.pieces:
            return Measurement(None, NO_TUNING)
        assert self._space is not None  # noqa: S101
        made, real = few(self._space.windows(list(samples))), few(self._test)
        centres = self._space.project(made.features)
        width = self._width(centres)
        points = self._space.project(real.features)
        logs = log_kernels(points, centres, width)
        highest = logs.max(axis=1, keepdims=True)
        alone = Windows(real.features, np.arange(len(points)), len(points))
        mass = by_piece(np.exp(logs - highest), alone, made)  # (test windows, samples)
        sizes = np.bincount(made.piece).astype(float)

        def density(chosen: Floats) -> Floats:
            """(rows,) the mean log density under weighted samples (rows, pieces)."""
            under = np.log(np.maximum(mass @ chosen.T, 1e-300)) - np.log(chosen @ sizes)
            return np.asarray((under + highest).mean(axis=0))

        value = float(density(np.ones((1, made.pieces)))[0])
        drawn = density(halves(made.pieces).astype(float))
        low, high = self._anchor(len(centres))
        return Measurement(
            value,
            draws=around(value, drawn, made.pieces),
            detail={
                "skill": (value - low) / (high - low) if high > low else 0.0,
                "noise": low,
                "train": high,
                "width": width,
                "windows": float(len(centres)),
            },
        )

    def _width(self, centres: Floats) -> float:
        """The width under which the tuning excerpts are likeliest."""
        assert self._space is not None  # noqa: S101
        points = self._space.project(few(self._tuning).features)
        apart = squared(points, centres)
        logs = [_mean_log(-apart / (2 * w**2)) - _constant(w, centres) for w in WIDTHS]
        return float(WIDTHS[int(np.argmax(logs))])

    def _anchor(self, count: int) -> tuple[float, float]:
        """The value of `count` windows of noise, and of `count` windows of training music."""
        if count not in self._anchors:
            assert self._space is not None  # noqa: S101
            rng = np.random.default_rng(0)
            noise = self._space.project(noise_windows(self._reference, self._space, count))
            train = self._space.train[rng.permutation(len(self._space.train))[:count]]
            points = self._space.project(few(self._test).features)
            low, high = (
                float(_mean_log(log_kernels(points, centres, self._width(centres))))
                - np.log(len(centres))
                for centres in (noise, train)
            )
            self._anchors[count] = (float(low), float(high))
        return self._anchors[count]


def log_kernels(points: Floats, centres: Floats, width: float) -> Floats:
    """(points, centres) the log density of each point under a Gaussian around each centre."""
    constant = points.shape[1] / 2 * np.log(2 * np.pi * width**2)
    return np.asarray(-squared(points, centres) / (2 * width**2) - constant)


def _constant(width: float, centres: Floats) -> float:
    return float(centres.shape[1] / 2 * np.log(2 * np.pi * width**2) + np.log(len(centres)))


def _mean_log(logs: Floats) -> float:
    """The mean over rows of the log of the sum over columns."""
    highest = logs.max(axis=1)
    return float((highest + np.log(np.exp(logs - highest[:, None]).sum(axis=1))).mean())


def noise_windows(reference: Reference, where: Space, count: int) -> Floats:
    """(count, 59) windows of independent keys, each sounding as often as in training."""
    rng = np.random.default_rng(0)
    sounding = sum(piece.sounding().sum(axis=0) for piece in reference.train)
    rates = np.asarray(sounding) / max(1, sum(piece.length for piece in reference.train))
    features = []
    for start in range(0, count, 128):
        rolls = rng.random((min(128, count - start), where.steps, len(rates))) < rates
        onsets = rolls.copy()
        onsets[:, 1:] &= ~rolls[:, :-1]
        features.append(describe(rolls, onsets, where.bar, where.grid))
    return np.concatenate(features)
