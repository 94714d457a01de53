"""Data sets of one's own: a folder of MIDI files, pinned once and kept in the data folder."""

from __future__ import annotations

from pathlib import Path

from bench.data.manifest import read_manifest
from bench.data.pieces import read_pieces
from bench.data.source import Source

FOLDER = "added"  # below the data folder


def sources(data_dir: Path) -> dict[str, Source]:
    """The sets that were added to this data folder, by name."""
    return {
        path.parent.name: _source(path)
        for path in sorted((data_dir / FOLDER).glob("*/manifest.json"))
    }


def _source(path: Path) -> Source:
    manifest = read_manifest(path)
    pieces = path.parent / "pieces.npz"
    name = path.parent.name
    return Source(
        name=name,
        title=manifest.about.get("title", name),
        version=manifest.version,
        grid=manifest.grid,
        bar=manifest.bar,
        object=manifest.object,
        licence="your own",
        citation="",
        obtain=f"Add it again: bench data add {name} FOLDER --force",
        find=lambda _: pieces if pieces.is_file() else None,
        read=lambda _folder, _ids: read_pieces(pieces) or {},
        manifest_path=path,
    )
