"""Who is heard: the finished jobs of a run, what composers wrote, and random notes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from bench.errors import BenchError
from bench.jobs.job import Job
from bench.jobs.run_folder import JobFolder, Store, is_finished
from bench.music import Score
from bench.survey.clips import (
    Clip,
    ClipSource,
    anchors,
    check,
    choose,
    make_clip,
    steps_of,
    volume_clip,
)
from bench.survey.config import SurveyConfig


@dataclass(frozen=True)
class Contestant:
    """The pieces of one who is compared."""

    name: str
    sources: list[ClipSource]
    variant: str = "corrected"
    preset: str = ""
    job: str = ""  # empty where there is none
    role: str = "system"  # or human, or anchor


@dataclass(frozen=True)
class ContestantClips:
    """One of those who are compared, with the clips that are rated and those for practice."""

    samples: Contestant
    dataset: str
    clips: list[Clip]
    practice: list[Clip]
    silent: int  # samples passed over because nothing is heard in them


@dataclass(frozen=True)
class SurveyClips:
    """All that a survey plays."""

    contestants: list[ContestantClips]
    volume: Clip
    embargo: tuple[str, ...]  # jobs whose samples can be heard in it


def clips_of_run(config: SurveyConfig, progress: Callable[[str], None]) -> SurveyClips:
    """The clips of a run's systems, and of what goes with them. BenchError says what is missing."""
    from bench import data
    from bench.jobs.samples import read_samples
    from bench.protocol import sampling

    if not (config.run / "jobs").is_dir():
        raise BenchError(
            f"{config.run} is no run folder: it has no jobs. Give the folder of `bench all --out`"
            " as run."
        )
    found = [_job(config, name) for name in config.systems]
    jobs = [job for _, job in found]
    if len({job.id for job in jobs}) < len(jobs):
        raise BenchError("Two lines of systems mean the same job; take one out.")
    names = sorted({job.dataset for job in jobs})
    if len(names) > 1:
        raise BenchError(
            f"The systems were made for different data sets, {' and '.join(names)}. What people say"
            " of them cannot be compared: make a survey for each, or name the dataset."
        )
    alike = {
        (j.dataset_fingerprint, j.protocol.steps, j.protocol.prompt, j.protocol.unprompted)
        for j in jobs
    }
    if len(alike) > 1:
        raise BenchError(
            "The systems' samples do not continue the same prompts for the same length. Run the"
            " systems alike, with the same --preset and --steps, or name the preset."
        )
    progress(f"reading {names[0]}")
    dataset = data.load(names[0])
    if dataset.fingerprint != jobs[0].dataset_fingerprint:
        raise BenchError(
            f"{dataset.name} is not the data that the samples were made for; run anew."
        )
    fewest = min((job.protocol for job in jobs), key=lambda protocol: protocol.samples)
    human = [
        ClipSource(f"{prompt.piece} from step {prompt.start + fewest.prompt}", prompt.continuation)
        for prompt in sampling.prompts(dataset, fewest)
    ]
    systems = []
    for folder, job in found:
        hashes = folder.read_result()["sample"]["hashes"]
        sources = [
            ClipSource(f"sample {n}", s, n) for n, s in enumerate(read_samples(folder, hashes))
        ]
        systems.append(Contestant(job.system, sources, job.variant, job.preset, job.id))
    made = render_clips(config, systems, human, dataset.split("train"), dataset.name, progress)
    # What composers wrote is also what the ceiling's jobs show as their samples.
    there = [folder.read_job() for folder in Store(config.run).folders()]
    shown = [
        one.id
        for one in there
        if one and one.card.kind == "ceiling" and one.dataset == dataset.name
    ]
    return SurveyClips(made.contestants, made.volume, tuple({*made.embargo, *shown}))


def render_clips(
    config: SurveyConfig,
    systems: Sequence[Contestant],
    human: list[ClipSource],
    train: Sequence[Score],
    dataset: str,
    progress: Callable[[str], None],
) -> SurveyClips:
    """Clips of everybody, made alike and checked.

    Everybody's samples are taken by the same numbers, so that they continue the same prompts.
    """
    numbers = min(len(one.sources) for one in [*systems, Contestant("human", human)])
    order = np.random.default_rng(config.seed).permutation(numbers).tolist()
    chance = np.random.default_rng([config.seed, 1])
    steps = steps_of(config, human[0].score.grid)
    like = Score.silence(steps, human[0].score.grid)
    everybody = list(systems)
    if config.human:
        everybody.append(Contestant("human", human, role="human"))
    if config.anchor:
        random = anchors(train, like, numbers, chance)
        everybody.append(Contestant("random notes", random, role="anchor"))
    made = []
    for one in everybody:
        progress(f"rendering {config.clips} clips of {one.name}")
        clips, silent = choose(one.name, one.sources, config.clips, config, order)
        made.append(ContestantClips(one, dataset, clips, [], silent))
    made += _practice(config, train, like, chance, dataset)
    progress("checking the clips")
    check({one.samples.name: [*one.clips, *one.practice] for one in made}, config)
    return SurveyClips(made, volume_clip(config), tuple(one.job for one in systems if one.job))


def _practice(
    config: SurveyConfig,
    train: Sequence[Score],
    like: Score,
    chance: np.random.Generator,
    dataset: str,
) -> list[ContestantClips]:
    """Clips to practise with, which are not rated: random notes and training pieces by turns."""
    long = [piece for piece in train if piece.length >= like.length and len(piece)]
    n_random = (config.practice + 1) // 2
    n_pieces = config.practice - n_random
    if len(long) < n_pieces:
        raise BenchError(
            f"No {n_pieces} training pieces of {dataset} last {config.seconds:g} seconds at a tempo"
            f" of {config.tempo:g}. Set fewer seconds, or practice = 0."
        )
    chosen = chance.choice(len(long), n_pieces, replace=False).tolist()
    pieces = [ClipSource(f"training piece {number}", long[number]) for number in chosen]
    sources = {"anchor": anchors(train, like, n_random, chance), "human": pieces}
    return [
        ContestantClips(
            Contestant(f"practice: {role}", found, role=role),
            dataset,
            [],
            [clip for source in found if (clip := make_clip(source, config))],
            0,
        )
        for role, found in sources.items()
        if found
    ]


def _job(config: SurveyConfig, name: str) -> tuple[JobFolder, Job]:
    """The finished job that a line of the configuration means."""
    system, _, variant = name.partition(":")
    found = []
    for folder in Store(config.run).folders():
        job = folder.read_job()
        if job is None:
            continue
        named = (job.system, job.variant) == (system, variant or "corrected")
        named &= config.dataset in (None, job.dataset) and config.preset in (None, job.preset)
        if job.id == name or named:
            found.append((folder, job))
    done = [(folder, job) for folder, job in found if is_finished(folder)]
    if not done:
        there = sorted({job.system for f in Store(config.run).folders() if (job := f.read_job())})
        raise BenchError(
            f"{config.run} has {'no finished' if found else 'no'} job of '{name}'"
            f"{f' on {config.dataset}' if config.dataset else ''}"
            f"{f' under {config.preset}' if config.preset else ''}. Systems there:"
            f" {', '.join(there) or 'none'}. `bench all --systems {system} --out {config.run}` makes"
            " one."
        )
    seeds = {job.seed for _, job in done}
    if len({(job.dataset, job.preset) for _, job in done}) > 1 or len(seeds) < len(done):
        ids = "\n  ".join(job.id for _, job in done)
        raise BenchError(
            f"'{name}' can mean several jobs of {config.run}; give one by id:\n  {ids}"
        )
    folder, job = min(done, key=lambda pair: pair[1].seed)
    if job.card.kind == "ceiling":
        raise BenchError(
            f"'{name}' repeats what composers wrote; human = true puts that in. Take it out of"
            " systems."
        )
    return folder, job
