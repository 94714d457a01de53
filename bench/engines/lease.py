"""What a cluster's node does: it runs one job's worker and waits for it.

Nothing here depends on the cluster's software.
"""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.metadata import entry_points, version
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from bench.engines.worker_process import final_status, memory_held
from bench.files import write
from bench.jobs.run_folder import BUSY, JobFolder, JobStatus, State, versions

Files = dict[str, bytes]  # by path, with / between its parts

POLL_SECONDS = 0.1
KEPT_BACK = {"lock", "job.json"}  # of a job's folder: these stay where they are


@dataclass(frozen=True)
class Lease:
    """A job to run on a node."""

    folder: str  # the job's folder, as the machine that asks sees it
    environment: Mapping[str, str]  # of the worker
    versions: Mapping[str, str]  # that the node must have too
    seconds: float | None = None  # that the job may take
    memory: int | None = None  # bytes that it may hold


@dataclass(frozen=True)
class LeaseResult:
    """How a lease ended."""

    kind: Literal["ended", "busy", "refused"]
    status: JobStatus | None = None  # of a job that ended
    reason: str = ""  # why the node refused
    files: Files = field(default_factory=dict)  # the job's folder, where it is not shared


@cache
def own_versions() -> dict[str, str]:
    """The versions that all nodes must share, so that a job gives the same bits on each."""
    return {**versions(), "ray": version("ray"), "source": source()}


def source() -> str:
    """A hash of the code of musicbench and of everything that is plugged into it."""
    groups = [f"musicbench.{kind}" for kind in ("catalogues", "systems", "metrics", "datasets")]
    modules = {entry.module for group in groups for entry in entry_points(group=group)}
    digest = hashlib.sha256()
    for package in sorted({"bench"} | {module.partition(".")[0] for module in modules}):
        spec = find_spec(package)
        for folder in (spec.submodule_search_locations if spec else None) or ():
            for path in sorted(Path(folder).rglob("*")):
                if path.suffix in (".py", ".toml", ".json"):
                    digest.update(f"{package}/{path.relative_to(folder).as_posix()}\n".encode())
                    digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def differences(expected: Mapping[str, str]) -> str:
    """The versions of this node that differ from the expected ones, in words; empty: none."""
    own = own_versions()
    return ", ".join(
        f"{name} {own.get(name, 'missing')} instead of {expected.get(name, 'none')}"
        for name in sorted({*own, *expected})
        if own.get(name) != expected.get(name)
    )


def inspect(expected: Mapping[str, str], mark: str) -> tuple[str, bool]:
    """This node's differences from the expected versions, and whether it sees the file `mark`."""
    return differences(expected), Path(mark).is_file()


def run_lease(lease: Lease, files: Files | None, data: Files | None) -> LeaseResult:
    """Run the job. Without a shared run folder its files come with it, and go back."""
    wrong = differences(lease.versions)
    if wrong:
        return LeaseResult("refused", reason=f"it has {wrong}")
    if files is None:
        folder = JobFolder(Path(lease.folder))
        if not folder.job.is_file():
            return LeaseResult("refused", reason=f"it does not see {folder.path}")
        return run_worker(lease, folder)
    with tempfile.TemporaryDirectory(prefix="musicbench-") as scratch:
        root = Path(scratch)
        folder = JobFolder(root / "jobs" / Path(lease.folder).name)
        unpack({**files, **(data or {})}, root)
        use_local_code(folder, root / "code")
        local = {"BENCH_CACHE_DIR": str(root / "cache"), "BENCH_DATA_DIR": str(root / "data")}
        result = run_worker(replace(lease, environment={**lease.environment, **local}), folder)
        return replace(result, files=pack(folder.path, leave=KEPT_BACK))


def pack(folder: Path, below: str = "", leave: Collection[str] = ()) -> Files:
    """The files of the folder, by their paths below `below`."""
    return {
        f"{below}{path.relative_to(folder).as_posix()}": path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in leave
    }


def unpack(files: Files, folder: Path) -> None:
    """Write the files below the folder, each whole; a status last: it describes the others."""
    for name in sorted(files, key=lambda name: name.endswith("status.json")):
        write(folder / name, files[name])


def use_local_code(folder: JobFolder, code: Path) -> None:
    """Let the job load its class from the folder `code`, if its file was sent along."""
    job = folder.read_job()
    if job is not None:
        path, _, name = job.class_path.rpartition(":")
        sent = code / Path(path).name
        if sent.is_file():
            moved = job.model_copy(update={"class_path": f"{sent}:{name}"})
            write(folder.job, moved.model_dump_json())


def run_worker(lease: Lease, folder: JobFolder) -> LeaseResult:
    """Run the worker in the folder, and end it when it takes too long or holds too much."""
    begun = time.monotonic()
    with folder.log.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "bench.jobs.worker", str(folder.path)],
            stdin=subprocess.PIPE,  # when it closes, the worker knows that this process is gone
            stdout=log,
            stderr=log,
            env={**os.environ, **lease.environment},
            start_new_session=True,
        )
    ended_as: tuple[State, str] | None = None
    try:
        while ended_as is None and process.poll() is None:
            with suppress(subprocess.TimeoutExpired):
                process.wait(POLL_SECONDS)
            ended_as = excess(lease, process, time.monotonic() - begun)
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)  # and whatever it started
    code = process.wait()
    if code == BUSY and ended_as is None:
        return LeaseResult("busy")
    return LeaseResult("ended", final_status(folder, code, time.monotonic() - begun, ended_as))


def excess(
    lease: Lease, process: subprocess.Popen[bytes], seconds: float
) -> tuple[State, str] | None:
    """The limit that the worker has exceeded, as the job's status; none where it has not."""
    if process.poll() is not None:
        return None
    if lease.seconds and seconds > lease.seconds:
        return "timeout", f"it took longer than {lease.seconds / 60:g} minutes (--timeout)"
    if lease.memory and memory_held(process.pid) > lease.memory:
        return "out-of-memory", f"it held more than {lease.memory // 2**20} MB (--job-memory)"
    return None
