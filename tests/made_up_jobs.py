"""Jobs that nobody ran, and the files that they would have left in a run folder."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from typing import Any

import numpy as np

from bench import registry
from bench.contract import Budget, Floats
from bench.files import write, write_json
from bench.jobs.job import Card, Job
from bench.jobs.results import FitResult, JobResult, LikelihoodResult, SampleResult
from bench.jobs.run_folder import JobFolder, RunFolder
from bench.protocol.sampling import Protocol

DONE = JobResult(
    fit=FitResult(seconds=1.0), sample=SampleResult(seconds=1.0), likelihood=LikelihoodResult()
)


def job(system: str = "x", **fields: Any) -> Job:
    """A small job; a system of the suite brings its own card."""
    spec = registry.systems().get(system)
    card = Card(title=system, kind="paper")
    if spec is not None:
        card = Card(title=spec.title, kind=spec.kind, anchor=spec.anchor)
    defaults: dict[str, Any] = {
        "variant": "corrected", "class_path": "a:B", "source": "version 1", "settings": {},
        "budget": Budget(5), "dataset": "toy", "dataset_version": 1, "dataset_fingerprint": "f",
        "preset": "smoke", "protocol": Protocol(samples=4, steps=32, prompt=16), "seed": 0,
        "device": "cpu", "card": card,
    }  # fmt: skip
    return Job(system=system, **(defaults | fields))


def finish(
    runs: RunFolder,
    done: Job,
    per_piece: Mapping[str, Floats] | None = None,
    result: JobResult = DONE,
) -> JobFolder:
    """The folder of a job that ended well, with a present score for every installed metric.

    Metrics that `per_piece` leaves out have no value.
    """
    folder = runs.begin(done)
    folder.write_result(result)
    write_scores(folder, per_piece or {})
    folder.write_status(state="ok", phase="done", error="")
    return folder


def write_scores(folder: JobFolder, per_piece: Mapping[str, Floats]) -> None:
    """Leave scores of every installed metric, those of `per_piece` with these values per sample."""
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer, **{f"{metric}.per_piece": np.asarray(v, float) for metric, v in per_piece.items()}
    )
    write(folder.score_arrays, buffer.getvalue())
    metrics = {}
    for metric, cls in registry.metrics().items():
        values = per_piece.get(metric)
        metrics[metric] = {
            "version": cls.version,
            "value": None if values is None else float(np.nanmean(values)),
            "reason": "not asked" if values is None else "",
            "pieces": 0 if values is None else int((~np.isnan(values)).sum()),
        }
    digest = hashlib.sha256(buffer.getvalue()).hexdigest()
    write_json(folder.scores, {"metrics": metrics, "arrays": digest})
