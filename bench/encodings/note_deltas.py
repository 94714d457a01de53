"""Notes one after the other: how long after the note before, which key, how long it sounds.

The view of Schaldenbrand et al. 2018 (2.2): note-ons in order of time, each with its pitch, its
velocity and the time since the one before. How long notes sound is not in it; here it stands
beside, and everything comes back, at onsets in order of pitch.

A Clock says which notes may follow: keys rise within one onset, and no key is struck while it
sounds. With only these, notes say a piece in just one way. A piece ends with the first wait that
leads to its end or beyond.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.music import KEYS, LOWEST, Score

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def notes(score: Score) -> Ints:
    """(notes, 4) wait since the onset before in steps, key from 0, duration in steps, velocity."""
    onset = score.onset.astype(np.int64)
    return np.column_stack(
        [
            np.diff(onset, prepend=0),
            score.pitch.astype(np.int64) - LOWEST,
            score.duration.astype(np.int64),
            score.velocity.astype(np.int64),
        ]
    )


def score_of(rows: NDArray[np.integer[Any]], length: int, grid: int) -> Score:
    """The first `length` steps of what the notes say."""
    wait, key, duration, velocity = np.asarray(rows, dtype=np.int64).reshape(-1, 4).T
    onset = np.cumsum(wait)
    return Score.from_notes(onset, duration, key + LOWEST, velocity, length=length, grid=grid)


class Clock:
    """Where one piece stands: the time of its last note, its key, and when keys are free again."""

    def __init__(self, length: int) -> None:
        self.length, self.time, self.key = length, 0, -1
        self.free = np.zeros(KEYS, dtype=np.int64)

    def keys(self, wait: int) -> Bools:
        """(keys,) which may be struck after the wait."""
        able: Bools = self.free <= self.time + wait
        if wait == 0:
            able = able & (np.arange(KEYS) > self.key)
        return able

    def least(self) -> int:
        """The shortest wait after which some key may be struck."""
        if self.keys(0).any():
            return 0
        return max(1, int(self.free.min()) - self.time)

    def strike(self, wait: int, key: int, duration: int) -> None:
        """Go on by one note."""
        self.time, self.key = self.time + wait, key
        self.free[key] = self.time + duration


@dataclass(frozen=True, eq=False)
class Steps:
    """How often a number of steps occurs: every number is possible, long ones by a long tail."""

    counts: Ints  # (longest + 1,)

    @classmethod
    def of(cls, numbers: Sequence[int] | Ints) -> Steps:
        """The distribution of such numbers."""
        return cls(np.bincount(np.asarray(numbers, dtype=np.int64), minlength=1))

    def chance(self, steps: int) -> float:
        """Of exactly so many."""
        known = self.counts[steps] if steps < len(self.counts) else 0
        return float((known + 1 / ((steps + 1) * (steps + 2))) / (self.counts.sum() + 1))

    def at_least(self, steps: int) -> float:
        """Of so many or more."""
        return float((self.counts[steps:].sum() + 1 / (steps + 1)) / (self.counts.sum() + 1))

    def draw(self, number: float, least: int = 0) -> int:
        """The number of steps for a random number of [0, 1), given that it is no less than `least`."""
        left = number * self.at_least(least)
        for steps in range(least, len(self.counts)):
            left -= self.chance(steps)
            if left < 0:
                return steps
        # Of the tail, 1 / (n + 1) is n or more.
        steps = max(least, len(self.counts))
        rest = max((self.at_least(steps) - left) * (self.counts.sum() + 1), 1e-6)
        return max(steps, int(1 / rest) - 1)
