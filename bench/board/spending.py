"""What a job really spent of its paper's budget: early stops and smaller batches are counted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench import registry
from bench.jobs.job import Job
from bench.jobs.record import JobRecord

LENGTHS = (
    "sequence",
    "segment",
    "context",
    "look_back",
)  # settings: how long a training excerpt is


def share_spent(record: JobRecord) -> float | None:
    """The music that training went through, as a share of what the paper's training did.

    Updates that were really done, over the paper's, each by the music that it sees beside one of
    the full-size network. None where the paper names no budget.
    """
    job = record.job
    if job is None or not job.budget.paper:
        return None
    return updates_done(record, job) / job.budget.paper * update_size(job)


def updates_done(record: JobRecord, job: Job) -> float:
    """The updates (or passes) until training ended: the last point of the curves, if it is lower.

    Curves have a point wherever training looks at the validation pieces, and so where it stops early.
    """
    last = max((int(point.get("step", 0)) for point in record.folder.read_curves()), default=0)
    return min(last, job.budget.amount) if last > 0 else job.budget.amount


def update_size(job: Job) -> float:
    """How much music an update sees beside one of the full-size network; 1 for a full-size one.

    Also 1 for passes over the data, which see all of it, and where the settings do not say.
    """
    spec = registry.systems().get(job.system)
    if job.budget.unit != "updates" or spec is None or job.card.size == "full":
        return 1.0
    if job.variant not in spec.variants():
        return 1.0
    own, full = excerpt(job.settings), excerpt(spec.settings_of(job.variant, "full"))
    return own / full if own and full else 1.0


def excerpt(settings: Mapping[str, Any]) -> float | None:
    """Excerpts in a batch times their length, where the settings name both; those of what is wrapped
    where a treatment names none.
    """
    batch = settings.get("batch")
    length = next((settings[name] for name in LENGTHS if name in settings), None)
    if isinstance(batch, int) and isinstance(length, int):
        return float(batch * length)
    wrapped = settings.get("wrapped")
    inner = wrapped.get("settings") if isinstance(wrapped, Mapping) else None
    return excerpt(inner) if isinstance(inner, Mapping) else None
