"""Boards and plans as tables for people: on a terminal, in Markdown, in LaTeX."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import groupby
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.claims import Answer
from bench.compare import Difference
from bench.plan import Planned
from bench.progress import duration
from bench.reproduce import Figure
from bench.schedule import Schedule

WIDE = 150  # columns of a terminal that shows the metrics too
LATEX = str.maketrans({"_": r"\_", "%": r"\%", "&": r"\&", "#": r"\#", "±": r"$\pm$", "–": "--"})


def number(value: float | None, low: float | None = None, high: float | None = None) -> str:
    """A figure with its interval; empty for none."""
    if value is None:
        return ""
    digits = 3 if abs(value) < 1 else 2
    if low is None or high is None:
        return f"{value:.{digits}f}"
    return f"{value:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def span(rank: int | None, low: int | None, high: int | None) -> str:
    """A rank with the interval of the place."""
    return "" if rank is None else f"{rank}" if low == high else f"{rank} ({low}–{high})"


def cells_of(row: Mapping[str, Any], headline: Sequence[str], intervals: bool = True) -> list[str]:
    """A row of the board as people read it; without intervals the metrics are bare figures."""

    def figure(name: str) -> str:
        return number(row.get(name), row.get(f"{name}_low"), row.get(f"{name}_high"))

    likelihood = figure("nats_per_step")
    system = row["system"] + (" (as published)" if row["variant"] == "as-published" else "")
    return [
        span(row["rank"], row["rank_low"], row["rank_high"]),
        system,
        row["kind"],
        figure("skill"),
        f"{likelihood} {row['likelihood_kind']}" if likelihood else "",
        *(figure(name) if intervals else number(row.get(name)) for name in headline),
        "" if row["train_seconds"] is None else duration(row["train_seconds"]),
        row["status"],
    ]


def heads(headline: Sequence[str]) -> list[str]:
    """The heads of those columns."""
    return ["rank", "system", "kind", "skill", "nats/step", *headline, "training", "status"]


def title_of(row: Mapping[str, Any]) -> str:
    """What the rows of one table share."""
    prompted = "continuing one bar" if row["prompted"] else "from nothing"
    return f"{row['dataset']} · {row['preset']} · {row['pieces']} samples of {row['steps']} steps, {prompted}"


def grouped(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[Mapping[str, Any]]]]:
    """Rows by what they share, in their order."""
    return [(title, list(members)) for title, members in groupby(rows, key=title_of)]


def print_board(
    console: Console,
    rows: Sequence[Mapping[str, Any]],
    headline: Sequence[str],
    lost: Collection[str] = (),
) -> None:
    """The board on a terminal, one table per data set, preset and protocol.

    A narrow terminal has no room for the metrics behind the skill. Metrics that `lost` a property
    required of them are grey, with a star.
    """
    wide = console.width >= WIDE
    shown = headline if wide else ()
    for title, members in grouped(rows):
        table = Table(title=title, title_justify="left", title_style="bold", header_style="bold")
        for place, head in enumerate(heads(shown)):
            left = place in (1, 2, len(shown) + 6)
            table.add_column(
                f"{head} *" if head in lost else head,
                justify="left" if left else "right",
                no_wrap=place in (0, 1),
                style="bright_black" if head in lost else None,
            )
        for row in members:
            style = (
                "dim" if row["kind"] in ("floor", "ceiling") else "red" if row["failure"] else None
            )
            table.add_row(*cells_of(row, shown, intervals=False), style=style)
        console.print(table)
    if not wide:
        console.print("`bench board --format csv` has every figure; `bench dashboard` shows them.")
    if doubtful := [name for name in headline if name in lost]:
        console.print(
            f"* {', '.join(doubtful)} lost a property required of a metric (`bench validate`): trust"
            " it, and the skill that holds it, less.",
            highlight=False,
        )
    for note in dict.fromkeys(row.get("skill_note") for row in rows if row.get("skill_note")):
        console.print(f"No skill where {note}.", highlight=False)
    for row in rows:
        if row["failure"]:
            console.print(
                f"[red]{row['system']}[/] on {row['dataset']}: {row['failure']}", highlight=False
            )


def to_markdown(rows: Sequence[Mapping[str, Any]], headline: Sequence[str]) -> str:
    """The board in Markdown."""
    out = []
    for title, members in grouped(rows):
        out += [f"### {title}", "", "| " + " | ".join(heads(headline)) + " |"]
        out.append("|" + " --- |" * len(heads(headline)))
        out += ["| " + " | ".join(cells_of(row, headline)) + " |" for row in members] + [""]
    return "\n".join(out)


def to_latex(rows: Sequence[Mapping[str, Any]], headline: Sequence[str]) -> str:
    """The board in LaTeX, for booktabs."""
    out = []
    for title, members in grouped(rows):
        out += [
            f"% {title}",
            r"\begin{tabular}{" + "r" * len(heads(headline)) + "}",
            r"\toprule",
            " & ".join(head.translate(LATEX) for head in heads(headline)) + r" \\",
            r"\midrule",
        ]
        for row in members:
            cells = (cell.translate(LATEX) for cell in cells_of(row, headline))
            out.append(" & ".join(cells) + r" \\")
        out += [r"\bottomrule", r"\end{tabular}", ""]
    return "\n".join(out)


def print_differences(
    console: Console, title: str, first: str, second: str, differences: Sequence[Difference]
) -> None:
    """Two systems' figures side by side, with the paired difference."""
    table = Table(title=title, title_justify="left", title_style="bold", header_style="bold")
    for head in ("figure", first, second, "difference", "p", "better"):
        table.add_column(head, justify="left" if head in ("figure", "better") else "right")
    for one in differences:
        difference = number(one.difference, one.low, one.high)
        p = "< 0.001" if one.p < 0.001 else f"{one.p:.3f}"
        cells = (one.figure, number(one.first), number(one.second), difference, p, one.better)
        table.add_row(*cells, style=None if one.better else "dim")
    console.print(table)


CLAIM_HEADS = ("claim", "data", "by", "ours", "against", "difference", "of the budget", "answer")
FIGURE_HEADS = ("system", "figure", "data", "published", "ours", "gap", "of the budget")


READING = (
    "A claim **holds** or **does not hold** where two systems differ on the same pieces beyond"
    " chance (5 %, after Holm over the whole page). It is **not settled** where they do not:"
    " that is no proof that there is no difference. Intervals come from resampling pieces and"
    " seeds; with one seed the luck of training is not in them. A system that spent a small"
    " share of the paper's budget, or whose network was reduced, answers for what it is: the"
    " column says so."
)


def claim_cells(one: Answer) -> tuple[str, ...]:
    """An answer as text, one cell per head."""
    gap = ""
    if one.first is not None and one.second is not None and one.low is not None:
        gap = number(one.first - one.second, one.low, one.high)
    return (
        one.claim.says,
        f"{one.dataset}, {one.preset}" if one.dataset else "",
        one.figure,
        f"{one.claim.first} {number(one.first)}" if one.first is not None else "",
        f"{one.claim.second} {number(one.second)}".strip() if one.second is not None else "",
        gap,
        one.shares,
        one.verdict + (", one seed" if one.seeds == 1 else ""),
    )


def figure_cells(one: Figure) -> tuple[str, ...]:
    """A published figure beside ours, one cell per head."""
    share = "" if one.budget_share is None else f"{one.budget_share:.2%}"
    return (
        one.system,
        one.figure,
        one.dataset,
        one.published,
        number(one.ours) if one.ours is not None else one.note,
        "" if one.gap is None else f"{one.gap:+.2f}",
        f"{share} {one.preset}".strip() if one.ours is not None else "",
    )


def print_reproduction(
    console: Console, answers: Sequence[Answer], figures: Sequence[Figure]
) -> None:
    """Claims with their answers, then published figures beside ours."""
    claims = Table(title="What the papers claim", title_justify="left", header_style="bold")
    for head in CLAIM_HEADS:
        claims.add_column(head)
    for one in answers:
        settled = one.verdict in ("holds", "does not hold")
        claims.add_row(*claim_cells(one), style=None if settled else "dim")
    console.print(claims)
    beside = Table(title="Their figures beside ours", title_justify="left", header_style="bold")
    for head in FIGURE_HEADS:
        beside.add_column(head, justify="right" if head in FIGURE_HEADS[3:] else "left")
    for figure in figures:
        beside.add_row(*figure_cells(figure), style=None if figure.ours is not None else "dim")
    console.print(beside)


def reproduction_markdown(answers: Sequence[Answer], figures: Sequence[Figure]) -> str:
    """The same as a page of documentation, paper by paper."""
    out = [
        "# Reproduction",
        "",
        "What the papers claim, put to the published board, and their figures beside ours.",
        "This page is made by `bench reproduce --all --format markdown`.",
        "",
        READING,
        "",
    ]
    for paper in dict.fromkeys(one.claim.paper for one in answers):
        out += [f"## {paper}", ""]
        for claim in dict.fromkeys(one.claim for one in answers if one.claim.paper == paper):
            mine = [one for one in answers if one.claim == claim]
            out += [
                f"### {claim.says}",
                "",
                f"Section {claim.section}. Published: {claim.published}.",
                "",
            ]
            if any(one.figure for one in mine):
                heads = CLAIM_HEADS[1:]
                out += ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
                out += ["| " + " | ".join(claim_cells(one)[1:]) + " |" for one in mine] + [""]
            else:
                out += [f"**{mine[0].verdict}**: {mine[0].note}.", ""]
            notes = dict.fromkeys(
                filter(None, (claim.note, *(one.note for one in mine if one.figure)))
            )
            out += [f"{note.rstrip('.')}." for note in notes] + ([""] if notes else [])
        theirs = [one for one in figures if one.paper == paper]
        if theirs:
            out += ["### Figures", "", "| " + " | ".join(FIGURE_HEADS) + " |"]
            out += ["|" + " --- |" * len(FIGURE_HEADS)]
            out += ["| " + " | ".join(figure_cells(one)) + " |" for one in theirs] + [""]
    return "\n".join(out)


def print_plan(console: Console, planned: Sequence[Planned]) -> None:
    """Every job of a plan with what it is expected to take."""
    table = Table(header_style="bold")
    for head in ("system", "data", "seed", "state"):
        table.add_column(head)
    for head in ("time", "memory", "disk"):
        table.add_column(head, justify="right")
    for one in planned:
        published = " (as published)" if one.job.variant == "as-published" else ""
        table.add_row(
            one.job.system + published,
            one.job.dataset,
            str(one.job.seed),
            one.state,
            "" if one.done else duration(one.seconds),
            "" if one.done else f"{one.memory_mb} MB",
            "" if one.done else f"{one.disk_mb} MB",
            style="dim" if one.done else None,
        )
    console.print(table)


def summary(planned: Sequence[Planned], forecast: Schedule[Planned]) -> str:
    """A plan in one sentence."""
    left = [one for one in planned if not one.done]
    done = len(planned) - len(left)
    if not left:
        return f"All {len(planned)} jobs are done already."
    again = sum(one.state not in ("new", "rescore") for one in left)
    of_all = f" of {len(planned)}" if done else ""
    parts = [f"{len(left)}{of_all} job{'s' * (len(planned) != 1)} to run"]
    if again:
        parts.append(f"{again} of them begun before")
    parts.append(f"about {duration(forecast.makespan)} with {forecast.slots} at a time")
    memory = sum(sorted((one.memory_mb for one in left), reverse=True)[: forecast.slots])
    parts.append(f"{memory / 1024:.1f} GB of memory")
    parts.append(f"{sum(one.disk_mb for one in left)} MB of disk")
    return ", ".join(parts) + "."


def warnings(planned: Sequence[Planned], minutes: float) -> list[str]:
    """What to know of a plan's times before it runs: jobs past their limit, times never measured."""
    left = [one for one in planned if not one.done]
    told = []
    if late := [one for one in left if one.seconds > 60 * minutes]:
        longest = max(late, key=lambda one: one.seconds)
        told.append(
            f"{len(late)} of them {'is' if len(late) == 1 else 'are'} expected to outlast the"
            f" {minutes:g} minutes that a job may take, {longest.job.system} the most:"
            f" {duration(longest.seconds)}. Allow more with --timeout; what a job has learnt by"
            " then is kept, and the same command goes on from there."
        )
    if any(one.job.device == "cuda" and not one.measured for one in left):
        told.append(
            "Of these jobs on a GPU the time is a guess until the first of them have ended."
        )
    return told


def costs(forecast: Schedule[Planned], price: float | None) -> str:
    """What a plan takes of the devices, what that costs, and what stops it from ending sooner."""
    gpus = any(place.gpu for place in forecast.places)
    devices = len(forecast.places) if gpus else forecast.slots
    hours = devices * forecast.makespan / 3600
    what = "GPU" if gpus else "processor"
    paid = f" ({hours * price:.2f} at {price:g} each)" if price is not None else ""
    path = [
        f"{one.work.job.id.rpartition('.')[0]} ({duration(one.ended - one.begun)})"
        for one in forecast.critical_path
    ]
    shown = path if len(path) <= 4 else [*path[:2], f"{len(path) - 3} more", path[-1]]
    return (
        f"{devices} {what}{'s' * (devices != 1)} for {duration(forecast.makespan)}:"
        f" {hours:.2f} {what} hours{paid}, in use {forecast.busy:.0%} of the time."
        f" What bounds it: {forecast.bound}. Critical path: {', then '.join(shown)}."
    )
