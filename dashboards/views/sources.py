"""Where the dashboard reads, and what it keeps in memory. Everything is kept by content hash."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from bench.jobs.run_folder import JobFolder
from dashboards.views import board as board_view
from dashboards.views import job as job_view

if TYPE_CHECKING:
    from bench.board.rows import Row
    from bench.data import Dataset
    from bench.data.audit import Audit
    from bench.protocol.sampling import Prompt, Protocol
    from dashboards.views.tokens import Frequencies

RUNS, BOARD = "BENCH_RUNS", "BENCH_BOARD"  # set by `bench dashboard`


def runs() -> Path:
    """The run folder."""
    return Path(os.environ.get(RUNS) or "runs")


def published() -> Path | None:
    """The published board, where the run folder is the one that comes with it."""
    from bench.board.archive import shipped
    from bench.data import cache_dir

    return shipped() if runs().resolve().parent == (cache_dir() / "published").resolve() else None


def board_path() -> Path:
    """The board that was asked for; else the published one where that is shown; else the run's."""
    given = os.environ.get(BOARD)
    return Path(given) if given else published() or runs() / "leaderboard.csv"


def tested_beside() -> Path:
    """The file beside which `bench validate` left what it found; the published lies in its archive."""
    return runs() / "leaderboard.csv" if published() else board_path()


def board_name() -> str:
    """What people call the board that is shown."""
    if not os.environ.get(BOARD) and published():
        return "the published board"
    return f"{board_path().name} in {board_path().resolve().parent.name}/"


def board() -> board_view.BoardFile:
    """The board as it is on the disk now."""
    path = board_path()
    return _board(board_view.digest_of(path), str(path))


@st.cache_resource(max_entries=8, show_spinner=False)
def _board(digest: str, path: str) -> board_view.BoardFile:
    return board_view.read(Path(path))


def samples(folder: JobFolder) -> job_view.Samples | None:
    """A job's samples; those of a ceiling that were not handed out come from the data set."""
    job = job_view.job_of(folder)
    asked: list[Prompt] = []
    if job and job.card.kind == "ceiling" and not folder.samples.is_dir():
        asked = prompts(job.dataset, job.protocol, job.dataset_fingerprint)
    return _samples(board_view.digest_of(folder.result), str(folder.path), bool(asked), asked)


@st.cache_resource(max_entries=64, show_spinner=False)
def _samples(
    digest: str, path: str, known: bool, _asked: Sequence[Prompt]
) -> job_view.Samples | None:
    truth = [prompt.continuation for prompt in _asked]
    return job_view.samples_of(JobFolder(Path(path)), truth)


def why_none(row: Row) -> str:
    """Why a row has no samples to show."""
    if row.kind == "ceiling":
        return (
            "The samples of human music are the data set itself. It is not on this machine, and"
            " boards are handed on without it; the page Data says how to get it."
        )
    return "There are no samples on this machine."


def dataset(name: str, fingerprint: str = "") -> Dataset | None:
    """A data set, if it is on this machine and is the one that the fingerprint begins."""
    from bench import data
    from bench.errors import BenchError

    try:
        info = data.describe(name)
        if info.where is None or not info.fingerprint.startswith(fingerprint):
            return None
        return _dataset(info.fingerprint, name)
    except BenchError:
        return None


@st.cache_resource(
    max_entries=16, show_spinner="Reading the pieces; the first time takes a while …"
)
def _dataset(fingerprint: str, name: str) -> Dataset:
    from bench import data

    return data.load(name)


def prompts(name: str, protocol: Protocol, fingerprint: str) -> list[Prompt]:
    """The prompts that the samples of a job continue; none where the data set is not here."""
    from bench.errors import BenchError
    from bench.protocol import sampling

    data_set = dataset(name, fingerprint)
    if data_set is None:
        return []
    try:
        return sampling.prompts(data_set, protocol)
    except BenchError:
        return []


def audit(name: str, fingerprint: str) -> Audit | None:
    """What the splits of a data set share."""
    data_set = dataset(name, fingerprint)
    return _audit(fingerprint, data_set) if data_set else None


@st.cache_resource(max_entries=16, show_spinner=False)
def _audit(fingerprint: str, _found: Dataset) -> Audit:
    from bench.data.audit import audit as compare

    return compare(_found)


def tokens(name: str, fingerprint: str) -> tuple[Frequencies, ...]:
    """How often the tokens of the training pieces occur; empty where the data set is not here."""
    data_set = dataset(name, fingerprint)
    return _tokens(fingerprint, data_set) if data_set else ()


@st.cache_resource(max_entries=16, show_spinner=False)
def _tokens(fingerprint: str, _found: Dataset) -> tuple[Frequencies, ...]:
    from dashboards.views.tokens import frequencies

    return frequencies(_found.split("train"))
