"""Where the survey keeps what people said: one database, and the clips beside it."""

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


def now() -> datetime:
    """The time, in UTC."""
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
        """What keyed hashes are made with: a file that only its owner can read."""
        return bytes.fromhex((self.folder / "secret").read_text())

    def keyed(self, *parts: object) -> str:
        """A hash of the parts that nobody without the secret can make or check."""
        text = "\x1f".join(str(part) for part in parts)
        return hmac.new(self.secret, text.encode(), hashlib.sha256).hexdigest()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that sees one state of the database."""
        with self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A connection whose changes are all kept when the block ends, or none of them.

        SQLite has one writer at a time: within this process they queue here, where a turn comes
        sooner than from the busy handler's sleeps.
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
    """Insert the row unless one with the same unique values is there; whether it was inserted.

    RETURNING tells it on every database; the row count of psycopg does not.
    """
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(table).values(**values).on_conflict_do_nothing()
    return connection.execute(statement.returning(table.c.id)).first() is not None


def record(
    connection: Connection, at: datetime, survey: str, by: str, action: str, detail: str = ""
) -> None:
    """Add a line to the audit."""
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


def place(url: str | None) -> tuple[str, Path]:
    """The database's address and the folder of what lies beside it."""
    url = url or os.environ.get(URL) or f"sqlite:///{survey_folder() / 'survey.db'}"
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise BenchError(
            f"{URL} is no database's address; give sqlite:///FILE or"
            " postgresql+psycopg://USER:PASSWORD@HOST/DATABASE."
        ) from None
    kind = parsed.get_backend_name()
    if kind not in ("sqlite", "postgresql") or (kind == "sqlite" and not parsed.database):
        raise BenchError(
            f"The survey can be kept in an SQLite file or in PostgreSQL, not in {kind}."
        )
    if kind == "sqlite" and not os.environ.get(FOLDER):
        return url, Path(str(parsed.database)).resolve().parent
    return url, survey_folder()


def sqlite_file(address: str) -> Path | None:
    """The database's file; none where it is on a server."""
    url = make_url(address)
    return Path(str(url.database)) if url.get_backend_name() == "sqlite" else None


def connect(address: str) -> Engine:
    """An engine with the settings that a database needs to lose nothing."""
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
    def _settings(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # the transactions are begun below, not by the driver
        for pragma in (
            "journal_mode = WAL",
            "synchronous = FULL",  # what was acknowledged outlives a power cut
            "busy_timeout = 30000",
            "foreign_keys = ON",
            "secure_delete = ON",  # what people had deleted is overwritten
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A transaction that first reads and then writes could not be begun anew when busy.
        writes = connection.get_execution_options().get("writing")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine
