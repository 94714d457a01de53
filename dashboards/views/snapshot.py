"""A system at points through its training: its figures, and the music that it made there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.jobs.run_folder import JobFolder
from bench.jobs.scores import read_scores
from bench.music import MidiError, Score, from_midi
from dashboards.views.job import job_of, result_of

LOSS = "nats_per_step"


def trajectories(jobs: Sequence[JobFolder]) -> dict[str, list[dict[str, Any]]]:
    """Each figure's way through training, the finished system last: seed, update, value.

    Only figures with a value at two points or more; empty where the run kept no snapshots.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for folder in jobs:
        job, result = job_of(folder), result_of(folder)
        points = result.get("snapshots", {}).get("points", [])
        if job is None or not points:
            continue
        ways = [
            (point["update"], {LOSS: point["nats_per_step"], **point["metrics"]})
            for point in points
        ]
        scores = {name: score.get("value") for name, score in read_scores(folder).items()}
        ways.append((job.budget.amount, {LOSS: final_loss(result), **scores}))
        for update, figures in ways:
            for name, value in figures.items():
                if value is not None:
                    line = {"seed": f"{job.seed}", "update": update, "value": value}
                    found.setdefault(name, []).append(line)
    return {name: lines for name, lines in found.items() if len({p["update"] for p in lines}) > 1}


def final_loss(result: dict[str, Any]) -> float | None:
    """Nats per step of the finished system on held-out music."""
    found = result.get("likelihood", {})
    nats, steps = found.get("nats") or [], sum(found.get("steps") or [])
    return -sum(nats) / steps if nats and steps else None


def stages(folder: JobFolder) -> list[int]:
    """The updates at which a job's samples were kept."""
    points = result_of(folder).get("snapshots", {}).get("points", [])
    found = [int(point["update"]) for point in points]
    return [update for update in found if (folder.snapshots / f"{update:08d}" / "samples").is_dir()]


def sample(folder: JobFolder, update: int, number: int) -> Score | None:
    """What the system made of a prompt at that update; none where the file is gone."""
    path = folder.snapshots / f"{update:08d}" / "samples" / f"{number:03d}.mid"
    try:
        return from_midi(path)
    except (MidiError, OSError, ValueError):
        return None
