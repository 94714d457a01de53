"""Runs one job in a process of its own: load, fit, sample, likelihood, score.

Each phase leaves its result behind before the next begins, so that a second attempt goes on
where the first one ended.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

from bench.errors import BenchError
from bench.files import write_json
from bench.jobs.copying import check_copying
from bench.jobs.job import Job
from bench.jobs.phases import (
    file_hashes,
    fit,
    load_pinned,
    sample,
    snapshots,
    test_accuracy,
    test_likelihood,
)
from bench.jobs.process import last_line, peak_memory, repeatable, state_after
from bench.jobs.record import JobRecord
from bench.jobs.results import (
    AccuracyResult,
    FitResult,
    JobResult,
    LikelihoodResult,
    SampleResult,
    SnapshotResult,
)
from bench.jobs.run_folder import BUSY, JobFolder
from bench.jobs.samples import read_samples
from bench.jobs.scores import score_samples
from bench.music import MidiError
from bench.protocol import sampling


def whole(job: Job, folder: JobFolder, result: JobResult) -> JobResult:
    """The result without the phases whose files are gone or damaged: those are done again."""
    if job.snapshots and result.snapshots_asked != job.snapshots:
        kept = any(folder.snapshots.glob("*/state.safetensors"))
        result = result.having(snapshots=None) if kept else JobResult()
    if result.fit and result.fit.files != file_hashes(folder.system):
        print("The saved system is damaged; it is trained again.")
        return JobResult()
    if result.sample:
        try:
            read_samples(folder, result.sample.hashes)
        except (BenchError, MidiError) as error:
            print(f"{error} The samples are drawn again.")
            return result.having(sample=None)
    return result


def run(job: Job, folder: JobFolder, enter: Callable[[str], None]) -> None:
    """All phases that are still to be done; `enter` is told of each."""
    enter("load")
    dataset = load_pinned(job.dataset, job.dataset_fingerprint)
    prompts = sampling.prompts(dataset, job.protocol)
    phases: dict[
        str,
        Callable[[], FitResult | SampleResult | LikelihoodResult | AccuracyResult | SnapshotResult],
    ] = {
        "fit": lambda: fit(job, folder, dataset),
        "sample": lambda: sample(job, folder, dataset, prompts),
        "likelihood": lambda: test_likelihood(job, folder, dataset),
        "accuracy": lambda: test_accuracy(job, folder, dataset),
    }
    if job.snapshots:
        phases["snapshots"] = lambda: snapshots(job, folder, dataset, prompts)
    result = whole(job, folder, folder.read_result())
    for phase, work in phases.items():
        if getattr(result, phase) is None:
            enter(phase)
            result = result.having(**{phase: work()})
            trained = result.fit.peak_memory_mb if result.fit else 0  # in a process of its own
            peak = max(trained, peak_memory(job), result.peak_memory_mb)
            result = result.having(peak_memory_mb=peak)
            folder.write_result(result)
    enter("score")
    samples = read_samples(folder, result.sample.hashes if result.sample else ())
    check_copying(folder, job, dataset, prompts, samples)
    score_samples(folder, samples, lambda: sampling.reference(dataset, job.protocol, prompts))


def end_with_engine(alive: Connection) -> None:
    """End this process when its engine dies: the engine holds the other end of the pipe."""

    def wait() -> None:
        with suppress(EOFError, OSError):
            alive.recv()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def work(folder: JobFolder) -> int:
    """Do the job and say in its status how it went; the process's exit status."""
    job = folder.read_job()
    if job is None:
        print(f"{folder.job} is no job description.")
        return 2
    if JobRecord(folder).is_done(job):
        return 0  # another run did it while this process started
    before = folder.read_status()
    attempt = before.attempt + 1 if before else 1
    begun, phase = time.monotonic(), "start"

    def enter(name: str) -> None:
        nonlocal phase
        phase = name
        print(f"[{time.strftime('%H:%M:%S')}] {name}", flush=True)
        folder.write_status(state="failed", phase=name, attempt=attempt)
        write_json(folder.progress, {"phase": name, "done": 0, "total": 0, "pid": os.getpid()})

    try:
        print(f"\n{job.id}, attempt {attempt}", flush=True)
        repeatable(job.device)
        run(job, folder, enter)
        seconds = time.monotonic() - begun
        folder.write_status(state="ok", phase="done", error="", attempt=attempt, seconds=seconds)
        return 0
    except BaseException as error:  # noqa: BLE001 - a system may raise anything, SystemExit too
        traceback.print_exc(file=sys.stdout)
        sys.stdout.flush()
        state = state_after(error)
        seconds = time.monotonic() - begun
        folder.write_status(
            state=state, phase=phase, error=last_line(error), attempt=attempt, seconds=seconds
        )
        return 1


def main(path: Path, alive: Connection) -> None:
    """Run the job of that folder and end the process."""
    folder = JobFolder(path)
    end_with_engine(alive)
    if "torch" in sys.modules:  # loaded before this process knew how many threads it has
        sys.modules["torch"].set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    with folder.locked() as free:
        code = work(folder) if free else BUSY
    sys.stdout.flush()
    os._exit(code)  # whatever threads a system left behind


if __name__ == "__main__":  # started by itself; whoever started it holds the other end of stdin
    main(Path(sys.argv[1]), Connection(sys.stdin.fileno(), writable=False))
