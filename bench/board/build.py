"""The leaderboard: one row per data set, preset and system, rebuilt from the job folders."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from bench import registry
from bench.contract import Floats
from bench.errors import BenchError
from bench.jobs.job import Job
from bench.jobs.run_folder import JobFolder, Store, is_finished
from bench.jobs.scores import read_arrays, read_scores, stale_metrics
from bench.protocol import statistics
from bench.registry import Size

SCHEMA = 1
# Columns that boards of an older version lack.
SURVEYED = (
    "human_rating", "human_rating_low", "human_rating_high", "believability", "survey",
)  # fmt: skip
LATER = ("skill_note", *SURVEYED)


class Row(BaseModel):
    """One row. The order of the fields is the order of the columns; empty means: there is none.

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
    status: str  # ok, partial (some seeds failed), or how it failed
    rank: int | None = None
    rank_low: int | None = None
    rank_high: int | None = None
    skill: float | None = None
    skill_low: float | None = None
    skill_high: float | None = None
    skill_coverage: str = ""  # headline metrics that have a skill, of all
    skill_note: str = ""  # why the others have none, where anything was scored
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
    seeds: int  # that ended well
    pieces: int  # samples per seed
    steps: int  # per sample
    prompted: bool
    size: Size = "full"  # of the networks: the paper's, or what the preset affords
    parameters: int | None = None
    budget: int
    budget_unit: str
    budget_share: float | None = None  # of the paper's budget; empty: the paper names none
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
    stale: str = ""  # the metrics that have a newer version than the one that was scored
    failure: str = ""
    jobs: str  # ids of the jobs behind the row
    row_hash: str = ""  # SHA-256 of all other cells

    @property
    def group(self) -> tuple[Any, ...]:
        """What rows must share to be ranked together."""
        return (
            self.dataset,
            self.dataset_fingerprint,
            self.preset,
            self.pieces,
            self.steps,
            self.prompted,
            self.metric_versions,
        )


@dataclass
class Entry:
    """A row with its metric cells and the draws behind them."""

    row: Row
    cells: dict[str, float | None]
    draws: dict[str, Floats]  # per metric
    anchor: int | None
    exact: dict[str, float] = field(
        default_factory=dict
    )  # the cells that were rounded, as they were

    def value(self, figure: str) -> float:
        """The figure behind draws of that name."""
        found = self.cells.get(figure, getattr(self.row, figure, None))
        if found is None:
            raise BenchError(f"{self.row.system} has no {figure}.")
        return float(found)

    def flat(self) -> dict[str, Any]:
        """All cells by column."""
        return {**self.row.model_dump(), **self.cells}


def build(store: Store) -> list[Entry]:
    """The board of a run folder, ranked and sorted."""
    entries = [entry(sorted(jobs, key=lambda one: one[0].seed)) for jobs in latest(store)]
    by_group: dict[tuple[Any, ...], list[Entry]] = defaultdict(list)
    for one in entries:
        by_group[one.row.group].append(one)
    for rows in by_group.values():
        rank(rows)
    listeners(entries, store.root)
    for one in entries:
        one.row.row_hash = hash_of(one.flat())
    return sorted(entries, key=order)


def listeners(entries: Sequence[Entry], root: Path) -> None:
    """Fill in what blind listeners said, in surveys that are closed; of several, the latest says it.

    Human music was rated as such, whichever its excerpts: its ratings stand in the row of skill 1
    beside rated systems. A file of results that cannot be read is as if it were not there.
    """
    from bench.survey.analysis import results

    rated: dict[str, dict[str, Any]] = {}
    found = []
    for path in sorted((root / results.FOLDER).glob("*.json")):
        with suppress(BenchError):
            found.append(results.read(path))
    for one in sorted(found, key=lambda one: one.ended):
        rated.update(results.board_columns(one))
    beside = set()
    for entry in entries:
        for job in entry.row.jobs.split():
            if job in rated:
                beside.add((entry.row.dataset, entry.row.preset))
                fill(entry.row, rated[job])
    for entry in entries:
        human = rated.get(f"human.{entry.row.dataset}")
        if human and entry.anchor == 1 and (entry.row.dataset, entry.row.preset) in beside:
            fill(entry.row, human)


def fill(row: Row, cells: Mapping[str, Any]) -> None:
    """Put the cells of a survey into a row."""
    for name, value in cells.items():
        setattr(row, name, rounded(value) if isinstance(value, float) else value)


def latest(store: Store) -> list[list[tuple[Job, JobFolder]]]:
    """The jobs of each row, one per seed. Of a system whose settings or code changed, the newest."""
    rows: dict[tuple[Any, ...], dict[str, list[tuple[Job, JobFolder]]]] = defaultdict(dict)
    for folder in store.folders():
        job = folder.read_job()
        if job is not None:
            row = (job.dataset, job.preset, job.protocol, job.system, job.variant, job.device)
            made_of = job.model_copy(update={"seed": 0}).digest
            rows[row].setdefault(made_of, []).append((job, folder))

    def changed(jobs: list[tuple[Job, JobFolder]]) -> str:
        return max((s.changed for _, f in jobs if (s := f.read_status())), default="")

    return [max(versions.values(), key=changed) for versions in rows.values()]


def order(one: Entry) -> tuple[Any, ...]:
    """Data set by data set, ranked rows first, the best on top."""
    row = one.row
    skill = -row.skill if row.skill is not None else np.inf
    return (row.dataset, row.preset, row.pieces, row.steps, skill, row.system, row.variant)


def entry(jobs: Sequence[tuple[Job, JobFolder]]) -> Entry:
    """One row from the jobs of all seeds."""
    first = jobs[0][0]
    good = [folder for _, folder in jobs if is_finished(folder)]
    bad = [(job, folder) for job, folder in jobs if folder not in good]
    results = [folder.read_result() for folder in good]
    row = Row(
        system=first.system,
        kind=first.card.kind,
        variant=first.variant,
        paper=first.card.paper,
        dataset=first.dataset,
        dataset_version=first.dataset_version,
        preset=first.preset,
        status="ok" if not bad else "partial" if good else state_of(bad[0][1]),
        seeds=len(good),
        pieces=first.protocol.samples,
        steps=first.protocol.steps,
        prompted=not first.protocol.unprompted,
        size=first.card.size,
        budget=first.budget.amount,
        budget_unit=first.budget.unit,
        budget_share=rounded(first.budget.share),
        device=first.device,
        dataset_fingerprint=first.dataset_fingerprint[:16],
        failure="; ".join(failure(job, folder) for job, folder in bad),
        jobs=" ".join(job.id for job, _ in jobs),
    )
    cells: dict[str, float | None] = {}
    draws: dict[str, Floats] = {}
    if results:
        provenance(row, results)
        statuses = [folder.read_status() for folder in good]
        row.date = max((status.changed[:10] for status in statuses if status), default="")
        likelihood(row, draws, [result["likelihood"] for result in results])
        metrics(row, cells, draws, good)
    exact = exact_values(good)
    return Entry(row, cells, draws, first.card.anchor, exact)


def state_of(folder: JobFolder) -> str:
    """How a job that did not end well stands."""
    status = folder.read_status()
    return "running" if folder.is_running() else status.state if status else "not run"


def failure(job: Job, folder: JobFolder) -> str:
    """One line on a failed job, and where its log is."""
    status = folder.read_status()
    said = status.sentence if status else "not run"
    return f"seed {job.seed}: {said} (log: jobs/{job.id}/log.txt)"


def rounded(value: float | None) -> float | None:
    """Six significant digits: what a table needs, and the same on every machine."""
    return None if value is None else float(f"{value:.6g}")


def mean_of(values: Iterable[float | None]) -> float | None:
    """The mean of the values there are."""
    there = [value for value in values if value is not None]
    return rounded(float(np.mean(there))) if there else None


def provenance(row: Row, results: Sequence[Mapping[str, Any]]) -> None:
    """Fill in what it took, and on what."""
    fits = [result["fit"] for result in results]
    row.parameters = fits[0].get("parameters")
    row.music_steps = fits[0].get("music_steps")
    row.train_seconds = mean_of(fit.get("seconds") for fit in fits)
    row.sample_seconds = mean_of(result["sample"].get("seconds") for result in results)
    row.peak_memory_mb = max(result.get("peak_memory_mb") or 0 for result in results) or None
    row.hardware = fits[0].get("hardware", "")
    row.threads = fits[0].get("threads")
    row.commit = " ".join(sorted({fit.get("commit", "") for fit in fits} - {""}))
    row.versions = " ".join(f"{k}={v}" for k, v in sorted(fits[0].get("versions", {}).items()))


def likelihood(row: Row, all_draws: dict[str, Floats], found: Sequence[Mapping[str, Any]]) -> None:
    """Fill in the likelihood, averaged over seeds, its interval from pieces and seeds."""
    row.likelihood_kind = found[0]["kind"]
    row.likelihood_object = found[0]["object"]
    row.likelihood_note = next((one["reason"] for one in found if one["reason"]), "")
    if not all(one["nats"] for one in found):
        return
    nats = [-np.array(one["nats"]) for one in found]
    steps, notes = np.array(found[0]["steps"]), np.array(found[0]["notes"])
    row.likelihood_pieces = len(steps)
    for name, unit in (("nats_per_step", steps), ("bits_per_note", notes * np.log(2))):
        if not unit.sum():
            continue
        draws = statistics.over_seeds([statistics.ratio_draws(one, unit) for one in nats])
        if name == "nats_per_step":
            all_draws[name] = draws
        low, high = statistics.interval(draws)
        setattr(row, name, mean_of(float(one.sum() / unit.sum()) for one in nats))
        setattr(row, f"{name}_low", rounded(low))
        setattr(row, f"{name}_high", rounded(high))


def metrics(
    row: Row, cells: dict[str, float | None], draws: dict[str, Floats], good: Sequence[JobFolder]
) -> None:
    """Fill in every metric that has a value for each seed."""
    scores = [read_scores(folder) for folder in good]
    arrays = [read_arrays(folder) for folder in good]
    names = [name for name in scores[0] if all(name in one for one in scores)]
    row.metric_versions = " ".join(f"{name}={scores[0][name]['version']}" for name in sorted(names))
    row.stale = " ".join(sorted({name for folder in good for name in stale_metrics(folder)}))
    for name in sorted(names):
        values = [one[name]["value"] for one in scores]
        cells[name] = mean_of(values) if None not in values else None
        cells[f"{name}_low"] = cells[f"{name}_high"] = None
        cells[f"{name}_pieces"] = float(sum(one[name]["pieces"] for one in scores))
        drawn = [one[f"{name}.draws"] for one in arrays if f"{name}.draws" in one]
        if cells[name] is not None and len(drawn) == len(good):
            draws[name] = statistics.over_seeds(drawn)
            low, high = statistics.interval(draws[name])
            cells[f"{name}_low"], cells[f"{name}_high"] = rounded(low), rounded(high)


def exact_values(good: Sequence[JobFolder]) -> dict[str, float]:
    """Every metric's mean over seeds, not rounded: small gaps between anchors need the digits."""
    scores = [read_scores(folder) for folder in good]
    names = [name for name in scores[0] if all(name in one for one in scores)] if scores else []
    values = {name: [one[name]["value"] for one in scores] for name in names}
    return {name: float(np.mean(found)) for name, found in values.items() if None not in found}


def rank(rows: Sequence[Entry]) -> None:
    """Fill in skills and ranks within one group of comparable rows."""
    headline = {
        name: cls
        for name, cls in registry.metrics().items()
        if cls.headline and cls.direction != "none"
    }
    zero = next((one for one in rows if one.anchor == 0 and one.row.status == "ok"), None)
    best = next((one for one in rows if one.anchor == 1 and one.row.status == "ok"), None)
    for one in rows:
        skills, missing = {}, []
        for name in headline:
            skill = skill_draws(one, name, zero, best)
            if isinstance(skill, str):
                missing.append(f"{name}: {skill}")
                one.cells[f"{name}_skill"] = None
            else:
                skills[name] = skill
                one.cells[f"{name}_skill"] = rounded(skill[0])
        one.row.skill_coverage = f"{len(skills)}/{len(headline)}"
        one.row.skill_note = "; ".join(missing) if one.exact else ""
        if headline and not missing:
            one.draws["skill"] = np.mean([draws for _, draws in skills.values()], axis=0)
            one.row.skill = rounded(float(np.mean([value for value, _ in skills.values()])))
            low, high = statistics.interval(one.draws["skill"])
            one.row.skill_low, one.row.skill_high = rounded(low), rounded(high)
    contestants = ranked(rows)
    places = statistics.ranks(
        [one.draws["skill"] for one in contestants], [one.row.skill or 0.0 for one in contestants]
    )
    for one, (place, low, high) in zip(contestants, places, strict=True):
        one.row.rank, one.row.rank_low, one.row.rank_high = place, low, high


def ranked(rows: Sequence[Entry]) -> list[Entry]:
    """The rows that compete: corrected contestants with a skill."""
    return [
        one
        for one in rows
        if one.row.skill is not None
        and one.row.kind not in ("floor", "ceiling")
        and one.row.variant == "corrected"
    ]


def skill_draws(
    one: Entry, name: str, zero: Entry | None, best: Entry | None
) -> tuple[float, Floats] | str:
    """A metric's value, and its draws, on the scale from the zero row to the best one.

    Or why there is none. The draws are those of a ratio to first order: they hold what the two
    rows that make the scale owe to chance, so that these themselves are 0 and 1 in every draw.
    """
    if name not in one.exact or name not in one.draws:
        return "no value"
    if zero is None or best is None:
        return "no floor or no ceiling to measure by"
    if not all(name in anchor.exact and name in anchor.draws for anchor in (zero, best)):
        return "floor or ceiling has no value"
    gain = best.exact[name] - zero.exact[name]
    low, high = statistics.interval(best.draws[name] - zero.draws[name])
    if low <= 0 <= high:
        return "floor and ceiling cannot be told apart"
    if (gain > 0) != (registry.metrics()[name].direction == "higher"):
        return "the floor is better than the ceiling"
    skill = (one.exact[name] - zero.exact[name]) / gain
    moved, floor, top = (e.draws[name] - e.exact[name] for e in (one, zero, best))
    return skill, skill + (moved - (1 - skill) * floor - skill * top) / gain


# -- files ----------------------------------------------------------------------------------------


def hash_of(cells: Mapping[str, Any]) -> str:
    """SHA-256 of a row's cells as the table shows them, the hash itself left out."""
    content = {k: text(v) for k, v in cells.items() if k != "row_hash" and text(v) != ""}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def text(value: Any) -> str:
    """A cell as the CSV file has it: empty for none."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def columns(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """All columns: those of Row, then the metrics' by name."""
    fixed = list(Row.model_fields)
    return fixed + sorted({name for row in rows for name in row} - set(fixed))


def to_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """The board as CSV."""
    out = io.StringIO()
    writer = csv.DictWriter(out, columns(rows), lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows([{name: text(value) for name, value in row.items()} for row in rows])
    return out.getvalue()


def read_csv(path: Path) -> list[dict[str, Any]]:
    """The rows of a board file, typed; BenchError names the line and the cell that is wrong."""
    try:
        lines = path.read_text(encoding="utf-8")
    except OSError as error:
        raise BenchError(f"{path} cannot be read: {error.strerror}.") from None
    table = list(csv.DictReader(io.StringIO(lines)))
    missing = set(Row.model_fields) - set(LATER) - set(table[0]) if table else set()
    if missing:
        raise BenchError(f"{path} lacks the columns {', '.join(sorted(missing))}.")
    rows = []
    for number, cells in enumerate(table, start=2):
        fixed: dict[str, Any] = {
            k: v for k, v in cells.items() if k in Row.model_fields and v != ""
        }
        try:
            row = Row.model_validate(fixed).model_dump()
            others = {k: v for k, v in cells.items() if k not in Row.model_fields}
            rows.append({**row, **{k: float(v) if v else None for k, v in others.items()}})
        except (ValidationError, ValueError, TypeError) as error:
            raise BenchError(f"{path}, line {number}: {error}") from None
    return rows


def verify(path: Path, store: Store | None) -> list[str]:
    """What is wrong with a board file: its rows' hashes, and rows their jobs do not give.

    Without a run folder the jobs are not looked at. Empty: nothing is wrong.
    """
    rows = read_csv(path)
    wrong = []
    for number, row in enumerate(rows, start=2):
        where = f"line {number} ({row['system']} on {row['dataset']})"
        if row["row_hash"] != hash_of(row):
            wrong.append(f"{where}: the cells are not those that were hashed")
    if store is None:
        return wrong
    rebuilt = {one.row.jobs: one for one in build(store)}
    for number, row in enumerate(rows, start=2):
        where = f"line {number} ({row['system']} on {row['dataset']})"
        one = rebuilt.get(row["jobs"])
        if one is None:
            wrong.append(f"{where}: its jobs are not in {store.root}")
            continue
        fresh = one.flat()
        different = [k for k in columns([row, fresh]) if text(row.get(k)) != text(fresh.get(k))]
        if different:
            wrong.append(f"{where}: its jobs give other {', '.join(different)}")
    return wrong


def stale(store: Store) -> int:
    """How many finished jobs lack a score by a metric's present version."""
    return sum(bool(stale_metrics(f)) for f in store.folders() if is_finished(f))
