"""`bench data`: list, fetch, add, verify and audit the data sets. Kept out of `bench.data`, which is heavy."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from bench.errors import BenchError

if TYPE_CHECKING:
    from bench.data import Dataset, Info

app = typer.Typer(
    name="data",
    help="The data sets: list, download, add, verify and audit them.",
    no_args_is_help=True,
)

Folder = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        help="The folder of the data sets."
        " [default: $BENCH_DATA_DIR, or a folder in the user's cache]",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Names = Annotated[
    list[str], typer.Argument(metavar="NAME...", help="Data sets; see `bench data list`.")
]


@app.command("list")
def list_(data_dir: Folder = None, as_json: Json = False) -> None:
    """List the data sets, how many pieces they have, and whether they are on this machine."""
    from bench import data

    infos, broken = [], []
    for name in data.names(data_dir):
        try:
            infos.append(data.describe(name, data_dir))
        except BenchError as error:
            broken.append(f"{name}: {error}")
    if as_json:
        _print_json([_plain(info) for info in infos])
        return
    width = max((len(info.name) for info in infos), default=0)
    for info in infos:
        counts = "/".join(f"{count}" for count in info.counts.values())
        here = "here" if info.where else "not here"
        typer.echo(f"{info.name:<{width}}  {counts:>11}  {info.object:<6}  {here:<8}  {info.title}")
    typer.echo(
        "\nPieces: train/valid/test. score or frames: what a likelihood on the set describes."
    )
    missing = [info for info in infos if not info.where]
    if missing:
        typer.echo(f"\nNot here ({data_dir or data.data_dir()}), and how to get them:")
        for info in missing:
            typer.echo(f"  {info.name}: {info.obtain}")
    for line in broken:
        typer.echo(line, err=True)


@app.command()
def fetch(names: Names, data_dir: Folder = None) -> None:
    """Download data sets if they are not here, read them and check every piece."""
    from bench import data

    for name in names:
        _ok(data.fetch(name, data_dir), data.describe(name, data_dir))


@app.command()
def verify(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME...]", help="Data sets. [default: all on this machine]"),
    ] = None,
    data_dir: Folder = None,
) -> None:
    """Read data sets from their original files and check every piece against the manifest."""
    from bench import data

    if not names:
        infos = [data.describe(name, data_dir) for name in data.names(data_dir)]
        names = [info.name for info in infos if info.where]
    failures = []
    for name in names:
        try:
            _ok(data.verify(name, data_dir), data.describe(name, data_dir))
        except BenchError as error:
            failures.append(str(error))
    if failures:
        raise BenchError("\n".join(failures))


@app.command()
def audit(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A data set; see `bench data list`.")],
    data_dir: Folder = None,
    as_json: Json = False,
) -> None:
    """Show which validation and test pieces also occur in train, in any key."""
    from bench import data
    from bench.data.audit import audit as compare

    report = compare(data.load(name, data_dir))
    if as_json:
        _print_json(dataclasses.asdict(report))
        return
    typer.echo(f"{name}: windows of {report.window} steps, compared in all keys")
    for split, mean in report.mean.items():
        typer.echo(f"  {split}: {mean:.1%} of a piece occurs in train, on average")
    if report.leaks:
        typer.echo("\nPieces that share much with train:")
        width = max(len(leak.piece) for leak in report.leaks)
        for leak in report.leaks:
            typer.echo(
                f"  {leak.piece:<{width}}  {leak.share:5.0%}"
                f"  ({leak.nearest_share:.0%} in {leak.nearest} alone)"
            )
    if report.equal:
        typer.echo("\nPieces that are equal, note for note:")
        for piece, other in report.equal:
            typer.echo(f"  {piece} = {other}")
    if not report.leaks and not report.equal:
        typer.echo("\nNo piece repeats another.")


@app.command()
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the new data set.")],
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER",
            help="A folder of MIDI files. Its subfolders train, valid and test become the splits;"
            " without them it is split 80/10/10.",
        ),
    ],
    data_dir: Folder = None,
    clock: Annotated[
        Literal["beats", "seconds"],
        typer.Option(help="What a step is: 1/4 of the file's beat, or 1/8 of a second."),
    ] = "beats",
    seed: Annotated[int, typer.Option(help="Seed of the random split.")] = 0,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a data set of the same name.")
    ] = False,
) -> None:
    """Make a data set from a folder of MIDI files, with a hash of every piece."""
    from bench import data

    added = data.add(name, folder, data_dir, clock=clock, force=force, seed=seed)
    for file in added.left_out:
        typer.echo(f"left out  {file.reason}")
    for piece in added.repeated:
        typer.echo(f"left out  {piece}: it repeats another piece")
    counts = ", ".join(f"{count} {split}" for split, count in added.manifest.counts.items())
    typer.echo(f"{name}: {counts}. Kept in {added.where}")
    typer.echo(f"Next: bench data audit {name}, then bench all --data {name}")


def _ok(dataset: Dataset, info: Info) -> None:
    counts = "/".join(str(count) for count in info.counts.values())
    typer.echo(f"{dataset.name}: {counts} pieces, all as pinned ({dataset.fingerprint[:12]})")


def _plain(info: Info) -> dict[str, Any]:
    return {**dataclasses.asdict(info), "where": str(info.where) if info.where else None}


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=1, allow_nan=False))
