"""What a survey compares: finished jobs of a run, music by composers, and random notes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.errors import BenchError
from bench.jobs.job import Job
from bench.jobs.run_folder import JobFolder, RunFolder, is_finished
from bench.music import Score
from bench.survey.clips import (
    Clip,
    ClipSource,
    anchors,
    check,
    choose,
    clip_steps,
    make_clip,
    volume_clip,
)
from bench.survey.config import SurveyConfig
from bench.survey.terms import Role


@dataclass(frozen=True)
class Contestant:
    """A system, the human reference or the anchor, with the pieces its clips are cut from."""

    name: str
    sources: list[ClipSource]
    variant: str = "corrected"
    preset: str = ""
    job: str = ""  # empty for the human reference and the anchor
    role: Role = "system"


@dataclass(frozen=True)
class ContestantClips:
    """A contestant's finished clips."""

    contestant: Contestant
    dataset: str
    clips: list[Clip]  # that are rated
    practice: list[Clip]  # that are not
    silent: int  # samples that were skipped because they make no sound


@dataclass(frozen=True)
class SurveyClips:
    """All clips of a survey."""

    contestants: list[ContestantClips]
    volume: Clip  # to set the volume with
    embargo: tuple[str, ...]  # ids of jobs whose samples are heard in it


def clips_of_run(config: SurveyConfig, progress: Callable[[str], None]) -> SurveyClips:
    """The clips of a run's systems and of their references. BenchError says what is missing."""
    from bench import data
    from bench.jobs.samples import read_samples
    from bench.protocol import sampling

    if not (config.run / "jobs").is_dir():
        raise BenchError(
            f"{config.run} is not a run folder: it has no folder jobs. Set run to what was given to"
            " `bench all --out`."
        )
    finished = [_finished_job(config, name) for name in config.systems]
    jobs = [job for _, job in finished]
    if len({job.id for job in jobs}) < len(jobs):
        raise BenchError("Two entries of systems mean the same job; remove one of them.")
    names = sorted({job.dataset for job in jobs})
    if len(names) > 1:
        raise BenchError(
            f"The systems belong to different data sets, {' and '.join(names)}, whose ratings"
            " cannot be compared. Make a survey for each, or set dataset."
        )
    protocols = {
        (
            job.dataset_fingerprint,
            job.protocol.steps,
            job.protocol.prompt,
            job.protocol.unprompted,
            job.protocol.backward,
        )
        for job in jobs
    }
    if len(protocols) > 1:
        raise BenchError(
            "The systems' samples do not continue the same prompts for the same length. Run the"
            " systems with the same --preset and --steps, or set preset. A system that runs backward"
            " has endings as prompts: survey it apart."
        )
    progress(f"reading {names[0]}")
    dataset = data.load(names[0])
    if dataset.fingerprint != jobs[0].dataset_fingerprint:
        raise BenchError(
            f"The data set {dataset.name} has changed since the samples were made. Run the systems"
            " again."
        )
    smallest = min((job.protocol for job in jobs), key=lambda protocol: protocol.samples)
    human = [
        ClipSource(f"{prompt.piece} from step {prompt.continuation_start}", prompt.continuation)
        for prompt in sampling.prompts(dataset, smallest)
    ]
    systems = []
    for folder, job in finished:
        hashes = folder.read_result().sample_hashes
        scores = read_samples(folder, hashes)
        sources = [ClipSource(f"sample {n}", score, n) for n, score in enumerate(scores)]
        systems.append(Contestant(job.system, sources, job.variant, job.preset, job.id))
    clips = render_clips(config, systems, human, dataset.split("train"), dataset.name, progress)
    # The samples of a ceiling's jobs are the music by composers that is heard here too.
    ceilings = [
        job.id
        for _, job in _jobs(config.run)
        if job.card.kind == "ceiling" and job.dataset == dataset.name
    ]
    return SurveyClips(clips.contestants, clips.volume, tuple({*clips.embargo, *ceilings}))


def render_clips(
    config: SurveyConfig,
    systems: Sequence[Contestant],
    human: list[ClipSource],
    train: Sequence[Score],
    dataset: str,
    progress: Callable[[str], None],
) -> SurveyClips:
    """The clips of all systems and of their references, rendered alike and checked.

    The same sample numbers are taken of everyone, so that the clips continue the same prompts.
    """
    shared = min(len(sources) for sources in [human, *(system.sources for system in systems)])
    order = np.random.default_rng(config.seed).permutation(shared).tolist()
    rng = np.random.default_rng([config.seed, 1])
    grid = human[0].score.grid
    like = Score.silence(clip_steps(config, grid), grid)
    contestants = list(systems)
    if config.human:
        contestants.append(Contestant("human", human, role="human"))
    if config.anchor:
        random_notes = anchors(train, like, shared, rng)
        contestants.append(Contestant("random notes", random_notes, role="anchor"))
    groups = []
    for contestant in contestants:
        name = contestant.name
        progress(f"rendering {config.clips} clips of {name}")
        clips, silent = choose(name, contestant.sources, config.clips, config, order)
        groups.append(ContestantClips(contestant, dataset, clips, [], silent))
    groups += _practice(config, train, like, rng, dataset)
    progress("checking the clips")
    check({group.contestant.name: [*group.clips, *group.practice] for group in groups}, config)
    jobs = tuple(system.job for system in systems if system.job)
    return SurveyClips(groups, volume_clip(config), jobs)


def _practice(
    config: SurveyConfig,
    train: Sequence[Score],
    like: Score,
    rng: np.random.Generator,
    dataset: str,
) -> list[ContestantClips]:
    """Clips for practice, which do not count: half random notes, half training pieces."""
    long_enough = [piece for piece in train if piece.length >= like.length and len(piece)]
    n_random = (config.practice + 1) // 2
    n_pieces = config.practice - n_random
    if len(long_enough) < n_pieces:
        raise BenchError(
            f"Practice needs {n_pieces} training pieces, and only {len(long_enough)} of {dataset}"
            f" last {config.seconds:g} seconds at a tempo of {config.tempo:g}. Set fewer seconds,"
            " or practice = 0."
        )
    chosen = rng.choice(len(long_enough), n_pieces, replace=False).tolist()
    pieces = [ClipSource(f"training piece {number}", long_enough[number]) for number in chosen]
    sources_of: dict[Role, list[ClipSource]] = {
        "anchor": anchors(train, like, n_random, rng),
        "human": pieces,
    }
    return [
        ContestantClips(
            Contestant(f"practice: {role}", sources, role=role),
            dataset,
            [],
            [clip for source in sources if (clip := make_clip(source, config))],
            0,
        )
        for role, sources in sources_of.items()
        if sources
    ]


def _jobs(run: Path) -> list[tuple[JobFolder, Job]]:
    """Every job of the run."""
    return [(folder, job) for folder in RunFolder(run).folders() if (job := folder.read_job())]


def _finished_job(config: SurveyConfig, name: str) -> tuple[JobFolder, Job]:
    """The finished job that an entry of `systems` means."""
    system, _, variant = name.partition(":")
    jobs = _jobs(config.run)
    matching = [
        (folder, job)
        for folder, job in jobs
        if job.id == name
        or (
            (job.system, job.variant) == (system, variant or "corrected")
            and config.dataset in (None, job.dataset)
            and config.preset in (None, job.preset)
        )
    ]
    finished = [(folder, job) for folder, job in matching if is_finished(folder)]
    if not finished:
        known = sorted({job.system for _, job in jobs})
        raise BenchError(
            f"{config.run} has {'no finished' if matching else 'no'} job of '{name}'"
            f"{f' on {config.dataset}' if config.dataset else ''}"
            f"{f' with preset {config.preset}' if config.preset else ''}. It has jobs of:"
            f" {', '.join(known) or 'no system'}. `bench all --systems {system} --out {config.run}`"
            " makes one."
        )
    seeds = {job.seed for _, job in finished}
    groups = {(job.dataset, job.preset) for _, job in finished}
    if len(groups) > 1 or len(seeds) < len(finished):
        ids = "\n  ".join(job.id for _, job in finished)
        raise BenchError(
            f"'{name}' can mean several jobs of {config.run}; name one of them by its id:\n  {ids}"
        )
    folder, job = min(finished, key=lambda pair: pair[1].seed)
    if job.card.kind == "ceiling":
        raise BenchError(
            f"'{name}' plays music by composers, which human = true adds already. Remove it from"
            " systems."
        )
    return folder, job
