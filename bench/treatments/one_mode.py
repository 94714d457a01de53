"""Major only, minor only (Sokolov et al. 2016, section 2.2): fewer pieces, more alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bench.contract import Budget, Log
from bench.music import Score
from bench.music.key import key
from bench.treatments.treatment import Teaching


class OneMode(Teaching):
    """Trains the wrapped system on the pieces of one mode, by the key finder.

    If no piece is in that mode, it learns from all; it prints how many pieces are. The validation
    pieces are of both modes, as the test pieces.
    """

    @dataclass(frozen=True)
    class Settings(Teaching.Settings):
        """Which pieces to learn from."""

        mode: Literal["major", "minor"]

    settings: Settings

    def fit(
        self, train: Sequence[Score], valid: Sequence[Score], budget: Budget, seed: int, log: Log
    ) -> None:
        """Choose the pieces and train the wrapped system on them."""
        chosen = self.of_mode(train)
        print(f"{len(chosen)} of {len(train)} training pieces are in {self.settings.mode}.")
        self.inner.fit(chosen or train, valid, budget, seed, log)

    def of_mode(self, pieces: Sequence[Score]) -> list[Score]:
        """The pieces that are in the mode."""
        keys = [key(piece) for piece in pieces]
        return [
            piece
            for piece, own in zip(pieces, keys, strict=True)
            if own is not None and own.mode == self.settings.mode
        ]
