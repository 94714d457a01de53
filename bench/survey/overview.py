"""How a survey proceeds: counts of people, clips and ratings, without a single score."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

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
from bench.survey.terms import SurveyState


@dataclass(frozen=True)
class Flow:
    """How many people were invited, took part, finished, withdrew and were excluded."""

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
    state: SurveyState
    config_hash: str
    simulated: bool
    flow: Flow
    ratings: int  # without practice
    created: datetime
    opened: datetime | None
    closed: datetime | None
    published: datetime | None
    run: str  # the run folder that its clips come from


@dataclass(frozen=True)
class Gate:
    """A step of the survey: how many reached it and how many passed it."""

    name: str
    reached: int
    passed: int


@dataclass(frozen=True)
class ListenerProgress:
    """How far one listener is; `rater` is a random number that tells nothing about the person."""

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


def survey_row(connection: Connection, name: str, lock: bool = False) -> Row[Any]:
    """The survey of that name; BenchError with the nearest names where there is none.

    With `lock` nobody else changes it before the transaction ends.
    """
    statement = select(survey).where(survey.c.name == name)
    row = connection.execute(statement.with_for_update() if lock else statement).first()
    if row is not None:
        return row
    names = connection.execute(select(survey.c.name)).scalars().all()
    if not names:
        raise BenchError(
            "There is no survey yet. `bench survey example` prints a configuration to start from."
        )
    raise unknown("survey", name, names)


def surveys(store: SurveyStore) -> list[Summary]:
    """Every survey, the newest first."""
    with store.reading() as connection:
        rows = connection.execute(select(survey).order_by(survey.c.id.desc())).all()
        return [_summary(connection, row) for row in rows]


def summary(store: SurveyStore, name: str) -> Summary:
    """One survey in a line."""
    with store.reading() as connection:
        return _summary(connection, survey_row(connection, name))


def flow(store: SurveyStore, name: str) -> Flow:
    """How many people were invited, took part, finished, withdrew and were excluded."""
    return summary(store, name).flow


def completion_codes(store: SurveyStore, name: str) -> list[str]:
    """The completion codes of the listeners who finished, in alphabetical order."""
    with store.reading() as connection:
        row = survey_row(connection, name)
        finished = select(participant.c.listener).where(
            participant.c.survey_id == row.id, participant.c.finished_at.is_not(None)
        )
        listeners = connection.execute(finished).scalars().all()
    return sorted(completion_code(store, listener) for listener in listeners)


def _summary(connection: Connection, row: Row[Any]) -> Summary:
    people = _people(connection, row.id)
    ratings = (
        select(func.count(rating.c.id))
        .join(trial, trial.c.id == rating.c.trial_id)
        .join(participant, participant.c.id == trial.c.participant_id)
        .where(participant.c.survey_id == row.id, trial.c.kind != "practice")
    )
    return Summary(
        name=row.name,
        title=SurveyConfig.model_validate_json(row.config).title,
        state=row.state,
        config_hash=row.config_hash,
        simulated=row.simulated,
        flow=Flow(
            invited=len(people),
            started=sum(person.consented_at is not None for person in people),
            finished=sum(_finished(person) for person in people),
            withdrawn=sum(person.withdrawn_at is not None for person in people),
            excluded=sum(person.reason is not None for person in people),
        ),
        ratings=connection.execute(ratings).scalar_one(),
        created=row.created_at,
        opened=row.opened_at,
        closed=row.closed_at,
        published=row.published_at,
        run=row.run,
    )


def _people(connection: Connection, survey_id: int) -> Sequence[Row[Any]]:
    """The survey's participants, each with the reason of an exclusion or None."""
    statement = (
        select(participant, exclusion.c.reason)
        .outerjoin(exclusion, exclusion.c.participant_id == participant.c.id)
        .where(participant.c.survey_id == survey_id)
        .order_by(participant.c.rater)
    )
    return connection.execute(statement).all()


def _finished(person: Row[Any]) -> bool:
    return person.finished_at is not None and person.withdrawn_at is None


def status(store: SurveyStore, name: str) -> Overview:
    """How the survey proceeds."""
    with store.reading() as connection:
        row = survey_row(connection, name)
        people = _people(connection, row.id)
        trials = connection.execute(
            select(trial, rating.c.score, belief.c.believable)
            .join(participant, participant.c.id == trial.c.participant_id)
            .outerjoin(rating, rating.c.trial_id == trial.c.id)
            .outerjoin(belief, belief.c.trial_id == trial.c.id)
            .where(participant.c.survey_id == row.id)
        ).all()
        clips = connection.execute(
            select(clip.c.id, system.c.name, system.c.variant)
            .join(system, system.c.id == clip.c.system_id)
            .where(clip.c.survey_id == row.id, clip.c.practice.is_(False))
            .order_by(clip.c.id)
        ).all()
        about = _summary(connection, row)
    config = SurveyConfig.model_validate_json(row.config)
    rated = Counter(served.clip_id for served in trials if served.score is not None)
    plays: dict[str, list[int]] = {}
    for clip_id, system_name, variant in clips:
        label = system_name if variant == "corrected" else f"{system_name}:{variant}"
        plays.setdefault(label, []).append(rated[clip_id])
    return Overview(
        summary=about,
        config=config,
        gates=_gates(people, trials),
        plays={label: plays[label] for label in sorted(plays)},
        listeners=[_progress(person, trials, config) for person in people],
    )


def _gates(people: Sequence[Row[Any]], trials: Sequence[Row[Any]]) -> list[Gate]:
    practice = [row for row in trials if row.kind == "practice"]
    practising = {row.participant_id for row in practice}
    still_practising = {row.participant_id for row in practice if row.believable is None}
    steps = [
        ("opened the invitation", [person.entered_at for person in people]),
        ("agreed to take part", [person.consented_at for person in people]),
        ("set the volume", [person.volume_at for person in people]),
        ("answered the questions", [person.assigned_at for person in people]),
        ("rated every clip", [_finished(person) or None for person in people]),
    ]
    counts = [len(people), *(sum(time is not None for time in times) for _, times in steps)]
    gates = [Gate(name, counts[i], counts[i + 1]) for i, (name, _) in enumerate(steps)]
    gates.insert(4, Gate("practised", len(practising), len(practising - still_practising)))
    scored = [row for row in trials if row.kind != "practice"]
    played = sum(row.served_at is not None for row in scored)
    heard = sum(row.heard_at is not None for row in scored)
    rated = sum(row.score is not None for row in scored)
    return [
        *gates,
        Gate("clips heard to the end", played, heard),
        Gate("clips rated", heard, rated),
    ]


def _progress(
    person: Row[Any], trials: Sequence[Row[Any]], config: SurveyConfig
) -> ListenerProgress:
    own = [row for row in trials if row.participant_id == person.id and row.kind != "practice"]
    stages = [
        ("withdrawn", person.withdrawn_at),
        ("finished", person.finished_at),
        ("rating", person.assigned_at),
        ("questions", person.volume_at),
        ("volume", person.consented_at),
        ("consent", person.entered_at),
    ]
    return ListenerProgress(
        rater=person.rater,
        stage=next((name for name, time in stages if time is not None), "invited"),
        done=sum(row.score is not None for row in own),
        total=len(own) or config.trials,
        last_seen=person.last_seen_at,
        excluded=person.reason or "",
    )
