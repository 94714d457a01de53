"""The charts of one system: how it learns, what it learnt, where its music lies."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import pandas as pd

from dashboards.charts.board import GREY, SERIES, Layers
from dashboards.views.job import CurvePoint


def curves(points: Sequence[CurvePoint], title: str) -> alt.Chart:
    """Training curves, a line per curve and seed."""
    table = pd.DataFrame(points)
    table["curve"] = table["curve"].str.replace("_", " ")
    few = table.groupby(["curve", "seed"]).size().min() < 30  # a line needs two points
    chart: alt.Chart = (
        alt.Chart(table)
        .mark_line(strokeWidth=1.5, point=alt.OverlayMarkDef(size=20) if few else False)
        .encode(
            x=alt.X("step:Q", title="updates"),
            y=alt.Y("value:Q", title=title, scale=alt.Scale(zero=False)),
            color=alt.Color(
                "curve:N",
                scale=alt.Scale(range=SERIES),
                legend=alt.Legend(title=None, orient="top"),
            ),
            detail="seed:N",
            tooltip=["curve:N", "seed:N", "step:Q", alt.Tooltip("value:Q", format=".4f")],
        )
        .properties(height=300)
    )
    return chart


def trajectory(table: pd.DataFrame, title: str) -> alt.Chart:
    """A figure at points through training, a line per seed; columns: seed, update, value."""
    chart: alt.Chart = (
        alt.Chart(table)
        .mark_line(point=alt.OverlayMarkDef(size=60), strokeWidth=2)
        .encode(
            x=alt.X("update:Q", title="updates"),
            y=alt.Y("value:Q", title=title, scale=alt.Scale(zero=False)),
            color=alt.Color(
                "seed:N",
                scale=alt.Scale(range=SERIES),
                legend=alt.Legend(title="seed", orient="top")
                if table["seed"].nunique() > 1
                else None,
            ),
            tooltip=["seed:N", "update:Q", alt.Tooltip("value:Q", format=".4f")],
        )
        .properties(height=260)
    )
    return chart


def scatter(table: pd.DataFrame, real: str, titles: tuple[str, str]) -> Layers:
    """Windows of music on two axes; columns: x, y, whose. The real music lies behind."""
    axes = {
        "x": alt.X("x:Q", title=titles[0], scale=alt.Scale(zero=False)),
        "y": alt.Y("y:Q", title=titles[1], scale=alt.Scale(zero=False)),
        "tooltip": ["whose:N"],
    }
    whose = list(dict.fromkeys(table["whose"]))
    colour = alt.Color(
        "whose:N",
        scale=alt.Scale(domain=whose, range=[GREY if w == real else SERIES[0] for w in whose]),
        legend=alt.Legend(title=None, orient="top", symbolOpacity=1),
    )
    behind = (
        alt.Chart(table[table["whose"] == real])
        .mark_circle(size=25, opacity=0.6)
        .encode(color=colour, **axes)
    )
    before = (
        alt.Chart(table[table["whose"] != real])
        .mark_circle(size=35, opacity=0.8)
        .encode(color=colour, **axes)
    )
    return alt.layer(behind, before).properties(height=420)


def embedding(table: pd.DataFrame, named: int) -> Layers:
    """Vectors on two axes without a meaning; columns: x, y, label, place, low (lowest note), state.

    Keys that go down are circles, keys that go up are crosses.
    """
    axis = alt.Axis(labels=False, ticks=False, domain=False, grid=False, title=None)
    x = alt.X("x:Q", axis=axis, scale=alt.Scale(zero=False))
    y = alt.Y("y:Q", axis=axis, scale=alt.Scale(zero=False))
    base = alt.Chart(table).encode(x=x, y=y)
    lowest, highest = table["low"].min(), table["low"].max()
    octaves = [key for key in range(24, 109, 12) if lowest <= key <= highest]  # the notes C
    colour = alt.Color(
        "low:Q",
        scale=alt.Scale(range=["#8250df", "#2f81f7", "#2da44e", "#d29922"]),
        legend=alt.Legend(
            title="lowest note",
            orient="top",
            values=octaves,
            labelExpr="'C' + (datum.value / 12 - 1)",
            gradientLength=260,
        ),
    )
    points = base.mark_point(size=45, opacity=0.8, filled=True)
    if table["state"].any():
        shape = alt.Shape(
            "state:N",
            scale=alt.Scale(domain=["on", "off"], range=["circle", "cross"]),
            legend=alt.Legend(title="key goes", orient="top"),
        )
        points = points.encode(shape=shape)
    points = points.encode(color=colour, tooltip=["label:N"])
    names = (
        base.transform_filter(f"datum.place < {named}")
        .mark_text(align="left", dx=6, fontSize=10, color=GREY)
        .encode(text="label:N")
    )
    return alt.layer(points, names).properties(height=480)
