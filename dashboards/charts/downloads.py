"""Figures for papers: drawn with seaborn, offered as PNG, SVG and PDF."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st

from dashboards.views.board import Cells, name_of

FORMS = {"PNG": "image/png", "SVG": "image/svg+xml", "PDF": "application/pdf"}
PALETTE = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#999999")  # Okabe and Ito


def forest(rows: Sequence[Cells], title: str) -> Any:
    """Skill with its interval, as a figure."""
    import seaborn as sns
    from matplotlib.figure import Figure

    there = sorted((r for r in rows if r.get("skill") is not None), key=lambda r: r["skill"])
    with sns.axes_style("whitegrid"):
        figure = Figure(figsize=(6, 1.2 + 0.25 * len(there)), layout="constrained")
        axes = figure.subplots()
    kinds = list(dict.fromkeys(row["kind"] for row in there))
    for kind in kinds:
        mine = [i for i, row in enumerate(there) if row["kind"] == kind]
        middle = [there[i]["skill"] for i in mine]
        below = [there[i]["skill"] - value(there[i], "skill_low") for i in mine]
        above = [value(there[i], "skill_high") - there[i]["skill"] for i in mine]
        errors = [[max(0.0, e) for e in below], [max(0.0, e) for e in above]]
        colour = PALETTE[kinds.index(kind) % len(PALETTE)]
        axes.errorbar(middle, mine, xerr=errors, fmt="o", ms=4, color=colour, label=kind)
    for end in (0, 1):
        axes.axvline(end, color="0.5", ls="--", lw=0.8)
    axes.set_yticks(range(len(there)), [name_of(row) for row in there])
    axes.set(xlabel="skill (0: noise, 1: human), 95 % interval", title=title)
    axes.legend(fontsize="small")
    return figure


def value(row: Cells, name: str) -> float:
    """A bound of an interval; the skill itself where there is none."""
    found = row.get(name)
    return float(row["skill"] if found is None else found)


def curves(points: Sequence[Mapping[str, Any]], title: str) -> Any:
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
    """Ranked systems with a bar over those that cannot be told apart, as a figure."""
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


def figure_downloads(kind: str, name: str, **content: Any) -> None:
    """Buttons that make a figure and hand it over; nothing is drawn before one is pressed."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown("Figure for a paper:")
        for form, mime in FORMS.items():
            st.download_button(
                form,
                lambda form=form: saved(FIGURES[kind](**content), form),
                file_name=f"{name}.{form.lower()}",
                mime=mime,
                on_click="ignore",
                key=f"figure_{kind}_{form}",
            )
