"""Makes a survey: renders its clips, checks them and stores everything as a draft."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, insert
from sqlalchemy.exc import IntegrityError

from bench.errors import BenchError
from bench.files import write
from bench.survey.clips import Clip
from bench.survey.config import SurveyConfig
from bench.survey.contestants import Contestant, ContestantClips, SurveyClips, clips_of_run
from bench.survey.database.store import COMMAND_LINE, SurveyStore, record
from bench.survey.database.tables import clip, survey, system
from bench.survey.overview import Summary, summary, surveys


@dataclass(frozen=True)
class _StoredClip:
    """A clip whose audio is written."""

    clip: Clip
    file: str  # its name in the folder of clips
    practice: bool


def create(
    store: SurveyStore,
    config: SurveyConfig,
    progress: Callable[[str], None] = lambda _: None,
    by: str = COMMAND_LINE,
    clips: SurveyClips | None = None,
) -> Summary:
    """Store a new survey in state draft, with its clips rendered and checked.

    Without `clips` they are made from the samples of the configuration's run. BenchError where the
    name is taken or the clips are unfit; nothing is stored then.
    """
    if any(other.name == config.name for other in surveys(store)):
        raise BenchError(
            f"There is a survey called '{config.name}' already, and a survey cannot be changed:"
            " choose another name."
        )
    clips = clips or clips_of_run(config, progress)
    files: list[Path] = []

    def store_audio(audio: bytes) -> str:
        """Write the audio under a random name; the name."""
        path = store.clips / f"{secrets.token_hex(12)}.mp3"
        write(path, audio)
        files.append(path)
        return path.name

    try:
        volume_file = store_audio(clips.volume.audio)
        stored = [
            (
                group,
                [_StoredClip(made, store_audio(made.audio), False) for made in group.clips]
                + [_StoredClip(made, store_audio(made.audio), True) for made in group.practice],
            )
            for group in clips.contestants
        ]
        with store.writing() as connection:
            now = store.now()
            values = {
                "name": config.name,
                "state": "draft",
                "config": config.model_dump_json(),
                "config_hash": config.sha256,
                "run": str(config.run.resolve()),
                "simulated": config.simulated,
                "volume_file": volume_file,
                "embargo": json.dumps(sorted(clips.embargo)),
                "created_at": now,
            }
            statement = insert(survey).values(values).returning(survey.c.id)
            survey_id = connection.execute(statement).scalar_one()
            _insert_clips(connection, survey_id, stored)
            silent = {
                group.contestant.name: group.silent for group in clips.contestants if group.silent
            }
            skipped = f"; silent samples skipped: {silent}" if silent else ""
            record(connection, now, config.name, by, "create", config.sha256 + skipped)
    except BaseException as error:
        for path in files:
            path.unlink(missing_ok=True)
        if isinstance(error, IntegrityError):
            raise BenchError(
                f"A survey called '{config.name}' was created at the same time: choose another"
                " name."
            ) from None
        raise
    return summary(store, config.name)


def _insert_clips(
    connection: Connection,
    survey_id: int,
    stored: Sequence[tuple[ContestantClips, Sequence[_StoredClip]]],
) -> None:
    """Insert each contestant as a system of the survey, and all clips."""
    rows: list[tuple[int, _StoredClip]] = []
    for group, group_clips in stored:
        system_id = _insert_system(connection, survey_id, group.contestant, group.dataset)
        rows += [(system_id, stored_clip) for stored_clip in group_clips]
    # Labels are numbered in random order, so that they tell nothing about the system.
    secrets.SystemRandom().shuffle(rows)
    for number, (system_id, stored_clip) in enumerate(rows, start=1):
        made = stored_clip.clip
        values = {
            "survey_id": survey_id,
            "system_id": system_id,
            "label": f"c{number:04d}",
            "file": stored_clip.file,
            "sha256": made.sha256,
            "content": made.content,
            "source": made.source,
            "sample": made.sample,
            "seconds": made.seconds,
            "lufs": made.lufs,
            "practice": stored_clip.practice,
        }
        connection.execute(insert(clip).values(values))


def _insert_system(
    connection: Connection, survey_id: int, contestant: Contestant, dataset: str
) -> int:
    """Insert a system of the survey; its id."""
    values = {
        "survey_id": survey_id,
        "name": contestant.name,
        "variant": contestant.variant,
        "dataset": dataset,
        "preset": contestant.preset,
        "job": contestant.job,
        "role": contestant.role,
    }
    statement = insert(system).values(values).returning(system.c.id)
    return int(connection.execute(statement).scalar_one())
