"""Boards, comparisons, reproductions and plans as tables on a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.board.compare import Difference
from bench.board.formats import (
    CLAIM_HEADS,
    FIGURE_HEADS,
    cells_of,
    claim_cells,
    figure_cells,
    heads,
)
from bench.board.paper_claims import Answer
from bench.board.reproduce import PublishedFigure
from bench.board.rows import QUESTIONS, Group
from bench.board.skills import LEFT_OUT
from bench.board.verify import Depth, Verification
from bench.engines.schedule import Schedule
from bench.jobs.plan import Planned
from bench.wording import duration, number

WIDE = 130  # columns of a terminal that shows the questions of the skill too


def print_board(
    console: Console,
    groups: Sequence[Group],
    headline: Sequence[str],
    lost: Collection[str] = (),
) -> None:
    """The board on a terminal, one table per data set, preset and protocol.

    A narrow terminal has no room for the questions behind the skill. Headline metrics that `lost` a
    property required of them are named below.
    """
    wide = console.width >= WIDE
    for group in groups:
        asked = [question for question in QUESTIONS if _answered(group, question)]
        shown = [f"skill_{question}" for question in asked] if wide else []
        table = Table(
            title=group.heading, title_justify="left", title_style="bold", header_style="bold"
        )
        for place, head in enumerate(heads(shown)):
            left = place in (1, 2, len(shown) + 6)
            table.add_column(
                head.removeprefix("skill_"),
                justify="left" if left else "right",
                no_wrap=place in (0, 1),
            )
        for row in group.rows:
            style = "dim" if row.is_scale else "red" if row.failure or row.copying else None
            table.add_row(*cells_of(row, shown, intervals=False), style=style)
        console.print(table)
    if not wide:
        console.print("`bench board --format csv` has every figure; `bench dashboard` shows them.")
    if doubtful := [name for name in headline if name in lost]:
        console.print(
            f"{', '.join(doubtful)} lost a property required of a metric (`bench validate`): trust it,"
            " and the skill that holds it, less.",
            highlight=False,
        )
    rows = [row for group in groups for row in group.rows]
    for note in dict.fromkeys(
        row.skill_note for row in rows if row.skill_note and row.skill is None
    ):
        console.print(f"No skill where {note}.", highlight=False)
    for group in groups:
        notes = [note for row in group.rows for note in row.skill_note.split("; ")]
        for note in dict.fromkeys(note for note in notes if LEFT_OUT in note):
            console.print(f"{group.title}: {note}.", highlight=False)
    for row in rows:
        if row.failure:
            console.print(f"[red]{row.system}[/] on {row.dataset}: {row.failure}", highlight=False)
        if row.copying:
            console.print(
                f"[red]{row.system}[/] on {row.dataset} copies: {row.copying}.", highlight=False
            )


def _answered(group: Group, question: str) -> bool:
    """Whether any row has a skill by the question."""
    return any(getattr(row, f"skill_{question}") is not None for row in group.rows)


def print_differences(
    console: Console, title: str, first: str, second: str, differences: Sequence[Difference]
) -> None:
    """Two systems' figures side by side, with the paired difference."""
    table = Table(title=title, title_justify="left", title_style="bold", header_style="bold")
    for head in ("figure", first, second, "difference", "p", "better"):
        table.add_column(head, justify="left" if head in ("figure", "better") else "right")
    for each in differences:
        difference = number(each.difference, each.low, each.high)
        p = "< 0.001" if each.p < 0.001 else f"{each.p:.3f}"
        cells = (each.figure, number(each.first), number(each.second), difference, p, each.better)
        table.add_row(*cells, style=None if each.better else "dim")
    console.print(table)


def print_reproduction(
    console: Console, answers: Sequence[Answer], figures: Sequence[PublishedFigure]
) -> None:
    """Claims with their answers, then published figures beside ours."""
    claims = Table(title="What the papers claim", title_justify="left", header_style="bold")
    for head in CLAIM_HEADS:
        claims.add_column(head)
    for answer in answers:
        settled = answer.verdict.startswith(("holds", "does not hold"))
        claims.add_row(*claim_cells(answer), style=None if settled else "dim")
    console.print(claims)
    beside = Table(title="Their figures beside ours", title_justify="left", header_style="bold")
    for head in FIGURE_HEADS:
        beside.add_column(head, justify="right" if head in FIGURE_HEADS[3:] else "left")
    for figure in figures:
        beside.add_row(*figure_cells(figure), style=None if figure.ours is not None else "dim")
    console.print(beside)


def print_verification(
    console: Console,
    errors: Console,
    result: Verification,
    depth: Depth,
    file: Path,
    source: Path | None,
) -> None:
    """One line per problem on `errors`; then what was computed again, and what was not."""
    for line in result.problems:
        errors.print(line, style="red", highlight=False)

    def say(text: str) -> None:
        console.print(text, highlight=False, soft_wrap=True)

    if not result.problems:
        how = f"rebuilt from {source}" if result.rebuilt else "schema and hashes only"
        say(f"All {result.rows} rows of {file} hold ({how}).")
    if not result.rebuilt:
        say("Nothing was scored again: there is no archive beside it. --out RUNS names its jobs.")
        return
    chosen = "" if depth.every else f", chosen with --seed {depth.seed}"
    say(
        f"Scored again from the samples: {result.metrics} scores of {result.rescored} of"
        f" {result.rows} rows{chosen}."
    )
    if result.rescored < result.rows:
        say(
            f"A single forged row among the {result.rows} is found with a chance of"
            f" {result.chance:.0%}; --all scores every row again."
        )
    for what, jobs in sorted(result.as_reported.items()):
        say(f"As reported: {what} ({jobs} job{'s' if jobs > 1 else ''}).")
    say(
        "As reported in all rows: costs, hardware, dates, curves, snapshots and listeners' ratings."
    )


def print_plan(console: Console, planned: Sequence[Planned]) -> None:
    """Every job of a plan with what it is expected to take."""
    table = Table(header_style="bold")
    for head in ("system", "data", "seed", "state"):
        table.add_column(head)
    for head in ("time", "memory", "disk"):
        table.add_column(head, justify="right")
    for job in planned:
        published = " (as published)" if job.job.variant == "as-published" else ""
        table.add_row(
            job.job.system + published,
            job.job.dataset,
            str(job.job.seed),
            job.state,
            "" if job.done else duration(job.seconds),
            "" if job.done else f"{job.memory_mb} MB",
            "" if job.done else f"{job.disk_mb} MB",
            style="dim" if job.done else None,
        )
    console.print(table)


def summary(planned: Sequence[Planned], forecast: Schedule[Planned]) -> str:
    """A plan in one sentence."""
    left = [job for job in planned if not job.done]
    done = len(planned) - len(left)
    if not left:
        return f"All {len(planned)} jobs are done already."
    again = sum(job.state not in ("new", "rescore") for job in left)
    of_all = f" of {len(planned)}" if done else ""
    parts = [f"{len(left)}{of_all} job{'s' * (len(planned) != 1)} to run"]
    if again:
        parts.append(f"{again} of them begun before")
    parts.append(f"about {duration(forecast.makespan)} with {forecast.slots} at a time")
    memory = sum(sorted((job.memory_mb for job in left), reverse=True)[: forecast.slots])
    parts.append(f"{memory / 1024:.1f} GB of memory")
    parts.append(f"{sum(job.disk_mb for job in left)} MB of disk")
    return ", ".join(parts) + "."


def seeds(planned: Sequence[Planned]) -> str:
    """How many seeds the systems of a plan have, in one sentence."""
    of_system: dict[tuple[str, str, str], set[int]] = {}
    for each in planned:
        job = each.job
        of_system.setdefault((job.system, job.variant, job.dataset), set()).add(job.seed)
    counts = Counter(len(seeds) for seeds in of_system.values())
    parts = [
        f"{count} seed{'s' * (count != 1)} of {systems} system{'s' * (systems != 1)}"
        for count, systems in sorted(counts.items(), reverse=True)
    ]
    dear = " (these take longer; --seeds sets as many for all)" if len(counts) > 1 else ""
    return f"{' and '.join(parts)}{dear}."


def warnings(planned: Sequence[Planned], minutes: float) -> list[str]:
    """What to know of a plan's times before it runs: jobs past their limit, times never measured."""
    left = [job for job in planned if not job.done]
    warnings_ = []
    if late := [job for job in left if job.seconds > 60 * minutes]:
        longest = max(late, key=lambda job: job.seconds)
        warnings_.append(
            f"{len(late)} of them {'is' if len(late) == 1 else 'are'} expected to outlast the"
            f" {minutes:g} minutes that a job may take, {longest.job.system} the most:"
            f" {duration(longest.seconds)}. Allow more with --timeout; what a job has learnt by"
            " then is kept, and the same command goes on from there."
        )
    if any(job.job.device == "cuda" and not job.measured for job in left):
        warnings_.append(
            "Of these jobs on a GPU the time is a guess until the first of them have ended."
        )
    return warnings_


def costs(forecast: Schedule[Planned], price: float | None) -> str:
    """What a plan takes of the devices, what that costs, and what stops it from ending sooner."""
    gpus = any(place.gpu for place in forecast.places)
    devices = len(forecast.places) if gpus else forecast.slots
    hours = devices * forecast.makespan / 3600
    what = "GPU" if gpus else "processor"
    paid = f" ({hours * price:.2f} at {price:g} each)" if price is not None else ""
    path = [
        f"{job.work.job.id.rpartition('.')[0]} ({duration(job.ended - job.begun)})"
        for job in forecast.critical_path
    ]
    shown = path if len(path) <= 4 else [*path[:2], f"{len(path) - 3} more", path[-1]]
    return (
        f"{devices} {what}{'s' * (devices != 1)} for {duration(forecast.makespan)}:"
        f" {hours:.2f} {what} hours{paid}, in use {forecast.busy:.0%} of the time."
        f" What bounds it: {forecast.bound}. Critical path: {', then '.join(shown)}."
    )
