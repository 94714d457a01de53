"""Boards and reproductions as text: cells, Markdown, LaTeX."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from bench.board.paper_claims import Answer
from bench.board.reproduce import Figure
from bench.wording import duration, number, span

LATEX = str.maketrans({"_": r"\_", "%": r"\%", "&": r"\&", "#": r"\#", "±": r"$\pm$", "–": "--"})


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
