"""How a survey goes: counts and gates, without a single score."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, Row, func, select

from bench.errors import BenchError, unknown
from bench.survey.codes import completion_code
from bench.survey.config import SurveyConfig
from bench.survey.database.store import SurveyStore
from bench.survey.database.tables import (
    belief,
    clip,
    exclusion,
    participant,
    rating,
    survey,
    system,
    trial,
)

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
    ratings: int  # practice not counted
    created: datetime
    opened: datetime | None
    closed: datetime | None
    published: datetime | None
    run: str  # the run folder that it was made from


@dataclass(frozen=True)
class Gate:
    """A step of the survey: how many came to it and how many got through."""

    name: str
    reached: int
    passed: int


@dataclass(frozen=True)
class ListenerProgress:
    """How far one listener is; `rater` is a random number that says nothing of the person."""

    rater: int
    stage: str
    done: int
    total: int
    last_seen: datetime | None
    excluded: str


@dataclass(frozen=True)
class Overview:
    """One survey in detail, without a single score."""

    summary: Summary
    config: SurveyConfig
    gates: list[Gate]
    plays: dict[str, list[int]]  # system -> how often each of its clips was rated
    listeners: list[ListenerProgress]


def named(connection: Connection, name: str, lock: bool = False) -> Row[Any]:
    """The survey of that name; BenchError with the nearest names where there is none.

    With `lock` nobody else changes it before the transaction ends.
    """
    statement = select(survey).where(survey.c.name == name)
    row = connection.execute(statement.with_for_update() if lock else statement).first()
    if row is not None:
        return row
    names = connection.execute(select(survey.c.name)).scalars().all()
    if not names:
        raise BenchError("There is no survey yet. `bench survey example` prints how to make one.")
    raise unknown("survey", name, names)


def surveys(store: SurveyStore) -> list[Summary]:
    """Every survey, the newest first."""
    with store.reading() as connection:
        rows = connection.execute(select(survey).order_by(survey.c.id.desc())).all()
        return [_summary(connection, row) for row in rows]


def summary(store: SurveyStore, name: str) -> Summary:
    """One survey in a line."""
    with store.reading() as connection:
        return _summary(connection, named(connection, name))


def flow(store: SurveyStore, name: str) -> Flow:
    """How many people came, stayed and counted."""
    return summary(store, name).flow


def completion_codes(store: SurveyStore, name: str) -> list[str]:
    """The completion codes of those who finished, in alphabetical order."""
    with store.reading() as connection:
        one = named(connection, name)
        finished = select(participant.c.listener).where(
            participant.c.survey_id == one.id, participant.c.finished_at.is_not(None)
        )
        found = connection.execute(finished).scalars().all()
    return sorted(completion_code(store, listener) for listener in found)


def _summary(connection: Connection, one: Row[Any]) -> Summary:
    people = _people(connection, one)
    rated = (
        select(func.count(rating.c.id))
        .join(trial, trial.c.id == rating.c.trial_id)
        .join(participant, participant.c.id == trial.c.participant_id)
        .where(participant.c.survey_id == one.id, trial.c.kind != "practice")
    )
    return Summary(
        name=one.name,
        title=SurveyConfig.model_validate_json(one.config).title,
        state=one.state,
        config_hash=one.config_hash,
        simulated=one.simulated,
        flow=Flow(
            invited=len(people),
            started=sum(who.consented_at is not None for who in people),
            finished=sum(_finished(who) for who in people),
            withdrawn=sum(who.withdrawn_at is not None for who in people),
            excluded=sum(who.reason is not None for who in people),
        ),
        ratings=connection.execute(rated).scalar_one(),
        created=one.created_at,
        opened=one.opened_at,
        closed=one.closed_at,
        published=one.published_at,
        run=one.run,
    )


def _people(connection: Connection, one: Row[Any]) -> Sequence[Row[Any]]:
    statement = (
        select(participant, exclusion.c.reason)
        .outerjoin(exclusion, exclusion.c.participant_id == participant.c.id)
        .where(participant.c.survey_id == one.id)
        .order_by(participant.c.rater)
    )
    return connection.execute(statement).all()


def _finished(who: Row[Any]) -> bool:
    return who.finished_at is not None and who.withdrawn_at is None


def status(store: SurveyStore, name: str) -> Overview:
    """How the survey goes."""
    with store.reading() as connection:
        one = named(connection, name)
        people = _people(connection, one)
        trials = connection.execute(
            select(trial, rating.c.score, belief.c.believable)
            .join(participant, participant.c.id == trial.c.participant_id)
            .outerjoin(rating, rating.c.trial_id == trial.c.id)
            .outerjoin(belief, belief.c.trial_id == trial.c.id)
            .where(participant.c.survey_id == one.id)
        ).all()
        clips = connection.execute(
            select(clip.c.id, system.c.name, system.c.variant)
            .join(system, system.c.id == clip.c.system_id)
            .where(clip.c.survey_id == one.id, clip.c.practice.is_(False))
            .order_by(clip.c.id)
        ).all()
        about = _summary(connection, one)
    config = SurveyConfig.model_validate_json(one.config)
    rated = Counter(one.clip_id for one in trials if one.score is not None)
    plays: dict[str, list[int]] = {}
    for made in clips:
        label = made.name if made.variant == "corrected" else f"{made.name}:{made.variant}"
        plays.setdefault(label, []).append(rated[made.id])
    return Overview(
        summary=about,
        config=config,
        gates=_gates(people, trials),
        plays={label: plays[label] for label in sorted(plays)},
        listeners=[_progress(who, trials, config) for who in people],
    )


def _gates(people: Sequence[Row[Any]], trials: Sequence[Row[Any]]) -> list[Gate]:
    practising = {one.participant_id for one in trials if one.kind == "practice"}
    stuck = {
        one.participant_id for one in trials if one.kind == "practice" and one.believable is None
    }
    steps = [
        ("opened the invitation", [who.entered_at for who in people]),
        ("agreed to take part", [who.consented_at for who in people]),
        ("set the volume", [who.volume_at for who in people]),
        ("answered the questions", [who.assigned_at for who in people]),
        ("rated every clip", [_finished(who) or None for who in people]),
    ]
    counts = [len(people), *(sum(time is not None for time in times) for _, times in steps)]
    gates = [Gate(name, counts[i], counts[i + 1]) for i, (name, _) in enumerate(steps)]
    gates.insert(4, Gate("practised", len(practising), len(practising - stuck)))
    scored = [one for one in trials if one.kind != "practice"]
    served = sum(one.served_at is not None for one in scored)
    heard = sum(one.heard_at is not None for one in scored)
    given = sum(one.score is not None for one in scored)
    return [
        *gates,
        Gate("clips heard to the end", served, heard),
        Gate("clips rated", heard, given),
    ]


def _progress(who: Row[Any], trials: Sequence[Row[Any]], config: SurveyConfig) -> ListenerProgress:
    own = [one for one in trials if one.participant_id == who.id and one.kind != "practice"]
    stages = [
        ("withdrawn", who.withdrawn_at),
        ("finished", who.finished_at),
        ("rating", who.assigned_at),
        ("questions", who.volume_at),
        ("volume", who.consented_at),
        ("consent", who.entered_at),
    ]
    return ListenerProgress(
        rater=who.rater,
        stage=next((name for name, time in stages if time is not None), "invited"),
        done=sum(one.score is not None for one in own),
        total=len(own) or config.trials,
        last_seen=who.last_seen_at,
        excluded=who.reason or "",
    )
