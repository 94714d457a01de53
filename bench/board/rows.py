"""The rows of a leaderboard, and the board they make: typed inside, plain cells in a CSV file."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bench import registry
from bench.contract import Floats
from bench.errors import BenchError
from bench.protocol.statistics import Retraining
from bench.registry import Size

Cell = str | int | float | bool | None

# Columns that boards of an older version lack.
SURVEYED = (
    "human_rating", "human_rating_low", "human_rating_high", "believability", "survey",
)  # fmt: skip
QUESTIONS = ("likely", "notes", "form", "prompt", "other")
LATER = (
    "skill_note", *(f"skill_{question}" for question in QUESTIONS), "copying", "spread", "same_as",
    *SURVEYED, "frame_accuracy", "frame_accuracy_low", "frame_accuracy_high",
    "vocabulary", "tokens",
)  # fmt: skip


class Columns(BaseModel):
    """The columns that every row has, in the order of the file. Empty means: there is no value.

    After them come, for each metric, METRIC, METRIC_low, METRIC_high, METRIC_pieces (the samples
    of all seeds that have a value) and, where the metric is a headline one, METRIC_skill.
    """

    model_config = ConfigDict(extra="forbid")

    system: str
    kind: str
    variant: str
    paper: str = ""
    dataset: str
    dataset_version: int
    preset: str
    status: str  # ok, partial (some seeds failed), copies, or how it failed
    rank: int | None = None
    rank_low: int | None = None
    rank_high: int | None = None
    skill: float | None = None
    skill_low: float | None = None
    skill_high: float | None = None
    skill_coverage: str = ""  # headline metrics that have a skill, of all
    skill_note: str = ""  # why the others have none, where anything was scored
    skill_likely: float | None = None  # by question: is it likely music?
    skill_notes: float | None = None  # its notes and chords
    skill_form: float | None = None  # its form
    skill_prompt: float | None = None  # does it belong to its prompt?
    skill_other: float | None = None  # by metrics from outside
    copying: str = ""  # the evidence, where the samples are not the contestant's own
    human_rating: float | None = None  # by blind listeners, 1 to 10
    human_rating_low: float | None = None
    human_rating_high: float | None = None
    believability: float | None = None  # share of answers that a human could have composed it
    survey: str = ""  # where the ratings come from
    nats_per_step: float | None = None
    nats_per_step_low: float | None = None
    nats_per_step_high: float | None = None
    likelihood_kind: str = ""
    likelihood_object: str = ""
    likelihood_note: str = ""  # why there is none
    likelihood_pieces: int | None = None
    bits_per_note: float | None = None
    bits_per_note_low: float | None = None
    bits_per_note_high: float | None = None
    frame_accuracy: float | None = None  # of frame systems: of the next frame, given those before
    frame_accuracy_low: float | None = None
    frame_accuracy_high: float | None = None
    seeds: int  # that ended well
    # How the intervals know what another training run would do: from its own seeds (and those of
    # the group), pooled over the group's, assumed where that has none; none: nothing is trained.
    spread: str = ""
    same_as: str = ""  # the row of the group whose samples are the same: only that one is ranked
    pieces: int  # samples per seed
    steps: int  # per sample
    prompted: bool
    size: Size = "full"  # of the networks: the paper's, or what the preset affords
    parameters: int | None = None
    vocabulary: int | None = None  # of systems of tokens: different ones in the training pieces
    tokens: int | None = None  # and how many there are
    budget: int
    budget_unit: str
    # Of the music in the paper's training, what was really seen; empty: the paper names no budget.
    budget_share: float | None = None
    music_steps: int | None = None  # steps of music seen in training
    train_seconds: float | None = None
    sample_seconds: float | None = None
    peak_memory_mb: int | None = None
    device: str
    hardware: str = ""
    threads: int | None = None
    date: str = ""  # of the last result
    commit: str = ""
    versions: str = ""
    dataset_fingerprint: str
    metric_versions: str = ""
    stale: str = (
        ""  # metrics with a newer version than the one that scored; "copying": no present report
    )
    failure: str = ""
    jobs: str  # ids of the jobs behind the row
    row_hash: str = ""  # SHA-256 of all other cells


COPIES = "copies"  # the status of a row whose samples are not the contestant's own
COLUMNS = tuple(Columns.model_fields)


@dataclass(frozen=True)
class MetricCells:
    """The cells of one metric in a row."""

    value: float | None = None  # the mean over seeds
    low: float | None = None  # of its 95 % interval
    high: float | None = None
    pieces: float | None = None  # the samples of all seeds that have a value
    skill: float | None = None  # 0 at the floor, 1 at the ceiling


EMPTY = MetricCells()
PARTS = ("", "_low", "_high", "_pieces", "_skill")  # of a metric's columns, as in MetricCells


@dataclass
class Evidence:
    """What a row's figures rest on, where the row was built from jobs; empty for one from a file."""

    anchor: Literal[0, 1] | None = None  # the row is skill 0, or skill 1
    exact: dict[str, float] = field(default_factory=dict)  # values by metric, not rounded
    # Values on each resample, by figure. Rows are compared without them: arrays have no one answer.
    draws: dict[str, Floats] = field(default_factory=dict, compare=False)
    # Of rows with several training runs the same per seed; `draws` and `exact` are their means.
    by_seed: tuple[Evidence, ...] = field(default=(), compare=False)
    # What other training runs would do to each figure, once the board has pooled their spread.
    retraining: dict[str, Retraining] = field(default_factory=dict)
    trained: bool = True  # another training run may give another system
    samples: dict[int, tuple[str, ...]] = field(default_factory=dict)  # their hashes by seed
    backward: bool = False  # its prompts are endings, other than those of most rows
    source: str = ""  # the version of the system's code
    # The skill by each metric that counts for the row, and its draws.
    skills: dict[str, tuple[float, Floats]] = field(default_factory=dict, compare=False)


class Standing(NamedTuple):
    """What rows must share to be compared and ranked together. Nothing else decides it."""

    dataset: str
    dataset_fingerprint: str
    preset: str
    pieces: int
    steps: int
    prompted: bool
    metric_versions: str

    @property
    def name(self) -> tuple[str, str]:
        """What people call it by."""
        return (self.dataset, self.preset)

    @property
    def protocol(self) -> tuple[int, int, bool]:
        """What samples were asked for."""
        return (self.pieces, self.steps, self.prompted)


class Row(Columns):
    """One system, on one data set, under one preset: all seeds of it."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)

    metrics: dict[str, MetricCells] = Field(default_factory=dict)
    evidence: Evidence = Field(default_factory=Evidence, repr=False)

    @property
    def standing(self) -> Standing:
        """What the row must share with another to be compared with it."""
        return Standing(*(getattr(self, name) for name in Standing._fields))

    @property
    def name(self) -> str:
        """What the contestant is called, in tables, figures and addresses."""
        return self.system + (" (as published)" if self.variant == "as-published" else "")

    @property
    def is_scale(self) -> bool:
        """Whether the row only fixes the scale, and has no rank."""
        return self.kind in ("floor", "ceiling")

    @property
    def competes(self) -> bool:
        """Whether the row can have a rank: no floor, ceiling, control, variant or copyist."""
        return (
            not self.is_scale
            and self.kind != "control"
            and self.variant == "corrected"
            and self.status != COPIES
        )

    @property
    def job_ids(self) -> list[str]:
        """The jobs behind the row, one per seed."""
        return self.jobs.split()

    def metric(self, name: str) -> MetricCells:
        """The cells of a metric; empty ones where the row has none."""
        return self.metrics.get(name, EMPTY)

    def figure(self, name: str) -> MetricCells:
        """A figure with its interval: a metric's, or that of a column with _low and _high."""
        if name in COLUMNS:
            return MetricCells(
                *(getattr(self, f"{name}{end}", None) for end in ("", "_low", "_high"))
            )
        return self.metric(name)

    def value(self, name: str) -> float | None:
        """A figure by its name: a metric's, or a column's such as the skill."""
        return self.figure(name).value

    def set_metric(self, name: str, **cells: float | None) -> None:
        """Change some cells of a metric."""
        self.metrics[name] = replace(self.metric(name), **cells)

    def cells(self) -> dict[str, Cell]:
        """All cells by column, as files have them."""
        cells: dict[str, Cell] = {name: getattr(self, name) for name in COLUMNS}
        headline = headline_metrics()
        for name, metric in self.metrics.items():
            values = (metric.value, metric.low, metric.high, metric.pieces, metric.skill)
            for part, value in zip(PARTS, values, strict=True):
                if part != "_skill" or name in headline or value is not None:
                    cells[f"{name}{part}"] = value
        return cells


@dataclass(frozen=True)
class Group:
    """Rows that may be compared with each other, the best first."""

    title: str  # short, unique on its board, used in addresses
    rows: tuple[Row, ...]
    remark: str = ""  # what tells it from a group of the same data, preset and protocol

    @property
    def heading(self) -> str:
        """What its rows share, as a table's heading says it."""
        row = self.rows[0]
        prompted = "continuing one bar" if row.prompted else "from nothing"
        shared = f"{row.pieces} samples of {row.steps} steps, {prompted}"
        return " · ".join(filter(None, (row.dataset, row.preset, shared, self.remark)))

    @property
    def names(self) -> list[str]:
        """What its rows are called."""
        return [row.name for row in self.rows]

    def row(self, name: str) -> Row | None:
        """The row of that name."""
        return next((row for row in self.rows if row.name == name), None)

    def anchor(self, skill: Literal[0, 1]) -> Row | None:
        """The row that is that skill, if its jobs ended well."""
        return next(
            (row for row in self.rows if row.evidence.anchor == skill and row.status == "ok"), None
        )


@dataclass(frozen=True)
class Board:
    """The rows of a leaderboard, in its order."""

    rows: tuple[Row, ...] = ()

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """The rows that may be compared, group by group, in the board's order.

        A row without any score is shown with the rows that it would have been compared with.
        """
        members: dict[Standing, list[Row]] = {}
        homes: dict[Standing, Standing] = {}  # of rows without scores: the first group like it
        for row in self.rows:
            if row.metric_versions:
                homes.setdefault(row.standing._replace(metric_versions=""), row.standing)
        for row in self.rows:
            standing = row.standing
            if not row.metric_versions:
                standing = homes.get(standing, standing)
            members.setdefault(standing, []).append(row)
        return tuple(
            Group(title, tuple(rows), remark)
            for (title, remark), rows in zip(_titles(list(members)), members.values(), strict=True)
        )

    def group_of(self, row: Row) -> Group:
        """The group that the row is in."""
        return next(group for group in self.groups if any(row is other for other in group.rows))

    @property
    def metric_names(self) -> list[str]:
        """The metrics that the board has columns for."""
        return sorted({name for row in self.rows for name in row.metrics})


def _titles(standings: Sequence[Standing]) -> list[tuple[str, str]]:
    """A title of its own for each, and a remark on what tells it from those like it before it."""
    titles = []
    for place, standing in enumerate(standings):
        title, remarks = f"{standing.dataset} {standing.preset}", []
        if len({s.protocol for s in standings if s.name == standing.name}) > 1:
            title += f" {standing.pieces}x{standing.steps}"
            title += "" if standing.prompted else " unprompted"
        alike = (standing.name, standing.protocol)
        before = [s for s in standings[:place] if (s.name, s.protocol) == alike]
        data = standing.dataset_fingerprint
        if before and data != before[0].dataset_fingerprint:
            title += f" data {data[:6]}"
            remarks.append(f"another version of the data ({data[:6]})")
        if any(s.dataset_fingerprint == data for s in before):
            digest = hashlib.sha256(standing.metric_versions.encode()).hexdigest()[:6]
            title += f" metrics {digest}"
            remarks.append(f"other versions of the metrics ({digest})")
        titles.append((title, ", ".join(remarks)))
    return titles


def headline_metrics() -> dict[str, Literal["higher", "lower"]]:
    """The metrics that the skill is made of, with the direction in which they are better."""
    return {
        name: cls.direction
        for name, cls in registry.metrics().items()
        if cls.headline and cls.direction != "none"
    }


def rounded(value: float | None) -> float | None:
    """Six significant digits: what a table needs, and the same on every machine."""
    return None if value is None else float(f"{value:.6g}")


# -- files ----------------------------------------------------------------------------------------


def text(value: Cell) -> str:
    """A cell as the CSV file has it: empty for none."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def hash_of(row: Row) -> str:
    """SHA-256 of a row's cells as the table shows them, the hash itself left out."""
    content = {
        name: text(value)
        for name, value in row.cells().items()
        if name != "row_hash" and text(value) != ""
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def column_names(cells: Sequence[Mapping[str, Cell]]) -> list[str]:
    """All columns: those that every row has, then the metrics' by name."""
    return [*COLUMNS, *sorted({name for row in cells for name in row} - set(COLUMNS))]


def to_table(rows: Sequence[Row]) -> list[dict[str, Cell]]:
    """The cells of each row, every row with all columns of the board."""
    cells = [row.cells() for row in rows]
    names = column_names(cells)
    return [{name: row.get(name) for name in names} for row in cells]


def to_csv(rows: Sequence[Row]) -> str:
    """The rows as a board file."""
    table = to_table(rows)
    out = io.StringIO()
    writer = csv.DictWriter(out, table[0] if table else COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows([{name: text(value) for name, value in row.items()} for row in table])
    return out.getvalue()


def read_csv(path: Path) -> Board:
    """The board in a file; BenchError names the line and the cell that is wrong."""
    try:
        content = path.read_text(encoding="utf-8")
    except OSError as error:
        raise BenchError(f"{path} cannot be read: {error.strerror}.") from None
    table = list(csv.DictReader(io.StringIO(content)))
    missing = set(COLUMNS) - set(LATER) - set(table[0]) if table else set()
    if missing:
        raise BenchError(f"{path} lacks the columns {', '.join(sorted(missing))}.")
    rows = []
    for number, cells in enumerate(table, start=2):
        fixed = {name: cells[name] for name in COLUMNS if cells.get(name, "") != ""}
        try:
            row = Row.model_validate(fixed)
            row.metrics = metrics_of(
                {name: float(cell) if cell else None for name, cell in _others(cells).items()}
            )
        except (ValidationError, ValueError, TypeError) as error:
            raise BenchError(f"{path}, line {number}: {error}") from None
        rows.append(row)
    return Board(tuple(rows))


def _others(cells: Mapping[str, str]) -> dict[str, str]:
    return {name: cell for name, cell in cells.items() if name not in COLUMNS}


def metrics_of(cells: Mapping[str, float | None]) -> dict[str, MetricCells]:
    """The metrics whose columns these are; those without any cell are left out."""
    parts: dict[str, dict[str, float]] = defaultdict(dict)
    for column, value in cells.items():
        if value is not None:
            name, part = _metric_of(column, cells)
            parts[name][part.removeprefix("_") or "value"] = value
    return {name: MetricCells(**values) for name, values in sorted(parts.items())}


def _metric_of(column: str, columns: Mapping[str, object]) -> tuple[str, str]:
    """The metric that a column is of, and which of its parts it holds."""
    for part in PARTS[1:]:
        name = column.removesuffix(part)
        if name != column and name in columns:
            return name, part
    return column, ""
