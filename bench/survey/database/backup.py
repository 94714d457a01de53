"""Writes everything, from SQLite or PostgreSQL, into one file that either of them can restore."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

from sqlalchemy import MetaData, select, text

from bench.errors import BenchError
from bench.files import replacing
from bench.survey.database.store import SurveyStore
from bench.survey.database.versions import version

_VERSION_TABLE = "alembic_version"


def backup(store: SurveyStore, file: Path | None = None) -> Path:
    """Write everything, database, clips and secret, into one file that `restore` reads; the file.

    The file is as private as the database: codes can be checked with it. It holds the database as
    it is at one moment, even if listeners write meanwhile.
    """
    at = store.now().strftime("%Y%m%d-%H%M%S")
    path = file or store.folder / "backups" / f"survey-{at}.zip"
    if path.exists():
        raise BenchError(f"{path} exists already. Give another file, or none.")
    with (
        replacing(path) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        temporary.chmod(0o600)
        with store.reading() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
            archive.writestr("version", version(connection) or "")
            tables = MetaData()  # read from the database, which may be older than this code
            tables.reflect(connection)
            for table in tables.sorted_tables:
                if table.name == _VERSION_TABLE:
                    continue
                rows = connection.execute(select(table).order_by(*table.primary_key.columns))
                with archive.open(f"tables/{table.name}.jsonl", "w") as out:
                    for row in rows.mappings():
                        out.write(json.dumps(dict(row)).encode() + b"\n")
        archive.write(store.folder / "secret", "secret")
        for clip in sorted(store.clips.glob("*.mp3")):
            archive.write(clip, f"clips/{clip.name}", zipfile.ZIP_STORED)
    return path
