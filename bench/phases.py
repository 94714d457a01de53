"""What is done for a job, phase by phase: fit, sample, likelihood, snapshots."""

from __future__ import annotations

import hashlib
import os
import platform
import resource
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import bench
from bench import data, likelihood, ranks, registry, sampling
from bench.checkpoint import load_tree
from bench.contract import Log, System
from bench.data.dataset import Dataset
from bench.errors import BenchError
from bench.files import replacing_folder
from bench.job import Job
from bench.joblog import JobLog, SnapshotLog
from bench.music import Score, from_midi, to_midi
from bench.scoring import measure
from bench.store import JobFolder, commit_of, versions


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


def fit(job: Job, folder: JobFolder, dataset: Dataset) -> dict[str, Any]:
    """Train the system, with as many processes as it is given, and leave it in the job's folder."""
    if not folder.checkpoint.exists():
        folder.curves.unlink(missing_ok=True)  # of an attempt that left nothing to go on from
        shutil.rmtree(folder.snapshots, ignore_errors=True)
    processes = ranks.count()
    if processes > 1:
        found = ranks.launch(folder, processes)
    else:
        log = JobLog(folder, job.snapshots, job.clock, tensorboard=job.tensorboard)
        found = learn(job, folder, dataset, log, log)
    folder.checkpoint.unlink(missing_ok=True)
    return found


def learn(job: Job, folder: JobFolder, dataset: Dataset, log: JobLog, told: Log) -> dict[str, Any]:
    """Train the system and save it, in the first of the processes that train it together."""
    from bench import distributed

    system = trained(job, dataset, told)
    if distributed.rank() > 0:
        return {}
    with replacing_folder(folder.system) as half:
        system.save(half)
    parameters = getattr(system, "parameter_count", None)
    return {
        "seconds": log.seconds,
        "files": file_hashes(folder.system),
        "music_steps": log.music_steps,
        "parameters": int(parameters) if parameters is not None else None,
        "versions": versions(),
        "commit": commit_of(Path(bench.__file__).parent.parent),
        "hardware": hardware(job),
        "threads": int(os.environ.get("OMP_NUM_THREADS", "0")) or None,
        "processes": distributed.ranks(),
        "peak_memory_mb": peak_memory(job),
    }


def peak_memory(job: Job) -> int:
    """The most memory the process ever held, in MB; on a GPU job the GPU's."""
    if job.device == "cuda" and "torch" in sys.modules:
        import torch

        return int(torch.cuda.max_memory_allocated() // 2**20)
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, kilobytes elsewhere
    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit // 2**20)


def file_hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of every file in the folder, by its path there."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def hardware(job: Job) -> str:
    """What the job ran on, as people would name it."""
    if job.device == "cuda":
        import torch

        return str(torch.cuda.get_device_name())
    cpu = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        cpu = next(
            line.partition(":")[2].strip() for line in lines if line.startswith("model name")
        )
    except (OSError, StopIteration):
        pass
    return cpu


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
) -> dict[str, Any]:
    """Let the system continue every prompt; one MIDI file per sample."""
    system = load_system(job, folder)
    if job.card.kind == "ceiling" and hasattr(system, "reveal"):
        system.reveal([prompt.continuation for prompt in prompts])
    begun = job.clock()
    samples = continuations(job, system, dataset, prompts)
    seconds = job.clock() - begun
    write_samples(folder.samples, samples)
    return {"seconds": seconds, "hashes": [score.content_hash for score in samples]}


def write_samples(place: Path, samples: Sequence[Score]) -> None:
    """One MIDI file per sample, all of them or none."""
    with replacing_folder(place) as half:
        for number, score in enumerate(samples):
            (half / f"{number:03d}.mid").write_bytes(to_midi(score))


def read_samples(folder: JobFolder, hashes: Sequence[str]) -> list[Score]:
    """The samples as they were made; BenchError when a file is gone or was changed."""
    scores = []
    for number, digest in enumerate(hashes):
        path = folder.samples / f"{number:03d}.mid"
        score = from_midi(path) if path.is_file() else None
        if score is None or score.content_hash != digest:
            raise BenchError(f"{path} is gone or was changed since it was sampled.")
        scores.append(score)
    return scores


def test_likelihood(job: Job, folder: JobFolder, dataset: Dataset) -> dict[str, Any]:
    """The system's likelihood of the test split, piece by piece."""
    system = load_system(job, folder)
    begun = job.clock()
    found = likelihood.evaluate(system, sampling.test_pieces(dataset, job.protocol))
    kind, described = likelihood.tag(system.likelihood, dataset.object)
    finite = bool(len(found.nats)) and bool(np.isfinite(found.nats).all())
    return {
        "seconds": job.clock() - begun,
        "kind": kind,
        "object": described,
        "reason": found.reason,
        "nats": found.nats.tolist() if finite else [],
        "steps": found.steps.tolist(),
        "notes": found.notes.tolist(),
    }


def snapshots(
    job: Job, folder: JobFolder, dataset: Dataset, prompts: Sequence[sampling.Prompt]
) -> dict[str, Any]:
    """Samples and figures of the system as it was at points through its training."""
    compared = sampling.reference(dataset, job.protocol, prompts)
    points = []
    for path in sorted(folder.snapshots.glob("*/state.safetensors")):
        state = load_tree(path)
        if state is None:
            continue
        system = trained(job, dataset, SnapshotLog(state))
        samples = continuations(job, system, dataset, prompts)
        write_samples(path.parent / "samples", samples)
        found = likelihood.evaluate(system, sampling.test_pieces(dataset, job.protocol))
        finite = bool(len(found.nats)) and bool(np.isfinite(found.nats).all())
        points.append(
            {
                "update": int(path.parent.name),
                "nats_per_step": found.nats_per_step if finite else None,
                "metrics": {
                    name: measure(cls(), compared, samples).value
                    for name, cls in registry.metrics().items()
                },
            }
        )
        path.unlink()  # what it was kept for is done
    return {"asked": job.snapshots, "points": points}
