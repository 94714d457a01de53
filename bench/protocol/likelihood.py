"""Likelihood in one unit: nats per step over the test set, every step counted, and bits per note."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.contract import Floats, Likelihood, Object, System
from bench.errors import BenchError
from bench.music import Score


@dataclass(frozen=True)
class TestLikelihood:
    """Per test piece: log p in nats, steps and notes; or the reason why there is none."""

    __test__ = False  # not a test case, whatever its name suggests to pytest

    nats: Floats  # (pieces,) log p
    steps: Floats  # (pieces,)
    notes: (
        Floats  # (pieces,) notes of the canonical score, whatever object the likelihood describes
    )
    reason: str = ""

    @property
    def finite(self) -> bool:
        """Whether every piece has a likelihood above 0."""
        return bool(len(self.nats)) and bool(np.isfinite(self.nats).all())

    @property
    def nats_per_step(self) -> float:
        """Negative log likelihood of a step, averaged over all steps of all pieces."""
        return float(-self.nats.sum() / self.steps.sum())

    @property
    def bits_per_note(self) -> float:
        """Negative log likelihood over the number of notes, in bits."""
        return float(-self.nats.sum() / self.notes.sum() / np.log(2))


def tag(likelihood: Likelihood, data: Object) -> tuple[str, str]:
    """How the board calls a likelihood on such data, and the object it describes there.

    Where a piece is no more than its frames, an exact likelihood of frames is exact, and one of
    scores is an upper bound: it also gives probability to re-struck notes that frames cannot
    show. On scores a likelihood of frames is coarse: re-struck notes go unpaid.
    """
    if likelihood.kind == "none":
        return "none", ""
    if data == "frames":
        bound = likelihood.object == "score" and likelihood.kind == "exact"
        return ("upper" if bound else likelihood.kind), "frames"
    if likelihood.object == "frames" and likelihood.kind == "exact":
        return "coarse", "frames"
    return likelihood.kind, likelihood.object


def evaluate(system: System, test: Sequence[Score]) -> TestLikelihood:
    """The system's likelihood of the test pieces; BenchError when it is no log probability."""
    steps = np.array([score.length for score in test], dtype=np.float64)
    notes = np.array([len(score) for score in test], dtype=np.float64)
    if system.likelihood.kind == "none":
        return TestLikelihood(np.zeros(0), steps, notes, system.likelihood.reason)
    nats = np.asarray(system.log_likelihood(test), dtype=np.float64)
    if nats.shape != (len(test),):
        raise BenchError(
            f"log_likelihood() must give one number per piece: {len(test)} pieces, shape {nats.shape}."
        )
    if np.isnan(nats).any():
        raise BenchError(
            f"log_likelihood() is NaN for test piece {int(np.argmax(np.isnan(nats)))}."
        )
    if (nats > 1e-6).any() and system.likelihood.kind == "exact":
        raise BenchError(
            f"log_likelihood() is {nats.max():.3g} > 0 for test piece {int(np.argmax(nats))}: no"
            " probability exceeds 1. Densities must be discretised."
        )
    impossible = int(np.isinf(nats).sum())
    reason = f"gives {impossible} of {len(test)} test pieces probability 0" if impossible else ""
    return TestLikelihood(nats, steps, notes, reason)
