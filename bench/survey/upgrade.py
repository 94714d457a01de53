"""Bringing the database to the version of the code, and refusing one that is ahead of it."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, text

from bench.errors import BenchError
from bench.survey.store import Store

MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK = 7_320_155  # of PostgreSQL: one process migrates, the others wait


def upgrade(store: Store, migrations: Path = MIGRATIONS) -> None:
    """Apply the migrations that the database has not had, after a backup where it holds anything.

    BenchError where a newer version of musicbench made it.
    """
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(migrations).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    scripts = ScriptDirectory.from_config(config)
    known = {script.revision for script in scripts.walk_revisions()}
    head = scripts.get_current_head()

    with store.reading() as connection:
        at = version(connection)
    if at == head:
        return
    if at is not None and at not in known:
        raise BenchError(
            f"The survey's database is of version {at}, which this musicbench does not know: a"
            " newer one made it. Update musicbench: pip install --upgrade musicbench."
        )
    if at is not None:
        from bench.survey.backup import backup

        backup(store, store.folder / "backups" / f"before-{head}-was-{at}.zip")
    with store.writing() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
        if version(connection) != at:
            return  # another process was faster
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def version(connection: Connection) -> str | None:
    """The last migration that the database has had; none where it is empty."""
    from alembic.migration import MigrationContext

    return MigrationContext.configure(connection).get_current_revision()
