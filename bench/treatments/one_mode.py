"""Major only, minor only (Sokolov et al. 2016, section 2.2): fewer pieces, more alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.contract import Budget, Log
from bench.errors import BenchError
from bench.music import Score
from bench.music.key import key
from bench.treatments.treatment import Treatment


class OneMode(Treatment):
    """Trains the wrapped system on the pieces of one mode, by the key finder.

    Where no piece is in that mode it learns from all, and says so.
    """

    def __init__(self, *, wrapped: Mapping[str, Any], mode: str) -> None:
        if mode not in ("major", "minor"):
            raise BenchError(f"mode = '{mode}': choose major or minor.")
        super().__init__(wrapped=wrapped, mode=mode)
        self.mode = mode

    def fit(
        self, train: Sequence[Score], valid: Sequence[Score], budget: Budget, seed: int, log: Log
    ) -> None:
        """Choose the pieces, train the wrapped system on them."""
        chosen, held_out = self.of_mode(train), self.of_mode(valid)
        print(f"{len(chosen)} of {len(train)} training pieces are in {self.mode}.")
        self.inner.fit(chosen or train, held_out or valid, budget, seed, log)

    def of_mode(self, pieces: Sequence[Score]) -> list[Score]:
        """Those of the pieces that are in the mode."""
        found = [(piece, key(piece)) for piece in pieces]
        return [piece for piece, its in found if its is not None and its.mode == self.mode]
