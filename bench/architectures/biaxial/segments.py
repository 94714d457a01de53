"""Segments of pieces for training the biaxial networks: 128 steps from a bar line on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from bench.music.score import Roll


class Batch(NamedTuple):
    """Segments side by side; steps beyond the end of a piece do not count."""

    states: Tensor  # (batch, time, keys, 2) one step before `following`
    following: Tensor  # (batch, time, keys, 2)
    step: Tensor  # (batch, time) of `states`, -1 before the piece
    bar: Tensor  # (batch, 1)
    counts: Tensor  # (batch, time) 1 inside the piece


class Segments:
    """All segments of some pieces that begin at a bar line."""

    def __init__(
        self, pieces: Sequence[Roll], grids: Sequence[int], length: int, opening: bool
    ) -> None:
        self.pieces, self.length, self.opening = pieces, length, opening
        self.bars = [4 * grid for grid in grids]
        self.places = [
            (piece, start)
            for piece, (states, bar) in enumerate(zip(self.pieces, self.bars, strict=True))
            if len(states) > (not opening)
            for start in range(0, max(len(states) - length + bar, 1), bar)
        ]

    def __len__(self) -> int:
        return len(self.places)

    def batch(self, chosen: Iterable[int]) -> Batch:
        """The segments with these numbers."""
        return self.cut([self.places[place] for place in chosen])

    def cut(self, places: Sequence[tuple[int, int]]) -> Batch:
        """The segments that begin at these pieces and steps; short ones are padded."""
        # The step before the first predicted one: -1 where the opening of a piece is predicted.
        first = [start - self.opening for _, start in places]
        parts = [
            self.pieces[piece][max(0, begin) : begin + self.length + 1]
            for (piece, _), begin in zip(places, first, strict=True)
        ]
        ends = [len(part) + (begin < 0) for part, begin in zip(parts, first, strict=True)]
        rolls = np.zeros((len(places), max(ends), *self.pieces[0].shape[1:]), dtype=np.float32)
        counts = np.zeros(rolls.shape[:2], dtype=np.float32)
        for row, (part, end) in enumerate(zip(parts, ends, strict=True)):
            rolls[row, end - len(part) : end] = part
            counts[row, :end] = 1
        step = np.array(first)[:, None] + np.arange(max(ends) - 1)
        bars = np.array([[self.bars[piece]] for piece, _ in places])
        arrays = [rolls[:, :-1], rolls[:, 1:], step, bars, counts[:, 1:]]
        return Batch(*(torch.from_numpy(np.ascontiguousarray(array)) for array in arrays))
