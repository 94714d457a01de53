"""The phases of a job: fit, sample, likelihood, snapshots."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import bench
from bench import data, registry
from bench.contract import Log, System
from bench.data.dataset import Dataset
from bench.errors import BenchError
from bench.files import replacing_folder
from bench.jobs import launch
from bench.jobs.job import Job
from bench.jobs.log import JobLog, SnapshotLog
from bench.jobs.process import hardware, peak_memory
from bench.jobs.results import (
    AccuracyResult,
    FitResult,
    LikelihoodResult,
    SampleResult,
    SnapshotPoint,
    SnapshotResult,
)
from bench.jobs.run_folder import JobFolder, commit_of, versions
from bench.jobs.samples import write_samples
from bench.music import Score
from bench.protocol import frame_accuracy, likelihood, sampling
from bench.protocol.measuring import measure
from bench.training.checkpoint import load_tree


def load_pinned(name: str, fingerprint: str) -> Dataset:
    """The data set that a job was planned for, and no other version of it."""
    dataset = data.load(name)
    if dataset.fingerprint != fingerprint:
        raise BenchError(f"{name} is not the data that this job was planned for; plan again.")
    return dataset


def trained(job: Job, dataset: Dataset, log: Log) -> System:
    """The job's system, trained with nothing but what it is given within reach."""
    system = registry.build(job.class_path, job.settings, job.system)
    if job.also:
        others = {name: load_pinned(name, pinned) for name, pinned in job.also.items()}
        system.provide({name: other.split("train") for name, other in others.items()})  # type: ignore[attr-defined]
    with data.seal():
        system.fit(dataset.split("train"), dataset.split("valid"), job.budget, job.seed, log)
    return system


def fit(job: Job, folder: JobFolder, dataset: Dataset) -> FitResult:
    """Train the system, with as many processes as it is given, and leave it in the job's folder."""
    if not folder.checkpoint.exists():
        folder.curves.unlink(missing_ok=True)  # of an attempt that left nothing to go on from
        shutil.rmtree(folder.snapshots, ignore_errors=True)
    processes = launch.count()
    if processes > 1:
        result = launch.launch(folder, processes)
    else:
        log = JobLog(folder, job.snapshots, job.clock, tensorboard=job.tensorboard)
        result = learn(job, folder, dataset, log, log)
    folder.checkpoint.unlink(missing_ok=True)
    return result


def learn(job: Job, folder: JobFolder, dataset: Dataset, log: JobLog, shared: Log) -> FitResult:
    """Train the system and save it, in the first of the processes that train it together."""
    from bench.training import distributed

    system = trained(job, dataset, shared)
    if distributed.rank() > 0:
        return FitResult()
    with replacing_folder(folder.system) as half:
        system.save(half)
    parameters = getattr(system, "parameter_count", None)
    counts = getattr(system, "token_counts", None)
    return FitResult(
        seconds=log.seconds,
        files=file_hashes(folder.system),
        music_steps=log.music_steps,
        parameters=int(parameters) if parameters is not None else None,
        vocabulary=len(counts) if counts is not None else None,
        tokens=int(counts.sum()) if counts is not None else None,
        versions=versions(),
        commit=commit_of(Path(bench.__file__).parent.parent),
        hardware=hardware(job),
        threads=int(os.environ.get("OMP_NUM_THREADS", "0")) or None,
        processes=distributed.ranks(),
        peak_memory_mb=peak_memory(job),
    )


def file_hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of every file in the folder, by its path there."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def load_system(job: Job, folder: JobFolder) -> System:
    """The system as `fit` left it."""
    cls = registry.load_object(job.class_path)
    system: System = cls.load(folder.system)
    return system


def continuations(
    job: Job, system: System, dataset: Dataset, prompts: Sequence[sampling.Prompt]
) -> list[Score]:
    """What the system makes of the prompts, if it keeps the protocol."""
    samples = system.sample([prompt.score for prompt in prompts], job.protocol.steps, job.seed)
    return sampling.check_samples(samples, job.protocol, dataset.grid)


def sample(
    job: Job, folder: JobFolder, dataset: Dataset, prompts: Sequence[sampling.Prompt]
) -> SampleResult:
    """Let the system continue every prompt; one MIDI file per sample."""
    system = load_system(job, folder)
    if job.card.kind == "ceiling" and hasattr(system, "reveal"):
        system.reveal([prompt.continuation for prompt in prompts])
    begun = job.clock()
    samples = continuations(job, system, dataset, prompts)
    seconds = job.clock() - begun
    write_samples(folder.samples, samples)
    return SampleResult(hashes=tuple(score.content_hash for score in samples), seconds=seconds)


def test_likelihood(job: Job, folder: JobFolder, dataset: Dataset) -> LikelihoodResult:
    """The system's likelihood of the test split, piece by piece."""
    system = load_system(job, folder)
    begun = job.clock()
    measured = likelihood.evaluate(system, sampling.test_pieces(dataset, job.protocol))
    kind, described = likelihood.tag(system.likelihood, dataset.object)
    return LikelihoodResult(
        kind=kind,
        object=described,
        reason=measured.reason,
        nats=tuple(measured.nats.tolist()) if measured.finite else (),
        steps=tuple(measured.steps.astype(int).tolist()),
        notes=tuple(measured.notes.astype(int).tolist()),
        seconds=job.clock() - begun,
    )


def test_accuracy(job: Job, folder: JobFolder, dataset: Dataset) -> AccuracyResult:
    """How much of the next frame the system predicts in the test split; empty if it cannot."""
    system = load_system(job, folder)
    begun = job.clock()
    test = sampling.test_pieces(dataset, job.protocol)
    measured = frame_accuracy.evaluate(system, test, job.seed)
    if measured is None:
        return AccuracyResult()
    return AccuracyResult(
        right=tuple(measured.right.astype(int).tolist()),
        all=tuple(measured.all.astype(int).tolist()),
        seconds=job.clock() - begun,
    )


def snapshots(
    job: Job, folder: JobFolder, dataset: Dataset, prompts: Sequence[sampling.Prompt]
) -> SnapshotResult:
    """Samples and figures of the system as it was at points through its training."""
    reference = sampling.reference(dataset, job.protocol, prompts)
    points = []
    for path in sorted(folder.snapshots.glob("*/state.safetensors")):
        state = load_tree(path)
        if state is None:
            continue
        system = trained(job, dataset, SnapshotLog(state))
        samples = continuations(job, system, dataset, prompts)
        write_samples(path.parent / "samples", samples)
        measured = likelihood.evaluate(system, sampling.test_pieces(dataset, job.protocol))
        points.append(
            SnapshotPoint(
                update=int(path.parent.name),
                nats_per_step=measured.nats_per_step if measured.finite else None,
                metrics={
                    name: measure(cls(), reference, samples).value
                    for name, cls in registry.metrics().items()
                },
            )
        )
        path.unlink()  # what it was kept for is done
    return SnapshotResult(asked=job.snapshots, points=tuple(points))
