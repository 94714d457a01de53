"""What a network of tokens learns from: sequences, and which tokens the grammar allows where.

A network learns the distribution that it is scored and sampled by: the softmax over the tokens
that may follow. The end of a piece is part of it. No token stands for it: the piece ends with any
token that lies at or after its end.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.training import token_model

END = -1  # where a token would be, the end of a piece

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


class Rules(Protocol):
    """Which tokens may stand at each of many places."""

    def legal(self, rows: Ints) -> Bools:
        """(rows, tokens) which tokens may stand there."""

    def ending(self, rows: Ints) -> Bools:
        """(rows, tokens) which tokens would lie at or after the piece's end."""


@dataclass(frozen=True, eq=False)
class Packed:
    """The rules of all places, with one bit for each token."""

    tokens: int
    may_stand: NDArray[np.uint8]  # (places, tokens / 8)
    may_end: NDArray[np.uint8]

    @classmethod
    def of(cls, grammars: Iterable[token_model.Grammar]) -> Packed:
        """The rules of pieces, each with a grammar that has one row per place."""
        may_stand, may_end, tokens = [], [], 0
        for grammar in grammars:
            legal = grammar.legal()
            tokens = legal.shape[1]
            may_stand.append(np.packbits(legal, axis=1))
            may_end.append(np.packbits(grammar.ending(), axis=1))
        return cls(tokens, np.concatenate(may_stand), np.concatenate(may_end))

    def legal(self, rows: Ints) -> Bools:
        """(rows, tokens) which tokens may stand there."""
        return np.unpackbits(self.may_stand[rows], axis=1, count=self.tokens).astype(bool)

    def ending(self, rows: Ints) -> Bools:
        """(rows, tokens) which tokens would lie at or after the piece's end."""
        return np.unpackbits(self.may_end[rows], axis=1, count=self.tokens).astype(bool)


@dataclass(frozen=True, eq=False)
class Examples:
    """Windows as a network reads them, and what it should predict.

    Rows of `targets` and `legal` are the places held by the windows, in reading order.
    """

    inputs: Tensor  # (windows, time); 0 in the padding
    held: Tensor  # (windows, time) where there is something to predict
    targets: Tensor  # (places,); END at the end of a piece
    legal: Tensor | None = None  # (places, tokens) which may stand there; none: all
    ends: Tensor | None = None  # (ends,) which of the places are ends of pieces
    ending: Tensor | None = None  # (ends, tokens) which tokens end the piece

    def surprise(self, out: nn.Linear, hidden: Tensor) -> Tensor:
        """Mean -log p of the targets, given what the network made of the inputs (..., width)."""
        hidden = hidden[self.held]
        if self.legal is None or self.ends is None or self.ending is None:
            return token_model.surprise(out, hidden, self.targets)
        return token_model.legal_surprise(
            out, hidden, self.targets, self.legal, self.ends, self.ending
        )


@dataclass(frozen=True, eq=False)
class Text:
    """Sequences one after the other. Windows are cut from their places, not from their tokens."""

    tokens: Ints  # (places,) the first is the beginning, which all pieces share
    pieces: list[Ints]  # the places of each piece: of its tokens, and of its end
    rules: Rules | None  # of the places after the beginning; none: any token may follow any other

    @classmethod
    def of(cls, sequences: Sequence[Ints], beginning: int, rules: Rules | None) -> Text:
        """The text of these sequences of tokens; without rules, ends of pieces are not learnt."""
        end = [] if rules is None else [END]
        parts = [np.append(sequence, np.array(end, dtype=np.int64)) for sequence in sequences]
        bounds = 1 + np.cumsum([0, *map(len, parts)])
        pieces = [np.arange(*pair) for pair in pairwise(bounds)]
        return cls(np.concatenate([[beginning], *parts]).astype(np.int64), pieces, rules)

    @property
    def size(self) -> int:
        """How many places there are to predict."""
        return len(self.tokens) - 1

    def tokens_at(self, rows: Ints) -> Ints:
        """(windows, time + 1) the tokens of windows of places; -1 in the padding, too."""
        return np.where(rows >= 0, self.tokens[rows], -1)

    def examples(self, rows: Ints, tokens: Ints | None = None, last: int = 0) -> Examples:
        """What windows of places (windows, time + 1) teach; -1 is padding.

        `tokens` are those of the windows, where they differ from the text's. With `last` only so
        many places at the end of each window count.
        """
        tokens = self.tokens_at(rows) if tokens is None else tokens
        held = rows[:, 1:] >= 0
        if last:
            held &= held[:, ::-1].cumsum(axis=1)[:, ::-1] <= last
        places, targets = rows[:, 1:][held] - 1, tokens[:, 1:][held]
        parts = [np.maximum(tokens[:, :-1], 0), held, targets]
        if self.rules is not None:
            ends = np.flatnonzero(targets == END)
            parts += [self.rules.legal(places), ends, self.rules.ending(places[ends])]
        return Examples(*map(token_model.tensor, parts))
