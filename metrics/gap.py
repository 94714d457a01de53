"""The distance between the distributions of a figure over samples and over real pieces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from bench.contract import Direction, Floats, Measurement, Reference
from bench.music import Score
from metrics.per_piece import NO_SAMPLES, distance_draws, half_shares, wasserstein


class Gap:
    """The 1-Wasserstein distance between a figure's distributions over samples and test excerpts.

    `values` gives one figure per piece, or several, whose distances are averaged. A piece without a
    figure (NaN), such as silence, counts as 0: leaving it out would hide it.
    """

    version: ClassVar[int] = 1
    direction: ClassVar[Direction] = "lower"
    headline: ClassVar[bool] = False

    def values(self, pieces: Sequence[Score]) -> Floats:
        """(pieces, figures) NaN for a piece that has none."""
        raise NotImplementedError

    def prepare(self, reference: Reference) -> None:
        """Compute the figures of the test excerpts."""
        self._reference = reference
        self._test = self.values(list(reference.test)) if reference.test else np.zeros((0, 1))

    def score(self, samples: Sequence[Score]) -> Measurement:
        """The distance; draws from halves of the samples."""
        if not len(samples):
            return Measurement(None, NO_SAMPLES)
        if not len(self._test):
            return Measurement(None, "there are no test excerpts to compare with")
        if np.isnan(self._test).all():
            return Measurement(None, "no test excerpt has a value to compare with")
        values = self.values(list(samples))
        count, figures = values.shape
        equal, share = np.full((1, count), 1 / count), half_shares(count)
        value, drawn = 0.0, np.zeros(len(share))
        for figure in range(figures):
            made, real = np.nan_to_num(values[:, figure]), np.nan_to_num(self._test[:, figure])
            value += float(wasserstein(made, equal, real)[0]) / figures
            drawn += wasserstein(made, share, real) / figures
        undefined = float(np.isnan(values).any(axis=1).sum())
        draws = distance_draws(value, drawn, count)
        return Measurement(value, draws=draws, detail={"undefined_pieces": undefined})
