"""The charts of a survey's results."""

from __future__ import annotations

from typing import Literal

import altair as alt
import pandas as pd

from bench.survey.analysis.results import Study, SystemResult
from bench.survey.terms import HIGHEST, LOWEST, Role
from dashboards.charts.board import GREY, KINDS, ROW
from dashboards.views.survey import ROLES, by_rating

COLOURS: dict[Role, str] = {"system": KINDS["paper"], "human": KINDS["ceiling"], "anchor": GREY}


def systems_axis(table: pd.DataFrame) -> alt.Y:
    """The vertical axis: the systems in the table's order."""
    return alt.Y(
        "system:N",
        sort=list(table["system"]),
        title=None,
        axis=alt.Axis(labelLimit=190, labelOverlap=False, ticks=False, domain=False),
    )


def intervals(
    systems: list[SystemResult],
    field: Literal["rating", "believable"],
    title: str,
    bounds: tuple[float, float],
    number_format: str,
) -> alt.LayerChart:
    """A field of every system with its interval; of ratings also the one without screening."""
    rows, roles = [], set()
    for result in systems:
        span = result.rating if field == "rating" else result.believable
        if span is None:
            continue
        roles.add(result.role)
        rows.append(
            {
                "system": result.system,
                "role": ROLES[result.role],
                "value": span.value,
                "low": span.value if span.low is None else span.low,
                "high": span.value if span.high is None else span.high,
                "everyone": result.everyone.value if field == "rating" else None,
                "ratings": result.ratings,
            }
        )
    table = pd.DataFrame(rows)
    shown = [role for role in ROLES if role in roles]
    colour = alt.Color(
        "role:N",
        scale=alt.Scale(
            domain=[ROLES[role] for role in shown], range=[COLOURS[role] for role in shown]
        ),
        legend=alt.Legend(title=None, orient="top"),
    )
    x = alt.X(
        "low:Q",
        title=title,
        scale=alt.Scale(domain=list(bounds)),
        axis=alt.Axis(format=number_format),
    )
    base = alt.Chart(table).encode(
        y=systems_axis(table),
        color=colour,
        tooltip=[
            "system:N",
            *(alt.Tooltip(f"{name}:Q", format=number_format) for name in ("value", "low", "high")),
            "ratings:Q",
        ],
    )
    layers = [
        base.mark_rule(strokeWidth=2).encode(x=x, x2="high:Q"),
        base.mark_point(filled=True, size=70, opacity=1).encode(x="value:Q"),
    ]
    if field == "rating":
        layers.append(
            base.mark_point(filled=False, size=130, shape="diamond").encode(x="everyone:Q")
        )
    return alt.LayerChart(layer=layers).properties(height=ROW * len(table) + 160)


def ratings(study: Study) -> alt.LayerChart:
    """Mean ratings with their intervals."""
    title = f"mean rating, {LOWEST} to {HIGHEST}, 95 %"
    return intervals(by_rating(study), "rating", title, (LOWEST, HIGHEST), ".1f")


def believable(study: Study) -> alt.LayerChart | None:
    """Shares of yes with their intervals; None where nobody was asked."""
    asked = [result for result in by_rating(study) if result.believable]
    if not asked:
        return None
    return intervals(asked, "believable", "share of yes, 95 %", (0, 1), ".0%")


def ranks(study: Study) -> alt.LayerChart | None:
    """Ranks with their intervals; None where nothing is ranked."""
    ranked = [result for result in by_rating(study) if result.rank is not None]
    if not ranked:
        return None
    table = pd.DataFrame(
        [
            {
                "system": result.system,
                "rank": result.rank,
                "low": result.rank_low,
                "high": result.rank_high,
            }
            for result in ranked
        ]
    )

    def x(field: str) -> alt.X:
        return alt.X(
            field,
            title="rank, 95 %",
            scale=alt.Scale(domain=[1, max(len(ranked), 2)]),
            axis=alt.Axis(format="d", values=list(range(1, len(ranked) + 1))),
        )

    base = alt.Chart(table).encode(
        y=systems_axis(table), tooltip=["system:N", "rank:Q", "low:Q", "high:Q"]
    )
    colour = KINDS["paper"]
    line = base.mark_rule(strokeWidth=8, opacity=0.35, color=colour).encode(
        x=x("low:Q"), x2="high:Q"
    )
    point = base.mark_point(filled=True, size=90, opacity=1, color=colour).encode(x=x("rank:Q"))
    return alt.LayerChart(layer=[line, point]).properties(height=ROW * len(table) + 80)
