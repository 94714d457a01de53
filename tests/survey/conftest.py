"""A survey with clips of a few bytes, on SQLite or PostgreSQL, with a clock of its own."""

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
    """A clock that moves on at each reading, so that a clip is over by the next call."""

    def __init__(self, step: float = 30):
        self.time, self.step = datetime(2026, 5, 1, 12, tzinfo=UTC), step

    def __call__(self) -> datetime:
        self.time += timedelta(seconds=self.step)
        return self.time


def made_up_clip(content: str, size: int = 400) -> Clip:
    audio = b"\xff\xfb" + content.encode() * size
    return Clip("sample", content, audio[:size], 20.0, -23.0, 0.5)


def made_up_clips(config: SurveyConfig) -> SurveyClips:
    """Clips of all contestants, each with its own bytes instead of a sound."""
    contestants = [
        Contestant(name, [], job=f"job-{name}", preset="quick") for name in config.systems
    ]
    contestants += [
        Contestant("human", [], role="human"),
        Contestant("random notes", [], role="anchor"),
    ]
    groups = [
        ContestantClips(
            contestant,
            "toy",
            [made_up_clip(f"{contestant.name}/{n}") for n in range(config.clips)],
            [],
            0,
        )
        for contestant in contestants
    ]
    practice = [
        ContestantClips(
            Contestant(f"practice: {n}", [], role="anchor"), "toy", [], [made_up_clip(f"p{n}")], 0
        )
        for n in range(config.practice)
    ]
    jobs = tuple(f"job-{name}" for name in config.systems)
    return SurveyClips([*groups, *practice], made_up_clip("volume"), jobs)


@dataclass
class ToySurvey:
    """A survey, and what listeners do in it."""

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
        """A second survey with the same configuration, in draft."""
        config = self.config.model_copy(update={"name": name})
        admin.create(self.store, config, clips=made_up_clips(config))

    def join(self, code: str | None = None) -> str:
        """A new listener, who is at the first clip."""
        listener = listening.enter(self.store, code or self.codes()[0])
        listening.consent(self.store, listener, self.config.consent.version)
        listening.volume_set(self.store, listener)
        answers = {question.key: question.options[0] for question in self.config.background}
        listening.background(self.store, listener, answers)
        return listener

    def hear(self, listener: str) -> str:
        """Listen to the current clip; its token."""
        token = listening.standing(self.store, listener).trial.token
        listening.started(self.store, listener, token)
        listening.heard(self.store, listener, token, 1.0, 1)
        return token

    def rate(self, listener: str, most: int | None = None, score: int = 5) -> list[str]:
        """Rate clips until `most` are rated, practice not counted; the tokens."""
        tokens = []
        standing = listening.standing(self.store, listener)
        while standing.trial and standing.done != most:
            token = self.hear(listener)
            listening.score(self.store, listener, token, score)
            listening.believe(self.store, listener, token, True)
            tokens.append(token)
            standing = listening.standing(self.store, listener)
        return tokens


@pytest.fixture
def kind() -> str:
    """The kind of database; tests that parametrise it run on both."""
    return "sqlite"


@pytest.fixture
def url(kind, request, tmp_path, monkeypatch) -> str:
    """An empty database of that kind."""
    monkeypatch.setenv("BENCH_SURVEY_DIR", str(tmp_path / "survey"))
    if kind == "sqlite":
        return f"sqlite:///{tmp_path}/survey.db"
    return request.getfixturevalue("postgres_database")


@pytest.fixture
def make_survey(url):
    """Opens a survey of two systems, the human reference and the anchor, with three clips each."""
    stores = []

    def make(**changes) -> ToySurvey:
        settings = {
            "name": "toy",
            "title": "A title",
            "systems": ("alpha", "beta"),
            "clips": 3,
            "per_system": 1,
            "practice": 1,
            "consent": Consent(contact="somebody"),
        }
        config = SurveyConfig(**settings | changes)
        clock = Clock()
        store = open_store(url, clock)
        stores.append(store)
        admin.create(store, config, clips=made_up_clips(config))
        admin.open_survey(store, config.name)
        return ToySurvey(store, clock, config, url)

    yield make
    for store in stores:
        store.engine.dispose()


@pytest.fixture(scope="session")
def postgres_server():
    """A PostgreSQL server: $TEST_POSTGRES_URL, or Debian's, started for these tests only."""
    address = os.environ.get("TEST_POSTGRES_URL")
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    missing = ""
    if find_spec("psycopg") is None:
        missing = "no driver for PostgreSQL: pip install 'musicbench[postgres]'"
    elif not address and not programs:
        missing = "no PostgreSQL: set TEST_POSTGRES_URL, or apt-get install postgresql"
    if missing:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(missing)
    if address:
        yield address
        return
    programs = programs[-1].parent
    folder = Path(tempfile.mkdtemp(prefix="bench-pg-"))  # other users cannot read pytest's folders
    as_postgres = []  # the server refuses to run as root
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
