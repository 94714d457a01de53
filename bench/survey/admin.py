"""What a researcher does with surveys: make, open, close, publish, watch, exclude, delete."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from bench.survey.store import Store

if TYPE_CHECKING:
    import pandas as pd

    from bench.survey.config import SurveyConfig

State = Literal["draft", "open", "closed", "published"]


@dataclass(frozen=True)
class Flow:
    """How many people came, stayed and counted."""

    invited: int
    started: int  # agreed to take part
    finished: int
    withdrawn: int
    excluded: int


@dataclass(frozen=True)
class Summary:
    """One survey in a line."""

    name: str
    title: str
    state: State
    config_hash: str
    simulated: bool
    flow: Flow
    ratings: int
    created: datetime
    opened: datetime | None
    closed: datetime | None
    published: datetime | None


@dataclass(frozen=True)
class Gate:
    """A step of the survey: how many came to it and how many got through."""

    name: str
    reached: int
    passed: int


@dataclass(frozen=True)
class Progress:
    """How far one listener is; `rater` is a number that says nothing of the person."""

    rater: int
    stage: str
    done: int
    total: int
    last_seen: datetime | None
    excluded: str


@dataclass(frozen=True)
class Status:
    """One survey in detail, without a single score."""

    summary: Summary
    gates: list[Gate]
    plays: dict[str, list[int]]  # system -> how often each of its clips was rated
    listeners: list[Progress]


@dataclass(frozen=True)
class Entry:
    """A line of the record of who did what."""

    at: datetime
    survey: str
    by: str
    action: str
    detail: str


def surveys(store: Store) -> list[Summary]:
    """Every survey, the newest first."""
    raise NotImplementedError


def create(
    store: Store, config: SurveyConfig, progress: Callable[[str], None], by: str = "command line"
) -> Summary:
    """A survey in draft, its clips rendered and checked."""
    raise NotImplementedError


def open_survey(store: Store, name: str, by: str = "command line") -> None:
    """Let listeners in."""
    raise NotImplementedError


def close(store: Store, name: str, by: str = "command line") -> None:
    """Let nobody in any more; the results can be looked at from now on."""
    raise NotImplementedError


def publish(store: Store, name: str, by: str = "command line") -> None:
    """Make it final: nobody can withdraw any more."""
    raise NotImplementedError


def codes(store: Store, name: str, n: int, by: str = "command line") -> list[str]:
    """That many new invitation codes. They are shown this once: only keyed hashes are kept."""
    raise NotImplementedError


def status(store: Store, name: str) -> Status:
    """How the survey goes."""
    raise NotImplementedError


def flow(store: Store, name: str) -> Flow:
    """How many people came, stayed and counted."""
    raise NotImplementedError


def export(store: Store, name: str, comments: bool = False) -> pd.DataFrame:
    """The ratings, one row each. BenchError before the survey is closed."""
    raise NotImplementedError


def exclude(store: Store, name: str, rater: int, reason: str, by: str) -> None:
    """Flag a listener, by the number that `status` gives, as not to be counted; nothing is deleted."""
    raise NotImplementedError


def delete_participant(store: Store, code: str, by: str = "command line") -> None:
    """Delete all rows of the listener with that code."""
    raise NotImplementedError


def backup(store: Store, file: Path | None = None) -> Path:
    """Everything, database and clips, in one file that `restore` reads."""
    raise NotImplementedError


def audit(store: Store, name: str | None = None) -> list[Entry]:
    """Who did what, the newest first."""
    raise NotImplementedError


def embargoed(store: Store) -> set[str]:
    """The ids of jobs whose samples are in an open survey."""
    raise NotImplementedError
