"""Chords: every distinct frame of the training pieces is one token (Huang & Wu 2016, section 3.2).

Silence is a chord like any other. Decoding a token restores the frame exactly. A frame that occurs
in no training piece has no token of its own (`bench.encodings.escape` gives it a probability).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.encodings.frames import pack
from bench.errors import BenchError
from bench.music.score import Roll

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ChordVocabulary:
    """The distinct frames of some pieces, in a fixed order; a token is the place in this order."""

    chords: Roll  # (chords, keys), sorted as `pack` sorts
    counts: Ints  # (chords,) steps at which the chord sounds
    pieces: Ints  # (chords,) pieces it occurs in

    @classmethod
    def of(cls, pieces: Sequence[Roll]) -> ChordVocabulary:
        """The vocabulary of pieces given as frames (steps, keys)."""
        if not sum(map(len, pieces)):
            raise BenchError("There is no chord to learn: every training piece is empty.")
        frames = np.concatenate(list(pieces))
        words, first, counts = np.unique(pack(frames), return_index=True, return_counts=True)
        holders = np.zeros(len(words), dtype=np.int64)
        for piece in pieces:
            holders[np.searchsorted(words, np.unique(pack(piece)))] += 1
        return cls(frames[first], counts, holders)

    @cached_property
    def _words(self) -> NDArray[np.void]:
        return pack(self.chords)

    def __len__(self) -> int:
        """The number of chords."""
        return len(self.chords)

    @property
    def unknown(self) -> int:
        """The token of every frame outside the vocabulary."""
        return len(self)

    def encode(self, frames: Roll) -> Ints:
        """(...) the tokens of frames (..., keys)."""
        words = pack(frames)
        places = np.minimum(np.searchsorted(self._words, words), len(self) - 1)
        return np.where(self._words[places] == words, places, self.unknown)

    def decode(self, tokens: NDArray[np.integer[Any]]) -> Roll:
        """(..., keys) the frames of known tokens."""
        chords: Roll = self.chords[tokens]
        return chords
