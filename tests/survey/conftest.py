"""A survey whose clips make no sound, on either database, with a clock of its own."""

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path

import pytest

from bench.survey import admin, listening
from bench.survey.clips import Clip
from bench.survey.config import Consent, SurveyConfig
from bench.survey.contestants import Contestant, ContestantClips, SurveyClips
from bench.survey.database.opening import open_store
from bench.survey.database.store import SurveyStore


class Clock:
    """A time that each look at moves on, so that every clip has been heard by the next call."""

    def __init__(self, step: float = 30):
        self.time, self.step = datetime(2026, 5, 1, 12, tzinfo=UTC), step

    def __call__(self) -> datetime:
        self.time += timedelta(seconds=self.step)
        return self.time


def clip(content: str, size: int = 400) -> Clip:
    audio = b"\xff\xfb" + content.encode() * size
    return Clip("sample", content, audio[:size], 20.0, -23.0, 0.5)


def cast_of(config: SurveyConfig) -> SurveyClips:
    """Everybody with clips that are told apart by their bytes alone."""
    people = [Contestant(name, [], job=f"job-{name}", preset="quick") for name in config.systems]
    people += [Contestant("human", [], role="human"), Contestant("random notes", [], role="anchor")]
    made = [
        ContestantClips(one, "toy", [clip(f"{one.name}/{n}") for n in range(config.clips)], [], 0)
        for one in people
    ]
    practice = [
        ContestantClips(
            Contestant(f"practice: {n}", [], role="anchor"), "toy", [], [clip(f"p{n}")], 0
        )
        for n in range(config.practice)
    ]
    jobs = tuple(f"job-{name}" for name in config.systems)
    return SurveyClips([*made, *practice], clip("level"), jobs)


@dataclass
class Study:
    """A survey, and what people do in it."""

    store: SurveyStore
    clock: Clock
    config: SurveyConfig
    url: str

    @property
    def name(self) -> str:
        return self.config.name

    def codes(self, n: int = 1) -> list[str]:
        return admin.codes(self.store, self.name, n)

    def draft(self, name: str) -> None:
        """Another survey of the same kind, not open yet."""
        config = self.config.model_copy(update={"name": name})
        admin.create(self.store, config, clips=cast_of(config))

    def join(self, code: str | None = None) -> str:
        """A listener who has come as far as the first clip."""
        listener = listening.enter(self.store, code or self.codes()[0])
        listening.consent(self.store, listener, self.config.consent.version)
        listening.volume_set(self.store, listener)
        answers = {question.key: question.options[0] for question in self.config.background}
        listening.background(self.store, listener, answers)
        return listener

    def hear(self, listener: str) -> str:
        """Listen to the current clip; its token."""
        now = listening.standing(self.store, listener).trial
        listening.started(self.store, listener, now.token)
        listening.heard(self.store, listener, now.token, 1.0, 1)
        return now.token

    def rate(self, listener: str, most: int | None = None, score: int = 5) -> list[str]:
        """Rate up to so many clips, practice not counted; the tokens."""
        rated = []
        while (now := listening.standing(self.store, listener)).trial and now.done != most:
            token = self.hear(listener)
            listening.score(self.store, listener, token, score)
            listening.believe(self.store, listener, token, True)
            rated.append(token)
        return rated


@pytest.fixture
def kind() -> str:
    """Which database; tests that are parametrised by it run on both."""
    return "sqlite"


@pytest.fixture
def url(kind, request, tmp_path, monkeypatch) -> str:
    """An empty database of that kind."""
    monkeypatch.setenv("BENCH_SURVEY_DIR", str(tmp_path / "survey"))
    if kind == "sqlite":
        return f"sqlite:///{tmp_path}/survey.db"
    return request.getfixturevalue("postgres_database")


@pytest.fixture
def study(url):
    """Makes an open survey: two systems, the human reference and the anchor, three clips each."""
    made = []

    def make(**changes) -> Study:
        given = {
            "name": "toy",
            "title": "A title",
            "systems": ("alpha", "beta"),
            "clips": 3,
            "per_system": 1,
            "practice": 1,
            "consent": Consent(contact="somebody"),
        }
        config = SurveyConfig(**given | changes)
        clock = Clock()
        store = open_store(url, clock)
        made.append(store)
        admin.create(store, config, clips=cast_of(config))
        admin.open_survey(store, config.name)
        return Study(store, clock, config, url)

    yield make
    for store in made:
        store.engine.dispose()


@pytest.fixture(scope="session")
def postgres_server():
    """A PostgreSQL server: $TEST_POSTGRES_URL, or Debian's, started for these tests alone."""
    given = os.environ.get("TEST_POSTGRES_URL")
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    lacking = ""
    if find_spec("psycopg") is None:
        lacking = "no driver of PostgreSQL: pip install 'musicbench[postgres]'"
    elif not given and not programs:
        lacking = "no PostgreSQL: set TEST_POSTGRES_URL, or apt-get install postgresql"
    if lacking:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(lacking)
    if given:
        yield given
        return
    programs = programs[-1].parent
    folder = Path(tempfile.mkdtemp(prefix="bench-pg-"))  # pytest's own are closed to others
    as_postgres = []  # the server refuses to be root
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
        as_postgres = ["runuser", "-u", "postgres", "--"]

    def run(program: str, *arguments: str) -> None:
        subprocess.run(
            [*as_postgres, programs / program, "-D", folder / "data", *arguments],
            check=True,
            cwd=folder,
            stdout=subprocess.DEVNULL,
        )

    run("initdb", "-A", "trust", "-U", "postgres", "--no-sync")
    options = f"-k {folder} -c listen_addresses= -c fsync=off -c max_connections=120"
    run("pg_ctl", "-l", f"{folder}/log", "-o", options, "-w", "start")
    try:
        yield f"postgresql+psycopg://postgres@/postgres?host={folder}"
    finally:
        run("pg_ctl", "-m", "fast", "stop")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres_database(postgres_server) -> str:
    """The address of an empty database of that server."""
    import secrets

    from sqlalchemy import create_engine, make_url, text

    name = f"test_{secrets.token_hex(6)}"
    server = create_engine(postgres_server, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield make_url(postgres_server).set(database=name).render_as_string(hide_password=False)
    with server.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    server.dispose()
