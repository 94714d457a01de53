"""What happens on a cluster's node: it runs one job's worker and waits for it.

Nothing here knows of the cluster's software.
"""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.metadata import entry_points, version
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from bench.engines.worker_process import final_status, memory_held
from bench.files import write
from bench.jobs.run_folder import BUSY, JobFolder, State, Status, versions

Files = dict[str, bytes]  # by path, with / between its parts

POLL_SECONDS = 0.1
KEPT_BACK = {"lock", "job.json"}  # of a job's folder: these stay where they are


@dataclass(frozen=True)
class Work:
    """A job to run."""

    folder: str  # the job's folder, as the one who asks sees it
    environment: Mapping[str, str]
    versions: Mapping[str, str]  # that the node must have too
    seconds: float | None = None  # it may take
    memory: int | None = None  # bytes it may hold


@dataclass(frozen=True)
class Found:
    """What became of it."""

    kind: Literal["ended", "busy", "refused"]
    status: Status | None = None  # when it ended
    why: str = ""  # when it was refused
    files: Files = field(default_factory=dict)  # the job's folder, where it is not shared


@cache
def own_versions() -> dict[str, str]:
    """The versions that all nodes must share, so that a job gives the same bits on each."""
    return {**versions(), "ray": version("ray"), "source": source()}


def source() -> str:
    """What identifies the code of musicbench and of everything that plugs into it."""
    groups = [f"musicbench.{kind}" for kind in ("catalogues", "systems", "metrics", "datasets")]
    modules = {entry.module for group in groups for entry in entry_points(group=group)}
    digest = hashlib.sha256()
    for package in sorted({"bench"} | {module.partition(".")[0] for module in modules}):
        spec = find_spec(package)
        for place in (spec.submodule_search_locations if spec else None) or ():
            for path in sorted(Path(place).rglob("*")):
                if path.suffix in (".py", ".toml", ".json"):
                    digest.update(f"{package}/{path.relative_to(place).as_posix()}\n".encode())
                    digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def differences(theirs: Mapping[str, str]) -> str:
    """What differs between this node's versions and theirs, in words; empty: nothing."""
    ours = own_versions()
    return ", ".join(
        f"{name} {ours.get(name, 'missing')} instead of {theirs.get(name, 'none')}"
        for name in sorted({*ours, *theirs})
        if ours.get(name) != theirs.get(name)
    )


def look(theirs: Mapping[str, str], mark: str) -> tuple[str, bool]:
    """What differs from their versions here, and whether their file can be seen from here."""
    return differences(theirs), Path(mark).is_file()


def lease(work: Work, files: Files | None, data: Files | None) -> Found:
    """Run the job. Without a shared run folder its files come with it, and go back."""
    wrong = differences(work.versions)
    if wrong:
        return Found("refused", why=f"it has {wrong}")
    if files is None:
        folder = JobFolder(Path(work.folder))
        if not folder.job.is_file():
            return Found("refused", why=f"it does not see {folder.path}")
        return attend(work, folder)
    with tempfile.TemporaryDirectory(prefix="musicbench-") as scratch:
        place = Path(scratch)
        folder = JobFolder(place / "jobs" / Path(work.folder).name)
        unpack({**files, **(data or {})}, place)
        bring_home(folder, place / "code")
        mine = {"BENCH_CACHE_DIR": str(place / "cache"), "BENCH_DATA_DIR": str(place / "data")}
        found = attend(replace(work, environment={**work.environment, **mine}), folder)
        return replace(found, files=pack(folder.path, leave=KEPT_BACK))


def pack(place: Path, below: str = "", leave: set[str] = frozenset()) -> Files:  # type: ignore[assignment]
    """The files of a folder, as if it lay in the folder `below`."""
    return {
        f"{below}{path.relative_to(place).as_posix()}": path.read_bytes()
        for path in sorted(place.rglob("*"))
        if path.is_file() and path.name not in leave
    }


def unpack(files: Files, place: Path) -> None:
    """Write the files below the folder, each whole; a status last, for it speaks of the others."""
    for name in sorted(files, key=lambda name: name.endswith("status.json")):
        write(place / name, files[name])


def bring_home(folder: JobFolder, code: Path) -> None:
    """Let the job's class be found here when it is in a file that came along."""
    job = folder.read_job()
    if job is not None:
        path, _, name = job.class_path.rpartition(":")
        here = code / Path(path).name
        if here.is_file():
            moved = job.model_copy(update={"class_path": f"{here}:{name}"})
            write(folder.job, moved.model_dump_json())


def attend(work: Work, folder: JobFolder) -> Found:
    """Run the worker in the folder, and end it when it takes or holds too much."""
    begun = time.monotonic()
    with folder.log.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "bench.jobs.worker", str(folder.path)],
            stdin=subprocess.PIPE,  # its end tells the worker that we are gone
            stdout=log,
            stderr=log,
            env={**os.environ, **work.environment},
            start_new_session=True,
        )
    ended_as: tuple[State, str] | None = None
    try:
        while ended_as is None and process.poll() is None:
            with suppress(subprocess.TimeoutExpired):
                process.wait(POLL_SECONDS)
            ended_as = excess(work, process, time.monotonic() - begun)
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)  # whatever it started, too
    code = process.wait()
    if code == BUSY and ended_as is None:
        return Found("busy")
    return Found("ended", final_status(folder, code, time.monotonic() - begun, ended_as))


def excess(
    work: Work, process: subprocess.Popen[bytes], seconds: float
) -> tuple[State, str] | None:
    """What the worker has taken too much of, if anything."""
    if process.poll() is not None:
        return None
    if work.seconds and seconds > work.seconds:
        return "timeout", f"it took longer than {work.seconds / 60:g} minutes (--timeout)"
    if work.memory and memory_held(process.pid) > work.memory:
        return "out-of-memory", f"it held more than {work.memory // 2**20} MB (--job-memory)"
    return None
