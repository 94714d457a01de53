"""What the validity tests found: which metrics may be trusted. Read from beside the board."""

from __future__ import annotations

import csv
from functools import lru_cache
from pathlib import Path

FILE = "validity.csv"  # what `bench validate` writes; one line per metric and corruption
PASSED = {"true", "yes", "1", "ok", "passed"}


def ladder(board: Path) -> list[dict[str, str]]:
    """The lines of the validity file beside a board; none where there is no such file."""
    path = board.with_name(FILE)
    try:
        return _lines(path, path.stat().st_mtime_ns)
    except OSError:
        return []


@lru_cache(maxsize=8)
def _lines(path: Path, stamp: int) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return [
                {k: v or "" for k, v in line.items() if isinstance(k, str)}
                for line in csv.DictReader(file)
                if line.get("metric")
            ]
    except (OSError, csv.Error, UnicodeDecodeError):
        return []


def validated(board: Path) -> set[str]:
    """The metrics that lost no required property."""
    lines = ladder(board)
    tested = {line["metric"] for line in lines}
    lost = {
        line["metric"]
        for line in lines
        if line.get("passed", "") and line["passed"].lower() not in PASSED
    }
    return tested - lost
