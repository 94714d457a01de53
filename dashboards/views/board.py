"""A leaderboard file as the pages show it. Reads whatever is there and says what is wrong with it."""

from __future__ import annotations

import csv
import hashlib
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from bench.board.rows import (
    COLUMNS,
    Board,
    Columns,
    Group,
    MetricCells,
    Row,
    hash_of,
    metrics_of,
    read_csv,
)
from bench.errors import BenchError

NEEDED = ("system", "dataset", "preset")  # without them a row cannot be placed


@dataclass(frozen=True)
class BoardFile:
    """The board in a file, and what a reader must know about it."""

    board: Board = field(default_factory=Board)
    notes: tuple[str, ...] = ()
    digest: str = ""  # SHA-256 of the file

    @property
    def rows(self) -> tuple[Row, ...]:
        """The rows of the board."""
        return self.board.rows

    @property
    def groups(self) -> tuple[Group, ...]:
        """The rows that may be compared, group by group."""
        return self.board.groups


def digest_of(path: Path) -> str:
    """SHA-256 of a file; empty where it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


def read(path: Path) -> BoardFile:
    """The board at `path`. It never fails: the notes say what cannot be shown."""
    digest = digest_of(path)
    if not digest:
        return BoardFile(notes=(f"There is no leaderboard yet: {path.name} was not found.",))
    notes: list[str] = []
    try:
        rows: Sequence[Row] = read_csv(path).rows
    except (BenchError, ValueError, csv.Error):
        rows, notes = salvage(path.read_bytes().decode(errors="replace"))
    if not rows:
        notes.append(f"{path.name} has no complete row yet.")
    changed = sum(row.row_hash != hash_of(row) for row in rows)
    if changed and not notes:
        notes.append(
            f"{counted(changed, 'row')} of {path.name} changed after it was written: the figures"
            " do not fit their checksum. `bench verify` says which."
        )
    return BoardFile(Board(tuple(map(finite, rows))), tuple(notes), digest)


def finite(row: Row) -> Row:
    """The row with nothing where a figure is not a number."""
    columns = {
        name: None
        for name in COLUMNS
        if isinstance(value := getattr(row, name), float) and not math.isfinite(value)
    }
    metrics = {
        name: replace(
            cells,
            **{
                part.name: None
                for part in fields(MetricCells)
                if (value := getattr(cells, part.name)) is not None and not math.isfinite(value)
            },
        )
        for name, cells in row.metrics.items()
    }
    return row.model_copy(update={**columns, "metrics": metrics})


def salvage(text: str) -> tuple[list[Row], list[str]]:
    """What can be read of a board that is half-written or of another schema, and what was lost.

    A cell that is missing or cannot be read is blank in its row, whatever its column asks for.
    """
    table = csv.DictReader(io.StringIO(text.replace("\0", "")), restkey="")
    rows, dropped, unread = [], 0, 0
    names = set(table.fieldnames or ())
    missing = [name for name in COLUMNS if name not in names]
    try:
        lines = list(table)
    except csv.Error:
        return [], ["The file is no table of comma-separated values."]
    for cells in lines:
        if "" in cells or None in cells.values() or not all(cells.get(name) for name in NEEDED):
            dropped += 1
            continue
        fixed: dict[str, Any] = {}
        for name in COLUMNS:
            fixed[name], bad = parsed(name, cells.get(name) or "")
            unread += bad
        figures: dict[str, float | None] = {}
        for name in (name for name in cells if name not in _TYPES):
            figures[name], bad = parsed(name, cells[name] or "")
            unread += bad
        rows.append(Row.model_construct(**fixed, metrics=metrics_of(figures)))
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


_TYPES: dict[str, TypeAdapter[Any]] = {
    name: TypeAdapter(field.rebuild_annotation()) for name, field in Columns.model_fields.items()
}
_TEXT = {name for name, field in Columns.model_fields.items() if field.annotation is str}


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


# -- groups of rows that may be compared ----------------------------------------------------------


def protocol_of(group: Group) -> str:
    """What all rows of a group did, in words."""
    row = group.rows[0]
    how = "starting from nothing" if row.prompted is False else "continuing one bar of music"
    return f"{row.pieces} samples of {row.steps} steps per seed, {how}." if row.pieces else ""


def file_name(group: Group) -> str:
    """The group's title as files carry it."""
    return group.title.replace(" ", "-")


def ended_first(group: Group) -> list[Row]:
    """The rows to begin with: those that ended well, floors and ceiling last."""
    ended = [row for row in group.rows if row.seeds]
    return sorted(ended or group.rows, key=lambda row: row.is_scale)


def metric_names(rows: Sequence[Row]) -> list[str]:
    """The metrics that the rows have cells of."""
    return sorted({name for row in rows for name in row.metrics})


def chosen(rows: Sequence[Row], kinds: Sequence[str], search: str) -> list[Row]:
    """The rows of these kinds (none given: all) whose name, paper or kind has every word."""
    words = search.lower().split()

    def matches(row: Row) -> bool:
        text = f"{row.paper} {row.kind} {row.status}{row.name}"
        return all(word in text.lower() for word in words)

    return [row for row in rows if (not kinds or row.kind in kinds) and matches(row)]


def front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Which points no other beats: smaller first coordinates and larger second ones are better."""
    order = sorted(range(len(points)), key=lambda i: (points[i][0], -points[i][1]))
    best, kept = -math.inf, []
    for i in order:
        if points[i][1] > best:
            best = points[i][1]
            kept.append(i)
    return kept
