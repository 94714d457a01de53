"""A listener's position in the survey, and the texts shown. Nothing here names a system or run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bench.errors import BenchError
from bench.survey.config import BackgroundQuestion, SurveyConfig
from bench.survey.terms import HIGHEST, LOWEST

Stage = Literal[
    "consent", "volume", "background", "practice", "trials", "finished", "withdrawn", "closed"
]
Refusal = Literal["unknown", "used-up", "closed", "not-open", "slow-down", "not-now"]


class Refused(BenchError):
    """Why a listener's request was refused, as a sentence for the listener."""

    def __init__(self, kind: Refusal, sentence: str):
        super().__init__(sentence)
        self.kind: Refusal = kind


@dataclass(frozen=True)
class Texts:
    """The texts that a survey's listeners read."""

    title: str
    introduction: str
    consent: str
    consent_version: str
    contact: str
    ethics: str  # reference of the ethics approval; empty where there is none
    minutes: int  # that the survey takes, about
    background: tuple[BackgroundQuestion, ...]
    score_question: str
    scale: tuple[tuple[int, str], ...]  # every value with its label, which may be ""
    believable_question: str
    known_question: str  # empty: not asked
    comment_question: str  # empty: not asked
    simulated: bool


@dataclass(frozen=True)
class Trial:
    """The listener's current clip."""

    token: str
    question: Literal["score", "believable"]
    seconds: float
    practice: bool
    heard: bool  # to its end, by the server's clock


@dataclass(frozen=True)
class Standing:
    """A listener's position in the survey."""

    stage: Stage
    survey: Texts
    trial: Trial | None  # in the stages practice and trials
    done: int  # scored trials
    total: int
    completion_code: str | None  # in the stage finished


def texts(config: SurveyConfig) -> Texts:
    """The texts of a survey's configuration."""
    questions, agreement = config.questions, config.consent
    return Texts(
        title=config.title,
        introduction=config.introduction,
        consent=agreement.text,
        consent_version=agreement.version,
        contact=agreement.contact,
        ethics=agreement.ethics,
        minutes=config.minutes,
        background=config.background,
        score_question=questions.score,
        scale=tuple(
            (value, questions.scale.get(value, "")) for value in range(LOWEST, HIGHEST + 1)
        ),
        believable_question=questions.believable,
        known_question=questions.known,
        comment_question=questions.comment,
        simulated=config.simulated,
    )
