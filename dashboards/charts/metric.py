"""The charts of metrics: how they agree with each other, with damage to music, and with listeners."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from dashboards.charts.board import GREY, SERIES, Layers


def correlations(table: pd.DataFrame) -> Layers:
    """A matrix of rank correlations; columns: one, other, rho."""
    names = list(dict.fromkeys(table["one"]))
    base = alt.Chart(table).encode(
        x=alt.X("one:N", sort=names, title=None, axis=alt.Axis(labelAngle=-45, labelLimit=200)),
        y=alt.Y(
            "other:N", sort=names, title=None, axis=alt.Axis(labelLimit=200, labelOverlap=False)
        ),
        tooltip=["one:N", "other:N", alt.Tooltip("rho:Q", format=".2f", title="correlation")],
    )
    cells = base.mark_rect().encode(color=signed("rho", "correlation"))
    texts = base.mark_text(fontSize=10, color="white").encode(text=alt.Text("rho:Q", format=".1f"))
    return alt.layer(cells, texts).properties(height=28 * len(names) + 210)


def ladders(table: pd.DataFrame) -> Layers:
    """What each metric sees; columns: metric, ladder, monotone, detected."""
    names = list(dict.fromkeys(table["metric"]))
    base = alt.Chart(table).encode(
        x=alt.X("ladder:N", sort=None, title=None, axis=alt.Axis(labelAngle=-45, labelLimit=200)),
        y=alt.Y(
            "metric:N", sort=names, title=None, axis=alt.Axis(labelLimit=200, labelOverlap=False)
        ),
        tooltip=["metric:N", "ladder:N", alt.Tooltip("monotone:Q", format=".2f"), "detected:N"],
    )
    cells = base.mark_rect().encode(color=signed("monotone", "gets worse along with the music"))
    texts = base.mark_text(fontSize=10, color="white").encode(text="detected:N")
    return alt.layer(cells, texts).properties(height=24 * len(names) + 190)


def signed(name: str, title: str) -> alt.Color:
    """The colour of a figure from -1 to 1."""
    return alt.Color(
        f"{name}:Q",
        scale=alt.Scale(
            domain=[-1, 0, 1], range=["#c9510c", "#8b949e", "#1f6feb"], interpolate="rgb"
        ),
        legend=alt.Legend(title=title, orient="top", titleLimit=300),
    )


def agreement(table: pd.DataFrame) -> Layers:
    """Kendall's tau of metrics with ratings; columns: metric, tau, low, high, sure, verdict."""
    y = alt.Y(
        "metric:N",
        sort=list(table["metric"]),
        title=None,
        axis=alt.Axis(labelLimit=220, labelOverlap=False, ticks=False, domain=False),
    )
    colour = alt.Color(
        "sure:N",
        scale=alt.Scale(domain=["beyond doubt", "inconclusive"], range=[SERIES[0], GREY]),
        legend=alt.Legend(title=None, orient="top"),
    )
    tips: list[Any] = ["metric:N", alt.Tooltip("tau:Q", format=".2f"), "verdict:N"]
    base = alt.Chart(table).encode(y=y, color=colour, tooltip=tips)
    scale = alt.Scale(domain=[-1, 1])
    zero = alt.Chart(pd.DataFrame({"at": [0.0]})).mark_rule(color=GREY).encode(x="at:Q")
    line = base.mark_rule(strokeWidth=2).encode(
        x=alt.X("low:Q", scale=scale, title="Kendall's tau with the ratings"), x2="high:Q"
    )
    point = base.mark_point(filled=True, size=70, opacity=1).encode(x="tau:Q")
    return alt.layer(zero, line, point).properties(height=22 * len(table) + 110)


def rated(table: pd.DataFrame, metric: str) -> Layers:
    """Ratings against a metric; columns: system, value, rating, low, high."""
    room = alt.Scale(zero=False, padding=60)  # pixels, for the names
    x = alt.X("value:Q", title=metric, scale=room)
    tips: list[Any] = [
        "system:N",
        alt.Tooltip("value:Q", format=".3f"),
        alt.Tooltip("rating:Q", format=".2f"),
    ]
    base = alt.Chart(table).encode(x=x, tooltip=tips)
    scale = alt.Scale(zero=False)
    line = base.mark_rule(color=SERIES[0]).encode(
        y=alt.Y("low:Q", title="mean rating", scale=scale), y2="high:Q"
    )
    point = base.mark_point(filled=True, size=70, opacity=1, color=SERIES[0]).encode(y="rating:Q")
    names = base.mark_text(align="left", dx=7, color=GREY).encode(y="rating:Q", text="system:N")
    return alt.layer(line, point, names).properties(height=320)
