"""`bench judges`: list, train and verify the frozen networks that judge continuations."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench.errors import BenchError, unknown

if TYPE_CHECKING:
    from bench.judges.store import Record

app = typer.Typer(
    name="judges",
    help="The judges: frozen networks that say how likely a continuation is.",
    no_args_is_help=True,
)

Data = Annotated[
    list[str] | None, typer.Option("--data", help="Data sets. [default: those with shipped judges]")
]
Families = Annotated[
    list[str] | None, typer.Option("--family", help="Families of judges. [default: all]")
]


@app.command("list")
def list_(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """List the judges that are shipped, or were trained here."""
    import json

    from bench.judges import store

    known = [*store.shipped(), *store.trained_here()]
    if as_json:
        rows = [{"folder": str(folder), **record.model_dump()} for folder, record in known]
        typer.echo(json.dumps(rows, indent=1, allow_nan=False))
        return
    for folder, record in known:
        place = "shipped" if folder.parent == store.SHIPPED else "trained here"
        typer.echo(f"{name_of(record):<16} {record.family:<12} {place:<12} {summary(record)}")


@app.command()
def train(
    data: Data = None,
    family: Families = None,
    to: Annotated[
        Path | None,
        typer.Option("--to", help="Where to put them, in a folder each. [default: the cache]"),
    ] = None,
) -> None:
    """Train the judges of data sets anew, each a minute or so on one core."""
    from bench import data as datasets
    from bench.judges import store

    for name in data or store.shipped_data():
        dataset = datasets.load(name)
        for each in chosen(family):
            record, content = store.train_on(each, dataset)
            folder = to / name if to else store.cache(record.trained_on)
            store.keep(folder, record, content)
            typer.echo(f"{name:<16} {each:<12} {summary(record)}")


@app.command()
def verify(
    data: Data = None,
    family: Families = None,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Train each anew and compare, weight by weight.")
    ] = False,
) -> None:
    """Check judges against their records, and the records against the data sets that are here."""
    from bench import data as datasets
    from bench.judges import store

    wrong = 0
    for folder, record in [*store.shipped(), *store.trained_here()]:
        if (data and record.data not in data) or record.family not in chosen(family):
            continue
        fault = store.problem(folder, record)
        words = fault or "as recorded"
        if not fault and record.data:
            try:
                dataset = datasets.load(record.data)
            except BenchError:
                words += "; its data set is not here"
            else:
                fault = store.of_another(record, dataset)
                words = fault or f"{words}, and of this data set"
                if rebuild and not fault:
                    fault, words = store.rebuilt(folder, record, dataset)
        wrong += bool(fault)
        typer.echo(f"{name_of(record):<16} {record.family:<12} {words}")
    if wrong:
        raise BenchError(
            f"Judges that differ from their records: {wrong}. Reinstall musicbench, or train those"
            " of the cache folder again (bench judges train)."
        )


def chosen(named: list[str] | None) -> list[Any]:
    """The families asked for."""
    from bench.judges.families import FAMILIES

    for name in named or ():
        if name not in FAMILIES:
            raise unknown("family of judges", name, FAMILIES)
    return [each for each in FAMILIES if not named or each in named]


def name_of(record: Record) -> str:
    """The data set's name, or what its pieces are known by."""
    return record.data or record.trained_on[:12]


def summary(record: Record) -> str:
    """What a line says of a judge."""
    valid = record.valid_nats_per_step
    return (
        f"version {record.version}, {record.bytes / 1000:.0f} kB, {record.kept} of"
        f" {record.updates} updates, {record.seconds:.0f} s, "
        + (f"{valid:.3f} nats per step of validation pieces" if valid is not None else "no loss")
    )
