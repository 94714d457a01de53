"""Makes manifests: removes duplicates, splits, writes down every hash.

For those who change a data set: `python -m bench.data.pin NAME ...` makes its manifest anew. Raise
the version when you do, for results on the old one cannot be compared with results on the new.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping

import numpy as np

from bench.data import folders
from bench.data.dataset import SPLITS, Split
from bench.data.library import source
from bench.data.manifest import Manifest, pin, write_manifest
from bench.data.similarity import alike, groups, windows
from bench.data.source import Source
from bench.errors import BenchError
from bench.music import Score

PARTS: dict[Split, float] = {"train": 0.7, "valid": 0.15, "test": 0.15}


def standard(pieces: Mapping[str, Score]) -> dict[Split, list[str]]:
    """The splits that the ids themselves name: `train-000`, `valid/tune`."""
    return {split: [i for i in pieces if i.startswith(split)] for split in SPLITS}


def distinct(pieces: Mapping[str, Score]) -> dict[str, Score]:
    """The pieces without those that add nothing: all of it occurs in another, in whatever key.

    Of two that hold the same the first stays.
    """
    hashes = [windows(score) for score in pieces.values()]
    within = {(int(i), int(j)) for i, j in alike(hashes, 1.0)}
    kept = [bool(len(h)) for h in hashes]
    for i, j in sorted(within):
        if kept[j] and (j < i or (j, i) not in within):
            kept[i] = False
    return {piece: pieces[piece] for piece, keep in zip(pieces, kept, strict=True) if keep}


def seeded(
    pieces: Mapping[str, Score], parts: Mapping[Split, float] = PARTS, seed: int = 0
) -> dict[Split, list[str]]:
    """Splits at random; pieces that share too much stay together.

    Groups are dealt out in random order, each to the split that lacks most of its share; the
    large groups come first, for they would fit nowhere later.
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
    """The pairs of equal pieces that lie in different splits."""
    first: dict[str, tuple[Split, str]] = {}
    pairs = []
    for split in SPLITS:
        for piece in splits[split]:
            where, earlier = first.setdefault(pieces[piece].content_hash, (split, piece))
            if where != split:
                pairs.append((earlier, piece))
    return pairs


def make(it: Source, pieces: Mapping[str, Score]) -> Manifest:
    """The manifest of a source whose pieces these are."""
    if not it.standard:
        pieces = distinct(pieces)
    splits = standard(pieces) if it.standard else seeded(pieces)
    known = equal_across(pieces, splits) if it.standard else []
    return pin(
        pieces,
        splits,
        name=it.name,
        version=it.version,
        grid=it.grid,
        bar=it.bar,
        object=it.object,
        made_with=it.versions(),
        known_duplicates=tuple(known),
    )


def main() -> None:
    """Make the manifests of the data sets named on the command line."""
    for name in sys.argv[1:]:
        it = source(name)
        if it.find(folders.data_dir()) is None:
            raise BenchError(f"{name} is not in {folders.data_dir()}. {it.obtain}")
        manifest = make(it, it.read(folders.data_dir(), None))
        write_manifest(it.manifest, manifest)
        sys.stdout.write(f"{it.manifest}: {manifest.counts}\n")


if __name__ == "__main__":
    main()
