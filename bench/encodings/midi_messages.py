"""MIDI messages: a key goes down or up, so long after the message before (Huang & Wu 2016, 3.1).

A message is whole: "note-on-60-480" is one word. Its time is told in steps of the piece's grid
rather than in ticks (480 per quarter), which is the same where a grid divides 480. Words are the
distinct messages of the training pieces; any other message is unknown.

`messages` and `score_of` lead there and back: onsets, durations and pitches of every piece come
back; velocities do not, for the paper's messages have none. At one time keys go up before others
go down, each from the lowest to the highest. What still sounds at the end of a piece is released
by its end, without a message.

All tracks are one here, in order of time. The paper has them one after the other; a Score holds
no tracks.
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


def messages(score: Score) -> Ints:
    """(messages, 3) whether a key goes down (1) or up (0), the key from 0, steps since the last."""
    heard = score.end < score.length  # the others are ended by the piece
    time = np.concatenate([score.onset, score.end[heard]]).astype(np.int64)
    key = np.concatenate([score.pitch, score.pitch[heard]]).astype(np.int64) - LOWEST
    down = np.repeat([1, 0], [len(score), int(heard.sum())])
    order = np.lexsort((key, down, time))
    wait = np.diff(time[order], prepend=0)
    return np.column_stack([down[order], key[order], wait]).astype(np.int64)


def score_of(rows: NDArray[np.integer[Any]], length: int, grid: int) -> tuple[Score, int, int]:
    """What the messages say, how many notes hang, and how many releases release nothing.

    The piece has `length` steps and its first message waits from step 0. A note hangs that no
    message releases before the end: it sounds until there.
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
    """The distinct messages of some pieces, in a fixed order; a word is a place in it."""

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
    """What an unknown message costs: its wait by the training pieces, its key evenly.

    Any wait is possible: one longer than all before has the chance of a long tail.
    """

    waits: Ints  # (longest + 1,) how often each wait occurs

    @classmethod
    def of(cls, pieces: Sequence[Ints]) -> Spelling:
        """The waits of pieces given as messages."""
        return cls(np.bincount(np.concatenate([[0], *[rows[:, 2] for rows in pieces]])))

    def wait(self, steps: Ints) -> Floats:
        """(...) the chance of a wait of exactly so many steps."""
        known = np.where(
            steps < len(self.waits), self.waits[np.minimum(steps, len(self.waits) - 1)], 0
        )
        return np.asarray((known + 1 / ((steps + 1.0) * (steps + 2.0))) / (self.waits.sum() + 1))

    def at_least(self, steps: Ints) -> Floats:
        """(...) the chance of a wait of so many steps or more."""
        ends = np.append(self.waits[::-1].cumsum()[::-1], 0)
        known = ends[np.minimum(steps, len(self.waits))]
        return np.asarray((known + 1 / (steps + 1.0)) / (self.waits.sum() + 1))


class Grammar:
    """Where each of several pieces stands, and which messages may follow.

    With only these, messages say a piece in just one way: a key goes up only when it is down and
    down only when it is up, and what happens at one time has its order. `free` allows everything
    instead, as the paper does. Nothing happens before the step `since`: what precedes is a prompt.
    """

    def __init__(self, vocabulary: MessageVocabulary, lengths: Sequence[int], free: bool) -> None:
        rows = len(lengths)
        self.vocabulary, self.free = vocabulary, free
        self.length = np.array(lengths, dtype=np.int64)
        self.since = np.zeros(rows, dtype=np.int64)
        self.done = self.length == 0
        self.time = np.zeros(rows, dtype=np.int64)
        self.last = np.full(rows, -1)  # the last message's rank within its time
        self.down = np.zeros((rows, KEYS), dtype=bool)
        self._rank = vocabulary.rows[:, 0] * KEYS + vocabulary.rows[:, 1]

    def begin(self, steps: Sequence[int]) -> None:
        """From now on nothing happens before this step of each piece."""
        self.since = np.array(steps, dtype=np.int64)

    def legal(self) -> Bools:
        """(pieces, words) which words may follow; the unknown one is none of them."""
        goes_down, key, wait = self.vocabulary.rows.T
        allowed: Bools = self.time[:, None] + wait >= self.since[:, None]
        if self.free:
            return allowed
        allowed &= self.down[:, key] != goes_down.astype(bool)
        allowed &= (wait > 0) | (self._rank > self.last[:, None])
        return allowed

    def ending(self) -> Bools:
        """(pieces, words) which words would lie at or after the piece's end."""
        late: Bools = self.time[:, None] + self.vocabulary.rows[:, 2] >= self.length[:, None]
        return late

    def take(self, tokens: Ints) -> None:
        """Go on by one known word in every piece that is not done."""
        self.follow(self.vocabulary.rows[tokens])

    def follow(self, rows: Ints) -> None:
        """Go on by one message (pieces, 3) in every piece that is not done."""
        goes_down, key, wait = rows.T
        late = self.time + wait >= self.length
        going = np.flatnonzero(~self.done & ~late)
        self.done = self.done | late
        self.time[going] += wait[going]
        self.last[going] = goes_down[going] * KEYS + key[going]
        self.down[going, key[going]] = goes_down[going].astype(bool)

    def spelled(self, rows: Ints, spelling: Spelling) -> tuple[Floats, Floats]:
        """(pieces,) log p of the message spelled out, and of ending, in each piece.

        Among the messages that may follow at a time all keys are alike.
        """
        ranks = np.arange(2 * KEYS)
        if self.free:
            now, later = np.full(len(rows), 2.0 * KEYS), 2.0 * KEYS
        else:
            fitting = self.down[:, ranks % KEYS] != (ranks // KEYS).astype(bool)
            now = (fitting & (ranks > self.last[:, None])).sum(axis=1).astype(np.float64)
            later = float(KEYS)
        # Waits that are too short for the prompt, or lead to no message, are left out.
        least = np.maximum(self.since - self.time, np.where(now == 0, 1, 0))
        whole = spelling.at_least(least)
        keys = np.where(rows[:, 2] == 0, np.maximum(now, 1), later)
        rest = np.maximum(self.length - self.time, least)
        message = np.log(spelling.wait(rows[:, 2])) - np.log(whole) - np.log(keys)
        return message, np.log(spelling.at_least(rest)) - np.log(whole)
