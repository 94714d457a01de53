"""A manifest pins a data set: which piece is in which split, and the hash of each piece."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.contract import Object
from bench.data.dataset import SPLITS, Dataset, Split
from bench.errors import BenchError
from bench.files import read_json, write_json
from bench.music import Score

DIGITS = 32  # of a piece's SHA-256: 128 bits


@dataclass(frozen=True)
class Manifest:
    """The splits, each a mapping from a piece's id to its content hash's first digits, by id."""

    name: str
    version: int
    grid: int
    bar: int
    object: Object
    splits: Mapping[Split, Mapping[str, str]]
    fingerprint: str  # of the data set as a whole
    made_with: Mapping[str, str] = field(default_factory=dict)  # package -> version that read it
    known_duplicates: tuple[tuple[str, str], ...] = ()  # equal pieces of different splits
    about: Mapping[str, str] = field(default_factory=dict)  # title and clock of a user's own set

    @property
    def ids(self) -> list[str]:
        """The ids of all pieces, split by split."""
        return [piece for split in SPLITS for piece in self.splits[split]]

    @property
    def counts(self) -> dict[Split, int]:
        """The number of pieces per split."""
        return {split: len(self.splits[split]) for split in SPLITS}

    def wrong(self, pieces: Mapping[str, Score]) -> str | None:
        """The id of the first piece that is missing or differs from its hash; none: all agree."""
        for split in SPLITS:
            for piece, digits in self.splits[split].items():
                if piece not in pieces or not pieces[piece].content_hash.startswith(digits):
                    return piece
        return None

    def dataset(self, pieces: Mapping[str, Score]) -> Dataset:
        """The data set of these pieces, which must be the pinned ones."""
        splits = {split: tuple(self.splits[split]) for split in SPLITS}
        kept = {piece: pieces[piece] for piece in self.ids}
        return Dataset(self.name, self.version, self.grid, self.bar, self.object, kept, **splits)

    def check(self) -> None:
        """Raise BenchError if two splits share a piece, by name or by content."""
        allowed = {frozenset(pair) for pair in self.known_duplicates}
        seen: dict[str, tuple[Split, str]] = {}
        names: set[str] = set()
        for split in SPLITS:
            for piece, digits in self.splits[split].items():
                first_split, first = seen.setdefault(digits, (split, piece))
                shared = first_split != split and frozenset((first, piece)) not in allowed
                if shared or piece in names:
                    raise BenchError(
                        f"{self.name}: the splits overlap: {piece} in {split} is"
                        f" {first} in {first_split}. Make the manifest again."
                    )
            names |= self.splits[split].keys()


def pin(
    pieces: Mapping[str, Score],
    splits: Mapping[Split, Iterable[str]],
    *,
    name: str,
    version: int,
    grid: int,
    bar: int,
    object: Object,
    made_with: Mapping[str, str] | None = None,
    known_duplicates: tuple[tuple[str, str], ...] = (),
    about: Mapping[str, str] | None = None,
) -> Manifest:
    """The manifest of these pieces in these splits."""
    hashes: dict[Split, dict[str, str]] = {
        split: {piece: pieces[piece].content_hash[:DIGITS] for piece in sorted(splits[split])}
        for split in SPLITS
    }
    manifest = Manifest(
        name=name,
        version=version,
        grid=grid,
        bar=bar,
        object=object,
        splits=hashes,
        fingerprint="",
        made_with=made_with or {},
        known_duplicates=known_duplicates,
        about=about or {},
    )
    manifest.check()
    return replace(manifest, fingerprint=manifest.dataset(pieces).fingerprint)


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write the manifest to `path`."""
    write_json(path, {field: value for field, value in vars(manifest).items() if value})


def read_manifest(path: Path) -> Manifest:
    """The manifest in the file; BenchError where it is absent or broken, or its splits overlap."""
    content = read_json(path)
    try:
        if not isinstance(content, dict):
            raise TypeError("it holds no JSON object")
        pairs = [(str(a), str(b)) for a, b in content.pop("known_duplicates", [])]
        splits = content.pop("splits")
        content["splits"] = {split: dict(sorted(splits.get(split, {}).items())) for split in SPLITS}
        manifest = Manifest(**content, known_duplicates=tuple(pairs))
        hashes = [digits for split in SPLITS for digits in manifest.splits[split].values()]
        if not _hex(manifest.fingerprint, 64) or not all(_hex(h, DIGITS) for h in hashes):
            raise ValueError("a hash is missing or too short")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BenchError(
            f"{path} is no manifest of a data set ({error}). Reinstall musicbench; if it is a data"
            " set of your own, run `bench data add` again with --force."
        ) from None
    manifest.check()
    return manifest


def _hex(text: str, digits: int) -> bool:
    return re.fullmatch(rf"[0-9a-f]{{{digits}}}", text) is not None
