"""Whether a board file holds: its hashes, that its rows follow from jobs, and the jobs from samples.

Three checks, each against who could pass the one before. The hashes find a cell that was edited.
Rebuilding the rows from the jobs finds a cell whose hash was computed anew. Scoring the samples
again finds jobs whose stored scores were edited, with whatever hashes. What cannot be computed
again is counted as reported: the likelihood where the trained system is not there, costs, dates,
and what listeners answered.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bench.board.build import build
from bench.board.rescoring import Checker
from bench.board.rows import Row, column_names, hash_of, read_csv, text
from bench.jobs.record import JobRecord, records
from bench.jobs.run_folder import RunFolder

LEAST = 5  # rows that are scored again, however long it takes
SECONDS = 40.0  # after which no further row is begun, where no number of rows is asked for


@dataclass(frozen=True)
class Depth:
    """How many rows are scored again: all, a number of them, or what fits in a time."""

    rows: int | None = None  # none: LEAST, and more while SECONDS last
    every: bool = False
    seed: int = 0
    load_systems: bool = False  # to compute likelihoods again; runs the systems' code


@dataclass
class Verification:
    """What verifying a board file gave."""

    rows: int
    problems: list[str] = field(default_factory=list)
    rebuilt: bool = False
    rescored: int = 0  # rows
    metrics: int = 0  # scores that were computed again
    as_reported: Counter[str] = field(default_factory=Counter)  # in how many jobs, by what

    @property
    def chance(self) -> float:
        """The chance that a single row with forged scores would have been scored again."""
        return self.rescored / self.rows if self.rows else 0.0


def verify(path: Path, runs: RunFolder | None) -> list[str]:
    """What is wrong with a board file by its hashes and jobs; without a run folder by its hashes."""
    return verification(path, runs, None).problems


def verification(
    path: Path,
    runs: RunFolder | None,
    depth: Depth | None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Verification:
    """Verify a board file. Without a run folder no job is looked at; without depth no sample.

    `progress` is called with how many rows are scored again, and of how many.
    """
    rows = read_csv(path).rows
    result = Verification(len(rows))
    places = [
        f"line {number} ({row.system} on {row.dataset})" for number, row in enumerate(rows, start=2)
    ]
    result.problems += [
        f"{place}: the cells are not those that were hashed"
        for place, row in zip(places, rows, strict=True)
        if row.row_hash != hash_of(row)
    ]
    if runs is None:
        return result
    result.problems += _rebuilt(rows, places, runs)
    result.rebuilt = True
    if depth is not None:
        by_id = {record.job.id: record for record in records(runs) if record.job is not None}
        _rescore(rows, places, by_id, depth, progress, result)
    return result


def _rebuilt(rows: Sequence[Row], places: Sequence[str], runs: RunFolder) -> list[str]:
    """Which rows do not follow from their jobs."""
    rebuilt = {row.jobs: row for row in build(runs).rows}
    wrong = []
    for place, row in zip(places, rows, strict=True):
        fresh = rebuilt.get(row.jobs)
        if fresh is None:
            wrong.append(f"{place}: its jobs are not in {runs.root}")
            continue
        file, built = row.cells(), fresh.cells()
        different = [
            name
            for name in column_names([file, built])
            if text(file.get(name)) != text(built.get(name))
        ]
        if different:
            wrong.append(f"{place}: its jobs give other {', '.join(different)}")
    return wrong


def _rescore(
    rows: Sequence[Row],
    places: Sequence[str],
    known: dict[str, JobRecord],
    depth: Depth,
    progress: Callable[[int, int], None],
    result: Verification,
) -> None:
    """Score rows again: all in the file's order, or some that the seed chooses."""
    order = list(range(len(rows)))
    if not depth.every:
        order = np.random.default_rng(depth.seed).permutation(len(rows)).tolist()
        order = order[: depth.rows]
    checker = Checker(systems=depth.load_systems, seed=depth.seed)
    begun = time.monotonic()
    for done, number in enumerate(order):
        timed = not depth.every and depth.rows is None
        if timed and done >= LEAST and time.monotonic() - begun > SECONDS:
            break
        progress(done, len(order))
        for job in rows[number].job_ids:
            record = known.get(job)
            if record is None:
                continue  # a problem already
            checked = checker.check(record)
            result.problems += [f"{places[number]}, {job}: {line}" for line in checked.problems]
            result.as_reported.update(checked.as_reported)
            result.metrics += checked.metrics
        result.rescored += 1
    progress(len(order), len(order))
