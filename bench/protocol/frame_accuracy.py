"""Frame accuracy: how much of the next frame a system predicts that hears all frames before it.

    accuracy = TP / (TP + FP + FN), each summed over frames and keys
    (Bay et al. 2009; Boulanger-Lewandowski et al. 2012, "expected accuracy")

The prediction is one frame drawn from the system's own distribution of the next frame, given the
piece's true past: what is drawn at one step is not part of the past at the next. Over many frames
that is the expected accuracy. Frames that are silent in both count for nothing.

At most STEPS frames are predicted, the same ones of every system: drawn from all frames of the test
pieces, and not evenly spaced, which would always meet the same beat.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.contract import Floats, System
from bench.errors import BenchError
from bench.music import Score

STEPS = 5000  # all of jsb; bounds the time


@dataclass(frozen=True)
class PieceAccuracies:
    """Counts of keys per test piece, over the frames that were predicted."""

    right: Floats  # (pieces,) TP: predicted keys that sound
    all: Floats  # (pieces,) TP + FP + FN: keys that are predicted or sound

    @property
    def accuracy(self) -> float | None:
        """Over all pieces; none where nothing sounds and nothing was predicted."""
        total = self.all.sum()
        return float(self.right.sum() / total) if total else None


def predicted_places(scores: Sequence[Score], most: int = STEPS) -> list[NDArray[np.int64]]:
    """The steps of each piece that are predicted, in rising order."""
    lengths = [score.length for score in scores]
    total = sum(lengths)
    chosen = np.zeros(total, dtype=bool)
    chosen[np.random.default_rng(0).permutation(total)[:most]] = True
    parts = np.split(chosen, np.cumsum(lengths)[:-1])
    return [np.flatnonzero(part) for part in parts]


def evaluate(system: System, test: Sequence[Score], seed: int) -> PieceAccuracies | None:
    """The system's accuracy on the test pieces; none where it cannot draw next frames.

    BenchError where `next_frames` gives frames of another shape than was asked for.
    """
    next_frames = getattr(system, "next_frames", None)
    if next_frames is None:
        return None
    places = predicted_places(test)
    predicted = next_frames(test, places, seed)
    right, either = np.zeros(len(test)), np.zeros(len(test))
    for number, (score, steps) in enumerate(zip(test, places, strict=True)):
        true = score.sounding()[steps]
        drawn = np.asarray(predicted[number], dtype=bool)
        if drawn.shape != true.shape:
            raise BenchError(
                f"next_frames() gave an array of shape {drawn.shape} for test piece {number};"
                f" it must be {true.shape}: a frame of {true.shape[1]} keys for each place."
            )
        right[number] = (drawn & true).sum()
        either[number] = (drawn | true).sum()
    return PieceAccuracies(right, either)
