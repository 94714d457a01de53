"""What the validity tests found: which metrics may be trusted. Read from beside the board."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from bench.errors import BenchError
from bench.protocol import validity

FILE = "validity.csv"  # what `bench validate` writes


def results(board: Path) -> Sequence[validity.Row]:
    """What `bench validate` left beside a board; nothing where there is no such file."""
    path = board.with_name(FILE)
    try:
        return _results(path, path.stat().st_mtime_ns)
    except OSError:
        return ()


@lru_cache(maxsize=8)
def _results(path: Path, stamp: int) -> tuple[validity.Row, ...]:
    try:
        return tuple(validity.read_csv(path))
    except (BenchError, UnicodeDecodeError):
        return ()  # of another version, or on its way to the disk


def validated(board: Path) -> set[str]:
    """The metrics that were tested and lost no required property."""
    rows = results(board)
    return {name for name in {row.metric for row in rows} if validity.validated(name, rows)}


def verdict(name: str, rows: Sequence[validity.Row]) -> str:
    """How a metric fared, in words."""
    judged = [row for row in rows if row.metric == name and row.kind == "property"]
    if not judged:
        return "no property was tested yet"
    lost = [row for row in judged if not row.holds]
    if not lost:
        return f"passed, all {len(judged)} required properties hold"
    return "failed: " + "; ".join(f"{row.name} ({row.note})" for row in lost)
