"""The database: created, upgraded, refused, and set to lose no answer."""

import shutil
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import inspect, select, text

from bench.errors import BenchError
from bench.survey import admin
from bench.survey.database.opening import exists, open_store, upgrade
from bench.survey.database.store import SurveyStore, connect
from bench.survey.database.tables import audit, metadata
from bench.survey.database.versions import MIGRATIONS, known, migrate, version

on_both = pytest.mark.parametrize("kind", ["sqlite", "postgres"])

NEXT = '''
"""A version that does not exist yet."""

import sqlalchemy as sa
from alembic import op

revision = "9999"
down_revision = "{before}"


def upgrade():
    with op.batch_alter_table("rating") as batch:
        batch.add_column(sa.Column("device", sa.String(20), server_default="unknown"))
'''


@on_both
def test_migrations_make_exactly_the_tables_of_the_code(url):
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    opened = open_store(url)
    with opened.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
        assert version(connection) == known()[-1]
    opened.engine.dispose()


@on_both
@pytest.mark.parametrize("before", known())
def test_every_earlier_version_is_upgraded(url, before, tmp_path):
    (tmp_path / "survey" / "clips").mkdir(parents=True)
    engine = connect(url)
    with SurveyStore(engine, tmp_path / "survey").writing() as connection:
        migrate(connection, before)
    engine.dispose()
    opened = open_store(url)
    with opened.reading() as connection:
        assert set(inspect(connection).get_table_names()) >= set(metadata.tables)
    opened.engine.dispose()


@on_both
def test_an_older_database_is_backed_up_and_upgraded_with_its_content(make_survey, tmp_path):
    toy = make_survey()
    toy.rate(toy.join())
    migrations = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, migrations, ignore=shutil.ignore_patterns("__pycache__"))
    (migrations / "versions" / "9999_next.py").write_text(NEXT.format(before=known()[-1]))
    upgrade(toy.store, migrations)
    upgrade(toy.store, migrations)
    backups = list((toy.store.folder / "backups").glob("before-9999-*.zip"))
    assert len(backups) == 1
    with toy.store.reading() as connection:
        rows = connection.execute(text("SELECT score, device FROM rating")).all()
    assert rows == [(5, "unknown")] * 5
    with pytest.raises(BenchError, match=r"9999.*newer.*pip install --upgrade"):
        open_store(toy.url)


def test_a_backup_is_restored_with_its_version(make_survey, tmp_path, monkeypatch):
    toy = make_survey()
    toy.rate(toy.join())
    file = admin.backup(toy.store, tmp_path / "a.zip")
    monkeypatch.setenv("BENCH_SURVEY_DIR", str(tmp_path / "elsewhere"))
    other = open_store(f"sqlite:///{tmp_path}/b/survey.db", toy.clock)
    admin.restore(other, file)
    with other.reading() as connection:
        assert version(connection) == known()[-1]
    assert admin.surveys(other) == admin.surveys(toy.store)


def test_an_sqlite_database_is_set_to_lose_nothing(url):
    opened = open_store(url)
    with opened.reading() as connection:
        settings = [
            connection.execute(text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "secure_delete")
        ]
    assert settings == ["wal", 2, 1, 1]


@on_both
def test_times_come_back_in_utc_and_sort_as_text(url):
    opened = open_store(url)
    summer = timezone(timedelta(hours=2))
    times = [datetime(2026, 7, 1, 12, 0, 0, 5, tzinfo=summer), datetime(2026, 7, 1, 11, tzinfo=UTC)]
    with opened.writing() as connection:
        for at in times:
            row = {"at": at, "survey": "", "by": "", "action": "", "detail": ""}
            connection.execute(audit.insert().values(row))
    with opened.reading() as connection:
        stored = connection.execute(select(audit.c.at).order_by(audit.c.at)).scalars().all()
    assert stored == times
    assert [at.utcoffset() for at in stored] == [timedelta(0)] * 2
    opened.engine.dispose()


def test_asking_whether_there_is_a_database_creates_none(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_SURVEY_DIR", str(tmp_path / "none"))
    monkeypatch.delenv("BENCH_SURVEY_URL", raising=False)
    assert not exists()
    assert list(tmp_path.iterdir()) == []
    open_store().engine.dispose()
    assert exists()


def test_the_secret_is_created_once_and_only_its_owner_can_read_it(url, tmp_path):
    first = open_store(url)
    secret = first.secret
    assert open_store(url).secret == secret
    assert len(secret) == 32
    path = first.folder / "secret"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in Path(first.folder).glob(".secret*")] == []


@pytest.mark.parametrize("address", ["nonsense", "mysql://x/y", "sqlite://"])
def test_an_address_that_cannot_be_used_is_a_clear_error(address):
    with pytest.raises(BenchError, match=r"PostgreSQL|postgresql"):
        open_store(address)


def test_a_database_server_that_does_not_run_is_a_clear_error(tmp_path, monkeypatch):
    pytest.importorskip("psycopg")
    monkeypatch.setenv("BENCH_SURVEY_DIR", str(tmp_path))
    with pytest.raises(BenchError, match="does not answer"):
        open_store("postgresql+psycopg://nobody@127.0.0.1:1/none")
