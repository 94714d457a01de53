"""Jobs that nobody ran, and the files that they would have left in a run folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bench import registry
from bench.contract import Budget, Floats
from bench.files import read_json, write_json
from bench.jobs import scores
from bench.jobs.job import Card, Job
from bench.jobs.results import FitResult, JobResult, LikelihoodResult, SampleResult
from bench.jobs.run_folder import JobFolder, RunFolder
from bench.jobs.scores import MetricScore
from bench.protocol.copy_report import Comparison, CopyReport, Measure, Passage, samples_hash
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

    Metrics that `per_piece` leaves out have no value. Its samples copy nothing.
    """
    folder = runs.begin(done)
    folder.write_result(result)
    write_scores(folder, per_piece or {})
    write_copying(folder, done, result)
    folder.write_status(state="ok", phase="done", error="")
    return folder


def write_scores(folder: JobFolder, per_piece: Mapping[str, Floats]) -> None:
    """Leave scores of every installed metric, those of `per_piece` with these values per sample."""
    metrics = {}
    for metric, cls in registry.metrics().items():
        values = per_piece.get(metric)
        metrics[metric] = MetricScore(
            version=cls.version,
            value=None if values is None else float(np.nanmean(values)),
            reason="not asked" if values is None else "",
            pieces=0 if values is None else int((~np.isnan(values)).sum()),
        )
    arrays = {f"{metric}.per_piece": np.asarray(v, float) for metric, v in per_piece.items()}
    written = folder.read_job()
    assert written is not None
    binding = scores.binding_of(written, folder.read_result().sample_hashes)
    scores.write_scores(folder, binding, metrics, arrays)


def seal(folder: JobFolder, **content: Any) -> None:
    """Change parts of the folder's scores.json, with a digest that fits."""
    whole = {**read_json(folder.scores), **content}
    write_json(folder.scores, {**whole, "digest": scores.digest_of(whole)})


def write_copying(
    folder: JobFolder, done: Job, result: JobResult = DONE, copies: bool = False
) -> None:
    """Leave a present report on copying in a job's samples, with or without evidence."""
    evidence: dict[str, Any] = {}
    if copies:
        measure = Measure(name="whole", value=0.97, human=0.4, threshold=0.6, copies=True)
        passage = Passage(
            sample=2, reference="data set", source="bwv253", split="train", bars=(1, 8),
            source_bars=(3, 10), source_offset=0, semitones=2, matched=97, notes=100,
        )  # fmt: skip
        comparison = Comparison(reference="data set", measures=(measure,))
        evidence = {"comparisons": (comparison,), "passages": (passage,)}
    report = CopyReport(
        verdict="copies" if copies else "own",
        samples=samples_hash(result.sample_hashes),
        data=done.dataset_fingerprint,
        protocol=done.protocol,
        **evidence,
    )
    write_json(folder.copying, report.model_dump(mode="json"))
