"""The charts of a survey's results."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from bench.survey.analysis.results import Study, SystemResult
from dashboards.charts.board import GREY, KINDS, ROW
from dashboards.views.survey import ROLES, by_rating

COLOURS = {"system": KINDS["paper"], "human": KINDS["ceiling"], "anchor": GREY}


def intervals(
    systems: list[SystemResult], figure: str, title: str, bounds: tuple[float, float], form: str
) -> alt.LayerChart:
    """One figure of every system with its interval; hollow: with nobody left out, where known."""
    spans = [(one, getattr(one, figure)) for one in systems if getattr(one, figure)]
    table = pd.DataFrame(
        [
            {
                "system": one.system,
                "what": ROLES[one.role],
                "value": span.value,
                "low": span.value if span.low is None else span.low,
                "high": span.value if span.high is None else span.high,
                "everyone": one.everyone.value if figure == "rating" else None,
                "ratings": one.ratings,
            }
            for one, span in spans
        ]
    )
    there = [role for role in ROLES if any(one.role == role for one, _ in spans)]
    colour = alt.Color(
        "what:N",
        scale=alt.Scale(domain=[ROLES[r] for r in there], range=[COLOURS[r] for r in there]),
        legend=alt.Legend(title=None, orient="top"),
    )
    axis = alt.X(
        "low:Q", title=title, scale=alt.Scale(domain=list(bounds)), axis=alt.Axis(format=form)
    )
    base = alt.Chart(table).encode(
        y=alt.Y(
            "system:N",
            sort=list(table["system"]),
            title=None,
            axis=alt.Axis(labelLimit=190, labelOverlap=False, ticks=False, domain=False),
        ),
        color=colour,
        tooltip=[
            "system:N",
            *(alt.Tooltip(f"{name}:Q", format=form) for name in ("value", "low", "high")),
            "ratings:Q",
        ],
    )
    line = base.mark_rule(strokeWidth=2).encode(x=axis, x2="high:Q")
    point = base.mark_point(filled=True, size=70, opacity=1).encode(x="value:Q")
    layers: list[Any] = [line, point]
    if figure == "rating":
        layers.append(
            base.mark_point(filled=False, size=130, shape="diamond").encode(x="everyone:Q")
        )
    return alt.layer(*layers).properties(height=ROW * len(table) + 160)


def ratings(study: Study, lowest: int = 1, highest: int = 10) -> alt.LayerChart:
    """Mean ratings."""
    title = f"mean rating, {lowest} to {highest}, 95 %"
    return intervals(by_rating(study), "rating", title, (lowest, highest), ".1f")


def believable(study: Study) -> alt.LayerChart | None:
    """Shares of "yes"."""
    there = [one for one in by_rating(study) if one.believable]
    if not there:
        return None
    title = "share of yes, 95 %"
    return intervals(there, "believable", title, (0, 1), ".0%")


def ranks(study: Study) -> alt.LayerChart | None:
    """Where each rank may really lie."""
    there = [one for one in by_rating(study) if one.rank is not None]
    if not there:
        return None
    table = pd.DataFrame(
        [
            {"system": one.system, "rank": one.rank, "low": one.rank_low, "high": one.rank_high}
            for one in there
        ]
    )
    x = {
        "title": "rank, 95 %",
        "scale": alt.Scale(domain=[1, max(len(there), 2)]),
        "axis": alt.Axis(format="d", values=list(range(1, len(there) + 1))),
    }
    base = alt.Chart(table).encode(
        y=alt.Y(
            "system:N",
            sort=list(table["system"]),
            title=None,
            axis=alt.Axis(labelLimit=190, labelOverlap=False, ticks=False, domain=False),
        ),
        tooltip=["system:N", "rank:Q", "low:Q", "high:Q"],
    )
    line = base.mark_rule(strokeWidth=8, opacity=0.35, color=KINDS["paper"]).encode(
        x=alt.X("low:Q", **x), x2="high:Q"
    )
    point = base.mark_point(filled=True, size=90, opacity=1, color=KINDS["paper"]).encode(
        x=alt.X("rank:Q", **x)
    )
    return alt.layer(line, point).properties(height=ROW * len(table) + 80)
