"""The papers' own figures beside ours, with the gap and what was spent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench import registry
from bench.board.rows import Row
from bench.errors import unknown
from bench.registry import SystemSpec

MEASURED = ("nats_per_step", "frame_accuracy")  # by the system itself, not by a metric
COUNTED = ("vocabulary", "tokens")  # in its training pieces
# Why figures cannot stand beside ours, by the first word of their names.
WHY_NOT = {
    **dict.fromkeys(("human_rating", "believability_percent", "judgement"), "needs listeners"),
    **dict.fromkeys(("hours", "hours_per_epoch"), "on another machine"),
    **dict.fromkeys(("songs", "pieces"), "the paper's own data"),
    **dict.fromkeys(
        ("accuracy", "isl", "loss_per_token", "parameters_counted", "training_loss"),
        "on other data",
    ),
    **dict.fromkeys(("validation_loss_per_token", "test_loss_per_token"), "on other splits"),
    "nats_per_step_by_gradient_descent": "trained in another way here",
    "rbm_parameters_counted": "of 78 keys, not 88",
}
PRESETS = ("smoke", "quick", "standard", "paper")  # the dearest counts
FROM_MEMORY = "_from_memory"  # ends the name of a published figure that nobody could look up


@dataclass(frozen=True)
class PublishedFigure:
    """One published figure of a system, and ours where there is one."""

    paper: str
    system: str
    figure: str
    dataset: str
    published: str
    ours: float | None
    gap: float | None  # ours less the published one
    preset: str
    budget_share: float | None
    note: str  # why there is nothing to compare


def papers() -> list[str]:
    """The short names of all papers."""
    return sorted(
        {spec.paper for spec in registry.systems().values() if spec.kind != "floor"} - {""}
    )


def flatten(published: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """(figure, data set, value) of a catalogue's block of published figures.

    What is said of no data set is a part of the figure: the mean of a rating, and its spread.
    """
    for figure, value in published.items():
        if isinstance(value, Mapping):
            for part, inner in value.items():
                of_data = part in registry.datasets()
                yield (figure, part, inner) if of_data else (f"{figure} {part}", "", inner)
        else:
            yield figure, "", value


def rows_of(rows: Sequence[Row], system: str, dataset: str) -> list[Row]:
    """The finished rows of a system, on a data set if one is named, the dearest preset last."""
    chosen = [
        row
        for row in rows
        if row.system == system
        and row.variant == "corrected"
        and row.seeds
        and row.preset in PRESETS
        and dataset in ("", row.dataset)
    ]
    return sorted(chosen, key=lambda row: PRESETS.index(row.preset))


def beside(
    spec: SystemSpec, rows: Sequence[Row], figure: str, dataset: str, value: Any
) -> PublishedFigure:
    """A published figure with ours, if it is one that we measure.

    The name of a figure that nobody could look up ends in `_from_memory`.
    """
    recalled = figure.endswith(FROM_MEMORY)
    figure = figure.removesuffix(FROM_MEMORY)
    chosen = rows_of(rows, spec.id, dataset)
    row = chosen[-1] if chosen else None
    ours, note = None, ""
    size = figure in ("parameters", "parameters_counted")  # stated, or counted from what is stated
    name = figure.split()[0]  # without the data, where those are none of ours
    measured = size or name in MEASURED + COUNTED or figure in registry.metrics()
    if figure == "none":  # the value is the reason
        figure, note = "no figure", "nothing to compare"
    elif figure == "vocabulary" and not dataset:
        note = "fixed by the encoding"
    elif not measured or (not dataset and not size):
        note = "on other data" if measured else WHY_NOT.get(name, "not measured here")
    elif row is None:
        note = f"not run{f' on {dataset}' if dataset else ''}"
    else:
        reduced = row.size not in ("full", None)  # none: a file in which it cannot be read
        ours = None if reduced and size else row.value("parameters" if size else figure)
        why = row.likelihood_note if figure == "nats_per_step" else ""
        note = "" if ours is not None else why or "no value"
        note = f"{row.size} network" if reduced else note
    note = ", ".join(
        [*(["published from memory, not verified"] if recalled else []), *filter(None, [note])]
    )
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return PublishedFigure(
        paper=spec.paper,
        system=spec.id,
        figure=figure,
        dataset=dataset,
        published=str(value),
        ours=ours,
        gap=float(ours - value) if ours is not None and number else None,
        preset=row.preset if row else "",
        budget_share=row.budget_share if row else None,
        note=note,
    )


def chosen_paper(name: str | None) -> str | None:
    """The paper whose short name begins so; none: all of them. BenchError when there is none."""
    if name is None:
        return None
    matches = [paper for paper in papers() if paper.lower().startswith(name.lower())]
    if not matches:
        raise unknown("paper", name, papers())
    return matches[0]


def figures(rows: Sequence[Row], paper: str | None = None) -> list[PublishedFigure]:
    """Every published figure of a paper's systems, or of all papers."""
    paper = chosen_paper(paper)
    return [
        beside(spec, rows, *figure)
        for spec in registry.systems().values()
        if spec.paper == paper or (paper is None and spec.paper)
        for figure in flatten(spec.published)
    ]
