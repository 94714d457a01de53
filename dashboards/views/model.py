"""What is known of one contestant: its catalogue entry, its figures per seed, published figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from bench import registry, wording
from bench.board import reproduce
from bench.board.rows import Row
from bench.errors import BenchError
from bench.jobs.job import Job
from bench.jobs.run_folder import JobFolder
from bench.jobs.scores import read_scores
from bench.registry import Settings, SystemSpec
from dashboards.views.columns import label
from dashboards.views.job import job_of, result_of
from dashboards.views.snapshot import final_loss


def spec_of(row: Row) -> SystemSpec | None:
    """The contestant's catalogue entry; none where it is not installed here."""
    if ".py:" in row.system:  # a board may be anybody's: no file that it names is looked at
        return None
    try:
        return registry.system(row.system)
    except BenchError:
        return None


def settings_of(row: Row, spec: SystemSpec | None, job: Job | None) -> Settings:
    """What it was built with: as its job says, else as the catalogue does."""
    if job is not None:
        return job.settings
    if spec is None or row.variant not in spec.variants():
        return {}
    return spec.settings_of("as-published" if row.variant == "as-published" else "corrected")


@dataclass(frozen=True)
class Beside:
    """A published figure beside ours, as the page's table shows it."""

    figure: str
    dataset: str
    published: str
    ours: float | None
    preset: str
    budget_share: float | None
    note: str


def published(spec: SystemSpec, rows: Sequence[Row]) -> list[Beside]:
    """The paper's figures beside ours, for every data set it names."""
    own = [row for row in rows if row.system == spec.id]
    lines = []
    for place in reproduce.flatten(spec.published):
        figure = reproduce.beside(spec, own, *place)
        measured = figure.ours is not None
        lines.append(
            Beside(
                figure=label(figure.figure),
                dataset=figure.dataset,
                published=figure.published,
                ours=None if figure.ours is None else round(figure.ours, 3),
                preset=figure.preset if measured else "",
                budget_share=figure.budget_share if measured else None,
                note=figure.note,
            )
        )
    return lines


def number(row: Row, name: str) -> str:
    """A figure of a row with its interval; empty where it has none."""
    cells = row.figure(name)
    return wording.number(cells.value, cells.low, cells.high)


@dataclass
class FigureLine:
    """A figure of a system: on the leaderboard, for each seed, or why there is none."""

    metric: str
    mean: str  # with its interval
    seeds: dict[str, float | None] = field(default_factory=dict)
    reason: str = ""


def per_seed(row: Row, folders: Sequence[JobFolder]) -> list[FigureLine]:
    """Every metric with its interval, its value for each seed, or why there is none."""
    lines: dict[str, FigureLine] = {}
    for folder in folders:
        for name, score in read_scores(folder).metrics.items():
            line = lines.setdefault(name, FigureLine(label(name), number(row, name)))
            line.seeds[_seed(folder)] = score.value
            line.reason = line.reason or score.reason
    return [lines[name] for name in sorted(lines)]


def loss_per_seed(row: Row, folders: Sequence[JobFolder]) -> FigureLine:
    """Nats per step on held-out music, per seed."""
    line = FigureLine(label("nats_per_step"), number(row, "nats_per_step"))
    for folder in folders:
        result = result_of(folder)
        line.seeds[_seed(folder)] = final_loss(result)
        line.reason = line.reason or (result.likelihood.reason if result.likelihood else "")
    return line


def _seed(folder: JobFolder) -> str:
    job = job_of(folder)
    return f"{job.seed}" if job else "?"


def facts(row: Row, spec: SystemSpec | None, job: Job | None) -> dict[str, str]:
    """What the card says in one line each."""
    budget = f"{row.budget:,} {row.budget_unit}" if row.budget else ""
    if budget and row.budget_share is not None:
        budget += f" ({row.budget_share:.2%} of what the paper spent)"
    parameters = f"{row.parameters:,}" if row.parameters is not None else ""
    if parameters and row.size not in ("full", None):
        parameters += f" ({row.size}: what the preset {row.preset} affords)"
    everything = {
        "Paper": (spec.paper if spec else "") or row.paper,
        "Citation": (spec.citation if spec else "") or (job.card.citation if job else ""),
        "Section": spec.section if spec else "",
        "Code": job.class_path.rpartition("/")[2] if job else (spec.class_path if spec else ""),
        "Version of the code": f"{spec.version}" if spec else "",
        "Treats": (spec.wraps or "") if spec else "",
        "Learns from": ", ".join(spec.data) if spec and spec.data else "",
        "Parameters": parameters,
        "Vocabulary": f"{row.vocabulary:,} tokens" if row.vocabulary is not None else "",
        "Budget": budget,
        "Steps of music seen": f"{row.music_steps:,}" if row.music_steps else "",
        "Made by commit": row.commit,
        "Made with": row.versions,
        "Hardware": row.hardware or row.device,
    }
    return {name: str(value) for name, value in everything.items() if value}
