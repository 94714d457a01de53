"""What a researcher does with surveys: create, open, close, publish, watch, exclude, delete.

The command line and the dashboard's admin page both call this module.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import delete, select, update

from bench.errors import BenchError
from bench.survey.analysis.results import FOLDER
from bench.survey.codes import code_hash, new_code
from bench.survey.config import SurveyConfig
from bench.survey.creation import create
from bench.survey.database.backup import backup
from bench.survey.database.restore import restore
from bench.survey.database.store import COMMAND_LINE, SurveyStore, insert_once, record
from bench.survey.database.tables import audit as audit_table
from bench.survey.database.tables import clip, exclusion, participant, survey, system, trial
from bench.survey.export import export
from bench.survey.overview import (
    Flow,
    Gate,
    ListenerProgress,
    Overview,
    Summary,
    completion_codes,
    flow,
    status,
    summary,
    survey_row,
    surveys,
)
from bench.survey.terms import SurveyState

__all__ = [
    "AuditLine",
    "Flow",
    "Gate",
    "ListenerProgress",
    "Overview",
    "Summary",
    "audit",
    "backup",
    "close",
    "codes",
    "completion_codes",
    "create",
    "delete_participant",
    "embargoed",
    "exclude",
    "export",
    "flow",
    "open_survey",
    "publish",
    "remove",
    "restore",
    "status",
    "summary",
    "surveys",
]

MOST_CODES = 2000  # in one call
_STATE_WORDS: dict[SurveyState, str] = {
    "draft": "not open yet",
    "open": "open",
    "closed": "closed",
    "published": "published",
}


# -- the states of a survey ------------------------------------------------------------------------


def open_survey(store: SurveyStore, name: str, by: str = COMMAND_LINE) -> None:
    """Let listeners in. BenchError where the configuration or a clip changed after creation."""
    with store.reading() as connection:
        row = survey_row(connection, name)
        clips = connection.execute(
            select(clip.c.file, clip.c.sha256).where(clip.c.survey_id == row.id)
        ).all()
    if SurveyConfig.model_validate_json(row.config).sha256 != row.config_hash:
        raise BenchError(
            f"The configuration of '{name}' was changed in the database. Create the survey again,"
            " under another name."
        )
    for file, sha256 in clips:
        path = store.clips / file
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
            raise BenchError(
                f"{path} is missing or was changed. Restore it from a backup, or create the survey"
                " again, under another name."
            )
    _change_state(store, name, "draft", "open", by, opened_at=store.now())


def close(store: SurveyStore, name: str, by: str = COMMAND_LINE) -> None:
    """End the survey for listeners and show its results. It cannot be opened again."""
    _change_state(store, name, "open", "closed", by, closed_at=store.now())


def publish(store: SurveyStore, name: str, by: str = COMMAND_LINE) -> None:
    """Make a closed survey final: listeners cannot withdraw any more."""
    _change_state(store, name, "closed", "published", by, published_at=store.now())


def remove(store: SurveyStore, name: str, by: str = COMMAND_LINE) -> None:
    """Delete a draft or a simulated survey: no person's answers are in it."""
    with store.writing() as connection:
        row = survey_row(connection, name, lock=True)
        if not row.simulated and row.state != "draft":
            raise BenchError(
                f"'{name}' is {_STATE_WORDS[row.state]}, and a survey with answers of people is not"
                " deleted as a whole. Only drafts and simulated surveys can be removed."
            )
        participants = select(participant.c.id).where(participant.c.survey_id == row.id)
        clip_files = connection.execute(select(clip.c.file).where(clip.c.survey_id == row.id))
        files = [row.volume_file, *clip_files.scalars()]
        connection.execute(delete(trial).where(trial.c.participant_id.in_(participants)))
        for table in (participant, clip, system):
            connection.execute(delete(table).where(table.c.survey_id == row.id))
        connection.execute(delete(survey).where(survey.c.id == row.id))
        record(connection, store.now(), name, by, "remove")
    for file in files:
        (store.clips / file).unlink(missing_ok=True)
    if row.simulated:  # a draft has no results
        results = Path(row.run) / FOLDER / name
        results.with_suffix(".json").unlink(missing_ok=True)
        shutil.rmtree(results, ignore_errors=True)


def _change_state(
    store: SurveyStore,
    name: str,
    before: SurveyState,
    after: SurveyState,
    by: str,
    **times: datetime,
) -> None:
    with store.writing() as connection:
        row = survey_row(connection, name, lock=True)
        if row.state != before:
            raise BenchError(
                f"'{name}' is {_STATE_WORDS[row.state]}: only a survey that is"
                f" {_STATE_WORDS[before]} can become {_STATE_WORDS[after]}."
            )
        change = update(survey).where(survey.c.id == row.id).values(state=after, **times)
        connection.execute(change)
        record(connection, store.now(), name, by, after)


# -- the listeners ---------------------------------------------------------------------------------


def codes(store: SurveyStore, name: str, n: int, by: str = COMMAND_LINE) -> list[str]:
    """`n` new invitation codes. Only keyed hashes are stored: they cannot be shown again."""
    if not 1 <= n <= MOST_CODES:
        raise BenchError(f"Ask for 1 to {MOST_CODES} codes at a time, not {n}.")
    new: list[str] = []
    with store.writing() as connection:
        row = survey_row(connection, name, lock=True)
        if row.state not in ("draft", "open"):
            raise BenchError(
                f"'{name}' is {_STATE_WORDS[row.state]}: nobody can be invited any more."
            )
        while len(new) < n:
            code = new_code()
            if insert_once(
                connection,
                participant,
                survey_id=row.id,
                code_hash=code_hash(store, code),
                listener=secrets.token_urlsafe(18),
                rater=secrets.randbelow(900_000) + 100_000,
                invited_at=store.now(),
            ):
                new.append(code)
        record(connection, store.now(), name, by, "codes", str(n))
    return new


def exclude(store: SurveyStore, name: str, rater: int, reason: str, by: str = COMMAND_LINE) -> None:
    """Flag a listener, by the number that `status` gives, as excluded; nothing is deleted."""
    if not reason.strip():
        raise BenchError("Say why: the reason is published with the results.")
    with store.writing() as connection:
        row = survey_row(connection, name)
        participant_id = connection.execute(
            select(participant.c.id).where(
                participant.c.survey_id == row.id, participant.c.rater == rater
            )
        ).scalar()
        if participant_id is None:
            raise BenchError(
                f"'{name}' has no listener {rater}; `bench survey status {name} --listeners` lists"
                " them."
            )
        inserted = insert_once(
            connection,
            exclusion,
            participant_id=participant_id,
            reason=reason.strip(),
            by=by,
            at=store.now(),
        )
        if not inserted:
            raise BenchError(f"Listener {rater} is excluded already; the first reason stands.")
        record(connection, store.now(), name, by, "exclude", f"{rater}: {reason.strip()}")


def delete_participant(store: SurveyStore, code: str, by: str = COMMAND_LINE) -> None:
    """Delete all rows of the listener with that code. Earlier backups still hold them."""
    with store.writing() as connection:
        row = connection.execute(
            select(participant.c.id, survey.c.name)
            .join(survey, survey.c.id == participant.c.survey_id)
            .where(participant.c.code_hash == code_hash(store, code))
        ).first()
        if row is None:
            raise BenchError("No listener has this code. Check it letter by letter.")
        connection.execute(delete(trial).where(trial.c.participant_id == row.id))
        connection.execute(delete(participant).where(participant.c.id == row.id))
        record(connection, store.now(), row.name, by, "delete a participant")


# -- questions about all surveys -------------------------------------------------------------------


def embargoed(store: SurveyStore) -> set[str]:
    """The ids of the jobs whose samples are heard in an open survey."""
    with store.reading() as connection:
        lists = connection.execute(select(survey.c.embargo).where(survey.c.state == "open"))
        return {job for (jobs,) in lists for job in json.loads(jobs)}


@dataclass(frozen=True)
class AuditLine:
    """A line of the audit: who did what, when."""

    at: datetime
    survey: str
    by: str
    action: str
    detail: str


def audit(store: SurveyStore, name: str | None = None) -> list[AuditLine]:
    """Who did what, the newest first; with a name, in that survey only."""
    statement = select(audit_table).order_by(audit_table.c.id.desc())
    if name is not None:
        statement = statement.where(audit_table.c.survey == name)
    with store.reading() as connection:
        rows = connection.execute(statement).all()
    return [AuditLine(row.at, row.survey, row.by, row.action, row.detail) for row in rows]
