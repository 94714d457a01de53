"""Boards and reproductions as text: cells, Markdown, LaTeX."""

from __future__ import annotations

from collections.abc import Sequence

from bench.board.paper_claims import Answer
from bench.board.reproduce import PublishedFigure
from bench.board.rows import Group, Row
from bench.wording import duration, number, span

LATEX = str.maketrans({"_": r"\_", "%": r"\%", "&": r"\&", "#": r"\#", "±": r"$\pm$", "–": "--"})


def cells_of(row: Row, headline: Sequence[str], intervals: bool = True) -> list[str]:
    """A row of the board as people read it; without intervals the metrics are bare values."""

    def figure(name: str) -> str:
        cells = row.figure(name)
        return number(cells.value, cells.low, cells.high)

    likelihood = figure("nats_per_step")
    return [
        span(row.rank, row.rank_low, row.rank_high),
        row.name,
        row.kind,
        figure("skill"),
        f"{likelihood} {row.likelihood_kind}" if likelihood else "",
        *(figure(name) if intervals else number(row.value(name)) for name in headline),
        "" if row.train_seconds is None else duration(row.train_seconds),
        row.status,
    ]


def heads(headline: Sequence[str]) -> list[str]:
    """The heads of those columns."""
    return ["rank", "system", "kind", "skill", "nats/step", *headline, "training", "status"]


def to_markdown(groups: Sequence[Group], headline: Sequence[str]) -> str:
    """The board in Markdown."""
    lines = []
    for group in groups:
        lines += [f"### {group.heading}", "", "| " + " | ".join(heads(headline)) + " |"]
        lines.append("|" + " --- |" * len(heads(headline)))
        lines += ["| " + " | ".join(cells_of(row, headline)) + " |" for row in group.rows] + [""]
    return "\n".join(lines)


def to_latex(groups: Sequence[Group], headline: Sequence[str]) -> str:
    """The board in LaTeX, for booktabs."""
    lines = []
    for group in groups:
        lines += [
            f"% {group.heading}",
            r"\begin{tabular}{" + "r" * len(heads(headline)) + "}",
            r"\toprule",
            " & ".join(head.translate(LATEX) for head in heads(headline)) + r" \\",
            r"\midrule",
        ]
        for row in group.rows:
            cells = (cell.translate(LATEX) for cell in cells_of(row, headline))
            lines.append(" & ".join(cells) + r" \\")
        lines += [r"\bottomrule", r"\end{tabular}", ""]
    return "\n".join(lines)


CLAIM_HEADS = ("claim", "data", "by", "ours", "against", "difference", "of the budget", "answer")


FIGURE_HEADS = ("system", "figure", "data", "published", "ours", "gap", "of the budget")


READING = (
    "A claim **holds** or **does not hold** where two systems differ on the same pieces by more"
    " than chance (5 %, Holm's correction over the whole page), and each was trained three times or"
    " more. With fewer training runs it holds, or does not hold, **for these runs**: another run"
    " may differ by more than the interval, which comes from resampling pieces. Otherwise it is"
    " **not settled**, which does not prove that there is no difference. It is **not testable** where"
    " the likelihoods are of two kinds, or where the samples are of a sort that the figure cannot"
    " judge, such as one repeated key. The column *of the budget* has the share of the paper's"
    " training that was really spent, and names reduced networks, and rows that an earlier version of a"
    " system made."
)


def claim_cells(answer: Answer) -> tuple[str, ...]:
    """An answer as text, one cell per head."""
    claim, gap = answer.claim, ""
    other = "first snapshot" if claim.along == "snapshots" else claim.second
    if answer.first is not None and answer.second is not None and answer.low is not None:
        gap = number(answer.first - answer.second, answer.low, answer.high)
    return (
        claim.says,
        f"{answer.dataset}, {answer.preset}" if answer.dataset else "",
        answer.figure,
        f"{claim.first} {number(answer.first)}" if answer.first is not None else "",
        f"{other} {number(answer.second)}".strip() if answer.second is not None else "",
        gap,
        answer.shares,
        answer.verdict,
    )


def figure_cells(figure: PublishedFigure) -> tuple[str, ...]:
    """A published figure beside ours, one cell per head."""
    share = "" if figure.budget_share is None else f"{figure.budget_share:.2%}"
    return (
        figure.system,
        figure.figure,
        figure.dataset,
        figure.published,
        number(figure.ours) if figure.ours is not None else figure.note,
        "" if figure.gap is None else f"{figure.gap:+.2f}",
        f"{share} {figure.preset}".strip() if figure.ours is not None else "",
    )


def reproduction_markdown(answers: Sequence[Answer], figures: Sequence[PublishedFigure]) -> str:
    """The same as a page of documentation, paper by paper."""
    lines = [
        "# Reproduction",
        "",
        "The claims of the papers, tested on the published board, and their figures next to ours.",
        "This page is generated by `bench reproduce --all --format markdown`.",
        "",
        READING,
        "",
    ]
    for paper in dict.fromkeys(answer.claim.paper for answer in answers):
        lines += [f"## {paper}", ""]
        for claim in dict.fromkeys(a.claim for a in answers if a.claim.paper == paper):
            given = [answer for answer in answers if answer.claim == claim]
            lines += [
                f"### {claim.says}",
                "",
                f"Section {claim.section}. Published: {claim.published}.",
                "",
            ]
            if any(answer.figure for answer in given):
                heads = CLAIM_HEADS[1:]
                lines += ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
                lines += ["| " + " | ".join(claim_cells(answer)[1:]) + " |" for answer in given]
                lines.append("")
            else:
                lines += [f"**{given[0].verdict}**: {given[0].note}.", ""]
            notes = dict.fromkeys(
                filter(None, (claim.note, *(answer.note for answer in given if answer.figure)))
            )
            lines += [f"{note.rstrip('.')}." for note in notes] + ([""] if notes else [])
        published = [figure for figure in figures if figure.paper == paper]
        if published:
            lines += ["### Figures", "", "| " + " | ".join(FIGURE_HEADS) + " |"]
            lines += ["|" + " --- |" * len(FIGURE_HEADS)]
            lines += ["| " + " | ".join(figure_cells(figure)) + " |" for figure in published] + [""]
    return "\n".join(lines)
