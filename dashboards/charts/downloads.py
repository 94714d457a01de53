"""Figures for papers: drawn with seaborn, offered as PNG, SVG and PDF."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import streamlit as st

from bench.board.rows import Row
from dashboards.views.job import CurvePoint

FORMS = {"PNG": "image/png", "SVG": "image/svg+xml", "PDF": "application/pdf"}
PALETTE = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#999999")  # Okabe and Ito


def forest(rows: Sequence[Row], title: str) -> Any:
    """Skill with its interval, as a figure."""
    import seaborn as sns
    from matplotlib.figure import Figure

    skilled = [(row, row.skill) for row in rows if row.skill is not None]
    skilled.sort(key=lambda pair: pair[1])
    with sns.axes_style("whitegrid"):
        figure = Figure(figsize=(6, 1.2 + 0.25 * len(skilled)), layout="constrained")
        axes = figure.subplots()
    kinds = list(dict.fromkeys(row.kind for row, _ in skilled))
    for kind in kinds:
        places = [place for place, (row, _) in enumerate(skilled) if row.kind == kind]
        middle = [skilled[place][1] for place in places]
        ends = [bounds(*skilled[place]) for place in places]
        below = [max(0.0, skill - low) for skill, (low, _) in zip(middle, ends, strict=True)]
        above = [max(0.0, high - skill) for skill, (_, high) in zip(middle, ends, strict=True)]
        colour = PALETTE[kinds.index(kind) % len(PALETTE)]
        axes.errorbar(middle, places, xerr=[below, above], fmt="o", ms=4, color=colour, label=kind)
    for end in (0, 1):
        axes.axvline(end, color="0.5", ls="--", lw=0.8)
    axes.set_yticks(range(len(skilled)), [row.name for row, _ in skilled])
    axes.set(xlabel="skill (0: noise, 1: human), 95 % interval", title=title)
    axes.legend(fontsize="small")
    return figure


def bounds(row: Row, skill: float) -> tuple[float, float]:
    """The interval of the skill; the skill itself where a bound is missing."""
    low, high = row.skill_low, row.skill_high
    return (skill if low is None else low, skill if high is None else high)


def curves(points: Sequence[CurvePoint], title: str) -> Any:
    """Training curves, as a figure."""
    import pandas as pd
    import seaborn as sns
    from matplotlib.figure import Figure

    table = pd.DataFrame(points)
    with sns.axes_style("whitegrid"):
        figure = Figure(figsize=(6, 3.5), layout="constrained")
        axes = figure.subplots()
    names = table["curve"].nunique()
    sns.lineplot(
        table,
        x="step",
        y="value",
        hue="curve",
        units="seed",
        estimator=None,
        palette=PALETTE[:names],
        ax=axes,
    )
    axes.set(xlabel="updates", ylabel="loss", title=title)
    return figure


def ties(names: Sequence[str], bars: Sequence[tuple[int, int]], title: str) -> Any:
    """Ranked systems with a bar over those of which no two are separated."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3 + 0.15 * len(bars), 0.8 + 0.22 * len(names)), layout="constrained")
    axes = figure.subplots()
    for place, (first, last) in enumerate(bars):
        axes.plot([place, place], [first, last], "o-", lw=3, ms=5, color=PALETTE[0])
    axes.set_yticks(range(len(names)), names)
    axes.set_xticks([])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_title(title)
    axes.spines[:].set_visible(False)
    return figure


FIGURES: Mapping[str, Callable[..., Any]] = {"forest": forest, "curves": curves, "ties": ties}


def saved(figure: Any, form: str) -> bytes:
    """The figure as a file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format=form.lower(), dpi=200)
    return buffer.getvalue()


def _drawn(kind: str, form: str, content: Mapping[str, Any]) -> bytes:
    return saved(FIGURES[kind](**content), form)


def figure_downloads(kind: str, name: str, **content: Any) -> None:
    """Buttons that make a figure and hand it over; nothing is drawn before one is pressed."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown("Figure for a paper:")
        for form, mime in FORMS.items():
            st.download_button(
                form,
                partial(_drawn, kind, form, content),
                file_name=f"{name}.{form.lower()}",
                mime=mime,
                on_click="ignore",
                key=f"figure_{kind}_{form}",
            )
