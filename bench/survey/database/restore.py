"""A backup put back into an empty database, of either kind."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

from sqlalchemy import MetaData, select, text

from bench.errors import BenchError
from bench.files import replacing
from bench.survey.database.opening import upgrade
from bench.survey.database.store import SurveyStore
from bench.survey.database.tables import survey
from bench.survey.database.versions import known, migrate, refuse_unknown


def restore(store: SurveyStore, file: Path) -> None:
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
