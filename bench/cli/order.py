"""`bench validate --order`: does the board keep the orders that are known beforehand?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench import data, registry
from bench.board import order
from bench.board.skills import AGGREGATES, CHOSEN
from bench.cli.terminal import console, errors
from bench.files import write
from bench.jobs.plan import Options, protocol_of


def study_order(name: str, systems: Sequence[str], options: Options, seed: int, out: Path) -> None:
    """Make the table for one data set, print it, and keep it beside those of other data sets."""
    dataset = data.load(name)
    protocol = protocol_of(options, dataset.bar)
    specs = [registry.system(system) for system in systems] or order.affordable(dataset)
    with errors.status("Making contestants ...") as status:
        study = order.study(
            dataset, protocol, specs, seed=seed, on_step=lambda what: status.update(f"{what} ...")
        )
    lines = study.table
    path = out / order.FILE
    others = order.read_csv(path) if path.exists() else []
    write(path, order.to_csv([line for line in others if line.dataset != name] + lines))
    print_table(lines)
    for line in lines:
        if line.aggregate == CHOSEN:
            for broken in line.broken:
                console.print(f"{line.kind}: {broken}", highlight=False, markup=False)
    for control, sentence in study.accused.items():
        verdict = f"unranked, {sentence}" if sentence else "not accused of copying"
        console.print(f"{control}: {verdict}.", highlight=False, markup=False)
    console.print(f"The table is {path}.", highlight=False)


def print_table(lines: Sequence[order.Kept]) -> None:
    """Every way to make one skill, and the orders of each kind that it keeps."""
    from rich.table import Table

    kinds = [kind for kind in order.KINDS if any(line.kind == kind for line in lines)]
    table = Table(header_style="bold")
    for head in ("skill as", *kinds, "agreement"):
        table.add_column(head)
    for aggregate in AGGREGATES:
        kept = {line.kind: line for line in lines if line.aggregate == aggregate}
        cells = [f"{kept[kind].kept:g} of {kept[kind].orders}" for kind in kinds]
        name = f"{aggregate} (the board's)" if aggregate == CHOSEN else aggregate
        table.add_row(name, *cells, f"{order.agreement(lines, aggregate):.3f}")
    console.print(table)
