"""A job's worker as its engine sees it: the environment it gets, its memory, and how it ended."""

from __future__ import annotations

import os
import signal
from contextlib import suppress

import psutil

from bench.jobs.job import Job
from bench.jobs.run_folder import UNFINISHED, JobFolder, JobStatus, State

# Fixed: the C library's own thresholds give the memory of freed tensors back to the system, and
# every training step faults it in again. Larger tensors than 32 MB are still given back at once.
ALLOCATOR = "glibc.malloc.mmap_threshold=33554432:glibc.malloc.trim_threshold=536870912"


def threads() -> str:
    """Threads per job."""
    return os.environ.get("BENCH_THREADS", "1")


def start_environment() -> dict[str, str]:
    """What a Python process reads once, when it starts: no job can change it later.

    One thread each: the number of threads changes results, so it never depends on how many jobs
    run at the same time.
    """
    return {
        "OMP_NUM_THREADS": threads(),
        "PYTHONHASHSEED": "0",
        "PYTHONUNBUFFERED": "1",
        "GLIBC_TUNABLES": os.environ.get("GLIBC_TUNABLES", ALLOCATOR),
    }


def worker_environment(job: Job, gpu: str | None = None) -> dict[str, str]:
    """The environment variables of the job's worker, the same whichever engine runs it.

    `gpu` is the one that the worker may see; none: those that its node gives it.
    """
    # Ray hides no GPU from a job that asked for none.
    visible = "" if job.device == "cpu" else gpu
    return {
        **start_environment(),  # Ray sets OMP_NUM_THREADS to the number of CPUs leased
        "CUBLAS_WORKSPACE_CONFIG": ":16:8",
        "BENCH_DEVICE": job.device,
        **({} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}),
    }


def memory_held(pid: int) -> int:
    """Bytes held by the process and its children; 0 once it is gone."""
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
        return sum(member.memory_info().rss for member in family)
    except psutil.Error:
        return 0


def final_status(
    folder: JobFolder, code: int, seconds: float, ended_as: tuple[State, str] | None = None
) -> JobStatus:
    """The job's status by its worker's exit status, or by why the engine ended the worker.

    What the worker could not write down itself is written down for it.
    """
    status = folder.read_status()
    if ended_as is not None:
        return record(folder, *ended_as, seconds)
    if code == 0:
        return JobStatus(state="ok", phase="done", error="", seconds=seconds)
    if code == 1 and status and status.error != UNFINISHED:
        return status
    if code == -signal.SIGKILL:
        error = "the system killed it (SIGKILL), most likely for its memory"
        return record(folder, "out-of-memory", error, seconds)
    if code < 0:
        error = f"it crashed with {signal.Signals(-code).name}"
    else:
        error = f"it ended with exit status {code}: {folder.log_tail() or 'no message'}"
    return record(folder, "crashed", error, seconds)


def record(folder: JobFolder, state: State, error: str, seconds: float) -> JobStatus:
    """Write down how a job ended whose worker cannot."""
    before = folder.read_status()
    status = JobStatus(
        state=state,
        phase=before.phase if before else "start",
        error=error,
        attempt=before.attempt if before else 1,
        seconds=seconds,
    )
    # A full disk: the folder still says failed, as it did from the start.
    with folder.locked() as free, suppress(OSError):
        if free:  # otherwise another run has taken the job over
            folder.write_status(**status.model_dump(exclude={"changed"}))
    return status
