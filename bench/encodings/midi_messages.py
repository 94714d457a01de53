"""MIDI messages: a key goes down or up, some time after the message before (Huang & Wu 2016, 3.1).

A whole message is one word: "note-on-60-480". Its time is counted in steps of the piece's grid
rather than in ticks (480 per quarter), which is equivalent if the grid divides 480. Words are the
distinct messages of the training pieces; any other message is unknown.

`messages` encodes and `score_of` decodes. Onsets, durations and pitches of every piece are
restored; velocities are not, since the paper's messages have none. Of messages at the same time,
keys that go up come first, then keys that go down, each from the lowest to the highest. Notes that
sound to the end of a piece have no message that releases them.

All tracks are merged, in order of time. The paper has them one after the other, but a Score has no
tracks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.music import KEYS, LOWEST, Score

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Rows = slice | Ints

EVERY = slice(None)


def messages(score: Score) -> Ints:
    """(messages, 3) whether a key goes down (1) or up (0), the key from 0, steps since the last."""
    released = score.end < score.length  # the others end with the piece
    time = np.concatenate([score.onset, score.end[released]]).astype(np.int64)
    key = np.concatenate([score.pitch, score.pitch[released]]).astype(np.int64) - LOWEST
    down = np.repeat([1, 0], [len(score), int(released.sum())])
    order = np.lexsort((key, down, time))
    wait = np.diff(time[order], prepend=0)
    return np.column_stack([down[order], key[order], wait]).astype(np.int64)


def score_of(rows: NDArray[np.integer[Any]], length: int, grid: int) -> tuple[Score, int, int]:
    """The music, the number of notes that hang, and the number of releases without a note.

    The piece has `length` steps; the first message's time counts from step 0. A note hangs if no
    message releases it: it sounds to the end of the piece.
    """
    begun: dict[int, int] = {}
    notes, idle, time = [], 0, 0
    for down, key, wait in np.asarray(rows).tolist():
        time += wait
        if time >= length:
            break
        if not down and key not in begun:
            idle += 1
        if key in begun:
            onset = begun.pop(key)
            if time > onset:
                notes.append((onset, time - onset, key + LOWEST))
        if down:
            begun[key] = time
    notes += [(onset, length - onset, key + LOWEST) for key, onset in begun.items()]
    table = np.array(notes, dtype=np.int64).reshape(-1, 3)
    piece = Score.from_notes(*table.T, length=length, grid=grid)
    return piece, len(begun), idle


@dataclass(frozen=True, eq=False)
class MessageVocabulary:
    """The distinct messages of some pieces, in a fixed order; a word is the place in this order."""

    rows: Ints  # (words, 3) as `messages` gives them, sorted
    counts: Ints  # (words,) how often each occurs
    pieces: Ints  # (words,) in how many pieces

    @classmethod
    def of(cls, pieces: Sequence[Ints]) -> MessageVocabulary:
        """The vocabulary of pieces given as messages."""
        whole = np.concatenate([np.zeros((0, 3), dtype=np.int64), *pieces])
        rows, counts = np.unique(whole, axis=0, return_counts=True)
        holders = np.zeros(len(rows), dtype=np.int64)
        vocabulary = cls(rows.astype(np.int64), counts, holders)
        for piece in pieces:
            holders[np.unique(vocabulary.encode(piece))] += 1
        return vocabulary

    @cached_property
    def _places(self) -> dict[tuple[int, int, int], int]:
        return {(a, b, c): place for place, (a, b, c) in enumerate(self.rows.tolist())}

    def __len__(self) -> int:
        """The number of words."""
        return len(self.rows)

    @property
    def unknown(self) -> int:
        """The word for every message outside the vocabulary."""
        return len(self)

    def encode(self, rows: Ints) -> Ints:
        """(messages,) the word of each message."""
        words = [self._places.get((a, b, c), self.unknown) for a, b, c in rows.tolist()]
        return np.array(words, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Spelling:
    """The probability of an unknown message: its wait as in the training pieces, its key uniform.

    Any wait is possible; one longer than all in the training pieces is in a long tail.
    """

    waits: Ints  # (longest + 1,) how often each wait occurs

    @classmethod
    def of(cls, pieces: Sequence[Ints]) -> Spelling:
        """The waits of pieces given as messages."""
        return cls(np.bincount(np.concatenate([[0], *[rows[:, 2] for rows in pieces]])))

    def wait(self, steps: Ints) -> Floats:
        """(...) the probability of a wait of exactly this many steps."""
        known = np.where(
            steps < len(self.waits), self.waits[np.minimum(steps, len(self.waits) - 1)], 0
        )
        return np.asarray((known + 1 / ((steps + 1.0) * (steps + 2.0))) / (self.waits.sum() + 1))

    def at_least(self, steps: Ints) -> Floats:
        """(...) the probability of a wait of this many steps or more."""
        ends = np.append(self.waits[::-1].cumsum()[::-1], 0)
        known = ends[np.minimum(steps, len(self.waits))]
        return np.asarray((known + 1 / (steps + 1.0)) / (self.waits.sum() + 1))


class Grammar:
    """The position in each of several pieces, and which messages may follow.

    With these rules every piece has exactly one encoding: a key goes up only when it is down and
    down only when it is up, and messages at the same time are in order. `free` allows everything
    instead, as the paper does. No message may come before the step `since`, the end of the prompt.
    """

    def __init__(
        self, vocabulary: MessageVocabulary, lengths: Sequence[int] | Ints, free: bool
    ) -> None:
        rows = len(lengths)
        self.vocabulary, self.free = vocabulary, free
        self.length = np.array(lengths, dtype=np.int64)
        self.since = np.zeros(rows, dtype=np.int64)
        self.done = self.length == 0
        self.time = np.zeros(rows, dtype=np.int64)
        self.last = np.full(rows, -1)  # the last message's rank within its time
        self.down = np.zeros((rows, KEYS), dtype=bool)
        self._rank = vocabulary.rows[:, 0] * KEYS + vocabulary.rows[:, 1]

    @classmethod
    def along(
        cls,
        vocabulary: MessageVocabulary,
        pieces: Sequence[Ints],
        lengths: Sequence[int],
        free: bool = False,
    ) -> Grammar:
        """The positions in pieces, one piece after the other: before each message, and the end."""
        counts = [len(rows) + 1 for rows in pieces]
        rules = cls(vocabulary, np.repeat(np.array(lengths, dtype=np.int64), counts), free)
        start = 0
        for rows, count in zip(pieces, counts, strict=True):
            goes_down, key, wait = rows.T
            part = slice(start + 1, start + count)
            rules.time[part] = wait.cumsum()
            rules.last[part] = goes_down * KEYS + key
            changes = np.zeros((len(rows), KEYS), dtype=np.int8)
            changes[np.arange(len(rows)), key] = 2 * goes_down - 1
            rules.down[part] = changes.cumsum(axis=0, dtype=np.int8) > 0
            start += count
        return rules

    def begin(self, steps: Sequence[int]) -> None:
        """From now on no message may come before this step of each piece."""
        self.since = np.array(steps, dtype=np.int64)

    def legal(self, rows: Rows = EVERY) -> Bools:
        """(rows, words) which words may follow, without the unknown word."""
        goes_down, key, wait = self.vocabulary.rows.T
        allowed: Bools = self.time[rows, None] + wait >= self.since[rows, None]
        if self.free:
            return allowed
        allowed &= self.down[rows][:, key] != goes_down.astype(bool)
        allowed &= (wait > 0) | (self._rank > self.last[rows, None])
        return allowed

    def ending(self, rows: Rows = EVERY) -> Bools:
        """(rows, words) which words lie at or after the piece's end."""
        waits = self.vocabulary.rows[:, 2]
        late: Bools = self.time[rows, None] + waits >= self.length[rows, None]
        return late

    def take(self, tokens: Ints) -> None:
        """Advance every piece that is not done by one known word."""
        self.follow(self.vocabulary.rows[tokens])

    def follow(self, rows: Ints) -> None:
        """Advance every piece that is not done by one message (pieces, 3)."""
        goes_down, key, wait = rows.T
        late = self.time + wait >= self.length
        going = np.flatnonzero(~self.done & ~late)
        self.done = self.done | late
        self.time[going] += wait[going]
        self.last[going] = goes_down[going] * KEYS + key[going]
        self.down[going, key[going]] = goes_down[going].astype(bool)

    def spelled(self, rows: Ints, spelling: Spelling) -> tuple[Floats, Floats]:
        """(pieces,) log p of the message when spelled out, and of the end of the piece.

        All keys that may follow at a time are equally likely.
        """
        ranks = np.arange(2 * KEYS)
        if self.free:
            now, later = np.full(len(rows), 2.0 * KEYS), 2.0 * KEYS
        else:
            fitting = self.down[:, ranks % KEYS] != (ranks // KEYS).astype(bool)
            now = (fitting & (ranks > self.last[:, None])).sum(axis=1).astype(np.float64)
            later = float(KEYS)
        # Waits that end within the prompt, or after which no message may follow, are left out.
        least = np.maximum(self.since - self.time, np.where(now == 0, 1, 0))
        whole = spelling.at_least(least)
        keys = np.where(rows[:, 2] == 0, np.maximum(now, 1), later)
        rest = np.maximum(self.length - self.time, least)
        message = np.log(spelling.wait(rows[:, 2])) - np.log(whole) - np.log(keys)
        return message, np.log(spelling.at_least(rest)) - np.log(whole)
