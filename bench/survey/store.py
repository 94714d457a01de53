"""Where the survey keeps what people said: one database, and the clips beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Engine


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Store:
    """An open database, the folder beside it, and a clock."""

    engine: Engine
    folder: Path
    now: Callable[[], datetime] = now

    @property
    def clips(self) -> Path:
        """The folder of the clips; their names are random."""
        return self.folder / "clips"


def exists(url: str | None = None) -> bool:
    """Whether there is a survey database; nothing is made by asking."""
    raise NotImplementedError


def open_store(url: str | None = None, clock: Callable[[], datetime] = now) -> Store:
    """The database at `url`, `$BENCH_SURVEY_URL`, or the one in the user's data folder.

    It is made where there is none, and brought up to date, after a backup, where it is of an older
    version. BenchError where a newer version made it.
    """
    raise NotImplementedError
