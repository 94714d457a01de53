"""Plots of a survey's results."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from bench.board.report import Drawing, axes, drawn
from bench.survey.analysis.literature import published_ratings
from bench.survey.analysis.results import Span, Study
from bench.survey.terms import HIGHEST, LOWEST

COLOURS = {"system": "C0", "human": "C2", "anchor": "0.5"}
PANELS = 6  # metrics that are plotted against the ratings


def draw_span(
    ax: Any, span: Span, place: float, colour: str, width: float = 1.5, dot: str = "o"
) -> None:
    """Draw a value with its interval."""
    if span.low is not None and span.high is not None:
        ax.plot([span.low, span.high], [place, place], color=colour, lw=width)
    ax.plot(span.value, place, dot, color=colour)


def ratings(study: Study) -> Iterator[Drawing]:
    """Mean ratings, best on top, with both intervals."""
    rows = study.systems[::-1]
    canvas, ax = axes(height=1.2 + 0.4 * len(rows))
    for place, row in enumerate(rows):
        colour = COLOURS[row.role]
        draw_span(ax, row.rating, place, colour)
        draw_span(ax, row.naive, place - 0.25, "0.75", 1.0, ".")
        ax.plot(row.clip_means, [place + 0.2] * row.clips, "|", color=colour, alpha=0.6)
    ax.set_yticks(range(len(rows)), [row.system for row in rows])
    ax.set(xlabel="rating", xlim=(LOWEST - 0.2, HIGHEST + 0.2))
    caption = (
        "Mean rating with its 95 % interval; strokes are means of single clips. Grey: the interval"
        " as if ratings were independent, as papers report it; it is too short."
    )
    yield drawn("ratings", caption, canvas)


def scores(study: Study) -> Iterator[Drawing]:
    """How often each score was given."""
    import seaborn as sns

    rows = study.systems
    share = np.array([row.counts for row in rows], float)
    share /= share.sum(axis=1, keepdims=True)
    canvas, ax = axes(height=1 + 0.35 * len(rows))
    sns.heatmap(
        share, ax=ax, cmap="viridis", vmin=0, annot=True, fmt=".0%", annot_kws={"size": 7},
        xticklabels=list(range(LOWEST, HIGHEST + 1)), yticklabels=[row.system for row in rows],
    )  # fmt: skip
    ax.tick_params(axis="y", rotation=0)
    ax.set_xlabel("score")
    yield drawn("scores", "Share of each score.", canvas)


def believability(study: Study) -> Iterator[Drawing]:
    """Shares of clips that are taken for human."""
    rows = [row for row in study.systems if row.believable is not None][::-1]
    if not rows:
        return
    canvas, ax = axes(height=1 + 0.35 * len(rows))
    for place, row in enumerate(rows):
        if row.believable is not None:
            draw_span(ax, row.believable, place, COLOURS[row.role])
    ax.set_yticks(range(len(rows)), [row.system for row in rows])
    ax.set(xlabel="share of answers that a human could have composed the clip", xlim=(-0.02, 1.02))
    caption = "Believability with its 95 % interval, from the means of clips."
    yield drawn("believability", caption, canvas)


def pairs(study: Study) -> Iterator[Drawing]:
    """Differences of all pairs of systems."""
    import seaborn as sns

    names = [result.system for result in study.systems if result.role == "system"]
    if len(names) < 2:
        return
    table = np.full((len(names), len(names)), np.nan)
    labels = np.full(table.shape, "", dtype=object)
    for pair in study.pairs:
        for row, column, sign in ((pair.first, pair.second, 1), (pair.second, pair.first, -1)):
            at = names.index(row), names.index(column)
            table[at] = sign * pair.difference.value
            labels[at] = f"{table[at]:+.1f}{'*' if pair.significant else ''}"
    largest = max(float(np.nanmax(np.abs(table))), 0.1)
    canvas, ax = axes(height=1.5 + 0.4 * len(names))
    sns.heatmap(
        table, ax=ax, annot=labels, fmt="", cmap="RdBu", vmin=-largest, vmax=largest,
        xticklabels=names, yticklabels=names, annot_kws={"size": 8},
    )  # fmt: skip
    ax.tick_params(axis="y", rotation=0)
    caption = "Points by which the row is above the column; *: significant (5 %, Holm)."
    yield drawn("pairs", caption, canvas)


def metrics(study: Study) -> Iterator[Drawing]:
    """The agreement of metrics with listeners."""
    rows = sorted(
        (row for row in study.agreement if row.tau is not None), key=lambda row: row.tau or 0.0
    )
    if not rows:
        return
    canvas, ax = axes(height=1 + 0.28 * len(rows))
    for place, row in enumerate(rows):
        colour = "0.6" if row.verdict.startswith("inconclusive") else "C0"
        span = Span(value=row.tau or 0.0, low=row.tau_low, high=row.tau_high)
        draw_span(ax, span, place, colour)
    ax.set_yticks(range(len(rows)), [row.metric for row in rows], fontsize=8)
    ax.axvline(0, color="0.8", zorder=0)
    ax.set(xlabel="Kendall's tau with the ratings", xlim=(-1.05, 1.05))
    caption = (
        f"Agreement of metrics with listeners over {max(row.systems for row in rows)} systems. The"
        " 95 % interval includes the uncertainty of the ratings; grey: inconclusive."
    )
    yield drawn("metrics", caption, canvas)
    from matplotlib.figure import Figure as Canvas

    best = sorted(rows, key=lambda row: row.p or 1.0)[:PANELS]
    lines = -(-len(best) // 3)
    canvas = Canvas(figsize=(9, 3 * lines), layout="constrained")
    panels = canvas.subplots(lines, 3, squeeze=False, sharey=True)
    for ax in panels.flat[len(best) :]:
        ax.set_axis_off()
    for ax, row in zip(panels.flat, best, strict=False):
        for result in study.systems:
            x, rating = row.values.get(result.system), result.rating
            if x is not None:
                ax.plot([x, x], [rating.low, rating.high], color=COLOURS[result.role], lw=1)
                ax.plot(x, rating.value, "o", ms=4, color=COLOURS[result.role])
        ax.set_xlabel(f"{row.metric} ({row.direction} is better)", fontsize=8)
    panels[0, 0].set_ylabel("rating")
    caption = "Ratings by the metrics with the smallest p; green: human music."
    yield drawn("metrics-and-ratings", caption, canvas)


def papers(study: Study) -> Iterator[Drawing]:
    """Published ratings, and this survey's ratings of the same systems."""
    ours = {result.name: result for result in study.systems if result.variant != "as-published"}
    rows = published_ratings()[::-1]
    canvas, ax = axes(height=1 + 0.35 * len(rows))
    for place, row in enumerate(rows):
        draw_span(ax, Span(value=row.mean, low=row.low, high=row.high), place, "0.6", 1.0)
        if row.system in ours:
            draw_span(ax, ours[row.system].rating, place - 0.25, "C0")
    labels = [
        f"{row.system}, {row.paper} ({row.clips} clip{'s' * (row.clips > 1)})" for row in rows
    ]
    ax.set_yticks(range(len(rows)), labels, fontsize=8)
    ax.set(xlabel="rating", xlim=(LOWEST - 0.2, HIGHEST + 0.2))
    caption = (
        "Ratings in the papers (grey, with the interval as if ratings were independent) and here"
        " (blue). Music, listeners and some labels of the scale differ, so there is no test."
    )
    yield drawn("papers", caption, canvas)


PLOTS = (ratings, pairs, believability, scores, metrics, papers)


def all_plots(study: Study) -> list[Drawing]:
    """All plots of one data set."""
    return [figure for plot in PLOTS for figure in plot(study)]
