"""Scores samples with every installed metric; keeps what is still valid."""

from __future__ import annotations

import hashlib
import io
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from bench import registry
from bench.contract import Floats, Reference
from bench.files import read_json, write, write_json
from bench.jobs.job import Job
from bench.jobs.run_folder import JobFolder, is_finished
from bench.music import Score
from bench.protocol.measuring import measure
from bench.protocol.statistics import mean_draws


def stale_metrics(folder: JobFolder) -> list[str]:
    """The installed metrics that have no score of their present version in the folder."""
    scores = read_scores(folder)
    return [
        name
        for name, cls in registry.metrics().items()
        if scores.get(name, {}).get("version") != cls.version
    ]


def is_done(job: Job, folder: JobFolder) -> bool:
    """Whether the job ended well, with its snapshots, and its scores are up to date."""
    return (
        is_finished(folder)
        and not stale_metrics(folder)
        and job.snapshots in (0, folder.read_result().get("snapshots", {}).get("asked"))
    )


def score_samples(
    folder: JobFolder, samples: Sequence[Score], reference: Callable[[], Reference]
) -> None:
    """Bring the folder's scores up to date: one figure per metric, and what to resample."""
    stale = stale_metrics(folder)
    if not stale:
        return
    metrics = read_scores(folder)
    arrays = _kept_arrays(folder)
    compared = reference()
    for name in stale:
        begun = time.monotonic()
        metric = registry.metrics()[name]()
        found = measure(metric, compared, samples)
        pieces = (
            len(samples) if found.per_piece is None else int((~np.isnan(found.per_piece)).sum())
        )
        metrics[name] = {
            "version": metric.version,
            "value": found.value,
            "reason": found.reason,
            "pieces": pieces,
            "detail": dict(found.detail),
            "seconds": time.monotonic() - begun,
        }
        for kind, array in (("draws", found.draws), ("per_piece", found.per_piece)):
            arrays.pop(f"{name}.{kind}", None)
            if array is not None:
                arrays[f"{name}.{kind}"] = np.asarray(array, dtype=np.float64)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    write(folder.score_arrays, buffer.getvalue())
    digest = hashlib.sha256(buffer.getvalue()).hexdigest()
    write_json(folder.scores, {"metrics": metrics, "arrays": digest})


def read_scores(folder: JobFolder) -> dict[str, Any]:
    """The scores by metric; empty where there are none, or their arrays are not theirs."""
    content = read_json(folder.scores) or {}
    try:
        digest = hashlib.sha256(folder.score_arrays.read_bytes()).hexdigest()
    except OSError:
        return {}
    metrics: dict[str, Any] = content.get("metrics", {}) if content.get("arrays") == digest else {}
    return metrics


def read_arrays(folder: JobFolder) -> dict[str, Floats]:
    """`METRIC.draws`, the value on each resample, and `METRIC.per_piece` of the folder's scores."""
    arrays = _kept_arrays(folder)
    for name, said in read_scores(folder).items():
        pieces = arrays.get(f"{name}.per_piece")
        if pieces is not None and said["value"] is not None and f"{name}.draws" not in arrays:
            draws = mean_draws(pieces)  # not kept: they follow from the pieces
            if draws is not None:
                arrays[f"{name}.draws"] = draws
    return arrays


def _kept_arrays(folder: JobFolder) -> dict[str, Floats]:
    if not read_scores(folder):
        return {}
    with np.load(folder.score_arrays, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}
