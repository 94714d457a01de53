"""The charts of the pages. All colours are readable on light and on dark ground."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import pandas as pd

from bench.board.rows import Row
from dashboards.views.board import front

KINDS = {
    "paper": "#2f81f7",
    "baseline": "#d29922",
    "reference": "#2da44e",
    "external": "#e5534b",
    "ceiling": "#bf68d9",
    "floor": "#8b949e",
}
SERIES = ("#2f81f7", "#d29922", "#2da44e", "#e5534b", "#bf68d9", "#8b949e")
GREY = "#8b949e"
ROW = 26  # pixels; the room that axes and legends take is added to each chart's height
WORST = -0.5  # skill: what lies below is shown at the edge, with its figure

COSTS = {
    "Sampling": ("sample_seconds", "seconds to make all samples of a seed"),
    "Training": ("train_seconds", "seconds of training"),
    "Size": ("parameters", "parameters"),
}


Layers = alt.LayerChart | alt.FacetChart  # what altair says it makes of layers


def kind_scale(rows: Sequence[Row]) -> alt.Scale:
    """Colours of the kinds that occur."""
    kinds = [kind for kind in KINDS if any(row.kind == kind for row in rows)]
    return alt.Scale(domain=kinds, range=[KINDS[kind] for kind in kinds])


def forest(rows: Sequence[Row]) -> Layers | None:
    """Skill with its interval, the best on top; bands join what shares a rank. None without any."""
    skilled = [row for row in rows if row.skill is not None]
    skilled.sort(key=lambda row: -(row.skill or 0.0))
    if not skilled:
        return None
    ranks = sorted({row.rank for row in skilled if row.rank is not None})
    table = pd.DataFrame(
        {
            "system": [row.name for row in skilled],
            "kind": [row.kind for row in skilled],
            "skill": [row.skill for row in skilled],
            "low": [row.skill_low for row in skilled],
            "high": [row.skill_high for row in skilled],
            "rank": ["" if row.rank is None else f"{row.rank:.0f}" for row in skilled],
            "band": [row.rank is not None and ranks.index(row.rank) % 2 == 0 for row in skilled],
            "off": [(row.skill or 0.0) < WORST for row in skilled],
            "edge": [f"{row.skill:.1f}" for row in skilled],
        }
    )
    inside = table.loc[~table["off"], ["skill", "low"]].min().min()
    bounds = [WORST if table["off"].any() else min(0.0, inside), max(1.0, table["high"].max())]
    y = alt.Y(
        "system:N",
        sort=list(table["system"]),
        title=None,
        axis=alt.Axis(labelLimit=190, labelOverlap=False, ticks=False, domain=False),
    )
    tips = [
        *("system:N", "kind:N", alt.Tooltip("rank:N", title="rank")),
        *(alt.Tooltip(f"{name}:Q", format=".3f") for name in ("skill", "low", "high")),
    ]
    base = alt.Chart(table).encode(y=y)
    x: dict[str, Any] = {
        "title": "skill: 0 is noise, 1 is human music",
        "scale": alt.Scale(domain=bounds, nice=True, clamp=True),
        "axis": alt.Axis(tickCount=8, format=".1f"),
    }
    colour = alt.Color(
        "kind:N", scale=kind_scale(skilled), legend=alt.Legend(title=None, orient="top")
    )
    band = (
        base.transform_filter("datum.band")
        .mark_bar(opacity=0.13, color=GREY, height=ROW)
        .encode(x=alt.value(0), x2=alt.value("width"))
    )
    marks = pd.DataFrame({"at": [0.0, 1.0]})
    ends = alt.Chart(marks).mark_rule(strokeDash=[4, 4], color=GREY).encode(x=alt.X("at:Q", **x))
    inner = base.transform_filter("!datum.off")
    line = inner.mark_rule(strokeWidth=2).encode(x=alt.X("low:Q", **x), x2="high:Q", color=colour)
    point = inner.mark_point(filled=True, size=70, opacity=1).encode(
        x=alt.X("skill:Q", **x), color=colour, tooltip=tips
    )
    outer = base.transform_filter("datum.off")
    arrow = outer.mark_point(filled=True, size=70, opacity=1, shape="triangle-left").encode(
        x=alt.value(5), color=colour, tooltip=tips
    )
    figure = outer.mark_text(align="left", dx=14, color=GREY).encode(x=alt.value(0), text="edge:N")
    rank = base.mark_text(align="right", dx=-4, color=GREY).encode(
        x=alt.value("width"), text="rank:N"
    )
    return alt.layer(band, ends, line, point, arrow, figure, rank).properties(
        height=ROW * len(skilled) + 110
    )


def ties(names: Sequence[str], bars: Sequence[tuple[int, int]]) -> Layers:
    """The ranked systems from the top; a bar joins those of which no two are separated."""
    spans = pd.DataFrame(
        [(i, names[first], names[last]) for i, (first, last) in enumerate(bars)],
        columns=["bar", "first", "last"],
    )
    dots = pd.DataFrame(
        [(i, name) for i, (first, last) in enumerate(bars) for name in names[first : last + 1]],
        columns=["bar", "system"],
    )
    rows = pd.DataFrame({"system": list(names)})
    axis = alt.Axis(labelLimit=190, labelOverlap=False, ticks=False, domain=False, grid=False)
    order = alt.Scale(domain=list(names))  # a sort would not hold over layers of several tables
    y = alt.Y("system:N", scale=order, title=None, axis=axis)
    places = alt.Scale(domain=list(range(max(12, len(bars)))))
    x = alt.X("bar:O", scale=places, title=None, axis=None)
    line = alt.Chart(rows).mark_rule(color=GREY, opacity=0.25).encode(y=y)
    bar = (
        alt.Chart(spans)
        .mark_rule(strokeWidth=5, strokeCap="round", color=SERIES[0])
        .encode(x=x, y=alt.Y("first:N", scale=order), y2="last:N")
    )
    dot = alt.Chart(dots).mark_point(filled=True, size=90, opacity=1, color=SERIES[0])
    return alt.layer(line, bar, dot.encode(x=x, y=y, tooltip=["system:N"])).properties(
        height=ROW * len(names) + 20
    )


def quality_and_cost(rows: Sequence[Row], cost: str) -> Layers | None:
    """Skill against what a system costs, with the line of those that no other beats."""
    name, title = COSTS[cost]
    priced = [
        (row, row.skill, float(cost_of))
        for row in rows
        if row.skill is not None
        and row.skill >= WORST
        and not row.is_scale
        and (cost_of := row.value(name) or 0) > 0
    ]
    if not priced:
        return None
    best = front([(cost_of, skill) for _, skill, cost_of in priced])
    table = pd.DataFrame(
        {
            "system": [row.name for row, _, _ in priced],
            "kind": [row.kind for row, _, _ in priced],
            "skill": [skill for _, skill, _ in priced],
            "cost": [cost_of for _, _, cost_of in priced],
            "best": [place in best for place in range(len(priced))],
        }
    )
    x = alt.X("cost:Q", scale=alt.Scale(type="log", nice=True), title=f"{title} (log)")
    y = alt.Y("skill:Q", title="skill", scale=alt.Scale(zero=False, nice=True))
    colour = alt.Color(
        "kind:N",
        scale=kind_scale([row for row, _, _ in priced]),
        legend=alt.Legend(title=None, orient="top"),
    )
    tips = [
        "system:N",
        "kind:N",
        alt.Tooltip("skill:Q", format=".3f"),
        alt.Tooltip("cost:Q", title=title),
    ]
    base = alt.Chart(table).encode(x=x, y=y)
    line = (
        base.transform_filter("datum.best")
        .mark_line(interpolate="step-after", color=GREY, strokeDash=[4, 4])
        .encode(order="cost:Q")
    )
    points = base.mark_point(filled=True, size=80, opacity=1).encode(color=colour, tooltip=tips)
    names = (
        base.transform_filter("datum.best")
        .mark_text(align="left", dx=7, dy=-8, color=GREY)
        .encode(text="system:N")
    )
    marks = pd.DataFrame({"at": [0.0, 1.0]})
    ends = alt.Chart(marks).mark_rule(strokeDash=[2, 4], color=GREY).encode(y="at:Q")
    return alt.layer(ends, line, points, names).properties(height=360)


def distribution(
    shares: Mapping[str, Sequence[float]], bins: Sequence[str], unit: str, real: str
) -> Layers:
    """How music is distributed: a line per system, the real music as bars behind."""
    table = pd.DataFrame(
        [
            {"whose": name, "bin": bins[i], "share": float(value)}
            for name, values in shares.items()
            for i, value in enumerate(values)
        ]
    )
    systems = [name for name in shares if name != real]
    x = alt.X("bin:N", sort=list(bins), title=None, axis=alt.Axis(labelAngle=0, labelOverlap=True))
    y = alt.Y("share:Q", title=unit, axis=alt.Axis(format="%"))
    tips = ["whose:N", "bin:N", alt.Tooltip("share:Q", format=".1%")]
    layers: list[alt.Chart] = []
    if real in shares:
        layers.append(
            alt.Chart(table[table["whose"] == real])
            .mark_bar(color=GREY, opacity=0.35)
            .encode(x=x, y=y, tooltip=tips)
        )
    layers.append(
        alt.Chart(table[table["whose"] != real])
        .mark_line(point=alt.OverlayMarkDef(size=30), strokeWidth=2)
        .encode(
            x=x,
            y=y,
            tooltip=tips,
            color=alt.Color(
                "whose:N",
                scale=alt.Scale(domain=systems, range=SERIES[: len(systems)]),
                legend=alt.Legend(title=None, orient="top", columns=2, labelLimit=200),
            ),
        )
    )
    return alt.layer(*layers).properties(height=240)


def differences(table: pd.DataFrame) -> Layers:
    """Differences in skill with their intervals; columns: metric, other, difference, low, high."""
    order = list(dict.fromkeys(table["metric"]))
    y = alt.Y("metric:N", sort=order, title=None, axis=alt.Axis(labelLimit=190))
    offset = alt.YOffset("other:N")
    others = list(dict.fromkeys(table["other"]))
    colour = alt.Color(
        "other:N",
        scale=alt.Scale(domain=others, range=SERIES[: len(others)]),
        legend=alt.Legend(title=None, orient="top", columns=2, labelLimit=200),
    )
    tips = ["metric:N", "other:N"] + [
        alt.Tooltip(f"{name}:Q", format=".3f") for name in ("difference", "low", "high")
    ]
    base = alt.Chart(table).encode(y=y, yOffset=offset, color=colour, tooltip=tips)
    zero = alt.Chart(pd.DataFrame({"at": [0.0]})).mark_rule(color=GREY).encode(x="at:Q")
    line = base.mark_rule(strokeWidth=2).encode(
        x=alt.X("low:Q", title="difference in skill", axis=alt.Axis(tickCount=8)), x2="high:Q"
    )
    point = base.mark_point(filled=True, size=60, opacity=1).encode(x="difference:Q")
    height = 14 * max(2, len(others)) * len(order) + 110
    return alt.layer(zero, line, point).properties(height=height)
