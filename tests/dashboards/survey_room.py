"""A survey to take: two systems, the human reference and random notes, clips of three seconds."""

import secrets
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sqlalchemy import insert, update

from bench.music import Score
from bench.survey import tables
from bench.survey.clips import Source
from bench.survey.config import parse_config
from bench.survey.contestants import Samples, cast
from bench.survey.store import Store, open_store

CONFIG = """
name = "chorales-pilot"
title = "How does this music sound to you?"
systems = ["chord-lstm", "markov-chain"]
dataset = "chorales"
clips = 3
per_system = {per_system}
seconds = 3.0
practice = {practice}
repeats = false
[consent]
contact = "Ada Lovelace, ada@example.org"
ethics = "approval 2026-17"
"""
SYSTEMS = ("chord-lstm", "markov-chain", "human", "random notes")


@dataclass
class Room:
    """An open survey with its codes, and all that a browser must never learn."""

    store: Store
    folder: Path
    codes: list[str]
    secrets: list[str]


def piece(rng, length=64):
    """A made-up piece."""
    onset = np.arange(0, length, 2)
    return Score.from_notes(
        onset, np.full(len(onset), 2), rng.integers(48, 80, len(onset)), length=length
    )


def survey(folder, people=4, per_system=1, practice=1, state="open"):
    """Make it in a folder of its own."""
    rng = np.random.default_rng(7)
    config = parse_config(CONFIG.format(per_system=per_system, practice=practice), "test")
    train = [piece(rng) for _ in range(4)]
    sources = [[Source(f"sample {n}", piece(rng)) for n in range(5)] for _ in range(3)]
    jobs = [f"{name}.chorales.quick.s0.{secrets.token_hex(5)}" for name in config.systems]
    systems = [
        Samples(name, made, preset="quick", job=job)
        for name, made, job in zip(config.systems, sources[:2], jobs, strict=True)
    ]
    made = cast(config, systems, sources[2], train, "chorales", lambda _: None)
    folder.mkdir(parents=True, exist_ok=True)
    store = open_store(f"sqlite:///{folder / 'survey.db'}")
    told = [*SYSTEMS[:3], "random notes", *jobs, config.name, str(folder)]
    codes = []
    with store.writing() as connection:

        def keep(clip):
            name = f"{secrets.token_hex(12)}.mp3"
            (store.clips / name).write_bytes(clip.audio)
            told.extend([name, clip.sha256[:12], clip.content[:12]])
            return name

        found = connection.execute(
            insert(tables.survey).values(
                name=config.name,
                state=state,
                config=config.model_dump_json(),
                config_hash=config.sha256,
                run=str(folder / "runs"),
                simulated=False,
                volume_file=keep(made.volume),
                created_at=store.now(),
            )
        )
        number = found.inserted_primary_key[0]
        label = 0
        for one in made.contestants:
            system = connection.execute(
                insert(tables.system).values(
                    survey_id=number,
                    name=one.samples.name,
                    variant="corrected",
                    dataset="chorales",
                    preset=one.samples.preset,
                    job=one.samples.job,
                    role=one.samples.role,
                )
            ).inserted_primary_key[0]
            for clip in [*one.clips, *one.practice]:
                label += 1
                connection.execute(
                    insert(tables.clip).values(
                        survey_id=number,
                        system_id=system,
                        label=f"c{label}",
                        file=keep(clip),
                        sha256=clip.sha256,
                        content=clip.content,
                        source=clip.source,
                        seconds=clip.seconds,
                        lufs=clip.lufs,
                        practice=clip in one.practice,
                    )
                )
        from bench.survey.listening import code_hash

        for rater in range(people):
            code = "".join(secrets.choice("0123456789ABCDEFGHJKMNPQRSTVWXYZ") for _ in range(12))
            codes.append(code)
            connection.execute(
                insert(tables.participant).values(
                    survey_id=number,
                    code_hash=code_hash(store, code),
                    listener=secrets.token_urlsafe(18),
                    rater=rater,
                    invited_at=store.now(),
                )
            )
    return Room(store, folder, codes, told)


def set_state(room, state):
    """Put the survey in a state."""
    with room.store.writing() as connection:
        connection.execute(update(tables.survey).values(state=state))
