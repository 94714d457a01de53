"""REMI: a piece as bars, positions and notes, one token each (Rao & Xie 2022, III.B).

    Bar  Position  Pitch Velocity Duration  Pitch Velocity Duration  Position ...  Bar ...

The 218 tokens are those of MidiTok 1, which orders a note's tokens as the paper does: padding, Bar,
88 pitches, 32 velocities, 64 durations, 32 positions. A bar has four quarters, whatever the metre,
and every bar has a token, even if it is empty. The notes of all tracks are merged.

`encode` and `decode` keep onsets, durations and pitches of every piece on a grid of 1, 2 or 4 steps
per quarter. A note longer than 12 quarters becomes several notes, each beginning where the one
before ends; a key struck again directly after a note of exactly 12 quarters is therefore decoded as
one held note. Velocities are rounded to the nearest of 32.

A piece of T steps has no token for its end: it ends with the first Bar or Position at or after T.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.errors import BenchError
from bench.music import KEYS, LOWEST, Score

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

UNITS = 8  # positions of a quarter
BAR_UNITS = 4 * UNITS
VELOCITIES = np.linspace(0, 127, 33, dtype=np.int64)[1:]
DURATIONS = np.concatenate([np.arange(1, 32), np.arange(32, 97, 2)])  # in units
LONGEST = int(DURATIONS[-1])

BEGINNING, BAR, PITCH = 0, 1, 2  # the padding token marks the beginning, and is used nowhere else
VELOCITY = PITCH + KEYS
DURATION = VELOCITY + len(VELOCITIES)
POSITION = DURATION + len(DURATIONS)
TOKENS = POSITION + BAR_UNITS

# What kind of token each is, and its first token.
KINDS = np.repeat(np.arange(6), [1, 1, KEYS, len(VELOCITIES), len(DURATIONS), BAR_UNITS])
IS_BEGINNING, IS_BAR, IS_PITCH, IS_VELOCITY, IS_DURATION, IS_POSITION = range(6)


def units_per_step(grid: int) -> int:
    """How many positions a step has; BenchError for a grid that REMI cannot encode."""
    if grid not in (1, 2, 4):
        raise BenchError(
            f"REMI encodes steps of a quarter, an eighth or a sixteenth, not {grid} steps per"
            " quarter. Choose a data set with a grid of 1, 2 or 4."
        )
    return UNITS // grid


def encode(score: Score) -> Ints:
    """(tokens,) the piece; no token for a piece of no steps."""
    unit = units_per_step(score.grid)
    onset, duration = score.onset.astype(np.int64) * unit, score.duration.astype(np.int64) * unit
    parts = -(-duration // LONGEST)
    note = np.repeat(np.arange(len(score)), parts)
    part = np.arange(len(note)) - np.repeat(np.cumsum(parts) - parts, parts)
    start = onset[note] + part * LONGEST
    length = np.minimum(duration[note] - part * LONGEST, LONGEST)
    pitch = score.pitch[note].astype(np.int64)
    velocity = np.abs(VELOCITIES - score.velocity[note, None].astype(np.int64)).argmin(axis=1)

    bars = np.arange(0, score.length * unit, BAR_UNITS)
    places = np.unique(start)
    spelled = np.stack(
        [PITCH + pitch - LOWEST, VELOCITY + velocity, DURATION + _duration_index(length)], axis=1
    )
    # Sorted by time; at one time the bar first, then the position, then the notes upwards.
    time = np.concatenate([bars, places, np.repeat(start, 3)])
    rank = np.concatenate([np.full(len(bars), -2), np.full(len(places), -1), np.repeat(pitch, 3)])
    tokens = np.concatenate(
        [np.full(len(bars), BAR), POSITION + places % BAR_UNITS, spelled.ravel()]
    )
    return tokens[np.lexsort((rank, time))]


def _duration_index(units: Ints) -> Ints:
    return np.searchsorted(DURATIONS, units).astype(np.int64)


def decode(tokens: NDArray[np.integer[Any]], length: int, grid: int) -> Score:
    """The first `length` steps of the music that the tokens encode.

    The tokens need not be well formed: a pitch that is not followed by a velocity and a duration,
    or comes before the first Bar, is ignored.
    """
    tokens = np.asarray(tokens, dtype=np.int64)
    unit, kind = units_per_step(grid), KINDS[tokens]
    bar = np.cumsum(kind == IS_BAR) - 1
    places = np.flatnonzero((kind == IS_BAR) | (kind == IS_POSITION))
    position = np.where(kind == IS_POSITION, tokens - POSITION, 0)
    spelled = np.array([IS_PITCH, IS_VELOCITY, IS_DURATION])
    if len(tokens) < 3:
        return Score.silence(length, grid)
    whole = (np.lib.stride_tricks.sliding_window_view(kind, 3) == spelled).all(axis=1)
    notes = np.flatnonzero(whole & (bar[:-2] >= 0))
    last = places[np.searchsorted(places, notes, side="right") - 1] if len(notes) else notes
    start = bar[notes] * BAR_UNITS + position[last]
    duration = DURATIONS[tokens[notes + 2] - DURATION]
    pitch = tokens[notes] - PITCH + LOWEST
    velocity = VELOCITIES[tokens[notes + 1] - VELOCITY]

    order = np.lexsort((start, pitch))
    start, duration, pitch, velocity = (a[order] for a in (start, duration, pitch, velocity))
    held = np.zeros(len(start), dtype=bool)
    held[1:] = (
        (pitch[1:] == pitch[:-1]) & (duration[:-1] == LONGEST) & (start[1:] == start[:-1] + LONGEST)
    )
    first = np.flatnonzero(~held)
    duration = np.add.reduceat(duration, first) if len(first) else duration[:0]
    return Score.from_notes(
        start[first] // unit,
        -(-duration // unit),
        pitch[first],
        velocity[first],
        length=length,
        grid=grid,
    )


class Grammar:
    """The position in each of several pieces, and which tokens may follow.

    With these rules every piece has exactly one encoding, apart from its velocities: pitches rise
    within a position and positions within a bar, no key is struck while it sounds, and everything
    is on the grid. No note may begin before the step `since`, the end of the prompt.
    """

    def __init__(self, lengths: Sequence[int], grid: int) -> None:
        unit, rows = units_per_step(grid), len(lengths)
        self.unit = unit
        self.length = np.array(lengths, dtype=np.int64) * unit
        self.since = np.zeros(rows, dtype=np.int64)
        self.done = self.length == 0
        self.kind = np.full(rows, IS_BEGINNING)
        self.bar = np.full(rows, -BAR_UNITS)  # where it began
        self.time = np.full(rows, -1)
        self.pitch = np.zeros(rows, dtype=np.int64)  # of the last note, from 0
        self.end = np.zeros((rows, KEYS), dtype=np.int64)  # when each key is free again
        self._positions = np.arange(0, BAR_UNITS, unit)
        self._durations = DURATION + np.flatnonzero(DURATIONS % unit == 0)

    @classmethod
    def along(cls, tokens: Ints, length: int, grid: int) -> Grammar:
        """The positions in one piece: before each of its tokens, and before its end."""
        rules, kinds = cls([length] * (len(tokens) + 1), grid), KINDS[tokens]
        places = np.arange(1, len(tokens) + 1)

        def latest(values: Ints, chosen: Bools, first: int) -> Ints:
            """(tokens + 1,) the value at the last chosen token so far."""
            at = np.maximum.accumulate(np.append(0, places * chosen))
            return np.append(first, values)[at]

        rules.kind[1:] = kinds
        rules.bar += BAR_UNITS * np.append(0, np.cumsum(kinds == IS_BAR))
        bar = rules.bar[1:]
        moves = (kinds == IS_BAR) | (kinds == IS_POSITION)
        now = bar + np.where(kinds == IS_POSITION, tokens - POSITION, 0)
        rules.time = latest(now, moves, -1)
        rules.pitch = latest(tokens - PITCH, kinds == IS_PITCH, 0)
        held = np.flatnonzero(kinds == IS_DURATION)
        units = DURATIONS[tokens[held] - DURATION]
        rules.end[held + 1, rules.pitch[held]] = rules.time[held] + units
        np.maximum.accumulate(rules.end, axis=0, out=rules.end)
        return rules

    def read(self, sequences: Sequence[Ints]) -> None:
        """Advance every piece by all of its tokens."""
        done = self.done
        for place in range(max((len(sequence) for sequence in sequences), default=0)):
            self.done = done | np.array([place >= len(sequence) for sequence in sequences])
            self.take(np.array([s[place] if place < len(s) else 0 for s in sequences]))
        self.done = done

    def begin(self, steps: Sequence[int]) -> None:
        """From now on no note may begin before this step of each piece."""
        self.since = np.array(steps, dtype=np.int64) * self.unit

    def legal(self) -> Bools:
        """(pieces, tokens) which tokens may follow."""
        allowed = np.zeros((len(self.kind), TOKENS), dtype=bool)
        between = (self.kind == IS_BAR) | (self.kind == IS_DURATION)
        allowed[:, BAR] = between | (self.kind == IS_BEGINNING)
        times = self.bar[:, None] + self._positions  # (pieces, positions)
        later = np.where(self.kind == IS_BAR, -1, self.time)[:, None] < times
        free = times >= np.maximum(self.end.min(axis=1), self.since)[:, None]
        allowed[:, POSITION + self._positions] = between[:, None] & later & free
        chord = (self.kind == IS_DURATION) & (self.time >= self.since)
        lowest = np.where(chord, self.pitch + 1, 0)
        silent = self.end <= self.time[:, None]
        above = np.arange(KEYS) >= lowest[:, None]
        allowed[:, PITCH:VELOCITY] = (chord | (self.kind == IS_POSITION))[:, None] & silent & above
        allowed[:, VELOCITY:DURATION] = (self.kind == IS_PITCH)[:, None]
        allowed[:, self._durations] = (self.kind == IS_VELOCITY)[:, None]
        return allowed

    def ending(self) -> Bools:
        """(pieces, tokens) which tokens lie at or after the piece's end."""
        over = np.zeros((len(self.kind), TOKENS), dtype=bool)
        over[:, BAR] = self.bar + BAR_UNITS >= self.length
        over[:, POSITION:] = self.bar[:, None] + np.arange(BAR_UNITS) >= self.length[:, None]
        return over

    def take(self, tokens: Ints) -> None:
        """Advance every piece that is not done by one token."""
        over = self.ending()[np.arange(len(tokens)), tokens]
        kind = np.where(self.done, -1, KINDS[tokens])
        self.done = self.done | (over & (kind >= 0))
        self.kind = np.where(kind >= 0, kind, self.kind)
        bars, places = kind == IS_BAR, kind == IS_POSITION
        self.bar = self.bar + BAR_UNITS * bars
        self.time = np.where(bars, self.bar, self.time)
        self.time = np.where(places, self.bar + tokens - POSITION, self.time)
        self.pitch = np.where(kind == IS_PITCH, tokens - PITCH, self.pitch)
        ends = np.flatnonzero(kind == IS_DURATION)
        self.end[ends, self.pitch[ends]] = self.time[ends] + DURATIONS[tokens[ends] - DURATION]
