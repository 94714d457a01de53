"""Pictures of a survey's results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from bench.board.report import Figure, axes, drawn
from bench.protocol.statistics import LEVEL
from bench.survey.analysis.literature import published_ratings
from bench.survey.analysis.results import Span, Study
from bench.survey.analysis.simulation import HIGHEST, LOWEST

COLOURS = {"system": "C0", "human": "C2", "anchor": "0.5"}
PANELS = 6  # metrics that are drawn against the ratings


def bar(ax: Any, span: Span, place: float, colour: str, width: float = 1.5, dot: str = "o") -> None:
    """A figure with its interval."""
    if span.low is not None and span.high is not None:
        ax.plot([span.low, span.high], [place, place], color=colour, lw=width)
    ax.plot(span.value, place, dot, color=colour)


def ratings(study: Study) -> Iterator[Figure]:
    """Mean ratings, best on top, with the interval and the one that is too short."""
    rows = study.systems[::-1]
    canvas, ax = axes(height=1.2 + 0.4 * len(rows))
    for place, one in enumerate(rows):
        bar(ax, one.rating, place, COLOURS[one.role])
        bar(ax, one.naive, place - 0.25, "0.75", 1.0, ".")
        ax.plot(one.clip_means, [place + 0.2] * one.clips, "|", color=COLOURS[one.role], alpha=0.6)
    ax.set_yticks(range(len(rows)), [one.system for one in rows])
    ax.set(xlabel="rating", xlim=(LOWEST - 0.2, HIGHEST + 0.2))
    caption = (
        "Mean rating with its 95 % interval; strokes are single clips. In grey, the interval if"
        " ratings were independent, as papers print it: it is too short."
    )
    yield drawn("ratings", caption, canvas)


def scores(study: Study) -> Iterator[Figure]:
    """How often each score was given."""
    import seaborn as sns

    rows = study.systems
    share = np.array([one.counts for one in rows], float)
    share /= share.sum(axis=1, keepdims=True)
    canvas, ax = axes(height=1 + 0.35 * len(rows))
    sns.heatmap(
        share, ax=ax, cmap="viridis", vmin=0, annot=True, fmt=".0%", annot_kws={"size": 7},
        xticklabels=list(range(LOWEST, HIGHEST + 1)), yticklabels=[one.system for one in rows],
    )  # fmt: skip
    ax.tick_params(axis="y", rotation=0)
    ax.set_xlabel("score")
    yield drawn("scores", "Share of each score.", canvas)


def believability(study: Study) -> Iterator[Figure]:
    """Who is taken for human."""
    rows = [one for one in study.systems if one.believable is not None][::-1]
    if not rows:
        return
    canvas, ax = axes(height=1 + 0.35 * len(rows))
    for place, one in enumerate(rows):
        if one.believable is not None:
            bar(ax, one.believable, place, COLOURS[one.role])
    ax.set_yticks(range(len(rows)), [one.system for one in rows])
    ax.set(xlabel="share of answers that a human could have composed it", xlim=(-0.02, 1.02))
    caption = "Believability with its 95 % interval, from the means of clips."
    yield drawn("believability", caption, canvas)


def pairs(study: Study) -> Iterator[Figure]:
    """Which systems are better than which."""
    import seaborn as sns

    names = [one.system for one in study.systems if one.role == "system"]
    if len(names) < 2:
        return
    table = np.full((len(names), len(names)), np.nan)
    words = np.full(table.shape, "", dtype=object)
    for one in study.pairs:
        for row, column, sign in ((one.first, one.second, 1), (one.second, one.first, -1)):
            at = names.index(row), names.index(column)
            table[at] = sign * one.difference.value
            sure = one.p_holm is not None and one.p_holm < 1 - LEVEL
            words[at] = f"{table[at]:+.1f}{'*' if sure else ''}"
    most = max(float(np.nanmax(np.abs(table))), 0.1)
    canvas, ax = axes(height=1.5 + 0.4 * len(names))
    sns.heatmap(
        table, ax=ax, annot=words, fmt="", cmap="RdBu", vmin=-most, vmax=most,
        xticklabels=names, yticklabels=names, annot_kws={"size": 8},
    )  # fmt: skip
    ax.tick_params(axis="y", rotation=0)
    caption = "Points by which the row is above the column; *: beyond doubt (5 %, Holm)."
    yield drawn("pairs", caption, canvas)


def metrics(study: Study) -> Iterator[Figure]:
    """How metrics agree with listeners."""
    rows = sorted(
        (one for one in study.agreement if one.tau is not None), key=lambda one: one.tau or 0.0
    )
    if not rows:
        return
    canvas, ax = axes(height=1 + 0.28 * len(rows))
    for place, one in enumerate(rows):
        colour = "0.6" if one.verdict.startswith("inconclusive") else "C0"
        span = Span(value=one.tau or 0.0, low=one.tau_low, high=one.tau_high)
        bar(ax, span, place, colour)
    ax.set_yticks(range(len(rows)), [one.metric for one in rows], fontsize=8)
    ax.axvline(0, color="0.8", zorder=0)
    ax.set(xlabel="Kendall's tau with the ratings", xlim=(-1.05, 1.05))
    caption = (
        f"Agreement of metrics with listeners over {max(one.systems for one in rows)} systems, with"
        " the interval that knows how uncertain the ratings are; grey: inconclusive."
    )
    yield drawn("metrics", caption, canvas)
    from matplotlib.figure import Figure as Canvas

    best = sorted(rows, key=lambda one: one.p or 1.0)[:PANELS]
    lines = -(-len(best) // 3)
    canvas = Canvas(figsize=(9, 3 * lines), layout="constrained")
    panels = canvas.subplots(lines, 3, squeeze=False, sharey=True)
    for ax in panels.flat[len(best) :]:
        ax.set_axis_off()
    for ax, one in zip(panels.flat, best, strict=False):
        for system in study.systems:
            x, rating = one.values.get(system.system), system.rating
            if x is not None:
                ax.plot([x, x], [rating.low, rating.high], color=COLOURS[system.role], lw=1)
                ax.plot(x, rating.value, "o", ms=4, color=COLOURS[system.role])
        ax.set_xlabel(f"{one.metric} ({one.direction} is better)", fontsize=8)
    panels[0, 0].set_ylabel("rating")
    caption = "The metrics with the smallest p against the ratings; green: human music."
    yield drawn("metrics-and-ratings", caption, canvas)


def papers(study: Study) -> Iterator[Figure]:
    """Published ratings, and ours of the same systems."""
    ours = {one.name: one for one in study.systems if one.variant != "as-published"}
    rows = published_ratings()[::-1]
    canvas, ax = axes(height=1 + 0.35 * len(rows))
    for place, one in enumerate(rows):
        bar(ax, Span(value=one.mean, low=one.low, high=one.high), place, "0.6", 1.0)
        if one.system in ours:
            bar(ax, ours[one.system].rating, place - 0.25, "C0")
    labels = [
        f"{one.system}, {one.paper} ({one.clips} clip{'s' * (one.clips > 1)})" for one in rows
    ]
    ax.set_yticks(range(len(rows)), labels, fontsize=8)
    ax.set(xlabel="rating", xlim=(LOWEST - 0.2, HIGHEST + 0.2))
    caption = (
        "Ratings in the papers (grey, with the interval if ratings were independent) and here"
        " (blue). Other music, other listeners, partly other scale texts: no test between them."
    )
    yield drawn("papers", caption, canvas)


PARTS = (ratings, pairs, believability, scores, metrics, papers)


def figures(study: Study) -> Sequence[Figure]:
    """All pictures of one data set."""
    return [one for part in PARTS for one in part(study)]
