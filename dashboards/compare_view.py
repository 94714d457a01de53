"""Paired differences between rows of one table, from the job folders behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench import board
from bench.store import JobFolder
from dashboards.board_view import Cells, name_of
from dashboards.job_view import folders_of, job_of


def entries(rows: Sequence[Cells], there: Mapping[str, JobFolder]) -> dict[str, board.Entry]:
    """The rows rebuilt from their jobs with the draws behind them, by contestant.

    Give the floor and the ceiling too: without them there is no skill. Rows whose jobs are not
    there are left out.
    """
    found = {}
    for row in rows:
        jobs = [(job, folder) for folder in folders_of(row, there) if (job := job_of(folder))]
        if jobs:
            found[name_of(row)] = board.entry(sorted(jobs, key=lambda one: one[0].seed))
    board.rank(list(found.values()))
    return found


def scale(rows: Sequence[Cells], name: str) -> float | None:
    """What a metric gains on its way from skill 0 to skill 1; none where the rows do not tell."""
    known = [
        (row[f"{name}_skill"], row[name])
        for row in rows
        if row.get(f"{name}_skill") is not None and row.get(name) is not None
    ]
    if not known:
        return None
    (low, at_low), (high, at_high) = min(known), max(known)
    return (at_high - at_low) / (high - low) if high > low else None
