"""Restores a backup into an empty database, SQLite or PostgreSQL."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

from sqlalchemy import MetaData, select, text

from bench.errors import BenchError
from bench.files import replacing
from bench.survey.database.opening import upgrade
from bench.survey.database.store import FOLDER, URL, SurveyStore
from bench.survey.database.tables import survey
from bench.survey.database.versions import known, migrate, refuse_unknown


def restore(store: SurveyStore, file: Path) -> None:
    """Restore a backup into a database without surveys, and upgrade it.

    BenchError where the file is not a backup or is damaged, or where the database holds surveys.
    """
    try:
        archive = zipfile.ZipFile(file)
        backup_version = archive.read("version").decode()
        secret = archive.read("secret")
    except (OSError, KeyError, zipfile.BadZipFile):
        raise BenchError(
            f"{file} is not a backup of a survey; `bench survey backup` writes one."
        ) from None
    with archive:
        if broken := archive.testzip():
            raise BenchError(
                f"{file} is damaged: {broken} in it cannot be read. Use another backup."
            )
        refuse_unknown(backup_version, known())
        with store.writing() as connection:
            if connection.execute(select(survey.c.id)).first():
                raise BenchError(
                    "The database holds surveys, and a backup can be restored into an empty one"
                    f" only. Set {URL} and {FOLDER} to another place."
                )
            tables = MetaData()
            tables.reflect(connection)
            tables.drop_all(connection)
            migrate(connection, backup_version)  # which may be older than this code
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
                    highest = max(row["id"] for row in rows)
                    connection.execute(
                        text("SELECT setval(pg_get_serial_sequence(:name, 'id'), :highest)"),
                        {"name": table.name, "highest": highest},
                    )
            for name in archive.namelist():
                if name.startswith("clips/") and name.count("/") == 1:
                    with replacing(store.clips / Path(name).name) as temporary:
                        temporary.write_bytes(archive.read(name))
            with replacing(store.folder / "secret") as temporary:
                temporary.touch(mode=0o600)
                temporary.write_bytes(secret)
    upgrade(store)
