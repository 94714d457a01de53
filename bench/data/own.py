"""A user's own data sets: folders of MIDI files, pinned once and kept in the data folder."""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.data.dataset import SPLITS, Split
from bench.data.manifest import Manifest, pin, read_manifest, write_manifest
from bench.data.pieces import read_pieces, write_pieces
from bench.data.progress_bar import progress_bar
from bench.data.source import Source
from bench.data.splits import distinct, seeded, standard
from bench.errors import BenchError
from bench.music import GRID, LeftOut, MidiError, Score, import_folder
from bench.music.midi import Clock

FOLDER = "added"  # below the data folder
PARTS: dict[Split, float] = {"train": 0.8, "valid": 0.1, "test": 0.1}
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


def sources(data_dir: Path) -> dict[str, Source]:
    """The sets added to this data folder, by name; a broken one is reported and left out."""
    added = {}
    for path in sorted((data_dir / FOLDER).glob("*/manifest.json")):
        try:
            added[path.parent.name] = _source(path)
        except BenchError as error:
            sys.stderr.write(f"{error}\n")
    return added


def _source(path: Path) -> Source:
    name = path.parent.name
    manifest = read_manifest(path)
    pieces = _pieces(path.parent, manifest)
    return Source(
        name=name,
        title=manifest.about.get("title", name),
        version=manifest.version,
        grid=manifest.grid,
        bar=manifest.bar,
        object=manifest.object,
        licence="your own",
        citation="your own",
        obtain=f"Add it again: bench data add {name} FOLDER --force",
        find=lambda _: pieces if pieces.is_file() else None,
        read=lambda _folder, _ids: read_pieces(pieces) or {},
        manifest_path=path,
    )


def _pieces(folder: Path, manifest: Manifest) -> Path:
    return folder / f"pieces-{manifest.fingerprint[:16]}.npz"


@dataclass(frozen=True)
class Added:
    """The data set made of a folder, and the files and pieces that are not part of it."""

    manifest: Manifest
    where: Path
    left_out: tuple[LeftOut, ...]  # files that cannot be read
    repeated: tuple[str, ...]  # pieces that repeat another one


def add(
    name: str,
    folder: Path,
    data_dir: Path,
    *,
    taken: Collection[str],
    clock: Clock = "beats",
    force: bool = False,
    seed: int = 0,
) -> Added:
    """Pin the MIDI files of a folder, and of all folders in it, as a data set of that name.

    Folders `train`, `valid` and `test` in it are its splits; without them it is split 80/10/10 at
    random, and pieces that share much stay together. Of pieces that are the same but for the key
    one is kept: where splits are given, the one that is held out.
    """
    if not NAME.fullmatch(name):
        raise BenchError(
            f"'{name}' cannot be the name of a data set. Use lower-case letters, digits, - and _,"
            " as in my-songs."
        )
    where = data_dir / FOLDER / name
    if name in taken:
        raise BenchError(f"There is a data set called '{name}' already. Choose another name.")
    if (where / "manifest.json").exists() and not force:
        raise BenchError(f"'{name}' was added before: {where}. Give --force to replace it.")
    pieces, left_out = _import(folder, clock)
    given = all((folder / split).is_dir() for split in SPLITS)
    if given:
        left_out += [
            LeftOut(folder / piece, f"{piece}: it is in none of train, valid and test")
            for piece in pieces
            if piece.split("/")[0] not in SPLITS
        ]
        # Held-out pieces first: of two equal pieces the later one is dropped.
        ordered = {p: pieces[p] for split in reversed(SPLITS) for p in standard(pieces)[split]}
        kept = distinct(ordered, contained=False)
        splits = standard(kept)
    else:
        ordered = pieces
        kept = distinct(ordered, contained=False)
        splits = seeded(kept, PARTS, seed)
    if not all(splits.values()):
        raise BenchError(_too_few(folder, kept, left_out, given))
    manifest = pin(
        kept,
        splits,
        name=name,
        version=1,
        grid=GRID,
        bar=4 * GRID,
        object="score",
        about={"title": f"MIDI files of {folder.resolve().name}", "clock": clock},
    )
    _write(where, manifest, {piece: kept[piece] for piece in manifest.ids})
    repeated = tuple(piece for piece in ordered if piece not in kept)
    return Added(manifest, where, tuple(left_out), repeated)


def _import(folder: Path, clock: Clock) -> tuple[dict[str, Score], list[LeftOut]]:
    total = sum(path.suffix.lower() in {".mid", ".midi"} for path in folder.rglob("*"))
    try:
        with progress_bar(f"Reading {folder}", total) as show:
            return import_folder(
                folder, progress=lambda done, _: show(done), clock=clock, grid=GRID
            )
    except MidiError as error:
        raise BenchError(str(error)) from None


def _too_few(folder: Path, kept: Mapping[str, Score], left_out: list[LeftOut], given: bool) -> str:
    reasons = "".join(f"\n  {left.reason}" for left in left_out[:5])
    if given:
        problem = "each of its folders train, valid and test needs a piece that no other has"
    elif len(kept) < len(SPLITS):
        problem = f"it gives {len(kept)} different pieces, and three splits need at least three"
    else:
        problem = "its pieces share so much that none can be held out; split them yourself into"
        problem += " folders train, valid and test"
    return f"{folder} cannot become a data set: {problem}.{reasons}"


def _write(folder: Path, manifest: Manifest, pieces: Mapping[str, Score]) -> None:
    """The manifest is written last: until then the data set that it replaces stays valid."""
    path = _pieces(folder, manifest)
    try:
        write_pieces(path, pieces)
        write_manifest(folder / "manifest.json", manifest)
        for old in folder.glob("pieces-*.npz"):
            if old != path:
                old.unlink(missing_ok=True)
    except OSError as error:
        raise BenchError(
            f"{folder} cannot be written ({error.strerror}). Choose a folder that can be written"
            " with --data-dir."
        ) from None
