"""The papers' own figures beside ours, with the gap and what was spent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench import registry
from bench.board.build import Entry
from bench.errors import unknown
from bench.registry import SystemSpec

PRESETS = ("smoke", "quick", "standard", "paper")  # the dearest counts


@dataclass(frozen=True)
class Figure:
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


def rows_of(entries: Sequence[Entry], system: str, dataset: str) -> list[Entry]:
    """The finished rows of a system, on a data set if one is named, the dearest preset last."""
    rows = [
        one
        for one in entries
        if one.row.system == system
        and one.row.variant == "corrected"
        and one.row.seeds
        and dataset in ("", one.row.dataset)
    ]
    return sorted(rows, key=lambda one: PRESETS.index(one.row.preset))


def beside(
    spec: SystemSpec, entries: Sequence[Entry], figure: str, dataset: str, value: Any
) -> Figure:
    """A published figure with ours, if it is one that we measure."""
    rows = rows_of(entries, spec.id, dataset)
    ours, note = None, ""
    size = figure in ("parameters", "parameters_counted")  # stated, or counted from what is stated
    measured = size or figure == "nats_per_step" or figure in registry.metrics()
    if figure == "none":  # the value is the reason
        figure, note = "no figure", "nothing to compare"
    elif not measured or (not dataset and not size):
        note = "not measured here" if not measured else "on other data"
    elif not rows:
        note = f"not run{f' on {dataset}' if dataset else ''}"
    else:
        cells = rows[-1].flat()
        reduced = rows[-1].row.size != "full"
        ours = None if reduced and size else cells.get("parameters" if size else figure)
        note = "" if ours is not None else cells.get("likelihood_note") or "no value"
        note = f"{rows[-1].row.size} network" if reduced else note
    number = isinstance(value, int | float) and not isinstance(value, bool)
    last = rows[-1].row if rows else None
    return Figure(
        paper=spec.paper,
        system=spec.id,
        figure=figure,
        dataset=dataset,
        published=str(value),
        ours=ours,
        gap=float(ours - value) if ours is not None and number else None,
        preset=last.preset if last else "",
        budget_share=last.budget_share if last else None,
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


def figures(entries: Sequence[Entry], paper: str | None = None) -> list[Figure]:
    """Every published figure of a paper's systems, or of all papers."""
    paper = chosen_paper(paper)
    return [
        beside(spec, entries, *figure)
        for spec in registry.systems().values()
        if spec.paper == paper or (paper is None and spec.paper)
        for figure in flatten(spec.published)
    ]
