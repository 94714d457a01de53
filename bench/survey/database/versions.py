"""Bringing the database to the version of the code, and refusing one that is ahead of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from bench.errors import BenchError

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS = Path(__file__).parent / "migrations"


def known(migrations: Path = MIGRATIONS) -> list[str]:
    """The versions that there are, the oldest first."""
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory.from_config(_config(migrations))
    return [script.revision for script in scripts.walk_revisions()][::-1]


def version(connection: Connection) -> str | None:
    """The last migration that the database has had; none where it is empty."""
    from alembic.migration import MigrationContext

    return MigrationContext.configure(connection).get_current_revision()


def refuse_unknown(at: str, versions: list[str]) -> None:
    """BenchError where this code does not know the version."""
    if at not in versions:
        raise BenchError(
            f"The survey's data are of version {at}, and this musicbench knows them up to"
            f" {versions[-1]}: a newer one made them. Update it: pip install --upgrade musicbench."
        )


def migrate(connection: Connection, to: str, migrations: Path = MIGRATIONS) -> None:
    """Apply migrations up to that one, in the transaction of the connection."""
    from alembic import command

    config = _config(migrations)
    config.attributes["connection"] = connection
    command.upgrade(config, to)


def _config(migrations: Path) -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(migrations).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
