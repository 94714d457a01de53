"""A data set: pieces in pinned splits."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from bench.contract import Object
from bench.music import Score

Split = Literal["train", "valid", "test"]
SPLITS: tuple[Split, ...] = ("train", "valid", "test")


@dataclass(frozen=True)
class Dataset:
    """Pieces by id, and the ids of each split. Known duplicates aside, splits share no content."""

    name: str
    version: int
    grid: int  # steps per quarter note
    bar: int  # steps per bar
    object: Object  # what a piece is: a score, or frames only
    pieces: Mapping[str, Score]
    train: tuple[str, ...]
    valid: tuple[str, ...]
    test: tuple[str, ...]

    def split(self, name: Split) -> list[Score]:
        """The pieces of a split, in its pinned order."""
        ids: tuple[str, ...] = getattr(self, name)
        return [self.pieces[piece] for piece in ids]

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over name, version, splits and every piece's content."""
        digest = hashlib.sha256(f"{self.name} {self.version} {self.grid} {self.bar}\n".encode())
        for split in SPLITS:
            for piece in getattr(self, split):
                digest.update(f"{split} {piece} {self.pieces[piece].content_hash}\n".encode())
        return digest.hexdigest()
