"""A system at points through its training: its figures, and the music that it made there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.jobs.results import JobResult, SnapshotPoint
from bench.jobs.run_folder import JobFolder
from bench.jobs.scores import read_scores
from bench.music import MidiError, Score, from_midi
from dashboards.views.job import job_of, result_of

LOSS = "nats_per_step"


@dataclass(frozen=True)
class Stage:
    """A figure of one seed after so many updates."""

    seed: str
    update: int
    value: float


def trajectories(folders: Sequence[JobFolder]) -> dict[str, list[Stage]]:
    """Each figure through training, the finished system last.

    Only figures with a value at two points or more; empty where the run kept no snapshots.
    """
    stages: dict[str, list[Stage]] = {}
    for folder in folders:
        job, result = job_of(folder), result_of(folder)
        if job is None or result.snapshots is None or not result.snapshots.points:
            continue
        scores = {name: score.value for name, score in read_scores(folder).metrics.items()}
        finished = SnapshotPoint(
            update=job.budget.amount, nats_per_step=final_loss(result), metrics=scores
        )
        for point in (*result.snapshots.points, finished):
            for name, value in {LOSS: point.nats_per_step, **point.metrics}.items():
                if value is not None:
                    stages.setdefault(name, []).append(Stage(f"{job.seed}", point.update, value))
    return {
        name: points
        for name, points in stages.items()
        if len({point.update for point in points}) > 1
    }


def final_loss(result: JobResult) -> float | None:
    """Nats per step of the finished system on held-out music."""
    return result.likelihood.nats_per_step if result.likelihood else None


def updates_kept(folder: JobFolder) -> list[int]:
    """The updates at which a job's samples were kept."""
    snapshots = result_of(folder).snapshots
    updates = [point.update for point in snapshots.points] if snapshots else []
    return [
        update for update in updates if (folder.snapshots / f"{update:08d}" / "samples").is_dir()
    ]


def sample(folder: JobFolder, update: int, number: int) -> Score | None:
    """What the system made of a prompt at that update; none where the file is gone."""
    path = folder.snapshots / f"{update:08d}" / "samples" / f"{number:03d}.mid"
    try:
        return from_midi(path)
    except (MidiError, OSError, ValueError):
        return None
