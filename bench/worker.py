"""Runs one job in a process of its own: load, fit, sample, likelihood, score.

Each phase leaves its result behind before the next begins, so that a second attempt goes on
where the first one ended. Called by an engine as `python -m bench.worker JOB_FOLDER`.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import resource
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import bench
from bench import data, likelihood, registry, sampling
from bench.checkpoint import load_tree, save_tree
from bench.contract import System
from bench.data.dataset import Dataset
from bench.errors import BenchError
from bench.files import replacing_folder, write_json
from bench.job import Job
from bench.music import MidiError, Score, from_midi, to_midi
from bench.scoring import is_done, score_samples
from bench.store import BUSY, JobFolder, commit_of, versions

CHECKPOINT_SECONDS = 30.0


class JobLog:
    """The contract's Log: curves as JSON lines, progress for whoever watches, checkpoints."""

    def __init__(self, folder: JobFolder):
        self.folder = folder
        self.music_steps = 0
        self.before = 0.0  # seconds that earlier attempts spent on what they left behind
        self.begun = time.monotonic()
        self.every = float(os.environ.get("BENCH_CHECKPOINT_SECONDS", CHECKPOINT_SECONDS))
        self.saved = self.begun
        self.shown = 0.0

    @property
    def seconds(self) -> float:
        """Seconds spent on what there is now, earlier attempts counted."""
        return self.before + time.monotonic() - self.begun

    def record(self, step: int, **values: float) -> None:
        """Add a point to the curves."""
        point = {"step": step, "seconds": round(self.seconds, 3), **values}
        with self.folder.curves.open("a", encoding="utf-8") as file:
            file.write(json.dumps(point, default=float) + "\n")

    def progress(self, done: int, total: int, music_steps: int = 0) -> None:
        """Say how far training is."""
        self.music_steps = music_steps or self.music_steps
        if time.monotonic() - self.shown >= 1.0:
            self.shown = time.monotonic()
            write_json(self.folder.progress, {"phase": "fit", "done": done, "total": total})

    def checkpoint(self, state: Callable[[], Mapping[str, Any]]) -> None:
        """Save the state to resume from, when one is due."""
        if time.monotonic() - self.saved < self.every:
            return
        curves = self.folder.curves.stat().st_size if self.folder.curves.exists() else 0
        tree = {
            "state": state(),
            "curves": curves,
            "seconds": self.seconds,
            "music_steps": self.music_steps,
        }
        save_tree(self.folder.checkpoint, tree)
        self.saved = time.monotonic()

    def resume(self) -> Mapping[str, Any] | None:
        """The last checkpoint's state; the curves are cut back to where it was taken."""
        tree = load_tree(self.folder.checkpoint)
        if tree is None:
            if self.folder.checkpoint.exists():
                print("The checkpoint is damaged; training begins anew.")
            self.folder.curves.unlink(missing_ok=True)
            return None
        self.before, self.begun = float(tree["seconds"]), time.monotonic()
        self.music_steps = int(tree["music_steps"])
        if self.folder.curves.exists():
            with self.folder.curves.open("rb+") as file:
                file.truncate(int(tree["curves"]))
        state: Mapping[str, Any] = tree["state"]
        return state


def load_pinned(name: str, fingerprint: str) -> Dataset:
    """The data set that a job was planned for, and no other version of it."""
    dataset = data.load(name)
    if dataset.fingerprint != fingerprint:
        raise BenchError(f"{name} is not the data that this job was planned for; plan again.")
    return dataset


def fit(job: Job, folder: JobFolder, dataset: Dataset) -> dict[str, Any]:
    """Train the system and leave it, saved, in the job's folder."""
    system = registry.build(job.class_path, job.settings, job.system)
    if not folder.checkpoint.exists():
        folder.curves.unlink(missing_ok=True)  # of an attempt that left nothing to go on from
    log = JobLog(folder)
    if job.also:
        others = {name: load_pinned(name, pinned) for name, pinned in job.also.items()}
        system.provide({name: other.split("train") for name, other in others.items()})  # type: ignore[attr-defined]
    with data.seal():
        system.fit(dataset.split("train"), dataset.split("valid"), job.budget, job.seed, log)
    with replacing_folder(folder.system) as half:
        system.save(half)
    folder.checkpoint.unlink(missing_ok=True)
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
    }


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


def sample(
    job: Job, folder: JobFolder, dataset: Dataset, prompts: Sequence[sampling.Prompt]
) -> dict[str, Any]:
    """Let the system continue every prompt; one MIDI file per sample."""
    system = load_system(job, folder)
    if job.card.kind == "ceiling" and hasattr(system, "reveal"):
        system.reveal([prompt.continuation for prompt in prompts])
    begun = time.monotonic()
    samples = system.sample([prompt.score for prompt in prompts], job.protocol.steps, job.seed)
    seconds = time.monotonic() - begun
    samples = sampling.check_samples(samples, job.protocol, dataset.grid)
    write_samples(folder, samples)
    return {"seconds": seconds, "hashes": [score.content_hash for score in samples]}


def write_samples(folder: JobFolder, samples: Sequence[Score]) -> None:
    """One MIDI file per sample, all of them or none."""
    with replacing_folder(folder.samples) as half:
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
    begun = time.monotonic()
    found = likelihood.evaluate(system, dataset.split("test"))
    kind, described = likelihood.tag(system.likelihood, dataset.object)
    finite = bool(len(found.nats)) and bool(np.isfinite(found.nats).all())
    return {
        "seconds": time.monotonic() - begun,
        "kind": kind,
        "object": described,
        "reason": found.reason,
        "nats": found.nats.tolist() if finite else [],
        "steps": found.steps.tolist(),
        "notes": found.notes.tolist(),
    }


def whole(folder: JobFolder, result: dict[str, Any]) -> dict[str, Any]:
    """The result without the phases whose files are gone or damaged: those are done again."""
    if "fit" in result and result["fit"]["files"] != file_hashes(folder.system):
        print("The saved system is damaged; it is trained anew.")
        return {}
    if "sample" in result:
        try:
            read_samples(folder, result["sample"]["hashes"])
        except (BenchError, MidiError) as error:
            print(f"{error} The samples are drawn anew.")
            return {phase: found for phase, found in result.items() if phase != "sample"}
    return result


def run(job: Job, folder: JobFolder, enter: Callable[[str], None]) -> None:
    """All phases that are still to be done; `enter` is told of each."""
    enter("load")
    dataset = data.load(job.dataset)
    if dataset.fingerprint != job.dataset_fingerprint:
        raise BenchError(
            f"{job.dataset} is not the data that this job was planned for; plan again."
        )
    prompts = sampling.prompts(dataset, job.protocol)
    phases: dict[str, Callable[[], dict[str, Any]]] = {
        "fit": lambda: fit(job, folder, dataset),
        "sample": lambda: sample(job, folder, dataset, prompts),
        "likelihood": lambda: test_likelihood(job, folder, dataset),
    }
    result = whole(folder, folder.read_result())
    for phase, work in phases.items():
        if phase not in result:
            enter(phase)
            result[phase] = work()
            result["peak_memory_mb"] = max(peak_memory(job), result.get("peak_memory_mb", 0))
            write_json(folder.result, result)
    enter("score")
    samples = read_samples(folder, result["sample"]["hashes"])
    score_samples(folder, samples, lambda: sampling.reference(dataset, job.protocol, prompts))


def peak_memory(job: Job) -> int:
    """The most memory the process ever held, in MB; on a GPU job the GPU's."""
    if job.device == "cuda" and "torch" in sys.modules:
        import torch

        return int(torch.cuda.max_memory_allocated() // 2**20)
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, kilobytes elsewhere
    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit // 2**20)


def end_with_parent() -> None:
    """End this process when its engine dies: the engine holds the other end of standard input."""

    def wait() -> None:
        while os.read(0, 1):
            pass
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def repeatable(job: Job) -> None:
    """Ask the GPU for the same bits every time, as far as it can."""
    if job.device == "cuda":
        import torch

        torch.backends.cudnn.benchmark = False
        torch.backends.cudnn.deterministic = True


def last_line(error: BaseException) -> str:
    """The error as one line."""
    text = str(error).strip().splitlines()
    name = "" if isinstance(error, BenchError) else f"{type(error).__name__}: "
    return f"{name}{text[0] if text else ''}".strip(": ") or type(error).__name__


def work(folder: JobFolder) -> int:
    """Do the job and say in its status how it went; the process's exit status."""
    job = folder.read_job()
    if job is None:
        print(f"{folder.job} is no job description.")
        return 2
    if is_done(folder):
        return 0  # another run did it while this process started
    before = folder.read_status()
    attempt = before.attempt + 1 if before else 1
    begun, phase = time.monotonic(), "start"

    def enter(name: str) -> None:
        nonlocal phase
        phase = name
        print(f"[{time.strftime('%H:%M:%S')}] {name}", flush=True)
        folder.write_status(state="failed", phase=name, attempt=attempt)
        write_json(folder.progress, {"phase": name, "done": 0, "total": 0})

    try:
        print(f"\n{job.id}, attempt {attempt}", flush=True)
        repeatable(job)
        run(job, folder, enter)
        seconds = time.monotonic() - begun
        folder.write_status(state="ok", phase="done", error="", attempt=attempt, seconds=seconds)
        return 0
    except BaseException as error:  # noqa: BLE001 - a system may raise anything, SystemExit too
        traceback.print_exc()
        sys.stdout.flush()
        memory = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
        state = "out-of-memory" if memory else "failed"
        seconds = time.monotonic() - begun
        folder.write_status(
            state=state, phase=phase, error=last_line(error), attempt=attempt, seconds=seconds
        )
        return 1


def main() -> None:
    """Run the job whose folder is the only argument."""
    folder = JobFolder(Path(sys.argv[1]))
    end_with_parent()
    sys.stderr = sys.stdout
    with folder.locked() as free:
        code = work(folder) if free else BUSY
    sys.stdout.flush()
    os._exit(code)  # whatever threads a system left behind


if __name__ == "__main__":
    main()
