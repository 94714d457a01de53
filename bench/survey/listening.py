"""What a listener can do, step by step. Every call reads the listener's position from the database.

Everything that reaches the browser comes through this module, and nothing that it returns names a
system, a file or a run.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, update

from bench.survey.assignment import assign
from bench.survey.codes import code_hash, completion_code
from bench.survey.database.store import SurveyStore, insert_once, record
from bench.survey.database.tables import belief, rating, trial
from bench.survey.media import salted
from bench.survey.participants import (
    AssignedTrial,
    Participant,
    current_trial,
    find_trial,
    participant_by_code,
    participant_by_id,
    refuse_unless_open,
    trials_of,
    update_participant,
)
from bench.survey.standing import Refused, Stage, Standing, Texts, Trial, texts
from bench.survey.terms import FULL_COVERAGE, HIGHEST, LONGEST_COMMENT, LOWEST, MOST_PLAYS

__all__ = [
    "Refused",
    "Stage",
    "Standing",
    "Texts",
    "Trial",
    "audio",
    "background",
    "believe",
    "consent",
    "enter",
    "heard",
    "score",
    "standing",
    "started",
    "volume_audio",
    "volume_set",
    "withdraw",
]


# -- entering --------------------------------------------------------------------------------------


def enter(store: SurveyStore, code: str) -> str:
    """The listener's random id for an invitation code. The same code resumes, on any device.

    Refused: unknown, used-up (withdrawn), not-open, closed, slow-down. A code has sixty random
    bits, too many to guess; the rate limit, which counts wrong codes only, keeps guessing cheap for
    the server.
    """
    now = store.now()
    with store.reading() as connection:
        person = participant_by_code(connection, code_hash(store, code))
    if person is None:
        if not store.rate_limiter.allow("wrong codes", now.timestamp(), burst=30, per_second=0.5):
            raise Refused("slow-down", "Too many wrong codes just now. Try again in a minute.")
        raise Refused(
            "unknown",
            "This code is not known. Check it against your invitation, letter by letter.",
        )
    if person.withdrawn_at:
        raise Refused("used-up", "You have withdrawn with this code; your answers are deleted.")
    if person.state == "draft":
        raise Refused("not-open", "This study has not begun yet. Please come back later.")
    if person.state != "open" and not person.entered_at:
        raise Refused("closed", "This study is over. Thank you for your interest.")
    if not person.entered_at:
        with store.writing() as connection:
            update_participant(connection, person, entered_at=now)
    return person.listener


def standing(store: SurveyStore, listener: str) -> Standing:
    """Where the listener is in the survey."""
    with store.reading() as connection:
        person = participant_by_id(connection, listener)
        trials = trials_of(connection, person)
    current = current_trial(trials)
    scored = [assigned for assigned in trials if assigned.kind != "practice"]
    stage = _stage(person, current)
    return Standing(
        stage=stage,
        survey=texts(person.config),
        trial=_for_listener(current) if current and stage in ("practice", "trials") else None,
        done=sum(assigned.score is not None for assigned in scored),
        total=len(scored) or person.config.trials,
        completion_code=completion_code(store, listener) if stage == "finished" else None,
    )


def _stage(person: Participant, current: AssignedTrial | None) -> Stage:
    if person.withdrawn_at:
        return "withdrawn"
    if person.finished_at:
        return "finished"
    if person.state != "open":
        return "closed"
    if not person.consented_at:
        return "consent"
    if not person.volume_at:
        return "volume"
    if current is None:
        return "background"
    return "practice" if current.kind == "practice" else "trials"


def _for_listener(current: AssignedTrial) -> Trial:
    """What the listener may know about the trial."""
    return Trial(
        token=current.token,
        question="score" if current.score is None else "believable",
        seconds=current.seconds,
        practice=current.kind == "practice",
        heard=current.heard_at is not None,
    )


# -- before the first clip -------------------------------------------------------------------------


def consent(store: SurveyStore, listener: str, version: str) -> None:
    """Record that the listener agreed to this version of the consent text."""
    with _writing(store, listener) as (connection, person, now):
        agreement = person.config.consent
        if version != agreement.version:
            raise Refused(
                "not-now", "The text has changed since you read it. Please read it again."
            )
        if not person.consented_at:
            update_participant(
                connection,
                person,
                consented_at=now,
                consent_version=version,
                consent_sha256=agreement.sha256,
                last_seen_at=now,
            )


def volume_set(store: SurveyStore, listener: str) -> None:
    """Record that the listener has set the volume."""
    with _writing(store, listener) as (connection, person, now):
        if not person.consented_at:
            raise Refused("not-now", "Please agree to take part first.")
        if not person.volume_at:
            update_participant(connection, person, volume_at=now, last_seen_at=now)
        if not person.config.background:
            _assign(store, connection, person, now)


def background(store: SurveyStore, listener: str, answers: dict[str, str]) -> None:
    """Store the answers to the background questions, by key, and assign the trials."""
    with _writing(store, listener) as (connection, person, now):
        if not person.volume_at:
            raise Refused("not-now", "Please set the volume first.")
        questions = person.config.background
        chosen = {question.key: answers.get(question.key) for question in questions}
        if any(chosen[question.key] not in question.options for question in questions):
            raise Refused("not-now", "Please answer every question with one of its options.")
        if person.answers is None:
            update_participant(connection, person, answers=json.dumps(chosen))
        _assign(store, connection, person, now)


def _assign(store: SurveyStore, connection: Connection, person: Participant, now: datetime) -> None:
    assign(connection, person, store.keyed("assignment", person.listener), now)


def volume_audio(store: SurveyStore, listener: str) -> bytes:
    """The clip to set the volume with, as MP3."""
    _limit_rate(store, listener)
    with store.reading() as connection:
        person = participant_by_id(connection, listener)
    return salted(_read_clip(store, person.volume_file), store.keyed("volume", listener))


# -- the clips -------------------------------------------------------------------------------------


def audio(store: SurveyStore, listener: str, token: str) -> bytes:
    """The current trial's clip as MP3: all have the same size, every trial has other bytes."""
    _limit_rate(store, listener)
    with store.reading() as connection:
        person = participant_by_id(connection, listener)
        refuse_unless_open(person)
        current = find_trial(connection, person, token)
    return salted(_read_clip(store, current.file), store.keyed("audio", token))


def started(store: SurveyStore, listener: str, token: str) -> None:
    """Record when the clip was first played."""
    with _writing(store, listener) as (connection, person, now):
        current = find_trial(connection, person, token)
        if not current.served_at:
            connection.execute(update(trial).where(trial.c.id == current.id).values(served_at=now))
            update_participant(connection, person, last_seen_at=now)


def heard(store: SurveyStore, listener: str, token: str, coverage: float, plays: int) -> None:
    """Record that the clip was heard to its end.

    Refused with a coverage below FULL_COVERAGE, and before there was time to hear the clip.
    """
    numbers = all(
        isinstance(value, int | float) and math.isfinite(value) for value in (coverage, plays)
    )
    if not numbers or not FULL_COVERAGE <= coverage <= 1.05:
        raise Refused("not-now", "Please listen to the end.")
    with _writing(store, listener) as (connection, person, now):
        current = find_trial(connection, person, token)
        if not current.served_at:
            raise Refused("not-now", "Please play the clip first.")
        if now < current.served_at + timedelta(seconds=0.9 * current.seconds):
            raise Refused("not-now", "The clip cannot have come to its end yet.")
        if current.score is None:  # what is played after the answer says nothing about it
            values = {
                "heard_at": current.heard_at or now,
                "coverage": max(current.coverage or 0.0, min(1.0, coverage)),
                "plays": max(current.plays or 0, min(MOST_PLAYS, max(1, int(plays)))),
            }
            connection.execute(update(trial).where(trial.c.id == current.id).values(values))


def score(store: SurveyStore, listener: str, token: str, value: int) -> None:
    """Store the score of the current clip. A second score for the same clip changes nothing."""
    if type(value) is not int or not LOWEST <= value <= HIGHEST:
        raise Refused("not-now", f"A rating is a whole number from {LOWEST} to {HIGHEST}.")
    with _writing(store, listener) as (connection, person, now):
        assigned = find_trial(connection, person, token, answered=True)
        if assigned.score is not None:
            return
        if not assigned.heard_at:
            raise Refused("not-now", "Please listen to the end before you rate.")
        insert_once(connection, rating, trial_id=assigned.id, score=value, at=now)
        update_participant(connection, person, last_seen_at=now)


def believe(
    store: SurveyStore,
    listener: str,
    token: str,
    value: bool,
    known: bool = False,
    comment: str = "",
) -> None:
    """Store whether a human could have composed the clip; only after its score.

    A second answer for the same clip changes nothing.
    """
    if type(value) is not bool or type(known) is not bool:
        raise Refused("not-now", "Please answer with yes or no.")
    if len(comment) > LONGEST_COMMENT:
        raise Refused("not-now", f"A comment can have {LONGEST_COMMENT} characters at most.")
    # No database stores NUL, and no comment needs the other control characters.
    plain = "".join(letter for letter in comment if letter.isprintable() or letter == "\n")
    with _writing(store, listener) as (connection, person, now):
        assigned = find_trial(connection, person, token, answered=True)
        if assigned.believable is not None:
            return
        if assigned.score is None:
            raise Refused("not-now", "Please rate the clip first.")
        insert_once(
            connection,
            belief,
            trial_id=assigned.id,
            believable=value,
            known=known,
            comment=plain.strip(),
            at=now,
        )
        update_participant(connection, person, last_seen_at=now)
        if current_trial(trials_of(connection, person)) is None:
            update_participant(connection, person, finished_at=now)


def withdraw(store: SurveyStore, listener: str) -> None:
    """Delete all answers of the listener; possible until the survey is published."""
    with store.writing() as connection:
        person = participant_by_id(connection, listener, lock=True)
        if person.withdrawn_at:
            return
        if person.state == "published":
            raise Refused(
                "closed",
                "The results are published. Nothing in them tells who gave which answer, so your"
                " answers cannot be taken out any more.",
            )
        connection.execute(delete(trial).where(trial.c.participant_id == person.id))
        update_participant(connection, person, withdrawn_at=store.now(), answers=None)
        record(connection, store.now(), person.config.name, "a listener", "withdraw")


# -- what every call begins with -------------------------------------------------------------------


@contextmanager
def _writing(
    store: SurveyStore, listener: str
) -> Iterator[tuple[Connection, Participant, datetime]]:
    """A transaction for a listener of an open survey."""
    _limit_rate(store, listener)
    with store.writing() as connection:
        person = participant_by_id(connection, listener, lock=True)
        refuse_unless_open(person)
        yield connection, person, store.now()


def _limit_rate(store: SurveyStore, listener: str) -> None:
    if not store.rate_limiter.allow(("listener", listener[:64]), store.now().timestamp(), 60, 2):
        raise Refused("slow-down", "That was very fast. Please wait a few seconds.")


def _read_clip(store: SurveyStore, name: str) -> bytes:
    try:
        return (store.clips / name).read_bytes()
    except OSError:
        raise Refused(
            "not-now", "The clip cannot be played at the moment. Please try again later."
        ) from None
