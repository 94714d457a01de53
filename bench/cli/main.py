"""The command line: each verb calls one function elsewhere. Heavy imports stay inside the verbs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from bench.cli.board import app as board_app
from bench.cli.board import runs_in, show_board
from bench.cli.data import app as data_app
from bench.cli.judges import app as judges_app
from bench.cli.run_options import (
    OUT,
    Json,
    Out,
    PresetOption,
    RunArguments,
    SamplesOption,
    StepsOption,
    UnpromptedOption,
    one_of,
    run_verb,
    several,
)
from bench.cli.survey import app as survey_app
from bench.cli.terminal import console, errors, print_json
from bench.errors import BenchError

if TYPE_CHECKING:
    from bench.jobs.plan import Options, Planned
    from bench.suite import Engine

app = typer.Typer(
    name="bench",
    help="The benchmark of symbolic-music generators. Start with `bench plan`, then `bench all`.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
app.add_typer(data_app, name="data", help="Data sets: list, fetch, add, verify, audit.")
app.add_typer(
    judges_app, name="judges", help="The networks that judge samples: list, train, verify."
)
app.add_typer(survey_app, name="survey", help="The blind listening survey: create, run, analyse.")


def plan(options: Options, how: Engine, as_json: bool) -> None:
    """List every job of a run with its time, memory and state. Runs nothing."""
    from bench.cli import printing
    from bench.engines.schedule import forecast
    from bench.jobs.plan import plan as plan_jobs

    planned = plan_jobs(options)
    if as_json:
        print_json([plan_row(job) for job in planned])
        return
    printing.print_plan(console, planned)
    expected = forecast(planned, how.places(options, planned))
    console.print(printing.summary(planned, expected), highlight=False)
    console.print(printing.seeds(planned), highlight=False)
    if not all(job.done for job in planned):
        for line in [
            printing.costs(expected, how.price),
            *printing.warnings(planned, how.limit(options)),
        ]:
            console.print(line, highlight=False, soft_wrap=True)
        console.print("`bench all` with the same options runs them.", highlight=False)


def plan_row(planned: Planned) -> dict[str, str | int | float]:
    """A planned job for programs."""
    job = planned.job
    return {
        "job": job.id,
        "system": job.system,
        "variant": job.variant,
        "dataset": job.dataset,
        "preset": job.preset,
        "seed": job.seed,
        "state": planned.state,
        "seconds": planned.seconds,
        "memory_mb": planned.memory_mb,
        "disk_mb": planned.disk_mb,
    }


def run_all(options: Options, how: Engine, as_json: bool) -> None:
    """Train, sample and score every system; write the leaderboard. Run it again to continue."""
    from bench.board.rows import to_table
    from bench.cli import printing
    from bench.engines.schedule import forecast
    from bench.jobs.plan import plan as plan_jobs
    from bench.suite import run_all as run_suite

    say = errors if as_json else console
    planned = plan_jobs(options)
    say.print(f"[bold]{', '.join(options.data)}[/], preset {options.preset}, {options.device}")
    say.print(
        printing.summary(planned, forecast(planned, how.places(options, planned))), highlight=False
    )
    say.print(printing.seeds(planned), highlight=False)
    for line in printing.warnings(planned, how.limit(options)):
        say.print(line, highlight=False, soft_wrap=True)
    try:
        ended = run_suite(options, how, say, planned)
    except KeyboardInterrupt:
        errors.print("Interrupted. Finished work is kept; the same command continues.")
        raise typer.Exit(130) from None
    if as_json:
        print_json(to_table(ended.board.rows))
    else:
        show_board(say, ended.board.groups, ended.file)
        say.print(f"The leaderboard is in {ended.file}.", highlight=False)
        to = "" if options.out == OUT else f" --out {options.out}"
        say.print(
            f"Next: `bench dashboard{to}` to look and listen, `bench report{to}` for one page"
            " (`./run` in place of `bench` where that is not on the PATH).",
            highlight=False,
            soft_wrap=True,
        )
        if options.preset == "smoke":
            say.print("Smoke only shows that everything runs; `bench all` gives results.")
    if ended.failed:
        errors.print(
            f"{len(ended.failed)} of {len(ended.planned)} jobs failed; the same command tries them"
            " again.",
            style="red",
        )
        raise typer.Exit(1)


app.command("plan", rich_help_panel="Run")(run_verb(plan))
app.command("all", rich_help_panel="Run")(run_verb(run_all))


@app.command(rich_help_panel="Run")
def score(
    folder: Annotated[Path, typer.Argument(help="A folder of MIDI files, one per prompt.")],
    data: Annotated[str, typer.Option("--data", help="The data set whose prompts they continue.")],
    name: Annotated[str, typer.Option("--name", help="The name on the board.")],
    with_prompts: Annotated[
        bool,
        typer.Option("--with-prompts", help="Each file starts with its prompt, which is cut off."),
    ] = False,
    preset: PresetOption = None,
    samples: SamplesOption = None,
    steps: StepsOption = None,
    out: Out = OUT,
    unprompted: UnpromptedOption = False,
) -> None:
    """Score a folder of MIDI made elsewhere, as a system of its own."""
    from bench.board.build import build
    from bench.board.rows import Board, to_csv
    from bench.files import write
    from bench.jobs.entrant import enter
    from bench.jobs.run_folder import RunFolder

    options = RunArguments(
        preset=preset,
        data=[data],
        samples=samples,
        steps=steps,
        unprompted=unprompted,
        out=out,
        device="cpu",
    ).options()
    place = enter(options, data, name, folder, with_prompts)
    board = build(RunFolder(out))
    write(out / "leaderboard.csv", to_csv(board.rows))
    own = [row for row in board.rows if place.path.name in row.job_ids]
    show_board(console, Board(tuple(own)).groups, out / "leaderboard.csv")
    console.print(
        f"Its row is in {out / 'leaderboard.csv'}; `bench board` shows all.", highlight=False
    )


@app.command(rich_help_panel="Run")
def prompts(
    folder: Annotated[Path, typer.Argument(help="Where to write them.")],
    data: Annotated[str, typer.Option("--data", help="The data set.")] = "chorales",
    preset: PresetOption = None,
    samples: SamplesOption = None,
    steps: StepsOption = None,
) -> None:
    """Write the prompts as MIDI files, for generators that run elsewhere."""
    from bench.jobs.entrant import write_prompts

    options = RunArguments(
        preset=preset, data=[data], samples=samples, steps=steps, device="cpu"
    ).options()
    count = write_prompts(options, data, folder)
    console.print(
        f"{count} prompts of one bar are in {folder}. Continue each in a file of the same name, then:"
        f" bench score YOUR_FOLDER --data {data} --name YOUR_NAME --preset {options.preset}",
        highlight=False,
    )


@app.command(rich_help_panel="Enter")
def check(
    target: Annotated[
        str, typer.Argument(help="A system, a metric, or path/to/file.py:ClassName.")
    ],
    variant: Annotated[
        str, typer.Option("--variant", help="corrected or as-published.")
    ] = "corrected",
    small: Annotated[
        bool, typer.Option("--small", help="A small network of the same kind: quick on a laptop.")
    ] = False,
) -> None:
    """Test a system or a metric against the contract and explain each breach."""
    from bench import check as checks

    chosen = one_of("variant", variant, ("corrected", "as-published"))
    contestant = checks.under_test(target, chosen, "small" if small else "full")
    broken = 0
    for finding in checks.findings(contestant):
        mark = "[green]kept[/]  " if finding.kept else "[red]BROKEN[/]"
        console.print(f"{mark}  {finding.promise}", highlight=False)
        if not finding.kept:
            broken += 1
            console.print(f"        {finding.broken}", highlight=False, style="red", markup=False)
    if broken:
        promises = "promise" if broken == 1 else "promises"
        console.print(f"{target} breaks {broken} {promises} of the contract.", highlight=False)
        raise typer.Exit(1)
    console.print(f"{target} keeps the contract.", highlight=False)


@app.command(rich_help_panel="Enter")
def validate(
    data: Annotated[
        str, typer.Option("--data", help="The data set whose music is corrupted.")
    ] = "chorales",
    metrics: Annotated[
        list[str] | None, typer.Option("--metrics", help="Metrics, by name. [default: all]")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the corruptions.")] = 0,
    order: Annotated[
        bool, typer.Option("--order", help="Test the order of the board instead of single metrics.")
    ] = False,
    systems: Annotated[
        list[str] | None,
        typer.Option("--systems", help="With --order: what is trained. [default: what is quick]"),
    ] = None,
    samples: Annotated[
        int | None, typer.Option("--samples", min=4, help="With --order: samples per contestant.")
    ] = None,
    steps: Annotated[
        int | None, typer.Option("--steps", min=8, help="With --order: steps of each sample.")
    ] = None,
    out: Out = OUT,
) -> None:
    """Test metrics on music that is corrupted step by step; failing metrics are greyed.

    With `--order`, test which way to make one skill of several metrics keeps the orders that are known
    beforehand: human music above the same made worse, a network above itself after fewer updates.
    """
    from bench import data as datasets
    from bench import registry
    from bench.files import write
    from bench.protocol import validity

    if order:
        from bench.cli.order import study_order
        from bench.jobs.plan import Options

        study_order(data, several(systems), Options(samples=samples, steps=steps), seed, out)
        return
    chosen = {name: registry.metric(name) for name in several(metrics) or registry.metrics()}
    dataset = datasets.load(data)
    with errors.status("Corrupting music ...") as status:
        rows = validity.validate(
            dataset, chosen, seed, lambda what: status.update(f"Scoring {what} ...")
        )
    write(out / validity.FILE, validity.to_csv(rows))
    validity.figure(rows, out / "validity.png")
    lost = [row for row in rows if row.kind == "property" and not row.holds]
    for row in lost:
        errors.print(
            f"{row.metric}: {row.name} does not hold: {row.note}", style="red", markup=False
        )
    console.print(
        f"{len(chosen)} metrics, {len({row.metric for row in lost})} lack a required property."
        f" The table is {out / validity.FILE}, the picture {out / 'validity.png'}.",
        highlight=False,
    )
    if any(chosen[row.metric].headline for row in lost):
        raise typer.Exit(1)


@app.command(rich_help_panel="Look")
def dashboard(
    out: Out = OUT,
    board: Annotated[
        Path | None, typer.Option("--board", help="A leaderboard. [default: OUT/leaderboard.csv]")
    ] = None,
    host: Annotated[str, typer.Option("--host", help="The address it listens on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="The port.")] = 8501,
) -> None:
    """Open the dashboard in a browser: compare systems, listen, watch a run."""
    from bench import registry

    raise typer.Exit(registry.app("dashboard")(runs_in(out).root, board, host, port, console.print))


@app.command("list", rich_help_panel="Look")
def list_things(
    what: Annotated[
        Literal["systems", "metrics", "data", "presets"], typer.Argument(help="What to list.")
    ],
    as_json: Json = False,
) -> None:
    """List systems, metrics, data sets or presets."""
    from rich.table import Table

    from bench.cli.listing import listing

    rows = listing(what)
    if as_json:
        print_json(rows)
        return
    table = Table(header_style="bold")
    for head in rows[0] if rows else ():
        table.add_column(head)
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    console.print(table)
    console.print("`bench show NAME` has the details of each.", highlight=False)


@app.command(rich_help_panel="Look")
def show(
    name: Annotated[str, typer.Argument(help="A system, metric, data set or preset.")],
    as_json: Json = False,
) -> None:
    """Show everything about a system, metric, data set or preset."""
    from bench.cli.listing import describe

    about = describe(name)
    if as_json:
        print_json(about)
        return
    for key, value in about.items():
        if value in (None, "", [], {}, ()):
            continue
        console.print(f"[bold]{key}[/]")
        lines = [f"{k}: {v}" for k, v in value.items()] if isinstance(value, dict) else value
        for line in lines if isinstance(lines, list | tuple) else [lines]:
            console.print(f"  {line}", highlight=False, markup=False)


@app.command(rich_help_panel="Look")
def doctor(out: Out = OUT, as_json: Json = False) -> None:
    """Check versions, GPU, data, soundfont and disk, and report what is missing."""
    from dataclasses import asdict

    from bench.cli.doctor import examine

    signs = examine(out)
    if as_json:
        print_json([asdict(sign) for sign in signs])
    else:
        for sign in signs:
            mark = "[green]ok[/]     " if sign.well else "[red]missing[/]"
            console.print(f"{mark}  {sign.what:24} {sign.found}", highlight=False, soft_wrap=True)
            if not sign.well:
                console.print(f"         {'':24} {sign.advice}", highlight=False, soft_wrap=True)
    if not all(sign.well for sign in signs):
        raise typer.Exit(1)


app.registered_commands += board_app.registered_commands


@app.callback(invoke_without_command=True)
def about(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """The benchmark of symbolic-music generators. Start with `bench plan`, then `bench all`."""
    if version:
        from bench import __version__

        console.print(f"musicbench {__version__}", highlight=False)
        raise typer.Exit


def main() -> None:
    """The command `bench`: a user's mistake gives one sentence, never a traceback."""
    try:
        app()
    except BenchError as error:
        # The error's own brackets are no markup: `pip install "musicbench[ray]"`.
        errors.print("[red]Error:[/]", end=" ")
        errors.print(str(error), highlight=False, markup=False, soft_wrap=True)
        sys.exit(2)
    except BrokenPipeError:
        sys.exit(141)  # whoever read our output has gone


if __name__ == "__main__":
    main()
