"""Everything in one file, from either database and back into either."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

from sqlalchemy import MetaData, select, text

from bench.errors import BenchError
from bench.files import replacing
from bench.survey.store import Store
from bench.survey.tables import survey
from bench.survey.upgrade import known, migrate, refuse_unknown, upgrade, version

_TABLE = "alembic_version"


def backup(store: Store, file: Path | None = None) -> Path:
    """Everything, database and clips, in one file that `restore` reads.

    It is as private as the database: with it codes can be checked. One moment of the database is
    seen, whatever is written meanwhile.
    """
    at = store.now().strftime("%Y%m%d-%H%M%S")
    path = file or store.folder / "backups" / f"survey-{at}.zip"
    if path.exists():
        raise BenchError(f"{path} exists. Give another file, or none.")
    with replacing(path) as half, zipfile.ZipFile(half, "w", zipfile.ZIP_DEFLATED) as archive:
        half.chmod(0o600)
        with store.reading() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
            archive.writestr("version", version(connection) or "")
            tables = MetaData()  # as they are, which may be older than this code
            tables.reflect(connection)
            for table in tables.sorted_tables:
                if table.name == _TABLE:
                    continue
                rows = connection.execute(select(table).order_by(*table.primary_key.columns))
                with archive.open(f"tables/{table.name}.jsonl", "w") as out:
                    for row in rows.mappings():
                        out.write(json.dumps(dict(row)).encode() + b"\n")
        archive.write(store.folder / "secret", "secret")
        for clip in sorted(store.clips.glob("*.mp3")):
            archive.write(clip, f"clips/{clip.name}", zipfile.ZIP_STORED)
    return path


def restore(store: Store, file: Path) -> None:
    """Put a backup into a database without surveys, and bring it up to date."""
    try:
        archive = zipfile.ZipFile(file)
        at = archive.read("version").decode()
        secret = archive.read("secret")
    except (OSError, KeyError, zipfile.BadZipFile):
        raise BenchError(
            f"{file} is no backup of a survey; `bench survey backup` makes one."
        ) from None
    with archive:
        if broken := archive.testzip():
            raise BenchError(f"{file} is damaged: {broken} cannot be read. Take another backup.")
        refuse_unknown(at, known())
        with store.writing() as connection:
            if connection.execute(select(survey.c.id)).first():
                raise BenchError(
                    "The database holds surveys, and a backup goes into an empty one. Set"
                    " BENCH_SURVEY_URL and BENCH_SURVEY_DIR to where it should go."
                )
            tables = MetaData()
            tables.reflect(connection)
            tables.drop_all(connection)
            migrate(connection, at)  # the backup may be of an older version
            tables = MetaData()
            tables.reflect(connection)
            for table in tables.sorted_tables:
                if f"tables/{table.name}.jsonl" not in archive.namelist():
                    continue
                with archive.open(f"tables/{table.name}.jsonl") as lines:
                    rows = [json.loads(line) for line in io.TextIOWrapper(lines, "utf-8")]
                for start in range(0, len(rows), 500):
                    connection.execute(table.insert(), rows[start : start + 500])
                if rows and connection.dialect.name == "postgresql" and "id" in table.c:
                    top = max(row["id"] for row in rows)
                    connection.execute(
                        text("SELECT setval(pg_get_serial_sequence(:name, 'id'), :top)"),
                        {"name": table.name, "top": top},
                    )
            for name in archive.namelist():
                if name.startswith("clips/") and name.count("/") == 1:
                    with replacing(store.clips / Path(name).name) as half:
                        half.write_bytes(archive.read(name))
            with replacing(store.folder / "secret") as half:
                half.touch(mode=0o600)
                half.write_bytes(secret)
    upgrade(store)
