"""What is known of one contestant: its catalogue entry, its figures per seed, published figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from bench import registry, wording
from bench.board import reproduce
from bench.board.build import Entry, Row
from bench.errors import BenchError
from bench.jobs.job import Job
from bench.jobs.run_folder import JobFolder
from bench.jobs.scores import read_scores
from bench.registry import SystemSpec
from dashboards.views.board import Cells
from dashboards.views.columns import label
from dashboards.views.job import job_of, result_of
from dashboards.views.snapshot import final_loss


def spec_of(row: Cells) -> SystemSpec | None:
    """The contestant's catalogue entry; none where it is not installed here."""
    name = str(row["system"])
    if ".py:" in name:  # a board may be anybody's: no file that it names is looked at
        return None
    try:
        return registry.system(name)
    except BenchError:
        return None


def settings_of(row: Cells, spec: SystemSpec | None, job: Job | None) -> dict[str, Any]:
    """What it was built with: as its job says, else as the catalogue does."""
    if job is not None:
        return job.settings
    if spec is None:
        return {}
    try:
        return spec.settings_of(row["variant"])
    except BenchError:
        return {}


def published(spec: SystemSpec, rows: Sequence[Cells]) -> list[dict[str, Any]]:
    """The paper's figures beside ours, for every data set it names."""
    entries = []
    for row in rows:
        if row["system"] != spec.id:
            continue
        try:
            fixed = Row.model_validate({k: v for k, v in row.items() if k in Row.model_fields})
        except ValidationError:
            continue  # of an older schema
        cells = {k: v for k, v in row.items() if k not in Row.model_fields}
        entries.append(Entry(fixed, cells, {}, None))
    found = []
    for figure in reproduce.flatten(spec.published):
        one = reproduce.beside(spec, entries, *figure)
        found.append(
            {
                "figure": label(one.figure),
                "data set": one.dataset,
                "in the paper": one.published,
                "here": None if one.ours is None else round(one.ours, 3),
                "preset": one.preset if one.ours is not None else "",
                "of the paper's budget": one.budget_share if one.ours is not None else None,
                "note": one.note,
            }
        )
    return found


def number(row: Cells, name: str) -> str:
    """A figure of a row with its interval; empty where it has none."""
    return wording.number(row.get(name), row.get(f"{name}_low"), row.get(f"{name}_high"))


def per_seed(row: Cells, there: Sequence[JobFolder]) -> list[dict[str, Any]]:
    """Every metric with its interval, its value for each seed, or why there is none."""
    found: dict[str, dict[str, Any]] = {}
    for folder in there:
        job = job_of(folder)
        for name, score in read_scores(folder).items():
            line = found.setdefault(
                name, {"metric": label(name), "mean, 95 %": number(row, name), "reason": ""}
            )
            line[f"seed {job.seed if job else '?'}"] = score.get("value")
            line["reason"] = line["reason"] or str(score.get("reason") or "")
    return [found[name] for name in sorted(found)]


def loss_per_seed(row: Cells, there: Sequence[JobFolder]) -> dict[str, Any]:
    """Nats per step on held-out music, per seed."""
    name = "nats_per_step"
    line: dict[str, Any] = {"metric": label(name), "mean, 95 %": number(row, name), "reason": ""}
    for folder in there:
        job, result = job_of(folder), result_of(folder)
        line[f"seed {job.seed if job else '?'}"] = final_loss(result)
        line["reason"] = line["reason"] or str(result.get("likelihood", {}).get("reason") or "")
    return line


def facts(row: Cells, spec: SystemSpec | None, job: Job | None) -> Mapping[str, str]:
    """What the card says in one line each."""
    budget = f"{row['budget']:,} {row['budget_unit']}" if row.get("budget") else ""
    if budget and row.get("budget_share") is not None:
        budget += f" ({row['budget_share']:.2%} of what the paper spent)"
    parameters = f"{row['parameters']:,}" if row.get("parameters") is not None else ""
    if parameters and row.get("size", "full") != "full":
        parameters += f" ({row['size']}: what the preset {row['preset']} affords)"
    everything = {
        "Paper": (spec.paper if spec else "") or row.get("paper") or "",
        "Citation": (spec.citation if spec else "") or (job.card.citation if job else ""),
        "Section": spec.section if spec else "",
        "Code": job.class_path.rpartition("/")[2] if job else (spec.class_path if spec else ""),
        "Version of the code": f"{spec.version}" if spec else "",
        "Treats": (spec.wraps or "") if spec else "",
        "Learns from": ", ".join(spec.data) if spec and spec.data else "",
        "Parameters": parameters,
        "Budget": budget,
        "Steps of music seen": f"{row['music_steps']:,}" if row.get("music_steps") else "",
        "Made by commit": row.get("commit") or "",
        "Made with": row.get("versions") or "",
        "Hardware": row.get("hardware") or row.get("device") or "",
    }
    return {name: str(value) for name, value in everything.items() if value}
