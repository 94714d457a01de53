"""Opens the database of the surveys: creates a missing one and upgrades an old one."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from bench.errors import BenchError
from bench.survey.database.backup import backup
from bench.survey.database.store import (
    FOLDER,
    URL,
    SurveyStore,
    connect,
    location,
    now,
    sqlite_file,
)
from bench.survey.database.versions import MIGRATIONS, known, migrate, refuse_unknown, version

_LOCK = 7_320_155  # key of a PostgreSQL lock: one process migrates, the others wait


def exists(url: str | None = None) -> bool:
    """Whether there is a survey database; it is not created by asking."""
    address, _ = location(url)
    file = sqlite_file(address)
    return file is None or file.is_file()


def open_store(url: str | None = None, clock: Callable[[], datetime] = now) -> SurveyStore:
    """The database at `url`, `$BENCH_SURVEY_URL`, or the one in the user's data folder.

    A missing database is created; an older one is backed up and upgraded. BenchError where a newer
    version of musicbench made it, or where it cannot be reached.
    """
    address, folder = location(url)
    try:
        (folder / "clips").mkdir(parents=True, exist_ok=True)
        if file := sqlite_file(address):
            file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BenchError(
            f"The survey's folder {folder} cannot be created: {error.strerror}. Set {FOLDER} to a"
            " folder that can be written."
        ) from None
    _make_secret(folder / "secret")
    store = SurveyStore(connect(address), folder, clock)
    try:
        upgrade(store)
    except OperationalError as error:
        raise BenchError(
            f"The survey's database does not answer: {str(error.orig).strip()}. Check {URL}, and"
            " whether the server runs."
        ) from None
    return store


def _make_secret(path: Path) -> None:
    temporary = path.with_name(f".secret.{secrets.token_hex(4)}")
    temporary.touch(mode=0o600)
    try:
        temporary.write_text(secrets.token_hex(32))
        os.link(temporary, path)  # unlike a rename, it never replaces an existing file
    except FileExistsError:
        pass
    finally:
        temporary.unlink()


def upgrade(store: SurveyStore, migrations: Path = MIGRATIONS) -> None:
    """Apply the missing migrations, after a backup where the database is not empty.

    BenchError where a newer version of musicbench made the database.
    """
    versions = known(migrations)
    with store.reading() as connection:
        current = version(connection)
    if current == versions[-1]:
        return
    if current is not None:
        refuse_unknown(current, versions)
        name = f"before-{versions[-1]}-{store.now().strftime('%Y%m%d-%H%M%S')}.zip"
        backup(store, store.folder / "backups" / name)
    with store.writing() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
        if version(connection) == current:  # else another process has migrated it by now
            migrate(connection, versions[-1], migrations)
