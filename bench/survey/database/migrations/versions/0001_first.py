"""The first version of the survey's tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables, and guard the audit."""
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", sa.String(length=32), nullable=False),
        sa.Column("survey", sa.String(length=61), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
    )
    op.create_table(
        "survey",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=61), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("config", sa.Text(), nullable=False),
        sa.Column("config_hash", sa.String(length=64), nullable=False),
        sa.Column("run", sa.Text(), nullable=False),
        sa.Column("simulated", sa.Boolean(), nullable=False),
        sa.Column("volume_file", sa.String(length=40), nullable=False),
        sa.Column("embargo", sa.Text(), nullable=False),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.Column("opened_at", sa.String(length=32), nullable=True),
        sa.Column("closed_at", sa.String(length=32), nullable=True),
        sa.Column("published_at", sa.String(length=32), nullable=True),
        sa.CheckConstraint(
            "state IN ('draft', 'open', 'closed', 'published')", name="ck_survey_state"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_survey"),
        sa.UniqueConstraint("name", name="uq_survey_name"),
    )
    op.create_table(
        "participant",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("survey_id", sa.Integer(), nullable=False),
        sa.Column("code_hash", sa.String(length=64), nullable=False),
        sa.Column("listener", sa.String(length=40), nullable=False),
        sa.Column("rater", sa.Integer(), nullable=False),
        sa.Column("invited_at", sa.String(length=32), nullable=False),
        sa.Column("entered_at", sa.String(length=32), nullable=True),
        sa.Column("consent_version", sa.String(length=40), nullable=True),
        sa.Column("consent_sha256", sa.String(length=64), nullable=True),
        sa.Column("consented_at", sa.String(length=32), nullable=True),
        sa.Column("volume_at", sa.String(length=32), nullable=True),
        sa.Column("answers", sa.Text(), nullable=True),
        sa.Column("assigned_at", sa.String(length=32), nullable=True),
        sa.Column("seed", sa.String(length=64), nullable=True),
        sa.Column("last_seen_at", sa.String(length=32), nullable=True),
        sa.Column("finished_at", sa.String(length=32), nullable=True),
        sa.Column("withdrawn_at", sa.String(length=32), nullable=True),
        sa.ForeignKeyConstraint(["survey_id"], ["survey.id"], name="fk_participant_survey_id"),
        sa.PrimaryKeyConstraint("id", name="pk_participant"),
        sa.UniqueConstraint("code_hash", name="uq_participant_code_hash"),
        sa.UniqueConstraint("listener", name="uq_participant_listener"),
        sa.UniqueConstraint("survey_id", "rater", name="uq_participant_survey_id_rater"),
    )
    op.create_index("ix_participant_survey", "participant", ["survey_id"], unique=False)
    op.create_table(
        "system",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("survey_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("variant", sa.String(length=12), nullable=False),
        sa.Column("dataset", sa.Text(), nullable=False),
        sa.Column("preset", sa.String(length=12), nullable=False),
        sa.Column("job", sa.Text(), nullable=False),
        sa.Column("role", sa.String(length=8), nullable=False),
        sa.CheckConstraint("role IN ('system', 'human', 'anchor')", name="ck_system_role"),
        sa.ForeignKeyConstraint(["survey_id"], ["survey.id"], name="fk_system_survey_id"),
        sa.PrimaryKeyConstraint("id", name="pk_system"),
        sa.UniqueConstraint(
            "survey_id",
            "name",
            "variant",
            "dataset",
            "preset",
            "job",
            name="uq_system_survey_id_name_variant_dataset_preset_job",
        ),
    )
    op.create_table(
        "clip",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("survey_id", sa.Integer(), nullable=False),
        sa.Column("system_id", sa.Integer(), nullable=False),
        sa.Column("label", sa.String(length=8), nullable=False),
        sa.Column("file", sa.String(length=40), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("content", sa.String(length=64), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("sample", sa.Integer(), nullable=True),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("lufs", sa.Float(), nullable=False),
        sa.Column("practice", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["survey_id"], ["survey.id"], name="fk_clip_survey_id"),
        sa.ForeignKeyConstraint(["system_id"], ["system.id"], name="fk_clip_system_id"),
        sa.PrimaryKeyConstraint("id", name="pk_clip"),
        sa.UniqueConstraint("file", name="uq_clip_file"),
        sa.UniqueConstraint("survey_id", "label", name="uq_clip_survey_id_label"),
    )
    op.create_index("ix_clip_survey", "clip", ["survey_id"], unique=False)
    op.create_table(
        "exclusion",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("participant_id", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("at", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["participant_id"],
            ["participant.id"],
            name="fk_exclusion_participant_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_exclusion"),
        sa.UniqueConstraint("participant_id", name="uq_exclusion_participant_id"),
    )
    op.create_table(
        "trial",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("token", sa.String(length=40), nullable=False),
        sa.Column("participant_id", sa.Integer(), nullable=False),
        sa.Column("clip_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("block", sa.Integer(), nullable=False),
        sa.Column("square_row", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("served_at", sa.String(length=32), nullable=True),
        sa.Column("heard_at", sa.String(length=32), nullable=True),
        sa.Column("coverage", sa.Float(), nullable=True),
        sa.Column("plays", sa.Integer(), nullable=True),
        sa.CheckConstraint("kind IN ('practice', 'main', 'repeat')", name="ck_trial_kind"),
        sa.ForeignKeyConstraint(["clip_id"], ["clip.id"], name="fk_trial_clip_id"),
        sa.ForeignKeyConstraint(
            ["participant_id"],
            ["participant.id"],
            name="fk_trial_participant_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_trial"),
        sa.UniqueConstraint(
            "participant_id", "clip_id", "kind", name="uq_trial_participant_id_clip_id_kind"
        ),
        sa.UniqueConstraint("participant_id", "position", name="uq_trial_participant_id_position"),
        sa.UniqueConstraint("token", name="uq_trial_token"),
    )
    op.create_index("ix_trial_clip", "trial", ["clip_id"], unique=False)
    op.create_table(
        "belief",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("trial_id", sa.Integer(), nullable=False),
        sa.Column("believable", sa.Boolean(), nullable=False),
        sa.Column("known", sa.Boolean(), nullable=False),
        sa.Column("comment", sa.String(length=500), nullable=False),
        sa.Column("at", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["trial_id"], ["trial.id"], name="fk_belief_trial_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_belief"),
        sa.UniqueConstraint("trial_id", name="uq_belief_trial_id"),
    )
    op.create_table(
        "rating",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("trial_id", sa.Integer(), nullable=False),
        sa.Column("score", sa.Integer(), nullable=False),
        sa.Column("at", sa.String(length=32), nullable=False),
        sa.CheckConstraint("score BETWEEN 1 AND 10", name="ck_rating_score"),
        sa.ForeignKeyConstraint(
            ["trial_id"], ["trial.id"], name="fk_rating_trial_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_rating"),
        sa.UniqueConstraint("trial_id", name="uq_rating_trial_id"),
    )

    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE OR REPLACE FUNCTION audit_stays() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION 'the audit is only added to'; END $$"
        )
        op.execute(
            "CREATE TRIGGER audit_stays BEFORE UPDATE OR DELETE ON audit"
            " FOR EACH ROW EXECUTE FUNCTION audit_stays()"
        )
    else:
        for change in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER audit_stays_{change.lower()} BEFORE {change} ON audit"
                " BEGIN SELECT RAISE(ABORT, 'the audit is only added to'); END"
            )
