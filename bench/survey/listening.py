"""What a listener can do, step by step. Every call derives everything anew from the database.

Nothing that is returned here names a system, a file or a run: whatever the browser gets comes
through this module.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bench.errors import BenchError
from bench.survey.store import Store

Stage = Literal[
    "consent", "volume", "background", "practice", "trials", "finished", "withdrawn", "closed"
]
Refusal = Literal["unknown", "used-up", "closed", "not-open", "slow-down", "not-now"]


class Refused(BenchError):
    """Why the service did not do what was asked, as a sentence for the listener."""

    def __init__(self, kind: Refusal, sentence: str):
        super().__init__(sentence)
        self.kind: Refusal = kind


@dataclass(frozen=True)
class Question:
    """A question about the listener, with the answers to choose from."""

    key: str
    text: str
    options: tuple[str, ...]


@dataclass(frozen=True)
class Texts:
    """All that a survey says to its listeners."""

    title: str
    introduction: str
    consent: str
    consent_version: str
    contact: str
    ethics: str  # the approval's reference; empty where there is none
    minutes: int  # it takes about
    background: tuple[Question, ...]
    score_question: str
    scale: tuple[tuple[int, str], ...]  # every value, with its label or ""
    believable_question: str
    known_question: str  # empty: not asked
    comment_question: str  # empty: not asked
    simulated: bool


@dataclass(frozen=True)
class Trial:
    """The clip that a listener is at."""

    token: str
    question: Literal["score", "believable"]
    seconds: float
    practice: bool
    heard: bool  # to its end, as far as the server knows


@dataclass(frozen=True)
class Standing:
    """Where a listener is."""

    stage: Stage
    survey: Texts
    trial: Trial | None  # in practice and trials
    done: int  # scored trials
    total: int
    completion_code: str | None  # when finished


def enter(store: Store, code: str) -> str:
    """The listener's opaque id for an invitation code. The same code resumes, on any device.

    Refused: unknown, used-up (withdrawn), not-open, closed, slow-down.
    """
    raise NotImplementedError


def standing(store: Store, listener: str) -> Standing:
    """Where the listener is."""
    raise NotImplementedError


def consent(store: Store, listener: str, version: str) -> None:
    """Note that the listener agreed to this version of the consent text."""
    raise NotImplementedError


def volume_set(store: Store, listener: str) -> None:
    """Note that the listener has set the volume."""
    raise NotImplementedError


def background(store: Store, listener: str, answers: dict[str, str]) -> None:
    """Keep the answers to the questions about the listener, by key, and hand out the trials."""
    raise NotImplementedError


def volume_audio(store: Store, listener: str) -> bytes:
    """The clip to set the volume with, as MP3."""
    raise NotImplementedError


def audio(store: Store, listener: str, token: str) -> bytes:
    """The current trial's clip as MP3: of equal size for all, of other bytes for each trial."""
    raise NotImplementedError


def started(store: Store, listener: str, token: str) -> None:
    """Note when the clip was first played."""
    raise NotImplementedError


def heard(store: Store, listener: str, token: str, coverage: float, plays: int) -> None:
    """Note that the clip was heard. Refused before it can have been, or with coverage below 0.95."""
    raise NotImplementedError


def score(store: Store, listener: str, token: str, value: int) -> None:
    """Keep the score of the current clip. A second one for the same clip changes nothing."""
    raise NotImplementedError


def believe(
    store: Store,
    listener: str,
    token: str,
    value: bool,
    known: bool = False,
    comment: str = "",
) -> None:
    """Keep whether a human could have composed it, once the score is kept; as idempotent."""
    raise NotImplementedError


def withdraw(store: Store, listener: str) -> None:
    """Delete all that the listener said; possible until the survey is published."""
    raise NotImplementedError
