"""A survey for tests: two systems, the human reference and random notes, clips of three seconds."""

import secrets
import shutil
import signal
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import browser
import numpy as np

from bench.music import Score
from bench.survey import admin
from bench.survey.clips import ClipSource
from bench.survey.config import parse_config
from bench.survey.contestants import Contestant, render_clips
from bench.survey.database.opening import open_store
from bench.survey.database.store import SurveyStore
from bench.survey.login import HASH, password_hash
from dashboards import serve

CONFIG = """
name = "chorales-pilot"
title = "How does this music sound to you?"
systems = ["chord-lstm", "markov-chain"]
dataset = "chorales"
clips = 3
per_system = {per_system}
seconds = {seconds}
practice = {practice}
repeats = false
simulated = {simulated}
[consent]
contact = "Ada Lovelace, ada@example.org"
ethics = "approval 2026-17"
"""
PASSWORD = "correct horse battery staple"


@dataclass
class Room:
    """A survey with its codes, and the words that must never reach a browser."""

    store: SurveyStore
    url: str
    name: str
    codes: list[str]
    jobs: list[str]
    hidden: list[str]


def piece(rng, length):
    """A piece of random keys."""
    onset = np.arange(0, length, 2)
    return Score.from_notes(
        onset, np.full(len(onset), 2), rng.integers(48, 80, len(onset)), length=length
    )


def room(
    folder, people=4, per_system=1, practice=1, simulated=False, opened=True, seconds=3.0
) -> Room:
    """Create the survey in that folder."""
    rng = np.random.default_rng(7)
    text = CONFIG.format(
        per_system=per_system, practice=practice, seconds=seconds, simulated=str(simulated).lower()
    )
    config = parse_config(text, "test").model_copy(update={"run": Path(folder) / "secret-runs"})
    steps = 4 * round(seconds * config.tempo / 60) + 8
    train = [piece(rng, steps) for _ in range(4)]
    sources = [[ClipSource(f"sample {n}", piece(rng, steps)) for n in range(5)] for _ in range(3)]
    jobs = [f"{name}.chorales.quick.s0.{secrets.token_hex(5)}" for name in config.systems]
    systems = [
        Contestant(name, own, preset="quick", job=job)
        for name, own, job in zip(config.systems, sources[:2], jobs, strict=True)
    ]
    clips = render_clips(config, systems, sources[2], train, "chorales", lambda _: None)
    url = f"sqlite:///{folder / 'survey.db'}"
    store = open_store(url)
    admin.create(store, config, by="test", clips=clips)
    codes = admin.codes(store, config.name, people)
    if opened:
        admin.open_survey(store, config.name)
    every_clip = [clip for group in clips.contestants for clip in [*group.clips, *group.practice]]
    hidden = [*config.systems, "random notes", "chorales", *jobs, config.name, config.sha256[:12]]
    hidden += ["secret-runs", str(folder), *(file.stem for file in store.clips.iterdir())]
    hidden += [digest[:12] for clip in every_clip for digest in (clip.sha256, clip.content)]
    return Room(store, url, config.name, codes, jobs, hidden)


def copy(original: Room, folder) -> Room:
    """A copy of the survey in another folder, which is faster than rendering its clips again."""
    original.store.engine.dispose()
    shutil.copytree(original.store.folder, folder)
    url = f"sqlite:///{folder / 'survey.db'}"
    return replace(original, store=open_store(url), url=url, codes=list(original.codes))


class Server:
    """A dashboard for the survey that can be killed and started again at the same port."""

    def __init__(self, room, folder):
        self.room, self.folder, self.port = room, folder, browser.free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self):
        environment = {
            **serve.environment(self.folder / "runs", None),
            "HOME": str(self.folder),
            "BENCH_SURVEY_URL": self.room.url,
            HASH: password_hash(PASSWORD),
        }
        self.process = subprocess.Popen(
            serve.command("127.0.0.1", self.port), env=environment, cwd=self.folder
        )
        browser.wait_for(f"{self.address}/_stcore/health", self.process)

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        self.process.wait(10)
