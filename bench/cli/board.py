"""The verbs that look at a board: show, compare, report, reproduce, verify, publish."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from bench.cli.run_options import OUT, Json, Out, one_of
from bench.cli.terminal import console, errors, print_json
from bench.errors import BenchError

if TYPE_CHECKING:
    from bench.board.rows import Group
    from bench.jobs.run_folder import RunFolder

app = typer.Typer()


def runs_in(out: Path) -> RunFolder:
    """The run folder to look at; falls back to the published board and says so."""
    from bench.board import archive as archives
    from bench.jobs.run_folder import RunFolder

    table = archives.shipped()
    archive = archives.archive_of(table) if table else None
    if out != OUT or out.exists() or archive is None:
        return RunFolder(out)
    errors.print(f"No {out}/ here: this is the published board. `bench all` makes your own.")
    return RunFolder(archives.unpacked(archive))


def show_board(where: Console, groups: Sequence[Group], file: Path) -> None:
    """Print the board of a file as tables; the results of `bench validate` beside it mark metrics."""
    from bench import registry
    from bench.cli import printing
    from bench.protocol import validity

    headline = [name for name, cls in registry.metrics().items() if cls.headline]
    printing.print_board(where, groups, headline, validity.lost(file))


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
    from bench.board import formats
    from bench.board.build import build, count_stale
    from bench.board.rows import read_csv, to_csv, to_table
    from bench.files import write

    form = one_of("format", format, ("csv", "markdown", "latex", "json")) if format else None
    if file is not None:
        built = read_csv(file)
    else:
        runs = runs_in(out)
        built = build(runs)
        if not built.rows:
            raise BenchError(f"There are no jobs in {out}. `bench all` runs some.")
        path = write_to or (out / "leaderboard.csv" if runs.root == out else None)
        if path:
            write(path, to_csv(built.rows))
        if old := count_stale(runs):
            errors.print(f"{old} jobs have scores by older metrics; `bench all` scores them again.")
    headline = [name for name, cls in registry.metrics().items() if cls.headline]
    if form == "csv":
        sys.stdout.write(to_csv(built.rows))
    elif form == "json":
        print_json(to_table(built.rows))
    elif form == "markdown":
        sys.stdout.write(formats.to_markdown(built.groups, headline))
    elif form == "latex":
        sys.stdout.write(formats.to_latex(built.groups, headline))
    else:
        show_board(console, built.groups, file or out / "leaderboard.csv")
        if file is None and path:
            console.print(f"Written to {path}.", highlight=False)


@app.command(rich_help_panel="Look")
def compare(
    first: Annotated[str, typer.Argument(help="A system on the board, or SYSTEM:as-published.")],
    second: Annotated[str, typer.Argument(help="A second system.")],
    out: Out = OUT,
    as_json: Json = False,
) -> None:
    """Compare two systems on the same prompts: every difference with its p-value."""
    from dataclasses import asdict

    from bench.board import compare as comparison
    from bench.board.build import build
    from bench.cli import printing

    built = build(runs_in(out))
    compared = [
        (built.group_of(a).heading, comparison.compare(a, b))
        for a, b in comparison.comparable(built.rows, first, second)
    ]
    if as_json:
        print_json(
            [
                {"rows": heading, "figures": [asdict(difference) for difference in differences]}
                for heading, differences in compared
            ]
        )
        return
    for heading, differences in compared:
        printing.print_differences(console, heading, first, second, differences)
    console.print(
        "p: Holm-corrected over each table. better: the difference is significant at 5 %."
    )


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

    folder = to or out / "report"
    with console.status("Drawing ..."):
        files = files_of(runs_in(out))
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
    """Test the papers' claims on the board, and print their figures next to ours."""
    from dataclasses import asdict

    from bench.board import formats
    from bench.board.build import build
    from bench.board.paper_claims import answers
    from bench.board.reproduce import figures
    from bench.cli import printing

    form = one_of("format", format, ("markdown", "json")) if format else None
    runs, chosen = runs_in(out), None if all_ else paper
    rows = build(runs).rows
    given, published = answers(rows, runs, chosen), figures(rows, chosen)
    if form == "json":
        claims = [asdict(answer) | {"claim": answer.claim.model_dump()} for answer in given]
        print_json({"claims": claims, "figures": [asdict(figure) for figure in published]})
    elif form == "markdown":
        sys.stdout.write(formats.reproduction_markdown(given, published))
    else:
        printing.print_reproduction(console, given, published)


@app.command(rich_help_panel="Look")
def verify(
    file: Annotated[Path, typer.Argument(help="A leaderboard.csv.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="The run folder that each row is rebuilt from.")
    ] = None,
    all_: Annotated[
        bool, typer.Option("--all", help="Score the samples of every row again.")
    ] = False,
    count: Annotated[
        int | None,
        typer.Option("--rows", min=0, help="Score so many rows again. [default: what 40 s allow]"),
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", help="Which rows are chosen. [default: by chance]")
    ] = None,
) -> None:
    """Check a leaderboard: its hashes, its rows by their jobs, and its jobs by their samples."""
    import secrets

    from bench.board import archive as archives
    from bench.board.verify import Depth, verification
    from bench.cli.printing import print_verification
    from bench.jobs.run_folder import RunFolder

    if out is not None and not out.is_dir():
        raise BenchError(f"{out} is no run folder.")
    beside = file.parent if (file.parent / "jobs").is_dir() else None
    archive = archives.archive_of(file)
    runs = out or beside or (archives.unpacked(archive) if archive else None)
    own = out is not None or beside is not None
    # A seed that could be known beforehand would tell which rows may be forged.
    chosen = secrets.randbelow(1_000_000) if seed is None else seed
    depth = Depth(count, all_, chosen, load_systems=own)
    with rescoring_progress() as progress:
        result = verification(file, RunFolder(runs) if runs else None, depth, progress)
    print_verification(console, errors, result, depth, file, runs if own else archive)
    if result.problems:
        raise typer.Exit(1)


@contextmanager
def rescoring_progress() -> Iterator[Callable[[int, int], None]]:
    """A bar with the time left on standard error, where that is a terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as TimeLeft

    columns = (TextColumn("rows scored again"), BarColumn(), MofNCompleteColumn(), TimeLeft())
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as bar:
        task = bar.add_task("rows", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@app.command(rich_help_panel="Look")
def publish(
    out: Out = OUT,
    to: Annotated[
        Path, typer.Option("--to", help="The folder that board and archive go into.")
    ] = Path(),
) -> None:
    """Write the board and an archive of its jobs to share. It contains no networks."""
    from bench.board.archive import publish as published_in
    from bench.jobs.run_folder import RunFolder

    with console.status("Packing ..."):
        table, archive = published_in(RunFolder(out), to)
    size = archive.stat().st_size / 2**20
    console.print(f"{table} and {archive} ({size:.1f} MB).", highlight=False)
    console.print(f"`bench verify {table}` checks the one by the other.", highlight=False)
