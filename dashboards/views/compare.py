"""What takes the job folders behind the rows: paired differences, and who cannot be told apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from bench.board import build as board
from bench.board.report import tied
from bench.jobs.run_folder import JobFolder
from dashboards.views.board import Cells, digest_of, name_of
from dashboards.views.job import folders_of, job_of


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


def ties(
    rows: Sequence[Cells], there: Mapping[str, JobFolder]
) -> tuple[list[str], list[tuple[int, int]]]:
    """The ranked rows by skill, and the first and last of each run that cannot be told apart."""
    jobs = {name_of(row): folders_of(row, there) for row in rows}
    digests = tuple(digest_of(f.score_arrays) for folders in jobs.values() for f in folders)
    return _ties(tuple(jobs), digests, rows, there)


@st.cache_data(max_entries=16, show_spinner="Comparing every pair …")
def _ties(
    names: tuple[str, ...],
    digests: tuple[str, ...],
    _rows: Sequence[Cells],
    _there: Mapping[str, JobFolder],
) -> tuple[list[str], list[tuple[int, int]]]:
    ranked, bars = tied(list(entries(_rows, _there).values()))
    return [name_of(one.row.model_dump()) for one in ranked], bars


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
