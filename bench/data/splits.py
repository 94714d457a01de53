"""Which pieces a data set keeps, and how they are split."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bench.data.dataset import SPLITS, Split
from bench.data.similarity import alike, groups, windows
from bench.music import Score

PARTS: dict[Split, float] = {"train": 0.7, "valid": 0.15, "test": 0.15}


def standard(pieces: Mapping[str, Score]) -> dict[Split, list[str]]:
    """The splits that the ids name: `train-000`, `valid/tune`."""
    return {
        split: [i for i in pieces if i.startswith((f"{split}-", f"{split}/"))] for split in SPLITS
    }


def distinct(pieces: Mapping[str, Score], *, contained: bool = True) -> dict[str, Score]:
    """The pieces without those that repeat another, in any key; of equal pieces the first is kept.

    A piece repeats another if all of its windows occur there; with `contained` false only if the
    reverse holds too.
    """
    hashes = [windows(score) for score in pieces.values()]
    within = {(int(i), int(j)) for i, j in alike(hashes, 1.0)}
    kept = [bool(len(h)) for h in hashes]
    for i, j in sorted(within):
        mutual = (j, i) in within
        if kept[j] and ((mutual and j < i) or (contained and not mutual)):
            kept[i] = False
    return {piece: pieces[piece] for piece, keep in zip(pieces, kept, strict=True) if keep}


def seeded(
    pieces: Mapping[str, Score], parts: Mapping[Split, float] = PARTS, seed: int = 0
) -> dict[Split, list[str]]:
    """Random splits; pieces that share too much stay together.

    Groups are assigned in random order, each to the split that lacks most of its share; large
    groups come first, as later they would fit nowhere.
    """
    labels = np.array(groups(pieces))
    ids = list(pieces)
    order = np.random.default_rng(seed).permutation(np.unique(labels))
    size = {label: int((labels == label).sum()) for label in order}
    splits: dict[Split, list[str]] = {split: [] for split in SPLITS}
    for label in sorted(order, key=lambda label: -size[label]):
        lacks = {split: parts[split] * len(ids) - len(splits[split]) for split in SPLITS}
        most = max(SPLITS, key=lambda split: lacks[split] / parts[split])
        splits[most] += [ids[i] for i in np.flatnonzero(labels == label)]
    return splits


def equal_across(
    pieces: Mapping[str, Score], splits: Mapping[Split, list[str]]
) -> list[tuple[str, str]]:
    """The pairs of equal pieces in different splits."""
    first: dict[str, tuple[Split, str]] = {}
    pairs = []
    for split in SPLITS:
        for piece in splits[split]:
            first_split, earlier = first.setdefault(pieces[piece].content_hash, (split, piece))
            if first_split != split:
                pairs.append((earlier, piece))
    return pairs
