"""Notes one after the other: how long after the note before, which key, how long it sounds.

The encoding of Schaldenbrand et al. 2018 (2.2): note-ons in order of time, each with its pitch, its
velocity and the time since the one before. The paper leaves durations out; here they are added, so
that every score is restored exactly. Notes of one onset are in order of pitch.

A Clock tells which notes may follow: within one onset keys must rise, and no key may be struck
while it sounds. With these rules every piece has exactly one encoding. A piece ends with the first
wait that reaches its end or goes beyond.
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
    """The first `length` steps of the music that the notes encode."""
    wait, key, duration, velocity = np.asarray(rows, dtype=np.int64).reshape(-1, 4).T
    onset = np.cumsum(wait)
    return Score.from_notes(onset, duration, key + LOWEST, velocity, length=length, grid=grid)


class Clock:
    """The position in a piece: time and key of the last note, and when each key is free again."""

    def __init__(self, length: int) -> None:
        self.length, self.time, self.key = length, 0, -1
        self.free = np.zeros(KEYS, dtype=np.int64)

    def keys(self, wait: int) -> Bools:
        """(keys,) which keys may be struck after the wait."""
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
        """Advance by one note."""
        self.time, self.key = self.time + wait, key
        self.free[key] = self.time + duration


def along(rows: Ints) -> tuple[Bools, Ints]:
    """What a Clock says before each note of a piece: which keys may be struck, the shortest wait.

    The first (notes, keys) are after the note's own wait. The second (notes + 1,) has a row for the
    end of the piece, too.
    """
    wait, key, duration, _ = rows.T
    time = np.append(0, wait.cumsum())  # of the note before each note
    free = np.zeros((len(rows) + 1, KEYS), dtype=np.int64)
    free[np.arange(1, len(rows) + 1), key] = time[1:] + duration
    np.maximum.accumulate(free, axis=0, out=free)
    above = np.arange(KEYS) > np.append(-1, key)[:, None]  # of the note before
    able = (free[:-1] <= time[1:, None]) & (above[:-1] | (wait > 0)[:, None])
    at_once = ((free <= time[:, None]) & above).any(axis=1)
    return able, np.where(at_once, 0, np.maximum(1, free.min(axis=1) - time))


@dataclass(frozen=True, eq=False)
class Steps:
    """How often each number of steps occurs; any number is possible, by a long tail."""

    counts: Ints  # (longest + 1,)

    @classmethod
    def of(cls, numbers: Sequence[int] | Ints) -> Steps:
        """The distribution of such numbers."""
        return cls(np.bincount(np.asarray(numbers, dtype=np.int64), minlength=1))

    def chance(self, steps: int) -> float:
        """The probability of exactly this number of steps."""
        known = self.counts[steps] if steps < len(self.counts) else 0
        return float((known + 1 / ((steps + 1) * (steps + 2))) / (self.counts.sum() + 1))

    def at_least(self, steps: int) -> float:
        """The probability of this number of steps or more."""
        return float((self.counts[steps:].sum() + 1 / (steps + 1)) / (self.counts.sum() + 1))

    def draw(self, number: float, least: int = 0) -> int:
        """A number of steps, at least `least`, from a uniform number in [0, 1)."""
        left = number * self.at_least(least)
        for steps in range(least, len(self.counts)):
            left -= self.chance(steps)
            if left < 0:
                return steps
        # In the tail, n or more has the weight 1 / (n + 1).
        steps = max(least, len(self.counts))
        rest = max((self.at_least(steps) - left) * (self.counts.sum() + 1), 1e-6)
        return max(steps, int(1 / rest) - 1)
