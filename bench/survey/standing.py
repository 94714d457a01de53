"""Where a listener is, and all that is said to them. Nothing here names a system, a file or a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bench.errors import BenchError
from bench.survey.config import HIGHEST, LOWEST, BackgroundQuestion, SurveyConfig

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
class Texts:
    """All that a survey says to its listeners."""

    title: str
    introduction: str
    consent: str
    consent_version: str
    contact: str
    ethics: str  # the approval's reference; empty where there is none
    minutes: int  # it takes about
    background: tuple[BackgroundQuestion, ...]
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


def texts(config: SurveyConfig) -> Texts:
    """What a survey says to its listeners."""
    asked, agreed = config.questions, config.consent
    return Texts(
        title=config.title,
        introduction=config.introduction,
        consent=agreed.text,
        consent_version=agreed.version,
        contact=agreed.contact,
        ethics=agreed.ethics,
        minutes=config.minutes,
        background=config.background,
        score_question=asked.score,
        scale=tuple((v, asked.scale.get(v, "")) for v in range(LOWEST, HIGHEST + 1)),
        believable_question=asked.believable,
        known_question=asked.known,
        comment_question=asked.comment,
        simulated=config.simulated,
    )
