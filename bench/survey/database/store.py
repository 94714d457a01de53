"""The open database of the surveys, and the folder of clips beside it."""

from __future__ import annotations

import hashlib
import hmac
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Connection,
    Engine,
    Table,
    create_engine,
    event,
    insert,
    make_url,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError

from bench.errors import BenchError
from bench.survey.database import tables
from bench.survey.rate_limit import RateLimiter

URL = "BENCH_SURVEY_URL"
FOLDER = "BENCH_SURVEY_DIR"
COMMAND_LINE = "command line"  # who acts, in the audit, unless someone else is named


def now() -> datetime:
    """The current time in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class SurveyStore:
    """An open database, the folder beside it, and a clock."""

    engine: Engine
    folder: Path
    now: Callable[[], datetime] = now
    rate_limiter: RateLimiter = field(default_factory=RateLimiter)
    _writer: threading.Lock = field(default_factory=threading.Lock)

    @property
    def clips(self) -> Path:
        """The folder of the clips; their names are random."""
        return self.folder / "clips"

    @property
    def secret(self) -> bytes:
        """The key of keyed hashes, from a file that only its owner can read."""
        return bytes.fromhex((self.folder / "secret").read_text())

    def keyed(self, *parts: object) -> str:
        """A hash of the parts that cannot be computed without the secret."""
        text = "\x1f".join(str(part) for part in parts)
        return hmac.new(self.secret, text.encode(), hashlib.sha256).hexdigest()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection in a transaction that only reads."""
        with self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A connection in a transaction: all of its changes are stored, or none.

        SQLite allows one writer at a time. The writers of this process wait for a lock, which wakes
        them sooner than SQLite's own waiting by sleeps.
        """
        if self.engine.dialect.name == "sqlite":
            with (
                self._writer,
                self.engine.connect().execution_options(writing=True) as connection,
                connection.begin(),
            ):
                yield connection
        else:
            with self.engine.begin() as connection:
                yield connection


def insert_once(connection: Connection, table: Table, **values: Any) -> bool:
    """Insert the row unless a row has the same unique values; whether it was inserted.

    RETURNING gives the answer on every database; psycopg's row count does not.
    """
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(table).values(**values).on_conflict_do_nothing()
    return connection.execute(statement.returning(table.c.id)).first() is not None


def record(
    connection: Connection, at: datetime, survey: str, by: str, action: str, detail: str = ""
) -> None:
    """Add a line to the audit: who did what in which survey."""
    row = {"at": at, "survey": survey, "by": by, "action": action, "detail": detail}
    connection.execute(insert(tables.audit).values(row))


def survey_folder() -> Path:
    """The folder of the survey's files: `$BENCH_SURVEY_DIR`, or one in the user's data folder."""
    if given := os.environ.get(FOLDER):
        return Path(given).expanduser()
    if given := os.environ.get("XDG_DATA_HOME"):
        return Path(given) / "musicbench" / "survey"
    mac = sys.platform == "darwin"
    base = Path.home() / ("Library/Application Support" if mac else ".local/share")
    return base / "musicbench" / "survey"


def location(url: str | None) -> tuple[str, Path]:
    """The address of the database, and the folder of the files beside it."""
    url = url or os.environ.get(URL) or f"sqlite:///{survey_folder() / 'survey.db'}"
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise BenchError(
            f"{URL} is not the address of a database. Use sqlite:///FILE or"
            " postgresql+psycopg://USER:PASSWORD@HOST/DATABASE."
        ) from None
    kind = parsed.get_backend_name()
    if kind not in ("sqlite", "postgresql") or (kind == "sqlite" and not parsed.database):
        given = "SQLite without a file" if kind == "sqlite" else kind
        raise BenchError(
            f"The survey can be stored in an SQLite file or in PostgreSQL, not in {given}. Set"
            f" {URL} to the address of one of them."
        )
    if kind == "sqlite" and not os.environ.get(FOLDER):
        return url, Path(str(parsed.database)).resolve().parent
    return url, survey_folder()


def sqlite_file(address: str) -> Path | None:
    """The file of an SQLite database; None for a server."""
    url = make_url(address)
    return Path(str(url.database)) if url.get_backend_name() == "sqlite" else None


def connect(address: str) -> Engine:
    """An engine whose settings make sure that no stored answer is lost."""
    url = make_url(address)
    if url.get_backend_name() == "postgresql":
        if url.drivername == "postgresql":
            url = url.set(drivername="postgresql+psycopg")
        try:
            return create_engine(url, pool_size=10, max_overflow=30, pool_pre_ping=True)
        except ModuleNotFoundError:
            raise BenchError(
                "PostgreSQL needs a driver: pip install 'musicbench[postgres]'."
            ) from None
    engine = create_engine(url, pool_size=10, max_overflow=40)

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # `_begin` starts transactions, not the driver
        for pragma in (
            "journal_mode = WAL",
            "synchronous = FULL",  # a stored answer survives a power cut
            "busy_timeout = 30000",
            "foreign_keys = ON",
            "secure_delete = ON",  # deleted answers are overwritten on the disk
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A transaction that reads first and then writes fails where another one wrote in between.
        writes = connection.get_execution_options().get("writing")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine
