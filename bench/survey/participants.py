"""A listener's rows in the database: who it is, and which clips are assigned and answered.

What cannot be found or is not allowed is raised as `Refused`, a sentence for the listener.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, Select, select, update

from bench.survey.config import SurveyConfig
from bench.survey.database.tables import belief, clip, participant, rating, survey, trial
from bench.survey.standing import Refused
from bench.survey.terms import SurveyState


@dataclass(frozen=True)
class Participant:
    """A listener, and the survey that the listener takes part in."""

    id: int
    survey_id: int
    listener: str  # the random id that a browser's session holds
    entered_at: datetime | None
    consented_at: datetime | None
    volume_at: datetime | None
    answers: str | None  # JSON: to the background questions
    finished_at: datetime | None
    withdrawn_at: datetime | None
    state: SurveyState
    config: SurveyConfig
    volume_file: str


@dataclass(frozen=True)
class AssignedTrial:
    """One of the listener's trials, with what is answered so far."""

    id: int
    token: str
    kind: Literal["practice", "main", "repeat"]
    file: str
    seconds: float
    served_at: datetime | None  # first played
    heard_at: datetime | None
    coverage: float | None
    plays: int | None
    score: int | None
    believable: bool | None


def participant_by_code(connection: Connection, code_hash: str) -> Participant | None:
    """The participant whose invitation code has that hash."""
    return _participant(connection, _participants().where(participant.c.code_hash == code_hash))


def participant_by_id(connection: Connection, listener: str, lock: bool = False) -> Participant:
    """The participant with that random id; Refused: unknown.

    With `lock` the listener's other tabs wait until this transaction ends.
    """
    statement = _participants().where(participant.c.listener == listener)
    if lock:
        statement = statement.with_for_update(of=participant)
    person = _participant(connection, statement) if _is_token(listener) else None
    if person is None:
        raise Refused("unknown", "You are not known here. Please open your invitation link again.")
    return person


def _participants() -> Select[Any]:
    columns = (
        *(participant.c[name] for name in ("id", "survey_id", "listener", "answers")),
        *(participant.c[name] for name in ("entered_at", "consented_at", "volume_at")),
        *(participant.c[name] for name in ("finished_at", "withdrawn_at")),
        *(survey.c[name] for name in ("state", "config", "volume_file")),
    )
    return select(*columns).join(survey, survey.c.id == participant.c.survey_id)


def _participant(connection: Connection, statement: Select[Any]) -> Participant | None:
    row = connection.execute(statement).mappings().first()
    if row is None:
        return None
    return Participant(**{**row, "config": SurveyConfig.model_validate_json(row["config"])})


def update_participant(
    connection: Connection, person: Participant, **values: datetime | str | None
) -> None:
    """Write these columns of the participant's row."""
    connection.execute(update(participant).where(participant.c.id == person.id).values(values))


def refuse_unless_open(person: Participant) -> None:
    """Refused: the listener has withdrawn, or the survey is not open."""
    if person.withdrawn_at:
        raise Refused("used-up", "You have withdrawn; your answers are deleted.")
    if person.state == "draft":
        raise Refused("not-open", "This study has not begun yet. Please come back later.")
    if person.state != "open":
        raise Refused("closed", "This study is over. Thank you for what you have rated.")


def trials_of(connection: Connection, person: Participant) -> list[AssignedTrial]:
    """The listener's trials in their order."""
    statement = (
        select(
            *(trial.c[name] for name in ("id", "token", "kind", "served_at", "heard_at")),
            *(trial.c[name] for name in ("coverage", "plays")),
            clip.c.file,
            clip.c.seconds,
            rating.c.score,
            belief.c.believable,
        )
        .join(clip, clip.c.id == trial.c.clip_id)
        .outerjoin(rating, rating.c.trial_id == trial.c.id)
        .outerjoin(belief, belief.c.trial_id == trial.c.id)
        .where(trial.c.participant_id == person.id)
        .order_by(trial.c.position)
    )
    return [AssignedTrial(**row) for row in connection.execute(statement).mappings()]


def current_trial(trials: Sequence[AssignedTrial]) -> AssignedTrial | None:
    """The first trial that is not answered completely."""
    return next((assigned for assigned in trials if assigned.believable is None), None)


def find_trial(
    connection: Connection, person: Participant, token: str, answered: bool = False
) -> AssignedTrial:
    """The listener's trial with that token. Refused unless it is the current one.

    With `answered` a trial that is answered already is found too.
    """
    trials = trials_of(connection, person)
    current = current_trial(trials)
    for assigned in trials if _is_token(token) else ():
        if assigned.token == token:
            past = answered and assigned.believable is not None
            if assigned is current or past:
                return assigned
            raise Refused("not-now", "This clip is not the one you are at. Please reload the page.")
    raise Refused("unknown", "This clip is not known. Please reload the page.")


def _is_token(text: str) -> bool:
    """Whether it looks like a token of ours; anything else never reaches the database."""
    return bool(re.fullmatch(r"[A-Za-z0-9_-]{1,40}", text))
