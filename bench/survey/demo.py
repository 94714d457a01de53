"""A survey filled by listeners who do not exist, through the same service as people's answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from sqlalchemy import select

from bench.errors import BenchError
from bench.survey import admin, listening
from bench.survey.clips import ClipSource
from bench.survey.conclude import conclude
from bench.survey.config import MOST_TRIALS, PER_REPEAT, Consent, SurveyConfig
from bench.survey.contestants import Contestant, SurveyClips, render_clips
from bench.survey.database.store import SurveyStore
from bench.survey.database.tables import clip, participant, survey, system, trial

if TYPE_CHECKING:
    import pandas as pd

BY = "demo"
DATASET = "chorales"
CLIPS, SECONDS = 8, 10.0  # few and short: it should not take long
HUMAN, ANCHOR = 7.5, 1.8  # true means; systems lie between them
CARELESS = 0.08  # of the listeners
LEAVING = 0.1  # of the listeners, half-way


class Clock:
    """A time that passes only when told to."""

    def __init__(self, start: datetime) -> None:
        self.time = start

    def __call__(self) -> datetime:
        """The time."""
        return self.time

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.time += timedelta(seconds=seconds)


def demo(
    store: SurveyStore,
    run: Path | None,
    listeners: int,
    progress: Callable[[str], None],
    name: str = "demo",
    seed: int = 0,
) -> admin.Summary:
    """A closed survey with simulated answers, of a run's systems or of human music made worse.

    Everything that shows it says that nobody listened.
    """
    if not 2 <= listeners <= 500:
        raise BenchError(f"Simulate 2 to 500 listeners, not {listeners}.")
    if any(one.name == name for one in admin.surveys(store)):
        raise BenchError(
            f"There is a survey called '{name}'. `bench survey remove {name}` takes a demo away;"
            " --name gives another name."
        )
    if run is None:
        config = _config(name, store.folder / "demo", _RUINS, seed)
        admin.create(store, config, progress, BY, _ruins(config, progress))
    else:
        config = _config(name, run, _systems(run), seed)
        admin.create(store, config, progress, BY)
    codes = admin.codes(store, name, listeners, BY)
    admin.open_survey(store, name, BY)
    progress(f"letting {listeners} simulated listeners rate")
    clock = Clock(store.now() - timedelta(days=2))
    _take_part(replace(store, now=clock), codes, name, clock, seed)
    admin.close(store, name, BY)
    progress("analysing")
    conclude(store, name)
    return admin.summary(store, name)


def _config(name: str, run: Path, systems: tuple[str, ...], seed: int) -> SurveyConfig:
    most = MOST_TRIALS * PER_REPEAT // (PER_REPEAT + 1) // (len(systems) + 2)
    return SurveyConfig(
        name=name,
        title="A demonstration: nobody listened",
        introduction="The answers of this survey were made by a program.",
        run=run,
        systems=systems,
        clips=CLIPS,
        per_system=min(3, most, CLIPS),
        seconds=SECONDS,
        skip_silent=True,
        seed=seed,
        consent=Consent(contact="nobody"),
        simulated=True,
    )


# -- who is heard ----------------------------------------------------------------------------------

_RUINS = ("a tenth of the notes wrong", "half of the notes wrong", "shuffled chords")


def _ruins(config: SurveyConfig, progress: Callable[[str], None]) -> SurveyClips:
    """Human music made worse in known ways, in place of systems."""
    from bench import data
    from bench.protocol.corruptions import Material, markov, pitch_jitter
    from bench.survey.clips import steps_of

    progress(f"reading {DATASET}")
    dataset = data.load(DATASET)
    train = dataset.split("train")
    rng = np.random.default_rng(config.seed)
    steps = steps_of(config, dataset.grid)
    cut = [
        piece.slice(start, start + steps)
        for piece in dataset.split("test")
        for start in range(0, piece.length - steps + 1, steps)
    ]
    # Each has excerpts of its own: nobody hears the same music twice, whole and spoilt.
    human, few, many, shuffled = (cut[i::4] for i in range(4))
    made = [
        [pitch_jitter(piece, 0.1, rng) for piece in few],
        [pitch_jitter(piece, 0.5, rng) for piece in many],
        markov(Material(shuffled, train, [], dataset.bar), rng),
    ]
    systems = [
        Contestant(name, [ClipSource(f"{name} {n}", one) for n, one in enumerate(pieces)])
        for name, pieces in zip(_RUINS, made, strict=True)
    ]
    real = [ClipSource(f"test excerpt {n}", piece) for n, piece in enumerate(human)]
    return render_clips(config, systems, real, train, dataset.name, progress)


def _systems(run: Path) -> tuple[str, ...]:
    """The jobs of the run's largest group that a survey can compare, at most six."""
    from bench.jobs.run_folder import Store as Runs
    from bench.jobs.run_folder import is_finished

    groups: dict[tuple[str, str], dict[str, str]] = {}
    for folder in Runs(run).folders():
        job = folder.read_job()
        if (
            job
            and job.seed == 0
            and job.card.kind not in ("floor", "ceiling")
            and is_finished(folder)
        ):
            group = groups.setdefault(
                (job.dataset, job.preset + job.protocol.model_dump_json()), {}
            )
            group[f"{job.system}:{job.variant}"] = job.id
    if not groups:
        raise BenchError(
            f"{run} has no finished job to demonstrate with. Leave --run out: the demo then makes"
            " its own clips."
        )
    return tuple(list(max(groups.values(), key=len).values())[:6])


# -- who listens -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Answer:
    score: int
    believable: bool


def _take_part(store: SurveyStore, codes: list[str], name: str, clock: Clock, seed: int) -> None:
    """Everybody enters, is handed clips, and rates them; some leave, one withdraws."""
    from bench.survey.analysis.simulation import simulate

    rng = np.random.default_rng(seed)
    ids = []
    for code in codes[:-1]:  # one never comes
        clock.wait(60)
        listener = listening.enter(store, code)
        standing = listening.standing(store, listener)
        listening.consent(store, listener, standing.survey.consent_version)
        listening.volume_set(store, listener)
        chosen = {
            q.key: q.options[rng.integers(len(q.options))] for q in standing.survey.background
        }
        listening.background(store, listener, chosen)
        ids.append(listener)
    trials = _trials(store, name)
    drawn = simulate(trials, _truth(trials), seed, careless=CARELESS)
    answers = {
        token: _Answer(int(score), bool(believable))
        for token, score, believable in zip(
            trials["token"], drawn["score"], drawn["believable"], strict=True
        )
    }
    for listener in ids:
        clips = listening.standing(store, listener).total
        stays = rng.random() >= LEAVING
        _listen(store, listener, answers, clock, rng, clips if stays else int(rng.integers(clips)))
    listening.withdraw(store, ids[-1])


def _listen(
    store: SurveyStore,
    listener: str,
    answers: dict[str, _Answer],
    clock: Clock,
    rng: np.random.Generator,
    most: int,
) -> None:
    while True:
        standing = listening.standing(store, listener)
        now = standing.trial
        if now is None or (standing.done >= most and now.question == "score"):
            return
        answer = answers.get(now.token, _Answer(5, True))  # practice is not simulated
        if now.question == "score":
            listening.started(store, listener, now.token)
            plays = int(rng.geometric(0.8))
            clock.wait(plays * now.seconds + float(rng.gamma(3, 1.5)))
            listening.heard(store, listener, now.token, 1.0, plays)
            listening.score(store, listener, now.token, answer.score)
        else:
            clock.wait(float(rng.gamma(2, 1)))
            listening.believe(store, listener, now.token, answer.believable)


def _trials(store: SurveyStore, name: str) -> pd.DataFrame:
    """The trials to come, as the simulation wants them."""
    import pandas as pd

    statement = (
        select(
            trial.c.token,
            participant.c.id.label("rater"),
            clip.c.label.label("clip"),
            system.c.name.label("system"),
            system.c.variant,
            system.c.role,
            trial.c.position,
            trial.c.kind,
        )
        .join(participant, participant.c.id == trial.c.participant_id)
        .join(survey, survey.c.id == participant.c.survey_id)
        .join(clip, clip.c.id == trial.c.clip_id)
        .join(system, system.c.id == clip.c.system_id)
        .where(survey.c.name == name, trial.c.kind != "practice")
        .order_by(trial.c.id)
    )
    with store.reading() as connection:
        table = pd.DataFrame(connection.execute(statement).mappings().all())
    table["system"] += " " + table.pop("variant")
    return table


def _truth(trials: pd.DataFrame) -> dict[str, float]:
    """The true mean of everybody: systems, in the order of their first appearance, evenly spread."""
    roles = trials.drop_duplicates("system").set_index("system")["role"]
    systems = sorted(roles.index[roles == "system"])
    means = np.linspace(6.5, 3.0, len(systems))
    known = {"human": HUMAN, "anchor": ANCHOR}
    return {name: known[role] for name, role in roles.items() if role in known} | dict(
        zip(systems, means.tolist(), strict=True)
    )
