"""Opens the database of the surveys: made where there is none, brought up to date where it is old."""

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
from bench.survey.database.store import FOLDER, URL, SurveyStore, connect, now, place, sqlite_file
from bench.survey.database.versions import MIGRATIONS, known, migrate, refuse_unknown, version

_LOCK = 7_320_155  # of PostgreSQL: one process migrates, the others wait


def exists(url: str | None = None) -> bool:
    """Whether there is a survey database; nothing is made by asking."""
    address, _ = place(url)
    file = sqlite_file(address)
    return file is None or file.is_file()


def open_store(url: str | None = None, clock: Callable[[], datetime] = now) -> SurveyStore:
    """The database at `url`, `$BENCH_SURVEY_URL`, or the one in the user's data folder.

    It is made where there is none, and brought up to date, after a backup, where it is of an older
    version. BenchError where a newer version made it.
    """
    address, folder = place(url)
    try:
        (folder / "clips").mkdir(parents=True, exist_ok=True)
        if file := sqlite_file(address):
            file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BenchError(
            f"The survey cannot be kept in {folder}: {error.strerror}. Set {FOLDER} to a folder"
            " that can be written."
        ) from None
    _make_secret(folder / "secret")
    store = SurveyStore(connect(address), folder, clock)
    try:
        upgrade(store)
    except OperationalError as error:
        raise BenchError(
            f"The survey's database does not answer: {str(error.orig).strip()}. Check {URL}, and"
            " that the server runs."
        ) from None
    return store


def _make_secret(path: Path) -> None:
    half = path.with_name(f".secret.{secrets.token_hex(4)}")
    half.touch(mode=0o600)
    try:
        half.write_text(secrets.token_hex(32))
        os.link(half, path)  # unlike a rename it never takes the place of one that is there
    except FileExistsError:
        pass
    finally:
        half.unlink()


def upgrade(store: SurveyStore, migrations: Path = MIGRATIONS) -> None:
    """Apply the migrations that the database has not had, after a backup where it holds anything.

    BenchError where a newer version of musicbench made it.
    """
    versions = known(migrations)
    with store.reading() as connection:
        at = version(connection)
    if at == versions[-1]:
        return
    if at is not None:
        refuse_unknown(at, versions)
        name = f"before-{versions[-1]}-{store.now().strftime('%Y%m%d-%H%M%S')}.zip"
        backup(store, store.folder / "backups" / name)
    with store.writing() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
        if version(connection) == at:  # else another process was faster
            migrate(connection, versions[-1], migrations)
