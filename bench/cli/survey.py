"""`bench survey`: make a blind listening survey, let people in, take out what they said."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    name="survey",
    help="The blind listening survey: make one from a run, invite people, analyse what they say."
    " It is kept in $BENCH_SURVEY_URL, by default an SQLite file in the user's data folder.",
    no_args_is_help=True,
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="A survey; see `bench survey list`.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def _note(text: str) -> None:
    """What is for people only, and not for the program that reads our output."""
    typer.echo(text, err=True)


@app.command()
def example() -> None:
    """Print a commented configuration to start from."""
    from bench.survey.config import EXAMPLE

    typer.echo(EXAMPLE, nl=False)


@app.command()
def create(
    config: Annotated[Path, typer.Argument(help="A configuration; `example` prints one.")],
) -> None:
    """Make a survey: render its clips, check them, keep it as a draft."""
    from bench.survey import admin
    from bench.survey.config import read_config
    from bench.survey.database.opening import open_store

    read = read_config(config)
    made = admin.create(open_store(), read, _note)
    typer.echo(
        f"'{made.name}' is a draft: each listener rates {read.trials} clips, in about"
        f" {read.minutes} minutes. Its configuration is frozen: {made.config_hash[:16]}.\n"
        f"Next: `bench survey codes {made.name} 30` makes invitations,"
        f" `bench survey open {made.name}` lets people in."
    )


@app.command("list")
def list_(as_json: Json = False) -> None:
    """List the surveys."""
    from bench.survey import admin
    from bench.survey.database.opening import open_store

    found = admin.surveys(open_store())
    if as_json:
        _print_json([asdict(one) for one in found])
        return
    for one in found:
        note = "  simulated: nobody listened" if one.simulated else ""
        typer.echo(
            f"{one.name}  {one.state}  {one.flow.invited} invited, {one.flow.started} started,"
            f" {one.flow.finished} finished, {one.ratings} ratings{note}"
        )
    if not found:
        _note("There is none. `bench survey example` prints how to make one; `demo` fills one.")


@app.command()
def codes(
    name: Name,
    n: Annotated[int, typer.Argument(metavar="N", min=1, help="How many.")],
    link: Annotated[
        str,
        typer.Option(
            help="Print links: the listening page's address, such as https://HOST/listen."
        ),
    ] = "",
) -> None:
    """Make invitation codes, one per person. They are shown now and never again."""
    from bench.survey import admin
    from bench.survey.database.opening import open_store

    for code in admin.codes(open_store(), name, n):
        typer.echo(f"{link}?c={code}" if link else code)
    _note(
        "Keep them: only keyed hashes are stored. A person gives the code, or opens the listening"
        " page with ?c=CODE at the end of its address."
    )


@app.command("open")
def open_(name: Name) -> None:
    """Let people in."""
    from bench.survey import admin
    from bench.survey.database.opening import open_store

    admin.open_survey(open_store(), name)
    typer.echo(
        f"'{name}' is open. `bench dashboard` serves it at /listen; `bench survey status {name}`"
        " shows how it goes. Take a backup now and then: `bench survey backup`."
    )


@app.command()
def close(name: Name) -> None:
    """Let nobody in any more; from then on results are shown, and it cannot be opened again."""
    from bench.survey import admin
    from bench.survey.database.opening import open_store

    admin.close(open_store(), name)
    typer.echo(
        f"'{name}' is closed. `bench survey analyze {name}` says what can be concluded,"
        f" `bench survey export {name}` writes the ratings."
    )


@app.command()
def publish(name: Name) -> None:
    """Make a closed survey final: nobody can withdraw from it any more."""
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
    listeners: Annotated[bool, typer.Option("--listeners", help="Each one, by number.")] = False,
    completed: Annotated[
        bool, typer.Option("--completed", help="The completion codes of those who finished.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show how a survey goes: who came how far, what was heard. Never a score."""
    from bench.survey import admin
    from bench.survey.database.opening import open_store

    store = open_store()
    found = admin.status(store, name)
    done = admin.completion_codes(store, name) if completed else []
    if as_json:
        content = asdict(found) | {"config": found.config.model_dump(mode="json")}
        _print_json(content | ({"completed": done} if completed else {}))
        return
    one = found.summary
    typer.echo(f"{one.name}: {one.state}{', simulated: nobody listened' * one.simulated}")
    typer.echo(f"  configuration {one.config_hash[:16]}, made {one.created:%Y-%m-%d}")
    typer.echo(
        f"  {one.flow.invited} invited, {one.flow.started} started, {one.flow.finished} finished,"
        f" {one.flow.withdrawn} withdrew, {one.flow.excluded} excluded; {one.ratings} ratings"
    )
    typer.echo("\nHow many got through each step:")
    for gate in found.gates:
        share = f"{gate.passed / gate.reached:.0%}" if gate.reached else ""
        typer.echo(f"  {gate.name:<24} {gate.passed:>5} of {gate.reached:<5} {share}")
    typer.echo("\nHow often the clips of each were rated:")
    for who, plays in found.plays.items():
        typer.echo(f"  {who:<32} {min(plays)} to {max(plays)} times, {sum(plays)} in all")
    if listeners:
        typer.echo("\nListeners:")
        for person in found.listeners:
            note = f"  excluded: {person.excluded}" if person.excluded else ""
            typer.echo(f"  {person.rater}  {person.stage:<10} {person.done}/{person.total}{note}")
    for code in done:
        typer.echo(code)


@app.command()
def export(
    name: Name,
    folder: Annotated[Path, typer.Option("--to", help="The folder to write to.")] = Path(),
    comments: Annotated[
        bool, typer.Option("--comments", help="With what people wrote; read it before sharing.")
    ] = False,
) -> None:
    """Write a closed survey's ratings as CSV, and what its columns mean as JSON."""
    from bench.files import write, write_json
    from bench.survey import admin
    from bench.survey.database.opening import open_store
    from bench.survey.export import codebook

    store = open_store()
    table = admin.export(store, name, comments)
    ratings, about = folder / f"{name}-ratings.csv", folder / f"{name}-codebook.json"
    write(ratings, table.to_csv(index=False))
    write_json(about, codebook(admin.status(store, name), list(table.columns)))
    typer.echo(f"{len(table)} ratings are in {ratings}, what the columns mean in {about}.")


@app.command()
def analyze(name: Name) -> None:
    """Say what can be concluded from a closed survey, and write the report."""
    from bench.survey.conclude import conclude
    from bench.survey.database.opening import open_store

    results, files = conclude(open_store(), name)
    if results.simulated:
        typer.echo("Simulated: nobody listened.\n")
    for study in results.studies:
        for line in [*study.conclusions, *study.lacking]:
            typer.echo(line)
    taken = " `bench board` takes the means up." if results.counts else ""
    typer.echo(f"\nThe report is {files[0]}.{taken}")


@app.command()
def power(
    systems: Annotated[int, typer.Option(min=2, help="Those who are compared, all in all.")] = 8,
    heard: Annotated[int, typer.Option(min=1, help="Clips of each that one listener hears.")] = 3,
    pairs: Annotated[int, typer.Option(min=1, help="Differences that are tested at once.")] = 1,
    pilot: Annotated[
        str, typer.Option(help="A closed survey to take the variation of ratings from.")
    ] = "",
) -> None:
    """Show which difference so many clips and listeners can find, before anybody listens."""
    from bench.survey import admin
    from bench.survey.analysis.power import from_pilot, table
    from bench.survey.database.opening import open_store

    components = from_pilot(admin.export(open_store(), pilot)) if pilot else None
    found = table(heard, systems, components, pairs)
    typer.echo(
        "The least difference in points (of 1 to 10) that is found in 4 of 5 surveys, by listeners"
        " (down) and clips per system (across):\n"
    )
    typer.echo(found.round(2).to_string())
    source = (
        f"The variation is that of '{pilot}'."
        if pilot
        else ("The variation of ratings is assumed; --pilot takes it from a closed survey.")
    )
    typer.echo(f"\n{source} More clips tell more than more listeners.")


@app.command()
def exclude(
    name: Name,
    rater: Annotated[int, typer.Argument(help="A number of `status --listeners`.")],
    reason: Annotated[str, typer.Option(help="Why; it is published.")],
) -> None:
    """Flag a listener as not to be counted. Nothing is deleted, and both analyses are shown."""
    from bench.survey import admin
    from bench.survey.database.opening import open_store

    admin.exclude(open_store(), name, rater, reason)
    typer.echo(f"Listener {rater} of '{name}' is excluded: {reason}")


@app.command("delete-participant")
def delete_participant(
    code: Annotated[
        str, typer.Option(prompt="The person's code", help="Asked for unless it is given.")
    ],
) -> None:
    """Delete everything a person said, when they ask for it."""
    from bench.survey import admin
    from bench.survey.database.opening import open_store

    admin.delete_participant(open_store(), code)
    typer.echo(
        "Everything with that code is deleted. Backups made before still hold it: delete them, or"
        " make new ones."
    )


@app.command()
def backup(
    file: Annotated[
        Path | None, typer.Argument(help="Where to. [default: backups/ beside the database]")
    ] = None,
) -> None:
    """Write everything, database and clips, into one file. It may be done at any time."""
    from bench.survey import admin
    from bench.survey.database.opening import open_store

    typer.echo(f"{admin.backup(open_store(), file)} holds everything. Keep it as private as it is.")


@app.command()
def restore(file: Annotated[Path, typer.Argument(help="What `backup` made.")]) -> None:
    """Put a backup into an empty database, of either kind."""
    from bench.survey import admin
    from bench.survey.database.opening import open_store

    store = open_store()
    admin.restore(store, file)
    names = ", ".join(one.name for one in admin.surveys(store))
    typer.echo(f"Restored: {names}. The invitation codes go on working.")


@app.command()
def password(
    hash_only: Annotated[
        bool, typer.Option("--print", help="Print the hash for $BENCH_SURVEY_ADMIN, keep nothing.")
    ] = False,
) -> None:
    """Set the password of the dashboard's admin page; without one there is no such page."""
    from bench.survey import login

    text = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    if hash_only:
        typer.echo(login.password_hash(text))
        return
    typer.echo(f"Its hash is in {login.set_password(text)}. The dashboard now has an admin page.")


@app.command()
def audit(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="A survey.")] = None,
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
        typer.Option("--run", help="A run folder. [default: human music, made worse in steps]"),
    ] = None,
    listeners: Annotated[int, typer.Option(help="How many to simulate.")] = 26,
    name: Annotated[str, typer.Option(help="What to call it.")] = "demo",
) -> None:
    """Fill a survey with simulated listeners, to see what the results look like."""
    from bench.survey.database.opening import open_store
    from bench.survey.demo import demo as fill

    made = fill(open_store(), run, listeners, _note, name)
    typer.echo(
        f"'{name}' is closed, with {made.ratings} ratings that a program made: it is marked as"
        f" simulated wherever it is shown. Its report: {Path(made.run) / 'surveys' / name}. See it"
        f" in `bench dashboard`, page Survey. `bench survey remove {name}` takes it away."
    )


def _print_json(content: Any) -> None:
    typer.echo(json.dumps(content, indent=1, default=str))
