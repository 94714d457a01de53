"""The verbs that look at a board: show, compare, report, reproduce, verify, publish."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from bench.cli.run_options import OUT, Json, Out, one_of
from bench.cli.terminal import console, errors, print_json
from bench.errors import BenchError

app = typer.Typer()


def runs_in(out: Path) -> Path:
    """The run folder to look at: the published one, and that is said, where there is none yet."""
    from bench.board import archive as published

    table = published.shipped()
    archive = published.archive_of(table) if table else None
    if out != OUT or out.exists() or archive is None:
        return out
    errors.print(f"No {out}/ here: this is the published board. `bench all` makes your own.")
    return published.unpacked(archive)


def show_board(where: Console, rows: list[dict[str, Any]], file: Path) -> None:
    """Print the board of a file as tables; what `bench validate` left beside it marks metrics."""
    from bench import registry
    from bench.cli import printing
    from bench.protocol import validity

    headline = [name for name, cls in registry.metrics().items() if cls.headline]
    printing.print_board(where, rows, headline, validity.lost(file))


@app.command(rich_help_panel="Look")
def board(
    out: Out = OUT,
    file: Annotated[
        Path | None, typer.Option("--file", help="Show this board instead of building one.")
    ] = None,
    format: Annotated[
        str | None, typer.Option("--format", help="csv, markdown, latex or json instead of tables.")
    ] = None,
    write_to: Annotated[
        Path | None,
        typer.Option("--write", help="Where to write it. [default: OUT/leaderboard.csv]"),
    ] = None,
) -> None:
    """Build the leaderboard from the run folder and print it."""
    from bench import registry
    from bench.board import build as boards
    from bench.board import formats
    from bench.files import write
    from bench.jobs.run_folder import Store

    form = one_of("format", format, ("csv", "markdown", "latex", "json")) if format else None
    if file is not None:
        rows = boards.read_csv(file)
    else:
        where = runs_in(out)
        store = Store(where)
        rows = [one.flat() for one in boards.build(store)]
        if not rows:
            raise BenchError(f"There are no jobs in {out}. `bench all` runs some.")
        path = write_to or (out / "leaderboard.csv" if where == out else None)
        if path:
            write(path, boards.to_csv(rows))
        old = boards.stale(store)
        if old:
            errors.print(f"{old} jobs have scores by older metrics; `bench all` scores them anew.")
    headline = [name for name, cls in registry.metrics().items() if cls.headline]
    if form == "csv":
        sys.stdout.write(boards.to_csv(rows))
    elif form == "json":
        print_json(rows)
    elif form == "markdown":
        sys.stdout.write(formats.to_markdown(rows, headline))
    elif form == "latex":
        sys.stdout.write(formats.to_latex(rows, headline))
    else:
        show_board(console, rows, file or out / "leaderboard.csv")
        if file is None and path:
            console.print(f"Written to {path}.", highlight=False)


@app.command(rich_help_panel="Look")
def compare(
    first: Annotated[str, typer.Argument(help="A system on the board, or SYSTEM:as-published.")],
    second: Annotated[str, typer.Argument(help="Another one.")],
    out: Out = OUT,
    as_json: Json = False,
) -> None:
    """Print what differs between two systems on the same prompts, and whether it is chance."""
    from dataclasses import asdict

    from bench.board import build as boards
    from bench.board import formats
    from bench.board.compare import comparable
    from bench.board.compare import compare as compare_rows
    from bench.cli import printing
    from bench.jobs.run_folder import Store

    pairs = comparable(boards.build(Store(runs_in(out))), first, second)
    found = [(formats.title_of(a.flat()), compare_rows(a, b)) for a, b in pairs]
    if as_json:
        print_json(
            [{"rows": title, "figures": [asdict(one) for one in all_]} for title, all_ in found]
        )
        return
    for title, differences in found:
        printing.print_differences(console, title, first, second, differences)
    console.print("p after Holm over the figures of each table; better: told apart at 5 %.")


@app.command(rich_help_panel="Look")
def report(
    out: Out = OUT,
    to: Annotated[
        Path | None, typer.Option("--to", help="The report's folder. [default: OUT/report]")
    ] = None,
) -> None:
    """Write the board and its figures as one HTML page, and as Markdown."""
    from bench.board.report import report as files_of
    from bench.files import replacing_folder
    from bench.jobs.run_folder import Store

    folder = to or out / "report"
    with console.status("Drawing ..."):
        files = files_of(Store(runs_in(out)))
    with replacing_folder(folder) as half:
        for name, content in files:
            (half / name).write_bytes(content)
    console.print(f"{folder / 'index.html'} holds everything; report.md is the same in Markdown.")


@app.command(rich_help_panel="Look")
def reproduce(
    paper: Annotated[
        str | None, typer.Argument(help="A paper, by the beginning of its name. [default: all]")
    ] = None,
    out: Out = OUT,
    all_: Annotated[bool, typer.Option("--all", help="All papers.")] = False,
    format: Annotated[
        str | None, typer.Option("--format", help="markdown or json instead of tables.")
    ] = None,
) -> None:
    """Put the papers' claims to the board, and print their figures beside ours."""
    from dataclasses import asdict

    from bench.board import build as boards
    from bench.board import formats
    from bench.board.paper_claims import answers
    from bench.board.reproduce import figures
    from bench.cli import printing
    from bench.jobs.run_folder import Store

    form = one_of("format", format, ("markdown", "json")) if format else None
    store, named = Store(runs_in(out)), None if all_ else paper
    entries = boards.build(store)
    found, beside = answers(entries, store, named), figures(entries, named)
    if form == "json":
        said = [asdict(one) | {"claim": one.claim.model_dump()} for one in found]
        print_json({"claims": said, "figures": [asdict(one) for one in beside]})
    elif form == "markdown":
        sys.stdout.write(formats.reproduction_markdown(found, beside))
    else:
        printing.print_reproduction(console, found, beside)


@app.command(rich_help_panel="Look")
def verify(
    file: Annotated[Path, typer.Argument(help="A leaderboard.csv.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="The run folder that each row is rebuilt from.")
    ] = None,
) -> None:
    """Check a leaderboard: its schema, its hashes, and that each row follows from its jobs."""
    from bench.board import archive as published
    from bench.board import build as boards
    from bench.jobs.run_folder import Store

    if out is not None and not out.is_dir():
        raise BenchError(f"{out} is no run folder.")
    beside = file.parent if (file.parent / "jobs").is_dir() else None
    archive = published.archive_of(file)
    runs = out or beside or (published.unpacked(archive) if archive else None)
    wrong = boards.verify(file, Store(runs) if runs else None)
    for line in wrong:
        errors.print(line, style="red", highlight=False)
    if wrong:
        raise typer.Exit(1)
    count = len(boards.read_csv(file))
    how = f"rebuilt from {archive if archive and not out and not beside else runs}"
    how = how if runs else "by schema and hashes; --out RUNS also rebuilds them"
    console.print(f"All {count} rows of {file} hold ({how}).", highlight=False)


@app.command(rich_help_panel="Look")
def publish(
    out: Out = OUT,
    to: Annotated[
        Path, typer.Option("--to", help="The folder that board and archive go into.")
    ] = Path(),
) -> None:
    """Write the board with an archive of all it follows from, to hand on: no networks in it."""
    from bench.board.archive import publish as published_in
    from bench.jobs.run_folder import Store

    with console.status("Packing ..."):
        table, archive = published_in(Store(out), to)
    size = archive.stat().st_size / 2**20
    console.print(f"{table} and {archive} ({size:.1f} MB).", highlight=False)
    console.print(f"`bench verify {table}` rebuilds the one from the other.", highlight=False)
