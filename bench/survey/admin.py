"""What a researcher does with surveys: make, open, close, publish, watch, exclude, delete."""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from bench.errors import BenchError
from bench.files import write
from bench.survey.analysis.results import FOLDER
from bench.survey.codes import code_hash, new_code
from bench.survey.config import SurveyConfig
from bench.survey.contestants import ContestantClips, SurveyClips, clips_of_run
from bench.survey.database.backup import backup
from bench.survey.database.restore import restore
from bench.survey.database.store import SurveyStore, insert_once, record
from bench.survey.database.tables import audit as audit_table
from bench.survey.database.tables import clip, exclusion, participant, survey, system, trial
from bench.survey.export import export
from bench.survey.overview import (
    Flow,
    Gate,
    ListenerProgress,
    Overview,
    State,
    Summary,
    completion_codes,
    flow,
    named,
    status,
    summary,
    surveys,
)

__all__ = [
    "AuditLine",
    "Flow",
    "Gate",
    "ListenerProgress",
    "Overview",
    "State",
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

HERE = "command line"
MOST_CODES = 2000  # at a time


# -- the survey's life -----------------------------------------------------------------------------


def create(
    store: SurveyStore,
    config: SurveyConfig,
    progress: Callable[[str], None] = lambda _: None,
    by: str = HERE,
    clips: SurveyClips | None = None,
) -> Summary:
    """A survey in draft, its clips rendered and checked. Without a cast, from the run's samples.

    BenchError where the name is taken or the clips are not fit for it; nothing is left then.
    """
    if any(one.name == config.name for one in surveys(store)):
        raise BenchError(
            f"There is a survey called '{config.name}'. A survey never changes: give another name."
        )
    clips = clips or clips_of_run(config, progress)
    files = []

    def keep(audio: bytes) -> str:
        name = f"{secrets.token_hex(12)}.mp3"
        write(store.clips / name, audio)
        files.append(store.clips / name)
        return name

    try:
        volume = keep(clips.volume.audio)
        rows = [(one, made, keep(made.audio)) for one in clips.contestants for made in _all(one)]
        with store.writing() as connection:
            now = store.now()
            values = {
                "name": config.name,
                "state": "draft",
                "config": config.model_dump_json(),
                "config_hash": config.sha256,
                "run": str(config.run.resolve()),
                "simulated": config.simulated,
                "volume_file": volume,
                "embargo": json.dumps(sorted(clips.embargo)),
                "created_at": now,
            }
            made_as = connection.execute(insert(survey).values(values).returning(survey.c.id))
            number = made_as.scalar_one()
            systems = {}
            for one in clips.contestants:
                described = {
                    "survey_id": number,
                    "name": one.samples.name,
                    "variant": one.samples.variant,
                    "dataset": one.dataset,
                    "preset": one.samples.preset,
                    "job": one.samples.job,
                    "role": one.samples.role,
                }
                added = connection.execute(insert(system).values(described).returning(system.c.id))
                systems[one.samples.name, one.samples.variant, one.samples.job] = added.scalar_one()
            # Clips are numbered in no order, so that a number says nothing.
            secrets.SystemRandom().shuffle(rows)
            for place, (one, made, file) in enumerate(rows, start=1):
                described = {
                    "survey_id": number,
                    "system_id": systems[one.samples.name, one.samples.variant, one.samples.job],
                    "label": f"c{place:04d}",
                    "file": file,
                    "sha256": made.sha256,
                    "content": made.content,
                    "source": made.source,
                    "sample": made.sample,
                    "seconds": made.seconds,
                    "lufs": made.lufs,
                    "practice": any(made is other for other in one.practice),
                }
                connection.execute(insert(clip).values(described))
            silent = {one.samples.name: one.silent for one in clips.contestants if one.silent}
            passed = f"; silent samples passed over: {silent}" if silent else ""
            record(connection, now, config.name, by, "create", config.sha256 + passed)
    except BaseException as error:
        for path in files:
            path.unlink(missing_ok=True)
        if isinstance(error, IntegrityError):
            raise BenchError(f"A survey called '{config.name}' was made just now.") from None
        raise
    return summary(store, config.name)


def _all(one: ContestantClips) -> list[Any]:
    return [*one.clips, *one.practice]


def open_survey(store: SurveyStore, name: str, by: str = HERE) -> None:
    """Let listeners in. BenchError where the survey or a clip is not as it was made."""
    with store.reading() as connection:
        one = named(connection, name)
        kept = connection.execute(
            select(clip.c.file, clip.c.sha256).where(clip.c.survey_id == one.id)
        ).all()
    if SurveyConfig.model_validate_json(one.config).sha256 != one.config_hash:
        raise BenchError(
            f"The configuration of '{name}' was changed in the database. Make it anew."
        )
    for file, digest in kept:
        path = store.clips / file
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            raise BenchError(
                f"{path} is gone or was changed. Put it back from a backup, or make the survey anew."
            )
    _change(store, name, "draft", "open", by, opened_at=store.now())


def close(store: SurveyStore, name: str, by: str = HERE) -> None:
    """Let nobody in any more; the results can be looked at from now on. It is not opened again."""
    _change(store, name, "open", "closed", by, closed_at=store.now())


def publish(store: SurveyStore, name: str, by: str = HERE) -> None:
    """Make it final: nobody can withdraw any more."""
    _change(store, name, "closed", "published", by, published_at=store.now())


def remove(store: SurveyStore, name: str, by: str = HERE) -> None:
    """Delete a survey that no person has answered: a simulated one, or a draft."""
    with store.writing() as connection:
        one = named(connection, name, lock=True)
        if not one.simulated and one.state != "draft":
            raise BenchError(
                f"'{name}' is {_VERBS[one.state]}, and what people said is not deleted as a whole."
                " Only drafts and simulated surveys can be removed."
            )
        people = select(participant.c.id).where(participant.c.survey_id == one.id)
        files = connection.execute(select(clip.c.file).where(clip.c.survey_id == one.id))
        kept = [one.volume_file, *files.scalars()]
        connection.execute(delete(trial).where(trial.c.participant_id.in_(people)))
        for table in (participant, clip, system):
            connection.execute(delete(table).where(table.c.survey_id == one.id))
        connection.execute(delete(survey).where(survey.c.id == one.id))
        record(connection, store.now(), name, by, "remove")
    for file in kept:
        (store.clips / file).unlink(missing_ok=True)
    if one.simulated:  # a draft has no results
        results = Path(one.run) / FOLDER / name
        results.with_suffix(".json").unlink(missing_ok=True)
        shutil.rmtree(results, ignore_errors=True)


_VERBS = {"draft": "not open yet", "open": "open", "closed": "closed", "published": "published"}


def _change(
    store: SurveyStore, name: str, before: str, after: str, by: str, **times: datetime
) -> None:
    with store.writing() as connection:
        one = named(connection, name, lock=True)
        if one.state != before:
            raise BenchError(
                f"'{name}' is {_VERBS[one.state]}, and only a survey that is {_VERBS[before]} can"
                f" become {_VERBS[after]}."
            )
        change = update(survey).where(survey.c.id == one.id).values(state=after, **times)
        connection.execute(change)
        record(connection, store.now(), name, by, after)


# -- the listeners ---------------------------------------------------------------------------------


def codes(store: SurveyStore, name: str, n: int, by: str = HERE) -> list[str]:
    """That many new invitation codes. They are shown this once: only keyed hashes are kept."""
    if not 1 <= n <= MOST_CODES:
        raise BenchError(f"Ask for 1 to {MOST_CODES} codes at a time, not {n}.")
    made: list[str] = []
    with store.writing() as connection:
        one = named(connection, name, lock=True)
        if one.state not in ("draft", "open"):
            raise BenchError(f"'{name}' is {_VERBS[one.state]}: nobody can be invited any more.")
        while len(made) < n:
            code = new_code()
            if insert_once(
                connection,
                participant,
                survey_id=one.id,
                code_hash=code_hash(store, code),
                listener=secrets.token_urlsafe(18),
                rater=secrets.randbelow(900_000) + 100_000,
                invited_at=store.now(),
            ):
                made.append(code)
        record(connection, store.now(), name, by, "codes", str(n))
    return made


def exclude(store: SurveyStore, name: str, rater: int, reason: str, by: str = HERE) -> None:
    """Flag a listener, by the number that `status` gives, as not to be counted; nothing is deleted."""
    if not reason.strip():
        raise BenchError("Say why: the reason is published with the results.")
    with store.writing() as connection:
        one = named(connection, name)
        who = connection.execute(
            select(participant.c.id).where(
                participant.c.survey_id == one.id, participant.c.rater == rater
            )
        ).scalar()
        if who is None:
            raise BenchError(
                f"'{name}' has no listener {rater}; `bench survey status {name} --listeners` lists"
                " them."
            )
        added = insert_once(
            connection, exclusion, participant_id=who, reason=reason.strip(), by=by, at=store.now()
        )
        if not added:
            raise BenchError(f"Listener {rater} is excluded already; the first reason stands.")
        record(connection, store.now(), name, by, "exclude", f"{rater}: {reason.strip()}")


def delete_participant(store: SurveyStore, code: str, by: str = HERE) -> None:
    """Delete all rows of the listener with that code. Backups made before still hold them."""
    with store.writing() as connection:
        who = connection.execute(
            select(participant.c.id, survey.c.name)
            .join(survey, survey.c.id == participant.c.survey_id)
            .where(participant.c.code_hash == code_hash(store, code))
        ).first()
        if who is None:
            raise BenchError("No listener has this code. Check it letter by letter.")
        connection.execute(delete(trial).where(trial.c.participant_id == who.id))
        connection.execute(delete(participant).where(participant.c.id == who.id))
        record(connection, store.now(), who.name, by, "delete a participant")


# -- what the rest of the dashboard asks -----------------------------------------------------------


def embargoed(store: SurveyStore) -> set[str]:
    """The ids of jobs whose samples are in an open survey."""
    with store.reading() as connection:
        lists = connection.execute(select(survey.c.embargo).where(survey.c.state == "open"))
        return {job for (kept,) in lists for job in json.loads(kept)}


@dataclass(frozen=True)
class AuditLine:
    """A line of the record of who did what."""

    at: datetime
    survey: str
    by: str
    action: str
    detail: str


def audit(store: SurveyStore, name: str | None = None) -> list[AuditLine]:
    """Who did what, the newest first."""
    statement = select(audit_table).order_by(audit_table.c.id.desc())
    if name is not None:
        statement = statement.where(audit_table.c.survey == name)
    with store.reading() as connection:
        rows = connection.execute(statement).all()
    return [AuditLine(row.at, row.survey, row.by, row.action, row.detail) for row in rows]
