"""The run folder: one folder per job. Everything else is made from the job folders."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from bench.errors import BenchError
from bench.files import read_json, write_json
from bench.jobs.job import Job
from bench.jobs.results import JobResult

UNFINISHED = "it did not finish"
BUSY = 75  # a worker's exit status when another process has its job in hand

State = Literal["ok", "failed", "timeout", "out-of-memory", "crashed"]


class JobStatus(BaseModel):
    """How a job stands. It starts as failed, so that a crash never counts as success."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    state: State
    phase: str = "start"  # load, fit, sample, likelihood, score, done
    error: str = UNFINISHED
    attempt: int = 1
    changed: str = ""
    seconds: float = 0.0

    @property
    def sentence(self) -> str:
        """What to tell people about it."""
        return "ok" if self.state == "ok" else f"{self.state} in phase '{self.phase}': {self.error}"


class JobFolder:
    """Names the files of one job."""

    def __init__(self, path: Path):
        self.path = path
        self.job = path / "job.json"
        self.status = path / "status.json"
        self.progress = path / "progress.json"
        self.curves = path / "metrics.jsonl"
        self.tensorboard = path / "tensorboard"
        self.checkpoint = path / "checkpoint.safetensors"
        self.system = path / "system"
        self.samples = path / "samples"
        self.snapshots = path / "snapshots"  # one folder per update, with state and samples
        self.result = path / "result.json"
        self.scores = path / "scores.json"
        self.score_arrays = path / "scores.npz"
        self.copying = path / "copying.json"
        self.log = path / "log.txt"
        self.lock = path / "lock"

    def read_job(self) -> Job | None:
        """The job; none where it cannot be read, or is one that this version would do otherwise."""
        content = read_json(self.job)
        try:
            job = Job.model_validate(content) if content is not None else None
        except ValidationError:
            return None
        return job if job and job.id == self.path.name else None

    def read_status(self) -> JobStatus | None:
        """The status; none before the first attempt."""
        content = read_json(self.status)
        try:
            return JobStatus.model_validate(content) if content is not None else None
        except ValidationError:
            return None

    def write_status(self, **fields: Any) -> JobStatus:
        """Record how the job stands."""
        status = JobStatus(changed=datetime.now(UTC).isoformat(timespec="seconds"), **fields)
        write_json(self.status, status.model_dump())
        return status

    def read_result(self) -> JobResult:
        """The results of the finished phases; empty where there are none, or none readable."""
        try:
            return JobResult.model_validate(read_json(self.result) or {})
        except ValidationError:
            return JobResult()

    def write_result(self, result: JobResult) -> None:
        """Keep the results of the finished phases."""
        write_json(self.result, result.model_dump(mode="json", exclude_none=True))

    def read_curves(self) -> list[dict[str, float]]:
        """The points of the training curves. A line cut short by a kill is left out."""
        try:
            lines = self.curves.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return []
        points = []
        for line in lines:
            with suppress(ValueError):
                points.append(json.loads(line))
        return [
            {name: value for name, value in point.items() if isinstance(value, int | float)}
            for point in points
            if isinstance(point, dict)
        ]

    def is_running(self) -> bool:
        """Whether some process works on the job now."""
        with self.locked() as free:
            return not free

    @contextmanager
    def locked(self) -> Iterator[bool]:
        """Hold the job's lock; yields false when another process has it. Death releases it."""
        import fcntl

        if not self.path.is_dir():
            yield True
            return
        with self.lock.open("a") as file:
            free = True
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                free = False
            except OSError:
                pass  # a file system without locks: nothing is known of other processes
            yield free

    def log_tail(self, lines: int = 1) -> str:
        """The last non-empty lines of the log."""
        try:
            text = self.log.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        return "\n".join([line for line in text.splitlines() if line.strip()][-lines:])


class RunFolder:
    """A folder with the jobs of a run."""

    def __init__(self, root: Path):
        self.root = root

    def folder(self, job: Job) -> JobFolder:
        """Where the job lives, whether it was begun or not."""
        return JobFolder(self.root / "jobs" / job.id)

    def begin(self, job: Job) -> JobFolder:
        """The job's folder with its description in it. BenchError when it cannot be written."""
        folder = self.folder(job)
        try:
            if folder.read_job() != job:
                write_json(folder.job, job.model_dump(mode="json"))
        except OSError as error:
            raise cannot_write(self.root, error) from None
        return folder

    def folders(self) -> list[JobFolder]:
        """The folders of all jobs that were begun, in order of their names."""
        jobs = self.root / "jobs"
        paths = sorted(path for path in jobs.iterdir() if path.is_dir()) if jobs.is_dir() else []
        return [JobFolder(path) for path in paths if not path.name.startswith(".")]


def is_finished(folder: JobFolder) -> bool:
    """Whether the job ended well and its result is there."""
    status = folder.read_status()
    return status is not None and status.state == "ok" and folder.read_result().complete


def cannot_write(root: Path, error: OSError) -> BenchError:
    """What to tell people when the run folder cannot be written."""
    where = root if root.exists() else root.parent
    free = shutil.disk_usage(where).free // 2**20 if where.exists() else 0
    return BenchError(
        f"Cannot write in {root}: {error.strerror or error} ({free} MB free)."
        " Give another folder with --out, or make room; what is finished is kept."
    )


def commit_of(source: Path) -> str:
    """The commit of the code that runs, with a + when it was changed; empty outside a checkout."""
    import subprocess

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(source), *arguments], capture_output=True, text=True, check=False
        )
        return done.stdout.strip() if done.returncode == 0 else ""

    try:
        top = git("rev-parse", "--show-toplevel")
        if not top or Path(top).resolve() != source.resolve():
            return ""  # installed inside somebody else's repository
        changed = "+" if git("status", "--porcelain", "--", "*.py", "*.toml") else ""
        return git("rev-parse", "--short=12", "HEAD") + changed
    except OSError:
        return ""


def versions() -> dict[str, str]:
    """The versions that a result depends on."""
    from importlib.metadata import PackageNotFoundError, version

    numbers = {"python": ".".join(map(str, sys.version_info[:3]))}
    for name in ("musicbench", "torch", "numpy", "scipy"):
        try:
            numbers[name] = version(name)
        except PackageNotFoundError:
            continue
    return numbers
