"""Pieces in one file: an .npz of plain arrays, the notes of all pieces one after the other."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from bench.files import replacing
from bench.music import Score

NOTE = {"onset": np.int32, "duration": np.int32, "pitch": np.uint8, "velocity": np.uint8}


def write_pieces(path: Path, pieces: Mapping[str, Score]) -> None:
    """Write the pieces to `path`, all or none."""
    scores = list(pieces.values())
    arrays = {
        name: np.concatenate([np.zeros(0, kind), *(getattr(s, name) for s in scores)]).astype(kind)
        for name, kind in NOTE.items()
    }
    arrays["notes"] = np.array([len(s) for s in scores], dtype=np.int64)
    arrays["length"] = np.array([s.length for s in scores], dtype=np.int64)
    arrays["grid"] = np.array([s.grid for s in scores], dtype=np.int64)
    arrays["id"] = np.array(list(pieces), dtype=np.str_)
    with replacing(path) as temporary:
        np.savez(temporary, **arrays)  # type: ignore[arg-type]


def read_pieces(path: Path) -> dict[str, Score] | None:
    """The pieces in the file; none where there is no file or it is damaged.

    The pieces are valid, but not necessarily the right ones: compare their hashes.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in (*NOTE, "notes", "length", "grid", "id")}
        ends = np.cumsum(arrays["notes"])
        pieces = {}
        for i, piece in enumerate(arrays["id"]):
            part = slice(ends[i] - arrays["notes"][i], ends[i])
            onset, duration, pitch, velocity = (arrays[name][part] for name in NOTE)
            length, grid = int(arrays["length"][i]), int(arrays["grid"][i])
            pieces[str(piece)] = Score(onset, duration, pitch, velocity, length, grid)
    except (OSError, EOFError, KeyError, ValueError, IndexError, TypeError, AttributeError):
        return None
    except (zipfile.BadZipFile, zlib.error, OverflowError, MemoryError):
        return None
    return pieces
