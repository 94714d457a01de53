"""The versions of the database, and the migrations from one to the next."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from bench.errors import BenchError

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS = Path(__file__).parent / "migrations"


def known(migrations: Path = MIGRATIONS) -> list[str]:
    """The versions that this code knows, the oldest first."""
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory.from_config(_config(migrations))
    return [script.revision for script in scripts.walk_revisions()][::-1]


def version(connection: Connection) -> str | None:
    """The database's version; None where it is empty."""
    from alembic.migration import MigrationContext

    return MigrationContext.configure(connection).get_current_revision()


def refuse_unknown(current: str, versions: list[str]) -> None:
    """BenchError where this code does not know the version."""
    if current not in versions:
        raise BenchError(
            f"The survey's data have version {current}, which a newer musicbench made; this one"
            f" knows versions up to {versions[-1]}. Update it: pip install --upgrade musicbench."
        )


def migrate(connection: Connection, to: str, migrations: Path = MIGRATIONS) -> None:
    """Apply the migrations up to version `to`, in the transaction of the connection."""
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
