"""What takes the job folders behind the rows: paired differences, and who is not separated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from bench.board import build
from bench.board.ranking import tied
from bench.board.rows import Row
from bench.jobs.record import JobRecord
from bench.jobs.run_folder import JobFolder
from dashboards.views.board import digest_of
from dashboards.views.job import folders_of, job_of


def rebuilt(rows: Sequence[Row], folders: Mapping[str, JobFolder]) -> dict[str, Row]:
    """The rows built anew from their jobs, with the draws behind them, by contestant.

    Give all rows of the group: its floor and ceiling make the scale, its contestants decide which
    metrics count, and those with several seeds show what another training run would do. Rows whose
    jobs are not there are left out.
    """
    wanted = [folder for row in rows for folder in folders_of(row, folders)]
    records = [JobRecord(folder) for folder in wanted if job_of(folder)]
    return {row.name: row for row in build.board_of(records).rows}


def ties(
    rows: Sequence[Row], folders: Mapping[str, JobFolder]
) -> tuple[list[str], list[tuple[int, int]]]:
    """The ranked rows by skill, and the first and last of each run of which no two are separated."""
    jobs = {row.name: folders_of(row, folders) for row in rows}
    digests = tuple(digest_of(folder.score_arrays) for each in jobs.values() for folder in each)
    return _ties(tuple(jobs), digests, rows, folders)


@st.cache_data(max_entries=16, show_spinner="Comparing every pair …")
def _ties(
    names: tuple[str, ...],
    digests: tuple[str, ...],
    _rows: Sequence[Row],
    _folders: Mapping[str, JobFolder],
) -> tuple[list[str], list[tuple[int, int]]]:
    ranked, bars = tied(list(rebuilt(_rows, _folders).values()))
    return [row.name for row in ranked], bars


def scale(rows: Sequence[Row], name: str) -> float | None:
    """What a metric gains on its way from skill 0 to skill 1; none where the rows do not tell."""
    known = [
        (cells.skill, cells.value)
        for cells in (row.metric(name) for row in rows)
        if cells.skill is not None and cells.value is not None
    ]
    if not known:
        return None
    (low, at_low), (high, at_high) = min(known), max(known)
    return (at_high - at_low) / (high - low) if high > low else None
