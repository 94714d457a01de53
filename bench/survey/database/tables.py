"""The tables of the survey. Answers are only inserted, never updated."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

from bench.survey.terms import HIGHEST, LONGEST_COMMENT, LOWEST


class Utc(TypeDecorator[datetime]):
    """A time, stored as text in UTC, since SQLite has no time zones. The texts sort by time."""

    impl = String(32)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        """To the database."""
        return value.astimezone(UTC).isoformat(timespec="microseconds") if value else None

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        """From the database."""
        return datetime.fromisoformat(value) if value else None


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _id() -> Column[int]:
    return Column("id", Integer, primary_key=True)


def _of(table: str, cascade: bool = False) -> Column[int]:
    key = ForeignKey(f"{table}.id", ondelete="CASCADE" if cascade else None)
    return Column(f"{table}_id", Integer, key, nullable=False)


survey = Table(
    "survey",
    metadata,
    _id(),
    Column("name", String(61), nullable=False, unique=True),
    Column("state", String(12), nullable=False),
    Column("config", Text, nullable=False),  # JSON
    Column("config_hash", String(64), nullable=False),
    Column("run", Text, nullable=False),  # the run folder that its clips come from
    Column("simulated", Boolean, nullable=False),
    Column("volume_file", String(40), nullable=False),
    Column("embargo", Text, nullable=False),  # JSON: ids of jobs whose samples are heard in it
    Column("created_at", Utc, nullable=False),
    Column("opened_at", Utc),
    Column("closed_at", Utc),
    Column("published_at", Utc),
    CheckConstraint("state IN ('draft', 'open', 'closed', 'published')", name="state"),
)

system = Table(
    "system",
    metadata,
    _id(),
    _of("survey"),
    Column("name", Text, nullable=False),
    Column("variant", String(12), nullable=False),
    Column("dataset", Text, nullable=False),
    Column("preset", String(12), nullable=False),
    Column("job", Text, nullable=False),  # empty for the human reference and the anchor
    Column("role", String(8), nullable=False),
    UniqueConstraint("survey_id", "name", "variant", "dataset", "preset", "job"),
    CheckConstraint("role IN ('system', 'human', 'anchor')", name="role"),
)

clip = Table(
    "clip",
    metadata,
    _id(),
    _of("survey"),
    _of("system"),
    Column("label", String(8), nullable=False),  # the clip's name in the exported table
    Column("file", String(40), nullable=False, unique=True),
    Column("sha256", String(64), nullable=False),  # of the audio
    Column("content", String(64), nullable=False),  # of the notes
    Column("source", Text, nullable=False),  # the piece that it was cut from
    Column("sample", Integer),  # its number among the job's samples; NULL without a job
    Column("seconds", Float, nullable=False),
    Column("lufs", Float, nullable=False),
    Column("practice", Boolean, nullable=False),
    UniqueConstraint("survey_id", "label"),
)

participant = Table(
    "participant",
    metadata,
    _id(),
    _of("survey"),
    Column("code_hash", String(64), nullable=False, unique=True),
    Column("listener", String(40), nullable=False, unique=True),
    Column(
        "rater", Integer, nullable=False
    ),  # a random number, so that the order of invitations stays unknown
    Column("invited_at", Utc, nullable=False),
    Column("entered_at", Utc),
    Column("consent_version", String(40)),
    Column("consent_sha256", String(64)),
    Column("consented_at", Utc),
    Column("volume_at", Utc),
    Column("answers", Text),  # JSON: to the background questions
    Column("assigned_at", Utc),
    Column("seed", String(64)),  # of the assignment of trials
    Column("last_seen_at", Utc),
    Column("finished_at", Utc),
    Column("withdrawn_at", Utc),
    UniqueConstraint("survey_id", "rater"),
)

trial = Table(
    "trial",
    metadata,
    _id(),
    Column("token", String(40), nullable=False, unique=True),
    _of("participant", cascade=True),
    _of("clip"),
    Column("kind", String(8), nullable=False),
    Column("block", Integer, nullable=False),  # from 1; 0 for practice
    Column("square_row", Integer, nullable=False),  # of the Williams square; -1 outside it
    Column("position", Integer, nullable=False),  # from 1; practice comes before, up to 0
    Column("served_at", Utc),  # first played
    Column("heard_at", Utc),
    Column("coverage", Float),
    Column("plays", Integer),
    UniqueConstraint("participant_id", "position"),
    UniqueConstraint("participant_id", "clip_id", "kind"),
    CheckConstraint("kind IN ('practice', 'main', 'repeat')", name="kind"),
)

rating = Table(
    "rating",
    metadata,
    _id(),
    Column(
        "trial_id", Integer, ForeignKey("trial.id", ondelete="CASCADE"), nullable=False, unique=True
    ),
    Column("score", Integer, nullable=False),
    Column("at", Utc, nullable=False),
    CheckConstraint(f"score BETWEEN {LOWEST} AND {HIGHEST}", name="score"),
)

belief = Table(
    "belief",
    metadata,
    _id(),
    Column(
        "trial_id", Integer, ForeignKey("trial.id", ondelete="CASCADE"), nullable=False, unique=True
    ),
    Column("believable", Boolean, nullable=False),
    Column("known", Boolean, nullable=False),
    Column("comment", String(LONGEST_COMMENT), nullable=False),
    Column("at", Utc, nullable=False),
)

exclusion = Table(
    "exclusion",
    metadata,
    _id(),
    Column(
        "participant_id",
        Integer,
        ForeignKey("participant.id", ondelete="CASCADE"),
        nullable=False,
        unique=True,
    ),
    Column("reason", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("at", Utc, nullable=False),
)

# Triggers, made by the first migration, refuse to change or delete its rows.
audit = Table(
    "audit",
    metadata,
    _id(),
    Column("at", Utc, nullable=False),
    Column("survey", String(61), nullable=False),  # its name
    Column("by", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("detail", Text, nullable=False),
)

Index("ix_participant_survey", participant.c.survey_id)
Index("ix_clip_survey", clip.c.survey_id)
Index("ix_trial_clip", trial.c.clip_id)
