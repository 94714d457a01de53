"""A leaderboard file as the pages show it. Reads whatever is there and says what is wrong with it."""

from __future__ import annotations

import csv
import hashlib
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from bench.board import build as board
from bench.errors import BenchError

Cells = Mapping[str, Any]

HUMAN = ("human_rating", "believability")  # columns that a closed survey adds
NEEDED = ("system", "dataset", "preset")  # without them a row cannot be placed
SUFFIXES = ("_low", "_high", "_skill")


@dataclass(frozen=True)
class Board:
    """The rows of a board file, and what a reader must know about it."""

    rows: tuple[Cells, ...] = ()
    notes: tuple[str, ...] = ()
    digest: str = ""  # SHA-256 of the file


def digest_of(path: Path) -> str:
    """SHA-256 of a file; empty where it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


def read(path: Path) -> Board:
    """The board at `path`. It never fails: what cannot be shown is said in the notes."""
    digest = digest_of(path)
    if not digest:
        return Board(notes=(f"There is no leaderboard yet: {path.name} was not found.",))
    notes: list[str] = []
    try:
        rows = board.read_csv(path)
    except (BenchError, ValueError, csv.Error):
        rows, notes = salvage(path.read_bytes().decode(errors="replace"))
    if not rows:
        notes.append(f"{path.name} has no complete row yet.")
    changed = sum(row["row_hash"] != board.hash_of(row) for row in rows)
    if changed and not notes:
        notes.append(
            f"{counted(changed, 'row')} of {path.name} changed after it was written: the figures"
            " do not fit their checksum. `bench verify` says which."
        )
    return Board(tuple(finite(row) for row in rows), tuple(notes), digest)


def finite(row: Cells) -> dict[str, Any]:
    """The row with nothing where a figure is not a number."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in row.items()
    }


def salvage(text: str) -> tuple[list[dict[str, Any]], list[str]]:
    """What can be read of a board that is half-written or of another schema, and what was lost."""
    table = csv.DictReader(io.StringIO(text.replace("\0", "")), restkey="")
    rows, dropped, unread = [], 0, 0
    names = set(table.fieldnames or ())
    missing = [name for name in board.Row.model_fields if name not in names]
    try:
        lines = list(table)
    except csv.Error:
        return [], ["The file is no table of comma-separated values."]
    for cells in lines:
        if "" in cells or None in cells.values() or not all(cells.get(name) for name in NEEDED):
            dropped += 1
            continue
        row: dict[str, Any] = {}
        for name in (*board.Row.model_fields, *(n for n in cells if n not in _TYPES)):
            row[name], bad = parsed(name, cells.get(name) or "")
            unread += bad
        rows.append(row)
    notes = []
    if missing and rows:
        notes.append(
            "The file was written by another version of musicbench. It lacks "
            f"{', '.join(missing)}; these cells are blank."
        )
    if dropped:
        notes.append(f"{counted(dropped, 'incomplete line')} left out: was the file cut short?")
    if unread:
        notes.append(f"{counted(unread, 'cell')} could not be read and {are(unread)} blank.")
    return rows, notes


def counted(count: int, noun: str) -> str:
    """A number with its noun: '1 row', '2 rows'."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def are(count: int) -> str:
    """The verb that goes with a number."""
    return "is" if count == 1 else "are"


_TYPES = {
    name: TypeAdapter(field.rebuild_annotation()) for name, field in board.Row.model_fields.items()
}
_TEXT = {name for name, field in board.Row.model_fields.items() if field.annotation is str}


def parsed(name: str, cell: str) -> tuple[Any, bool]:
    """A cell's value, and whether it could not be read."""
    blank = "" if name in _TEXT else None
    if cell == "":
        return blank, False
    try:
        value = _TYPES[name].validate_python(cell) if name in _TYPES else float(cell)
    except (ValidationError, ValueError):
        return blank, True
    return value, False


# -- tables: the rows that share a data set, a preset and a protocol -----------------------------


@dataclass(frozen=True)
class Table:
    """Rows that may be compared with each other."""

    title: str  # also in addresses
    rows: tuple[Cells, ...]

    @property
    def protocol(self) -> str:
        """What all its rows did, in words."""
        row = self.rows[0]
        how = (
            "continuing one bar of music" if row.get("prompted", True) else "starting from nothing"
        )
        if not row.get("pieces"):
            return ""
        return f"{row['pieces']} samples of {row['steps']} steps per seed, {how}."

    @property
    def file_name(self) -> str:
        """The title as files carry it."""
        return self.title.replace(" ", "-")

    @property
    def contestants(self) -> list[Cells]:
        """The rows to begin with: those that ended well, floors and ceiling last."""
        ended = [row for row in self.rows if row["seeds"]]
        scale = ("floor", "ceiling")
        return sorted(ended or self.rows, key=lambda row: row["kind"] in scale)

    @property
    def names(self) -> list[str]:
        """The contestants."""
        return [name_of(row) for row in self.rows]

    def row(self, name: str) -> Cells | None:
        """The row of a contestant."""
        return next((row for row in self.rows if name_of(row) == name), None)


def tables(rows: Sequence[Cells]) -> list[Table]:
    """The board cut into tables, in the board's order."""
    groups: dict[tuple[Any, ...], list[Cells]] = {}
    for row in rows:
        shared = ("dataset", "dataset_fingerprint", "preset", "pieces", "steps", "prompted")
        groups.setdefault(tuple(row.get(name) for name in shared), []).append(row)
    short = [(row[0]["dataset"], row[0]["preset"]) for row in groups.values()]
    found: list[Table] = []
    for members in groups.values():
        first = members[0]
        title = f"{first['dataset']} {first['preset']}"
        if short.count((first["dataset"], first["preset"])) > 1:
            prompt = "" if first.get("prompted", True) else " unprompted"
            title += f" {first['pieces']}x{first['steps']}{prompt}"
        if any(one.title == title for one in found):  # another version of the data
            title += f" data {str(first.get('dataset_fingerprint') or '')[:6]}"
        found.append(Table(title, tuple(members)))
    return found


def name_of(row: Cells) -> str:
    """What a contestant is called, in tables and in addresses."""
    published = row.get("variant") == "as-published"
    return str(row["system"]) + (" (as published)" if published else "")


def metric_names(rows: Sequence[Cells]) -> list[str]:
    """The metrics that the board has columns for."""
    names = {name for row in rows for name in row} - set(board.Row.model_fields)
    return sorted(name for name in names if f"{name}_low" in names and name not in HUMAN)


def chosen(rows: Sequence[Cells], kinds: Sequence[str], search: str) -> list[Cells]:
    """The rows of these kinds (none given: all) whose name, paper or kind has every word."""
    words = search.lower().split()

    def matches(row: Cells) -> bool:
        text = " ".join(str(row.get(n) or "") for n in ("paper", "kind", "status")) + name_of(row)
        return all(word in text.lower() for word in words)

    return [row for row in rows if (not kinds or row.get("kind") in kinds) and matches(row)]


def front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Which points no other beats: smaller first coordinates and larger second ones are better."""
    order = sorted(range(len(points)), key=lambda i: (points[i][0], -points[i][1]))
    best, kept = -math.inf, []
    for i in order:
        if points[i][1] > best:
            best = points[i][1]
            kept.append(i)
    return kept
