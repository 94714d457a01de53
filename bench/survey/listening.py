"""What a listener can do, step by step. Every call derives everything anew from the database.

Nothing that is returned here names a system, a file or a run: whatever the browser gets comes
through this module.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, select, update

from bench.survey.assignment import assign
from bench.survey.codes import code_hash, completion_code
from bench.survey.config import HIGHEST, LOWEST, SurveyConfig
from bench.survey.database.store import SurveyStore, insert_once, record
from bench.survey.database.tables import belief, clip, participant, rating, survey, trial
from bench.survey.media import salted
from bench.survey.standing import Refused, Stage, Standing, Texts, Trial, texts

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

COVERED = 0.95  # of a clip is all of it: browsers report its end a little early
LONGEST_COMMENT = 500

# -- coming in -------------------------------------------------------------------------------------


def enter(store: SurveyStore, code: str) -> str:
    """The listener's opaque id for an invitation code. The same code resumes, on any device.

    Refused: unknown, used-up (withdrawn), not-open, closed, slow-down. Sixty random bits keep
    guessers out; the limit, which holds for wrong codes alone, only keeps them cheap.
    """
    now = store.now()
    statement = (
        select(participant, survey.c.state)
        .join(survey, survey.c.id == participant.c.survey_id)
        .where(participant.c.code_hash == code_hash(store, code))
    )
    with store.reading() as connection:
        row = connection.execute(statement).mappings().first()
    if row is None:
        if not store.rate_limiter.allow("wrong codes", now.timestamp(), burst=30, per_second=0.5):
            raise Refused("slow-down", "Too many wrong codes just now. Try again in a minute.")
        raise Refused(
            "unknown",
            "This code is not known. Check it against your invitation, letter by letter.",
        )
    if row["withdrawn_at"]:
        raise Refused("used-up", "You have withdrawn with this code; your answers are deleted.")
    if row["state"] == "draft":
        raise Refused("not-open", "This study has not begun yet. Please come back later.")
    if row["state"] != "open" and not row["entered_at"]:
        raise Refused("closed", "This study is over. Thank you for your interest.")
    if not row["entered_at"]:
        with store.writing() as connection:
            _set(connection, row, entered_at=now)
    return str(row["listener"])


def standing(store: SurveyStore, listener: str) -> Standing:
    """Where the listener is."""
    with store.reading() as connection:
        who, config = _who(connection, listener)
        trials = _trials(connection, who)
    current = _current(trials)
    scored = [one for one in trials if one["kind"] != "practice"]
    stage = _stage(who, current)
    return Standing(
        stage=stage,
        survey=texts(config),
        trial=_shown(current) if current and stage in ("practice", "trials") else None,
        done=sum(one["score"] is not None for one in scored),
        total=len(scored) or config.trials,
        completion_code=completion_code(store, listener) if stage == "finished" else None,
    )


def _stage(who: RowMapping, current: RowMapping | None) -> Stage:
    if who["withdrawn_at"]:
        return "withdrawn"
    if who["finished_at"]:
        return "finished"
    if who["state"] != "open":
        return "closed"
    if not who["consented_at"]:
        return "consent"
    if not who["volume_at"]:
        return "volume"
    if current is None:
        return "background"
    return "practice" if current["kind"] == "practice" else "trials"


# -- before the first clip -------------------------------------------------------------------------


def consent(store: SurveyStore, listener: str, version: str) -> None:
    """Note that the listener agreed to this version of the consent text."""
    with _writing(store, listener) as (connection, who, config, now):
        if version != config.consent.version:
            raise Refused(
                "not-now", "The text has changed since you read it. Please read it again."
            )
        if not who["consented_at"]:
            _set(
                connection,
                who,
                consented_at=now,
                consent_version=version,
                consent_sha256=config.consent.sha256,
                last_seen_at=now,
            )


def volume_set(store: SurveyStore, listener: str) -> None:
    """Note that the listener has set the volume."""
    with _writing(store, listener) as (connection, who, config, now):
        if not who["consented_at"]:
            raise Refused("not-now", "Please agree to take part first.")
        if not who["volume_at"]:
            _set(connection, who, volume_at=now, last_seen_at=now)
        if not config.background:
            _hand_out(store, connection, who, config, now)


def background(store: SurveyStore, listener: str, answers: dict[str, str]) -> None:
    """Keep the answers to the questions about the listener, by key, and hand out the trials."""
    with _writing(store, listener) as (connection, who, config, now):
        if not who["volume_at"]:
            raise Refused("not-now", "Please set the volume first.")
        given = {question.key: answers.get(question.key) for question in config.background}
        if any(given[question.key] not in question.options for question in config.background):
            raise Refused("not-now", "Please answer every question with one of its options.")
        if who["answers"] is None:
            _set(connection, who, answers=json.dumps(given))
        _hand_out(store, connection, who, config, now)


def _hand_out(
    store: SurveyStore, connection: Connection, who: RowMapping, config: SurveyConfig, now: datetime
) -> None:
    assign(connection, who, config, store.keyed("assignment", who["listener"]), now)


def volume_audio(store: SurveyStore, listener: str) -> bytes:
    """The clip to set the volume with, as MP3."""
    _paced(store, listener)
    with store.reading() as connection:
        who, _ = _who(connection, listener)
    return salted(_file(store, who["volume_file"]), store.keyed("volume", listener))


# -- the clips -------------------------------------------------------------------------------------


def audio(store: SurveyStore, listener: str, token: str) -> bytes:
    """The current trial's clip as MP3: of equal size for all, of other bytes for each trial."""
    _paced(store, listener)
    with store.reading() as connection:
        who, _ = _who(connection, listener)
        _open(who)
        one = _find(connection, who, token)
    return salted(_file(store, one["file"]), store.keyed("audio", token))


def started(store: SurveyStore, listener: str, token: str) -> None:
    """Note when the clip was first played."""
    with _writing(store, listener) as (connection, who, _, now):
        one = _find(connection, who, token)
        if not one["served_at"]:
            connection.execute(update(trial).where(trial.c.id == one["id"]).values(served_at=now))
            _set(connection, who, last_seen_at=now)


def heard(store: SurveyStore, listener: str, token: str, coverage: float, plays: int) -> None:
    """Note that the clip was heard. Refused before it can have been, or with coverage below 0.95."""
    numbers = all(isinstance(one, int | float) and math.isfinite(one) for one in (coverage, plays))
    if not numbers or not COVERED <= coverage <= 1.05:
        raise Refused("not-now", "Please listen to the end.")
    with _writing(store, listener) as (connection, who, _, now):
        one = _find(connection, who, token)
        if not one["served_at"]:
            raise Refused("not-now", "Please play the clip first.")
        if now < one["served_at"] + timedelta(seconds=0.9 * one["seconds"]):
            raise Refused("not-now", "The clip cannot have come to its end yet.")
        if one["score"] is None:  # what was played after the answer tells nothing about it
            values = {
                "heard_at": one["heard_at"] or now,
                "coverage": max(one["coverage"] or 0.0, min(1.0, coverage)),
                "plays": max(one["plays"] or 0, min(1000, max(1, int(plays)))),
            }
            connection.execute(update(trial).where(trial.c.id == one["id"]).values(values))


def score(store: SurveyStore, listener: str, token: str, value: int) -> None:
    """Keep the score of the current clip. A second one for the same clip changes nothing."""
    if type(value) is not int or not LOWEST <= value <= HIGHEST:
        raise Refused("not-now", f"A rating is a whole number from {LOWEST} to {HIGHEST}.")
    with _writing(store, listener) as (connection, who, _, now):
        one = _find(connection, who, token, answered=True)
        if one["score"] is not None:
            return
        if not one["heard_at"]:
            raise Refused("not-now", "Please listen to the end before you rate.")
        insert_once(connection, rating, trial_id=one["id"], score=value, at=now)
        _set(connection, who, last_seen_at=now)


def believe(
    store: SurveyStore,
    listener: str,
    token: str,
    value: bool,
    known: bool = False,
    comment: str = "",
) -> None:
    """Keep whether a human could have composed it, once the score is kept; as idempotent."""
    if type(value) is not bool or type(known) is not bool:
        raise Refused("not-now", "Please answer with yes or no.")
    if len(comment) > LONGEST_COMMENT:
        raise Refused("not-now", f"A comment can have {LONGEST_COMMENT} characters at most.")
    # No database keeps NUL, and none needs the other control characters.
    plain = "".join(letter for letter in comment if letter.isprintable() or letter == "\n")
    with _writing(store, listener) as (connection, who, _, now):
        one = _find(connection, who, token, answered=True)
        if one["believable"] is not None:
            return
        if one["score"] is None:
            raise Refused("not-now", "Please rate the clip first.")
        insert_once(
            connection,
            belief,
            trial_id=one["id"],
            believable=value,
            known=known,
            comment=plain.strip(),
            at=now,
        )
        done = _current(_trials(connection, who)) is None
        _set(connection, who, last_seen_at=now, **({"finished_at": now} if done else {}))


def withdraw(store: SurveyStore, listener: str) -> None:
    """Delete all that the listener said; possible until the survey is published."""
    with store.writing() as connection:
        who, config = _who(connection, listener, lock=True)
        if who["withdrawn_at"]:
            return
        if who["state"] == "published":
            raise Refused(
                "closed",
                "The results are published, without anything that tells who gave which answer:"
                " nothing can be taken out any more.",
            )
        connection.execute(delete(trial).where(trial.c.participant_id == who["id"]))
        _set(connection, who, withdrawn_at=store.now(), answers=None)
        record(connection, store.now(), config.name, "a listener", "withdraw")


# -- what all of them stand on ---------------------------------------------------------------------


@contextmanager
def _writing(
    store: SurveyStore, listener: str
) -> Iterator[tuple[Connection, RowMapping, SurveyConfig, datetime]]:
    """A transaction for a listener of an open survey."""
    _paced(store, listener)
    with store.writing() as connection:
        who, config = _who(connection, listener, lock=True)
        _open(who)
        yield connection, who, config, store.now()


def _paced(store: SurveyStore, listener: str) -> None:
    if not store.rate_limiter.allow(("listener", listener[:64]), store.now().timestamp(), 60, 2):
        raise Refused("slow-down", "That was very fast. Please wait a few seconds.")


def _open(who: RowMapping) -> None:
    if who["withdrawn_at"]:
        raise Refused("used-up", "You have withdrawn; your answers are deleted.")
    if who["state"] == "draft":
        raise Refused("not-open", "This study has not begun yet. Please come back later.")
    if who["state"] != "open":
        raise Refused("closed", "This study is over. Thank you for what you have rated.")


def _plain(text: str) -> bool:
    return bool(re.fullmatch(r"[A-Za-z0-9_-]{1,40}", text))


def _who(
    connection: Connection, listener: str, lock: bool = False
) -> tuple[RowMapping, SurveyConfig]:
    """The listener and the survey. With `lock` their other tabs wait for this transaction."""
    statement = (
        select(participant, survey.c.state, survey.c.config, survey.c.volume_file)
        .join(survey, survey.c.id == participant.c.survey_id)
        .where(participant.c.listener == listener)
    )
    if lock:
        statement = statement.with_for_update(of=participant)
    row = connection.execute(statement).mappings().first() if _plain(listener) else None
    if row is None:
        raise Refused("unknown", "You are not known here. Please open your invitation link again.")
    return row, SurveyConfig.model_validate_json(row["config"])


def _set(connection: Connection, who: RowMapping, **values: Any) -> None:
    connection.execute(update(participant).where(participant.c.id == who["id"]).values(values))


def _trials(connection: Connection, who: RowMapping) -> Sequence[RowMapping]:
    """The listener's trials in their order, with what was answered."""
    statement = (
        select(trial, clip.c.file, clip.c.seconds, rating.c.score, belief.c.believable)
        .join(clip, clip.c.id == trial.c.clip_id)
        .outerjoin(rating, rating.c.trial_id == trial.c.id)
        .outerjoin(belief, belief.c.trial_id == trial.c.id)
        .where(trial.c.participant_id == who["id"])
        .order_by(trial.c.position)
    )
    return connection.execute(statement).mappings().all()


def _current(trials: Sequence[RowMapping]) -> RowMapping | None:
    """The first trial that is not answered in full."""
    return next((one for one in trials if one["believable"] is None), None)


def _shown(one: RowMapping) -> Trial:
    return Trial(
        token=one["token"],
        question="score" if one["score"] is None else "believable",
        seconds=one["seconds"],
        practice=one["kind"] == "practice",
        heard=one["heard_at"] is not None,
    )


def _find(
    connection: Connection, who: RowMapping, token: str, answered: bool = False
) -> RowMapping:
    """The listener's trial with that token, if it is the current one, or, where `answered` may
    be, one before it."""
    trials = _trials(connection, who)
    current = _current(trials)
    for one in trials if _plain(token) else ():
        if one["token"] == token:
            past = answered and one["believable"] is not None
            if one is current or past:
                return one
            raise Refused("not-now", "This clip is not the one you are at. Please reload the page.")
    raise Refused("unknown", "This clip is not known. Please reload the page.")


def _file(store: SurveyStore, name: str) -> bytes:
    try:
        return (store.clips / name).read_bytes()
    except OSError:
        raise Refused(
            "not-now", "The clip cannot be played at the moment. Please try again later."
        ) from None
