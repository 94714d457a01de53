"""How much of the held-out pieces of a data set occurs in its training pieces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bench.data.dataset import SPLITS, Dataset, Split
from bench.data.similarity import QUARTERS, Hashes, shares, windows


@dataclass(frozen=True)
class Leak:
    """A held-out piece, and how much of it occurs in train, in any key."""

    piece: str
    split: Split
    share: float  # of its windows that occur anywhere in train
    nearest: str  # the training piece that has most of them
    nearest_share: float


@dataclass(frozen=True)
class Audit:
    """What the splits share: pieces that are equal note for note, and held-out pieces that leak."""

    name: str
    window: int  # steps
    equal: tuple[tuple[str, str], ...]
    leaks: tuple[Leak, ...]  # the largest share first
    mean: dict[Split, float]  # share of a held-out piece that occurs in train, on average


def audit(data: Dataset, least: float = 0.2) -> Audit:
    """Compare the held-out pieces with train; `least` is the share from which one is listed."""
    train = [windows(score) for score in data.split("train")]
    everything = np.unique(np.concatenate([np.zeros(0, dtype=np.uint64), *train]))
    leaks: list[Leak] = []
    mean: dict[Split, float] = {}
    for split in SPLITS[1:]:
        ids: tuple[str, ...] = getattr(data, split)
        held_out = [windows(score) for score in data.split(split)]
        share = [_occurring(h, everything) for h in held_out]
        mean[split] = float(np.mean(share)) if share else 0.0
        listed = [i for i in range(len(ids)) if share[i] >= least]
        by_piece = shares([held_out[i] for i in listed], train)
        for i, row in zip(listed, by_piece, strict=True):
            nearest = int(row.argmax())
            leaks.append(Leak(ids[i], split, share[i], data.train[nearest], float(row[nearest])))
    leaks.sort(key=lambda leak: -leak.share)
    return Audit(data.name, QUARTERS * data.grid, _equal(data), tuple(leaks), mean)


def _occurring(hashes: Hashes, everything: Hashes) -> float:
    """The share of the hashes that are among the sorted ones."""
    if not len(hashes) or not len(everything):
        return 0.0
    nearest = np.searchsorted(everything, hashes).clip(max=len(everything) - 1)
    return float((everything[nearest] == hashes).mean())


def _equal(data: Dataset) -> tuple[tuple[str, str], ...]:
    first: dict[str, str] = {}
    pairs = []
    for piece, score in data.pieces.items():
        earlier = first.setdefault(score.content_hash, piece)
        if earlier != piece:
            pairs.append((earlier, piece))
    return tuple(pairs)
