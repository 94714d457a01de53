"""`bench survey`: create a blind listening survey, run it, export and analyse its ratings."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    name="survey",
    help="The blind listening survey: create one from a run, invite listeners, analyse their"
    " ratings. They are stored in the database $BENCH_SURVEY_URL, by default an SQLite file in the"
    " user's data folder.",
    no_args_is_help=True,
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="A survey of `bench survey list`.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def _note(text: str) -> None:
    """Print to stderr what is for people, and not for a program that reads the output."""
    typer.echo(text, err=True)


@app.command()
def example() -> None:
    """Print a commented configuration to start from."""
    from bench.survey.config import EXAMPLE

    typer.echo(EXAMPLE, nl=False)


@app.command()
def create(
    config: Annotated[Path, typer.Argument(help="A TOML file; `bench survey example` prints one.")],
) -> None:
    """Create a survey: render its clips, check them and store it as a draft."""
    from bench.survey import admin
    from bench.survey.config import read_config
    from bench.survey.database.opening import open_store

    settings = read_config(config)
    summary = admin.create(open_store(), settings, _note)
    typer.echo(
        f"'{summary.name}' is a draft: each listener rates {settings.trials} clips, in about"
        f" {settings.minutes} minutes. Its configuration cannot change any more; its hash is"
        f" {summary.config_hash[:16]}.\n"
        f"Next: `bench survey codes {summary.name} 30` makes invitation codes,"
        f" `bench survey open {summary.name}` lets listeners in."
    )


@app.command("list")
def list_(as_json: Json = False) -> None:
    """List the surveys."""
    from bench.survey import admin
    from bench.survey.database.opening import open_store

    surveys = admin.surveys(open_store())
    if as_json:
        _print_json([asdict(summary) for summary in surveys])
        return
    for summary in surveys:
        note = "  simulated listeners" if summary.simulated else ""
        flow = summary.flow
        typer.echo(
            f"{summary.name}  {summary.state}  {flow.invited} invited, {flow.started} started,"
            f" {flow.finished} finished, {summary.ratings} ratings{note}"
        )
    if not surveys:
        _note(
            "There is no survey yet. `bench survey example` prints a configuration to start from;"
            " `bench survey demo` simulates a survey."
        )


@app.command()
def codes(
    name: Name,
    n: Annotated[int, typer.Argument(metavar="N", min=1, help="Number of codes.")],
    link: Annotated[
        str,
        typer.Option(
            help="Print links instead: the address of the listening page, such as"
            " https://HOST/listen."
        ),
    ] = "",
) -> None:
    """Make invitation codes, one per listener. They are shown only now."""
    from bench.survey import admin
    from bench.survey.database.opening import open_store

    for code in admin.codes(open_store(), name, n):
        typer.echo(f"{link}?c={code}" if link else code)
    _note(
        "Save them now: only keyed hashes are stored. A listener types the code into the listening"
        " page, or opens its address with ?c=CODE at the end."
    )


@app.command("open")
def open_(name: Name) -> None:
    """Open a survey: let listeners in."""
    from bench.survey import admin
    from bench.survey.database.opening import open_store

    admin.open_survey(open_store(), name)
    typer.echo(
        f"'{name}' is open. `bench dashboard` serves it at /listen; `bench survey status {name}`"
        " shows its progress. Make backups from time to time: `bench survey backup`."
    )


@app.command()
def close(name: Name) -> None:
    """Close a survey for good: nobody can rate any more, and its results are shown."""
    from bench.survey import admin
    from bench.survey.database.opening import open_store

    admin.close(open_store(), name)
    typer.echo(
        f"'{name}' is closed. `bench survey analyze {name}` analyses the ratings,"
        f" `bench survey export {name}` writes them as CSV."
    )


@app.command()
def publish(name: Name) -> None:
    """Publish a closed survey: its results are final, and nobody can withdraw any more."""
    from bench.survey import admin
    from bench.survey.database.opening import open_store

    admin.publish(open_store(), name)
    typer.echo(f"'{name}' is published.")


@app.command()
def remove(name: Name) -> None:
    """Delete a draft or a simulated survey."""
    from bench.survey import admin
    from bench.survey.database.opening import open_store

    admin.remove(open_store(), name)
    typer.echo(f"'{name}' is removed.")


@app.command()
def status(
    name: Name,
    listeners: Annotated[
        bool, typer.Option("--listeners", help="List the listeners, by number.")
    ] = False,
    completed: Annotated[
        bool, typer.Option("--completed", help="List the completion codes of those who finished.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show a survey's progress: how far listeners came, which clips were rated; never a score."""
    from bench.survey import admin
    from bench.survey.database.opening import open_store

    store = open_store()
    overview = admin.status(store, name)
    completion_codes = admin.completion_codes(store, name) if completed else []
    if as_json:
        content = asdict(overview) | {"config": overview.config.model_dump(mode="json")}
        _print_json(content | ({"completed": completion_codes} if completed else {}))
        return
    summary, flow = overview.summary, overview.summary.flow
    typer.echo(f"{summary.name}: {summary.state}{', simulated listeners' * summary.simulated}")
    typer.echo(f"  configuration {summary.config_hash[:16]}, created {summary.created:%Y-%m-%d}")
    typer.echo(
        f"  {flow.invited} invited, {flow.started} started, {flow.finished} finished,"
        f" {flow.withdrawn} withdrew, {flow.excluded} excluded; {summary.ratings} ratings"
    )
    typer.echo("\nHow many passed each step:")
    for gate in overview.gates:
        share = f"{gate.passed / gate.reached:.0%}" if gate.reached else ""
        typer.echo(f"  {gate.name:<24} {gate.passed:>5} of {gate.reached:<5} {share}")
    typer.echo("\nHow often the clips of each system were rated:")
    for system, plays in overview.plays.items():
        typer.echo(f"  {system:<32} {min(plays)} to {max(plays)} times, {sum(plays)} in total")
    if listeners:
        typer.echo("\nListeners:")
        for listener in overview.listeners:
            note = f"  excluded: {listener.excluded}" if listener.excluded else ""
            typer.echo(
                f"  {listener.rater}  {listener.stage:<10} {listener.done}/{listener.total}{note}"
            )
    for code in completion_codes:
        typer.echo(code)


@app.command()
def export(
    name: Name,
    folder: Annotated[Path, typer.Option("--to", help="The folder to write to.")] = Path(),
    comments: Annotated[
        bool,
        typer.Option("--comments", help="Include comments; read them before you share the file."),
    ] = False,
) -> None:
    """Write a closed survey's ratings as CSV, and the meaning of their columns as JSON."""
    from bench.files import write, write_json
    from bench.survey import admin
    from bench.survey.database.opening import open_store
    from bench.survey.export import codebook

    store = open_store()
    table = admin.export(store, name, comments)
    ratings_file, codebook_file = folder / f"{name}-ratings.csv", folder / f"{name}-codebook.json"
    write(ratings_file, table.to_csv(index=False))
    write_json(codebook_file, codebook(admin.status(store, name), list(table.columns)))
    typer.echo(
        f"{len(table)} ratings are in {ratings_file}, the meaning of the columns is in"
        f" {codebook_file}."
    )


@app.command()
def analyze(name: Name) -> None:
    """Analyse a closed survey: print its conclusions and write its report."""
    from bench.survey.conclude import conclude
    from bench.survey.database.opening import open_store

    results, files = conclude(open_store(), name)
    if results.simulated:
        typer.echo("The listeners are simulated.\n")
    for study in results.studies:
        for line in [*study.conclusions, *study.lacking]:
            typer.echo(line)
    board = " `bench board` shows the mean ratings." if results.counts else ""
    typer.echo(f"\nThe report is {files[0]}.{board}")


@app.command()
def power(
    systems: Annotated[int, typer.Option(min=2, help="Number of systems to compare.")] = 8,
    heard: Annotated[
        int, typer.Option(min=1, help="Clips of each system that one listener hears.")
    ] = 3,
    pairs: Annotated[int, typer.Option(min=1, help="Number of pairs tested at once.")] = 1,
    pilot: Annotated[
        str, typer.Option(help="A closed survey, whose ratings show how much ratings vary.")
    ] = "",
) -> None:
    """Plan a survey: show how small a difference it can find, by numbers of clips and listeners."""
    from bench.survey import admin
    from bench.survey.analysis.power import from_pilot, table
    from bench.survey.database.opening import open_store
    from bench.survey.terms import HIGHEST, LOWEST

    components = from_pilot(admin.export(open_store(), pilot)) if pilot else None
    differences = table(heard, systems, components, pairs)
    typer.echo(
        f"The smallest difference in points (of {LOWEST} to {HIGHEST}) that 4 of 5 surveys find, by"
        " number of listeners (rows) and of clips per system (columns):\n"
    )
    typer.echo(differences.round(2).to_string())
    source = (
        f"Ratings are expected to vary as in '{pilot}'."
        if pilot
        else "How much ratings vary is assumed; --pilot takes it from a closed survey."
    )
    typer.echo(f"\n{source} More clips help more than more listeners.")


@app.command()
def exclude(
    name: Name,
    rater: Annotated[
        int, typer.Argument(help="The listener's number in `bench survey status --listeners`.")
    ],
    reason: Annotated[str, typer.Option(help="The reason, which is published.")],
) -> None:
    """Exclude a listener. Nothing is deleted, and results are shown with and without exclusions."""
    from bench.survey import admin
    from bench.survey.database.opening import open_store

    admin.exclude(open_store(), name, rater, reason)
    typer.echo(f"Listener {rater} of '{name}' is excluded: {reason}")


@app.command("delete-participant")
def delete_participant(
    code: Annotated[
        str, typer.Option(prompt="The listener's code", help="Asked for if not given.")
    ],
) -> None:
    """Delete all answers of a listener who asks for it."""
    from bench.survey import admin
    from bench.survey.database.opening import open_store

    admin.delete_participant(open_store(), code)
    typer.echo(
        "All answers with that code are deleted. Earlier backups still hold them: delete those, and"
        " make a new one."
    )


@app.command()
def backup(
    file: Annotated[
        Path | None,
        typer.Argument(
            help="The file to write. [default: a new one in backups/ beside the database]"
        ),
    ] = None,
) -> None:
    """Write everything, database and clips, into one file. This is possible at any time."""
    from bench.survey import admin
    from bench.survey.database.opening import open_store

    typer.echo(
        f"{admin.backup(open_store(), file)} holds everything. Keep it as private as the database."
    )


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="A file of `bench survey backup`.")],
) -> None:
    """Restore a backup into an empty database, SQLite or PostgreSQL."""
    from bench.survey import admin
    from bench.survey.database.opening import open_store

    store = open_store()
    admin.restore(store, file)
    names = ", ".join(summary.name for summary in admin.surveys(store))
    typer.echo(f"Restored: {names}. The invitation codes still work.")


@app.command()
def password(
    hash_only: Annotated[
        bool,
        typer.Option("--print", help="Print the hash for $BENCH_SURVEY_ADMIN and store nothing."),
    ] = False,
) -> None:
    """Set the password of the dashboard's admin page; without a password there is no such page."""
    from bench.survey import login

    text = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    if hash_only:
        typer.echo(login.password_hash(text))
        return
    typer.echo(
        f"Its hash is stored in {login.set_password(text)}. The dashboard has an admin page now."
    )


@app.command()
def audit(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Of this survey only.")
    ] = None,
) -> None:
    """Show who did what, the newest first."""
    from bench.survey import admin
    from bench.survey.database.opening import open_store

    for line in admin.audit(open_store(), name):
        typer.echo(
            f"{line.at:%Y-%m-%d %H:%M}  {line.survey}  {line.by}  {line.action}  {line.detail}"
        )


@app.command()
def demo(
    run: Annotated[
        Path | None,
        typer.Option(
            "--run", help="A run folder. [default: human music, made worse in three ways]"
        ),
    ] = None,
    listeners: Annotated[int, typer.Option(help="Number of listeners to simulate.")] = 26,
    name: Annotated[str, typer.Option(help="The name of the survey.")] = "demo",
) -> None:
    """Simulate a survey, to see what results look like."""
    from bench.survey.database.opening import open_store
    from bench.survey.demo import demo as simulate

    summary = simulate(open_store(), run, listeners, _note, name)
    typer.echo(
        f"'{name}' is closed, with {summary.ratings} simulated ratings; every page marks it as"
        f" simulated. Its report is in {Path(summary.run) / 'surveys' / name}, and the page Survey"
        f" of `bench dashboard` shows it. `bench survey remove {name}` deletes it."
    )


def _print_json(content: Any) -> None:
    typer.echo(json.dumps(content, indent=1, default=str))
