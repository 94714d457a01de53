"""The job folders as the pages show them: read only, and never a name from outside as a path."""

from __future__ import annotations

import io
import math
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Literal

from bench.board.rows import Row
from bench.files import read_json
from bench.jobs.job import Job
from bench.jobs.record import JobRecord
from bench.jobs.results import JobResult
from bench.jobs.run_folder import UNFINISHED, JobFolder, JobStatus, RunFolder
from bench.music import MidiError, Score, from_midi, to_midi

FRESH_SECONDS = (
    60.0  # a job whose files changed this recently runs, though its lock is out of sight
)
LOG_LINES = 200

State = Literal["done", "running", "failed", "stopped", "waiting"]


def folders(runs: Path) -> dict[str, JobFolder]:
    """The job folders there are, by job id. Ids from elsewhere are only looked up in it."""
    try:
        return {folder.path.name: folder for folder in RunFolder(runs).folders()}
    except OSError:
        return {}


def folders_of(row: Row, folders: Mapping[str, JobFolder]) -> list[JobFolder]:
    """The job folders behind a row, as far as they are there."""
    return [folders[job] for job in row.job_ids if job in folders]


def job_of(folder: JobFolder) -> Job | None:
    """The folder's job; parsed once, as a job never changes."""
    try:
        stamp = folder.job.stat().st_mtime_ns
    except OSError:
        return None
    return _job(folder.job, stamp)


@lru_cache(maxsize=20000)
def _job(path: Path, stamp: int) -> Job | None:
    try:
        return JobFolder(path.parent).read_job()
    except OSError:
        return None


def status_of(folder: JobFolder) -> JobStatus | None:
    """How the job stands; none where it was never begun, or cannot be read."""
    try:
        stamp = folder.status.stat().st_mtime_ns
    except OSError:
        return None
    return _status(folder.status, stamp)


@lru_cache(maxsize=20000)
def _status(path: Path, stamp: int) -> JobStatus | None:
    try:
        return JobFolder(path.parent).read_status()
    except OSError:
        return None


def result_of(folder: JobFolder) -> JobResult:
    """The results of the finished phases; empty where there are none, or none readable."""
    try:
        return folder.read_result()
    except OSError:
        return JobResult()


# -- a run while it goes on ------------------------------------------------------------------------


@dataclass(frozen=True)
class JobState:
    """How one job stands."""

    job: Job
    state: State
    phase: str = ""
    share: float | None = None  # of the phase that is done
    seconds: float | None = None
    attempt: int = 0
    error: str = ""
    changed: str = ""

    @property
    def name(self) -> str:
        """The job without its hash."""
        return self.job.id.rpartition(".")[0]


def locked_inodes() -> set[int]:
    """The files that some process on this machine holds locked.

    The list is read from the system and the lock itself left alone: taking it, if only to see
    whether it is free, would make a worker believe that its job is in other hands.
    """
    try:
        lines = Path("/proc/locks").read_text(encoding="utf-8").splitlines()
        return {int(line.split()[5].rpartition(":")[2]) for line in lines if "->" not in line}
    except (OSError, ValueError, IndexError):
        return set()


def in_hand(folder: JobFolder, locked: set[int], now: datetime) -> bool:
    """Whether some process works on the job."""
    try:
        if folder.lock.stat().st_ino in locked:
            return True
    except OSError:
        pass
    latest = 0.0
    for path in (folder.progress, folder.log, folder.status):
        try:
            latest = max(latest, path.stat().st_mtime)
        except OSError:
            continue
    return now.timestamp() - latest < FRESH_SECONDS


def states(folders: Iterable[JobFolder], now: datetime | None = None) -> list[JobState]:
    """How every job of a run stands."""
    now, locked = now or datetime.now(UTC), locked_inodes()
    jobs = []
    for folder in folders:
        job = job_of(folder)
        if job is not None:
            jobs.append(state_of(job, folder, locked, now))
    return jobs


def state_of(job: Job, folder: JobFolder, locked: set[int], now: datetime) -> JobState:
    """How a job stands."""
    status = status_of(folder)
    if status is None:
        begun = folder.log.exists() and in_hand(folder, locked, now)
        return JobState(job, "running" if begun else "waiting", "start" if begun else "")
    state = JobState(job, "running", status.phase, attempt=status.attempt, changed=status.changed)
    if status.state == "ok":  # after another attempt its seconds are not the whole job's
        seconds = status.seconds if status.attempt < 2 else JobRecord(folder).seconds
        return replace(state, state="done", seconds=seconds)
    if status.error != UNFINISHED:
        error = f"{status.state}: {status.error}"
        return replace(state, state="failed", seconds=status.seconds, error=error)
    if not in_hand(folder, locked, now):
        return replace(state, state="stopped")
    progress = read_json(folder.progress)
    at, of = (progress.get("done"), progress.get("total")) if isinstance(progress, dict) else (0, 0)
    share = at / of if isinstance(at, int | float) and isinstance(of, int | float) and of else None
    return replace(state, share=share)


def seconds_left(jobs: Sequence[JobState]) -> float | None:
    """How long what is running and waiting takes, by what finished jobs took; none if nothing is."""
    took: dict[tuple[str, ...], list[float]] = defaultdict(list)
    for job in jobs:
        if job.state == "done" and job.seconds:
            took[_alike(job.job)].append(job.seconds)
    done = [job for job in jobs if job.state == "done" and job.seconds]
    guessed = sum(job.job.card.seconds for job in done)
    factor = sum(job.seconds or 0.0 for job in done) / guessed if guessed else 1.0
    left = 0.0
    for job in jobs:
        if job.state in ("running", "waiting"):
            known = took.get(_alike(job.job))
            expected = sum(known) / len(known) if known else job.job.card.seconds * factor
            left += expected * (1 - (job.share or 0.0))
    workers = sum(job.state == "running" for job in jobs)
    return left / workers if workers else None


def _alike(job: Job) -> tuple[str, ...]:
    return (job.system, job.variant, job.dataset, job.preset, job.device)


def log_of(folder: JobFolder) -> str:
    """The end of a job's log, without the names of this machine's folders."""
    text = folder.log_tail(LOG_LINES)
    for path, name in ((folder.path, "JOB"), (folder.path.parent.parent, "RUNS")):
        text = text.replace(str(path.resolve()), name).replace(str(path), name)
    return text.replace(str(Path.home()), "~")


# -- what jobs left behind -------------------------------------------------------------------------


@dataclass(frozen=True)
class Samples:
    """The samples of one job, as far as they can still be trusted."""

    seed: int
    scores: tuple[Score | None, ...]  # none: the file is gone or was changed since

    @property
    def lost(self) -> int:
        """How many are gone."""
        return sum(score is None for score in self.scores)


def samples_of(folder: JobFolder, truth: Sequence[Score] = ()) -> Samples | None:
    """The samples of a job; none where it has none.

    A sample whose file is gone may be given as `truth`: it counts if it is what was made.
    """
    job, hashes = job_of(folder), result_of(folder).sample_hashes
    if job is None or not hashes:
        return None
    made = [_sample(folder, i, digest) for i, digest in enumerate(hashes)]
    for i, (digest, score) in enumerate(zip(hashes, truth, strict=False)):
        given = score.slice(0, job.protocol.steps)
        if made[i] is None and given.content_hash == digest:
            made[i] = given
    if all(score is None for score in made) and not folder.samples.is_dir():
        return None
    return Samples(job.seed, tuple(made))


def _sample(folder: JobFolder, number: int, digest: str) -> Score | None:
    try:
        score = from_midi(folder.samples / f"{number:03d}.mid")
    except (MidiError, OSError, ValueError):
        return None
    return score if score.content_hash == digest else None


def archive_of(made: Sequence[Samples]) -> bytes:
    """All samples as MIDI files in a ZIP, a folder per seed; the same bytes for the same music."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for samples in made:
            for number, score in enumerate(samples.scores):
                if score is not None:
                    entry = zipfile.ZipInfo(f"seed-{samples.seed}/{number + 1:03d}.mid")
                    archive.writestr(entry, to_midi(score))
    return buffer.getvalue()


@dataclass(frozen=True)
class CurvePoint:
    """One value of one training curve."""

    seed: str
    step: float
    curve: str
    value: float


def curves_of(folders: Iterable[JobFolder]) -> list[CurvePoint]:
    """Every point of the training curves."""
    points = []
    for folder in folders:
        job = job_of(folder)
        seed = str(job.seed if job else "")
        for values in folder.read_curves():
            step = values.get("step")
            if step is not None:
                points += [
                    CurvePoint(seed, step, name, value)
                    for name, value in values.items()
                    if name not in ("step", "seconds") and math.isfinite(value)
                ]
    return points
