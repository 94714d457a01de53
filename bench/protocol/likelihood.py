"""The likelihood of the test pieces, and how the board labels it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.contract import Floats, Likelihood, Object, System
from bench.errors import BenchError
from bench.music import Score


@dataclass(frozen=True)
class PieceLikelihoods:
    """Per test piece: log p in nats, steps and notes; or the reason why there is no log p."""

    nats: Floats  # (pieces,) log p
    steps: Floats  # (pieces,)
    notes: Floats  # (pieces,) of the score, whatever object the likelihood describes
    reason: str = ""

    @property
    def finite(self) -> bool:
        """Whether every piece has a likelihood above 0."""
        return bool(len(self.nats)) and bool(np.isfinite(self.nats).all())

    @property
    def nats_per_step(self) -> float:
        """Negative log likelihood of a step, averaged over all steps of all pieces."""
        return float(-self.nats.sum() / self.steps.sum())


def tag(likelihood: Likelihood, data: Object) -> tuple[str, str]:
    """The board's name for a likelihood on such data, and the object that it describes there.

    Where a piece consists of frames only, an exact likelihood of frames is exact, and one of scores
    is an upper bound: it also gives probability to repeated notes, which frames cannot show. On
    scores a likelihood of frames is coarse: it does not account for repeated notes.
    """
    if likelihood.kind == "none":
        return "none", ""
    if data == "frames":
        bound = likelihood.object == "score" and likelihood.kind == "exact"
        return ("upper" if bound else likelihood.kind), "frames"
    if likelihood.object == "frames" and likelihood.kind == "exact":
        return "coarse", "frames"
    return likelihood.kind, likelihood.object


def evaluate(system: System, test: Sequence[Score]) -> PieceLikelihoods:
    """The system's likelihood of the test pieces; BenchError when it is no log probability."""
    steps = np.array([score.length for score in test], dtype=np.float64)
    notes = np.array([len(score) for score in test], dtype=np.float64)
    if system.likelihood.kind == "none":
        return PieceLikelihoods(np.zeros(0), steps, notes, system.likelihood.reason)
    nats = np.asarray(system.log_likelihood(test), dtype=np.float64)
    if nats.shape != (len(test),):
        raise BenchError(
            f"log_likelihood() must give one number per piece: {len(test)} pieces, but shape"
            f" {nats.shape}."
        )
    if np.isnan(nats).any():
        raise BenchError(
            f"log_likelihood() is NaN for test piece {int(np.argmax(np.isnan(nats)))}."
        )
    if (nats > 1e-6).any() and system.likelihood.kind == "exact":
        raise BenchError(
            f"log_likelihood() is {nats.max():.3g} > 0 for test piece {int(np.argmax(nats))}: no"
            " probability exceeds 1. A density must be discretised."
        )
    impossible = int(np.isinf(nats).sum())
    reason = f"gives {impossible} of {len(test)} test pieces probability 0" if impossible else ""
    return PieceLikelihoods(nats, steps, notes, reason)
