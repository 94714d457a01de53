"""How a job stands once its worker has ended, whichever engine ran it."""

from __future__ import annotations

import signal
from contextlib import suppress

from bench.jobs.run_folder import UNFINISHED, JobFolder, State, Status


def judge(
    folder: JobFolder, code: int, seconds: float, ended_as: tuple[State, str] | None = None
) -> Status:
    """The job's status by its worker's exit status, or by why the engine ended the worker.

    What the worker could not say itself is written down for it.
    """
    status = folder.read_status()
    if ended_as is not None:
        return record(folder, *ended_as, seconds)
    if code == 0:
        return Status(state="ok", phase="done", error="", seconds=seconds)
    if code == 1 and status and status.error != UNFINISHED:
        return status
    if code == -signal.SIGKILL:
        why = "the system killed it (SIGKILL), most likely for its memory"
        return record(folder, "out-of-memory", why, seconds)
    if code < 0:
        why = f"it crashed with {signal.Signals(-code).name}"
    else:
        why = f"it ended with exit status {code}: {folder.log_tail() or 'no message'}"
    return record(folder, "crashed", why, seconds)


def record(folder: JobFolder, state: State, why: str, seconds: float) -> Status:
    """Write down how a job ended whose worker cannot."""
    status = folder.read_status()
    found = {
        "state": state,
        "phase": status.phase if status else "start",
        "error": why,
        "attempt": status.attempt if status else 1,
        "seconds": seconds,
    }
    # A full disk: the folder still says failed, as it did from the start.
    with folder.locked() as free, suppress(OSError):
        if free:  # else another run has taken the job over
            folder.write_status(**found)
    return Status.model_validate(found)
