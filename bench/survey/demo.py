"""A survey with simulated listeners, whose answers take the same way as those of people."""

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
from bench.survey.config import MOST_TRIALS, TRIALS_PER_REPEAT, Consent, SurveyConfig
from bench.survey.contestants import Contestant, SurveyClips, render_clips
from bench.survey.database.store import SurveyStore
from bench.survey.database.tables import clip, participant, survey, system, trial

if TYPE_CHECKING:
    import pandas as pd

BY = "demo"
DATASET = "chorales"
CLIPS, SECONDS = 8, 10.0  # per system and of each clip: few and short, to be quick
HUMAN, ANCHOR = 7.5, 1.8  # true mean ratings; those of systems lie between them
CARELESS = 0.08  # share of the listeners who answer at random
LEAVING = 0.1  # share of the listeners who leave before the end


class Clock:
    """A clock that stands still until `wait` is called."""

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
    """A closed and analysed survey with simulated answers; its summary.

    It compares the systems of a run, or, without one, human music made worse in three ways. Every
    page and report says that the listeners are simulated.
    """
    if not 2 <= listeners <= 500:
        raise BenchError(f"Simulate 2 to 500 listeners, not {listeners}.")
    if any(survey.name == name for survey in admin.surveys(store)):
        raise BenchError(
            f"There is a survey called '{name}' already. `bench survey remove {name}` removes a"
            " demo; --name gives the new one another name."
        )
    if run is None:
        config = _config(name, store.folder / "demo", _CORRUPTIONS, seed)
        admin.create(store, config, progress, BY, _corrupted_music(config, progress))
    else:
        config = _config(name, run, _comparable_jobs(run), seed)
        admin.create(store, config, progress, BY)
    codes = admin.codes(store, name, listeners, BY)
    admin.open_survey(store, name, BY)
    progress(f"simulating the ratings of {listeners} listeners")
    clock = Clock(store.now() - timedelta(days=2))
    _take_part(replace(store, now=clock), codes, name, clock, seed)
    admin.close(store, name, BY)
    progress("analysing")
    conclude(store, name)
    return admin.summary(store, name)


def _config(name: str, run: Path, systems: tuple[str, ...], seed: int) -> SurveyConfig:
    main_trials = MOST_TRIALS * TRIALS_PER_REPEAT // (TRIALS_PER_REPEAT + 1)
    most = main_trials // (len(systems) + 2)  # of each system; the reference and the anchor count
    return SurveyConfig(
        name=name,
        title="A demonstration with simulated listeners",
        introduction="The answers in this survey come from a program.",
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


# -- what is heard ---------------------------------------------------------------------------------

_CORRUPTIONS = ("a tenth of the notes wrong", "half of the notes wrong", "shuffled chords")


def _corrupted_music(config: SurveyConfig, progress: Callable[[str], None]) -> SurveyClips:
    """Clips of human music made worse in known ways, in place of systems."""
    from bench import data
    from bench.protocol.corruptions import Material, markov, pitch_jitter
    from bench.survey.clips import clip_steps

    progress(f"reading {DATASET}")
    dataset = data.load(DATASET)
    train = dataset.split("train")
    rng = np.random.default_rng(config.seed)
    steps = clip_steps(config, dataset.grid)
    excerpts = [
        piece.slice(start, start + steps)
        for piece in dataset.split("test")
        for start in range(0, piece.length - steps + 1, steps)
    ]
    # Each has its own excerpts: no listener hears the same music both intact and corrupted.
    human, few, many, shuffled = (excerpts[i::4] for i in range(4))
    corrupted = [
        [pitch_jitter(piece, 0.1, rng) for piece in few],
        [pitch_jitter(piece, 0.5, rng) for piece in many],
        markov(Material(shuffled, train, [], dataset.bar), rng),
    ]
    systems = [
        Contestant(name, [ClipSource(f"{name} {n}", piece) for n, piece in enumerate(pieces)])
        for name, pieces in zip(_CORRUPTIONS, corrupted, strict=True)
    ]
    sources = [ClipSource(f"test excerpt {n}", piece) for n, piece in enumerate(human)]
    return render_clips(config, systems, sources, train, dataset.name, progress)


def _comparable_jobs(run: Path) -> tuple[str, ...]:
    """The ids of at most six jobs of the run, of the largest group that a survey can compare."""
    from bench.jobs.run_folder import RunFolder, is_finished

    groups: dict[tuple[str, str], dict[str, str]] = {}
    for folder in RunFolder(run).folders():
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
            f"{run} has no finished job that a demo could use. Without --run the demo makes clips"
            " of its own."
        )
    return tuple(list(max(groups.values(), key=len).values())[:6])


# -- who listens -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Answer:
    score: int
    believable: bool


def _take_part(store: SurveyStore, codes: list[str], name: str, clock: Clock, seed: int) -> None:
    """Let all listeners but one enter and rate; some leave early, and the last one withdraws."""
    from bench.survey.analysis.simulation import simulate

    rng = np.random.default_rng(seed)
    listeners = []
    for code in codes[:-1]:  # the last one invited never comes
        clock.wait(60)
        listener = listening.enter(store, code)
        standing = listening.standing(store, listener)
        listening.consent(store, listener, standing.survey.consent_version)
        listening.volume_set(store, listener)
        chosen = {
            question.key: question.options[rng.integers(len(question.options))]
            for question in standing.survey.background
        }
        listening.background(store, listener, chosen)
        listeners.append(listener)
    trials = _trials(store, name)
    simulated = simulate(trials, _truth(trials), seed, careless=CARELESS)
    answers = {
        token: _Answer(int(score), bool(believable))
        for token, score, believable in zip(
            trials["token"], simulated["score"], simulated["believable"], strict=True
        )
    }
    for listener in listeners:
        clips = listening.standing(store, listener).total
        rated = clips if rng.random() >= LEAVING else int(rng.integers(clips))
        _rate(store, listener, answers, clock, rng, rated)
    listening.withdraw(store, listeners[-1])


def _rate(
    store: SurveyStore,
    listener: str,
    answers: dict[str, _Answer],
    clock: Clock,
    rng: np.random.Generator,
    most: int,
) -> None:
    """Rate clips in turn, at most that many, at the pace of a person."""
    while True:
        standing = listening.standing(store, listener)
        current = standing.trial
        if current is None or (standing.done >= most and current.question == "score"):
            return
        answer = answers.get(
            current.token, _Answer(5, True)
        )  # for practice, which `simulate` leaves out
        if current.question == "score":
            listening.started(store, listener, current.token)
            plays = int(rng.geometric(0.8))
            clock.wait(plays * current.seconds + float(rng.gamma(3, 1.5)))
            listening.heard(store, listener, current.token, 1.0, plays)
            listening.score(store, listener, current.token, answer.score)
        else:
            clock.wait(float(rng.gamma(2, 1)))
            listening.believe(store, listener, current.token, answer.believable)


def _trials(store: SurveyStore, name: str) -> pd.DataFrame:
    """All assigned trials but practice, as `simulate` takes them."""
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
    """The true mean rating of each name: systems are spread evenly, in alphabetical order."""
    roles = trials.drop_duplicates("system").set_index("system")["role"]
    systems = sorted(roles.index[roles == "system"])
    means = np.linspace(6.5, 3.0, len(systems))
    references = {"human": HUMAN, "anchor": ANCHOR}
    return {name: references[role] for name, role in roles.items() if role in references} | dict(
        zip(systems, means.tolist(), strict=True)
    )
