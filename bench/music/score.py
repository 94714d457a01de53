"""A piece of music as every part of musicbench uses it: integer notes on a grid of steps."""

from __future__ import annotations

import hashlib
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

LOWEST, HIGHEST = 21, 108  # MIDI numbers of the piano's first and last key
KEYS = HIGHEST - LOWEST + 1  # 88
GRID = 4  # steps per quarter note unless a data set says otherwise
VELOCITY = 80  # of notes whose source has none

SMALLEST, LARGEST = -(2**31), 2**31 - 1  # numbers of 32 bits

Ints = NDArray[np.integer[Any]]
Roll = NDArray[np.bool_]  # (steps, KEYS)


def _whole(name: str, numbers: ArrayLike) -> NDArray[np.int64]:
    """The numbers as 64-bit integers; ValueError where one is not a whole number of 32 bits."""
    array = np.asarray(numbers)
    if not array.size:
        return np.zeros(array.shape, dtype=np.int64)
    if array.dtype == np.int32:  # as in every Score: nothing to check
        return array.astype(np.int64)
    # A NaN fails too: it compares with nothing.
    if array.dtype.kind not in "iuf" or not (array.min() >= SMALLEST and array.max() <= LARGEST):
        raise ValueError(f"{name}: must be whole numbers of at most 32 bits")
    whole = array.astype(np.int64)
    if array.dtype.kind == "f" and (whole != array).any():
        raise ValueError(f"{name}: must be whole numbers")
    return whole


@dataclass(frozen=True, eq=False)
class Score:
    """Notes sorted by onset, then pitch, over `length` steps of 1/`grid` quarter each.

    The constructor checks every rule and raises ValueError; `from_notes` makes a valid piece of
    any notes. The arrays are read-only.
    """

    onset: Ints  # (notes,) step at which a note begins
    duration: Ints  # (notes,) steps, at least 1
    pitch: Ints  # (notes,) MIDI number, LOWEST..HIGHEST
    velocity: Ints  # (notes,) 1..127
    length: int  # steps of the piece, silence at its end included
    grid: int = GRID  # steps per quarter note

    def __post_init__(self) -> None:
        for name in ("onset", "duration", "pitch", "velocity"):
            # A copy that nothing else refers to.
            array = _whole(name, getattr(self, name)).astype(np.int32)
            if array.ndim != 1 or len(array) != len(self.onset):
                raise ValueError(f"{name}: expected {len(self.onset)} numbers in one row")
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        for name in ("length", "grid"):
            object.__setattr__(self, name, operator.index(getattr(self, name)))
        if self.grid < 1 or self.length < 0:
            raise ValueError(f"grid {self.grid} and length {self.length} must be positive")
        if self.length > LARGEST:
            raise ValueError(f"length {self.length} must fit in 32 bits")
        if not len(self.onset):
            return
        order = np.lexsort((self.pitch, self.onset))
        checks = [
            ("pitch", (self.pitch < LOWEST) | (self.pitch > HIGHEST), f"{LOWEST}..{HIGHEST}"),
            ("velocity", (self.velocity < 1) | (self.velocity > 127), "1..127"),
            ("duration", self.duration < 1, "at least 1 step"),
            ("onset", self.onset < 0, "at least 0"),
            (
                "end",
                self.onset.astype(np.int64) + self.duration > self.length,
                f"within the piece's {self.length} steps",
            ),
            ("order", order != np.arange(len(order)), "sorted by onset, then pitch"),
        ]
        for name, wrong, allowed in checks:
            if wrong.any():
                raise ValueError(f"note {int(np.argmax(wrong))}: {name} must be {allowed}")
        if len(self) == 1:
            return
        by_key = np.lexsort((self.onset, self.pitch))
        same_key = self.pitch[by_key][1:] == self.pitch[by_key][:-1]
        overlap = same_key & (self.onset[by_key][1:] < self.end[by_key][:-1])
        if overlap.any():
            raise ValueError(f"note {int(by_key[1:][overlap][0])}: overlaps one on the same key")

    # -- making a piece -----------------------------------------------------------------------

    @classmethod
    def from_notes(
        cls,
        onset: ArrayLike,
        duration: ArrayLike,
        pitch: ArrayLike,
        velocity: ArrayLike | None = None,
        *,
        length: int | None = None,
        grid: int = GRID,
    ) -> Score:
        """A valid piece of notes in any order.

        Keys outside the piano and notes outside the piece are dropped. Of unisons the longest note
        is kept. A note is cut where its key is struck again or the piece ends. Without a length the
        piece ends with the last of its notes.
        """
        onset, duration = _whole("onset", onset), _whole("duration", duration)
        pitch = _whole("pitch", pitch)
        velocity = np.full_like(pitch, VELOCITY) if velocity is None else velocity
        velocity = _whole("velocity", velocity)
        duration, velocity = np.maximum(duration, 1), np.clip(velocity, 1, 127)
        limit = LARGEST if length is None else length
        keep = (pitch >= LOWEST) & (pitch <= HIGHEST) & (onset >= 0) & (onset < limit)
        onset, duration, pitch, velocity = (a[keep] for a in (onset, duration, pitch, velocity))
        order = np.lexsort((-velocity, -duration, onset, pitch))  # the longest of a unison first
        onset, duration, pitch, velocity = (a[order] for a in (onset, duration, pitch, velocity))
        first = np.ones(len(onset), dtype=bool)
        first[1:] = (pitch[1:] != pitch[:-1]) | (onset[1:] != onset[:-1])
        onset, duration, pitch, velocity = (a[first] for a in (onset, duration, pitch, velocity))
        room = limit - onset  # until the key is struck again, or the piece ends
        same_key = pitch[1:] == pitch[:-1]
        room[:-1][same_key] = (onset[1:] - onset[:-1])[same_key]
        duration = np.minimum(duration, room)
        if length is None:
            length = int((onset + duration).max(initial=0))
        order = np.lexsort((pitch, onset))
        return cls(onset[order], duration[order], pitch[order], velocity[order], length, grid)

    @classmethod
    def from_rolls(
        cls, sounding: ArrayLike, onsets: ArrayLike | None = None, *, grid: int = GRID
    ) -> Score:
        """The piece of a piano-roll (steps, 88). Without onsets, consecutive steps are one note."""
        sounding = np.asarray(sounding, dtype=bool)
        if sounding.ndim != 2 or sounding.shape[1] != KEYS:
            raise ValueError(f"a piano-roll is (steps, {KEYS}), not {sounding.shape}")
        before = np.zeros_like(sounding)
        before[1:] = sounding[:-1]
        starts = sounding & ~before
        if onsets is not None:
            starts |= sounding & np.asarray(onsets, dtype=bool)
        after = np.zeros_like(sounding)
        after[:-1] = sounding[1:] & ~starts[1:]
        ends = sounding & ~after
        # Column by column, the k-th start belongs to the k-th end.
        key, onset = np.nonzero(starts.T)
        _, last = np.nonzero(ends.T)
        order = np.lexsort((key, onset))
        onset, last, key = onset[order], last[order], key[order]
        velocity = np.full(len(onset), VELOCITY)
        return cls(onset, last - onset + 1, key + LOWEST, velocity, len(sounding), grid)

    @classmethod
    def silence(cls, length: int, grid: int = GRID) -> Score:
        """A piece of `length` steps without a note."""
        none = np.zeros(0, dtype=np.int32)
        return cls(none, none, none, none, length, grid)

    # -- reading it ---------------------------------------------------------------------------

    def __len__(self) -> int:
        """The number of notes."""
        return len(self.onset)

    @property
    def end(self) -> Ints:
        """(notes,) the first step at which a note no longer sounds."""
        return self.onset + self.duration

    def sounding(self) -> Roll:
        """(length, 88) which keys sound at each step."""
        edges = np.zeros((self.length + 1, KEYS), dtype=np.int8)
        np.add.at(edges, (self.onset, self.pitch - LOWEST), 1)
        np.add.at(edges, (self.end, self.pitch - LOWEST), -1)
        return np.cumsum(edges[:-1], axis=0, dtype=np.int8).astype(bool)

    def onsets(self) -> Roll:
        """(length, 88) which keys are struck at each step."""
        roll = np.zeros((self.length, KEYS), dtype=bool)
        roll[self.onset, self.pitch - LOWEST] = True
        return roll

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 of grid, length and notes: equal for equal pieces on every machine."""
        digest = hashlib.sha256(b"score 1\n")
        digest.update(np.array([self.grid, self.length, len(self)], dtype="<i8").tobytes())
        for array in (self.onset, self.duration, self.pitch, self.velocity):
            digest.update(array.astype("<i4").tobytes())
        return digest.hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Score) and self.content_hash == other.content_hash

    def __hash__(self) -> int:
        return hash(self.content_hash)

    def __repr__(self) -> str:
        return f"Score({len(self)} notes, {self.length} steps, {self.grid} per quarter)"

    # -- new pieces from it -------------------------------------------------------------------

    def transpose(self, semitones: int) -> Score:
        """The piece transposed by semitones; ValueError when a note would leave the keyboard."""
        return Score(
            self.onset, self.duration, self.pitch + semitones, self.velocity, self.length, self.grid
        )

    def slice(self, start: int, stop: int) -> Score:
        """The steps from start up to stop as a piece; notes are cut at both ends."""
        start, stop = max(0, start), min(stop, self.length)
        if stop <= start:
            return Score.silence(0, self.grid)
        inside = (self.onset < stop) & (self.end > start)
        onset = np.maximum(self.onset[inside], start)
        duration = np.minimum(self.end[inside], stop) - onset
        pitch, velocity = self.pitch[inside], self.velocity[inside]
        order = np.lexsort((pitch, onset))  # notes held into the slice now begin together
        onset, duration, pitch, velocity = (a[order] for a in (onset, duration, pitch, velocity))
        return Score(onset - start, duration, pitch, velocity, stop - start, self.grid)

    def pad(self, length: int) -> Score:
        """The piece with silence added up to `length` steps."""
        length = max(length, self.length)
        return Score(self.onset, self.duration, self.pitch, self.velocity, length, self.grid)


def concatenate(scores: Sequence[Score]) -> Score:
    """The pieces one after the other, as one piece."""
    if not scores:
        raise ValueError("nothing to concatenate: give at least one piece")
    grids = {score.grid for score in scores}
    if len(grids) > 1:
        raise ValueError(f"pieces on different grids cannot be joined: {sorted(grids)}")
    starts = np.cumsum([0] + [score.length for score in scores])

    def join(name: str) -> Ints:
        return np.concatenate([getattr(score, name) for score in scores])

    onset = np.concatenate([s.onset + start for s, start in zip(scores, starts, strict=False)])
    return Score(
        onset, join("duration"), join("pitch"), join("velocity"), int(starts[-1]), grids.pop()
    )
