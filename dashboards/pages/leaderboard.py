"""The leaderboard: tables, views, charts, downloads."""

from __future__ import annotations

import json

import pandas as pd
import streamlit as st

from bench import registry
from bench.board import formats
from bench.board.rows import Group, Row, to_csv, to_table
from dashboards import parts
from dashboards.charts import board as charts
from dashboards.charts.downloads import figure_downloads
from dashboards.views import columns, sources
from dashboards.views import compare as compare_view
from dashboards.views import job as job_view
from dashboards.views.board import chosen, counted, file_name, metric_names, protocol_of
from dashboards.views.validity import validated

FORMATS = {"figure": "%.3f", "whole": "localized", "seconds": None}  # none: as styled


def pick_rows(rows: list[Row]) -> list[Row]:
    """The rows that the reader's filters leave."""
    kinds = [kind for kind in charts.KINDS if any(row.kind == kind for row in rows)]
    search, filters = st.columns(2)
    words = search.text_input(
        "Search",
        key="q",
        bind="query-params",
        placeholder="system, paper or status",
        max_chars=80,
    )
    picked = filters.pills(
        "Kind", kinds, selection_mode="multi", key="kinds", bind="query-params", help="None: all."
    )
    return chosen(rows, list(picked or ()), words or "")


def pick_columns(
    view: str, known: dict[str, columns.Column], headline: list[str]
) -> list[columns.Column]:
    """The columns that the reader wants to see."""
    heads = {column.head: column for column in known.values()}
    sizes = any(row.size != "full" for row in sources.board().rows)
    usual = [known[key].head for key in columns.of_view(view, known, headline, sizes)]
    with st.popover("Columns", icon=":material/view_column:"):
        chosen = st.multiselect(
            "Columns of this view",
            list(heads),
            default=usual,
            key=f"columns_{view.lower()}",
            bind="query-params",
            help="All other figures of the board are in the list too.",
        )
    return [heads[head] for head in chosen] or [known["system"]]


def frame(rows: list[Row], shown: list[columns.Column]) -> pd.DataFrame:
    """The table as a data frame: a figure that is missing stays missing."""
    content = {}
    for column in shown:
        values = [column.value(row) for row in rows]
        kind = "object" if column.form == "text" else "Float64"
        content[column.key] = pd.array(values, dtype=kind)
    return pd.DataFrame(content, index=range(len(rows)))


def show_table(rows: list[Row], shown: list[columns.Column], greyed: set[str]) -> list[Row]:
    """Show the table; the rows that the reader selected."""
    table = frame(rows, shown)
    grey = [column.key for column in shown if column.metric in greyed]
    styled = table.style.set_properties(subset=grey, color=charts.GREY).format(
        columns.seconds,
        subset=[column.key for column in shown if column.form == "seconds"],
        na_rep="",
    )
    config = {}
    widest = 30 + 7 * max(len(row.name) for row in rows)  # pixels: no name is cut
    for column in shown:
        if column.form == "text":
            config[column.key] = st.column_config.TextColumn(
                column.head,
                help=column.about,
                pinned=column.key == "system",
                width=widest if column.key == "system" else None,
            )
        else:
            config[column.key] = st.column_config.NumberColumn(
                column.head, help=column.about, format=FORMATS[column.form]
            )
    event = st.dataframe(
        styled,
        hide_index=True,
        column_config=config,
        placeholder="",
        height="content" if len(rows) < 20 else 740,
        on_select="rerun",
        selection_mode="multi-row",
        key="table",
        alt="The leaderboard; the same figures are in the downloads below.",
    )
    return [rows[i] for i in event.selection.rows if i < len(rows)]


def links(selected: list[Row]) -> None:
    """Where to go from the selected rows."""
    if not selected:
        st.caption("Select a row to open its model page, two to four to compare them.")
        return
    with st.container(horizontal=True):
        for row in selected[:4]:
            st.page_link(
                "model.py",
                label=f"Open {row.name}",
                icon=":material/piano:",
                query_params={"board": group.title, "system": row.name},
            )
        if 2 <= len(selected) <= 4:
            st.page_link(
                "compare.py",
                label="Compare them",
                icon=":material/compare_arrows:",
                query_params={"board": group.title, "systems": [row.name for row in selected]},
            )


def downloads(rows: list[Row], headline: list[str]) -> None:
    """The rows as files, with all columns and the figures of the board's own file."""
    shown_group = Group(group.title, tuple(rows), group.remark)
    forms = {
        "CSV": ("csv", "text/csv", lambda: to_csv(rows)),
        "JSON": (
            "json",
            "application/json",
            lambda: json.dumps(to_table(rows), indent=1),
        ),
        "Markdown": ("md", "text/markdown", lambda: formats.to_markdown([shown_group], headline)),
        "LaTeX": ("tex", "application/x-tex", lambda: formats.to_latex([shown_group], headline)),
    }
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"Download {counted(len(rows), 'row')}, all columns:")
        for name, (ending, mime, make) in forms.items():
            st.download_button(
                name,
                make,
                file_name=f"leaderboard.{file_name(group)}.{ending}",
                mime=mime,
                on_click="ignore",
                key=f"download_{ending}",
            )


def show_charts(rows: list[Row]) -> None:
    """Skill as a forest plot, and against what it costs."""
    st.subheader("Skill with its interval")
    key = (sources.board().digest, group.title, *(row.name for row in rows))
    if not parts.draw(key, lambda: charts.forest(rows), "Skill of each system with its interval"):
        st.info(
            "No row has a skill here. It needs the rows noise and human of the same run, and a"
            " value by every metric that counts."
        )
        return
    st.caption(
        "Point: skill; line: its 95 % interval. At the right edge: the rank; a band joins systems of"
        " the same rank. Floor and ceiling have none."
    )
    figure_downloads("forest", f"skill.{file_name(group)}", rows=rows, title=group.title)
    show_ties()
    st.subheader("Skill against cost")
    cost = st.segmented_control(
        "Cost",
        list(charts.COSTS),
        default="Sampling",
        key="cost",
        bind="query-params",
        required=True,
        label_visibility="collapsed",
    )
    about = "Skill of each system against its cost"
    if not parts.draw((*key, cost), lambda: charts.quality_and_cost(rows, cost), about):
        st.info("No row has both a skill and this cost.")
    else:
        st.caption(
            f"Along the dashed line nothing is both cheaper and better. Dotted: noise (0) and human (1)."
            f" Systems below {charts.WORST} are left out."
        )


def show_ties() -> None:
    """Which systems the samples cannot tell apart."""
    st.subheader("Systems without a significant difference")
    if not st.toggle("Compare every pair of this table", key="ties", bind="query-params"):
        return
    names, bars = compare_view.ties(group.rows, job_view.folders(sources.runs()))
    if len(names) < 2:
        st.info("The jobs behind two systems or more with a rank have to be on this machine.")
        return
    key = ("ties", group.title, *names, *(f"{first}-{last}" for first, last in bars))
    parts.draw(key, lambda: charts.ties(names, bars), "Systems without a significant difference")
    st.caption(
        "The best on top. A bar joins systems whose differences are not significant (paired"
        " by prompt, 5 %, Holm's correction over all pairs)."
        + ("" if bars else " Here every pair differs.")
    )
    figure_downloads("ties", f"ties.{file_name(group)}", names=names, bars=bars, title=group.title)


st.title("Leaderboard")
left, right = st.columns(2)
with left:
    group = parts.choose_group()
with right:
    view = st.segmented_control(
        "View",
        list(columns.VIEWS),
        default="Overall",
        key="view",
        bind="query-params",
        required=True,
    )
st.caption(f"{columns.VIEW_WORDS[view]} {protocol_of(group)}")
if view == "Listeners" and all(
    row.human_rating is None and row.believability is None for row in group.rows
):
    st.info("No survey has been closed yet, so there are no ratings to show.")

known = registry.metrics()
names = metric_names(group.rows)
headline = [name for name in names if name in known and known[name].headline]
every_column = columns.columns(names, known)

rows = sorted(pick_rows(list(group.rows)), key=columns.order(view))
shown = pick_columns(view, every_column, headline)

if not rows:
    st.info("No row fits. Clear the search and the kinds to see all rows again.")
else:
    greyed = set(names) - validated(sources.tested_beside())
    selected = show_table(rows, shown, greyed)
    links(selected)
    if any(column.metric in greyed for column in shown):
        st.caption(
            "Grey figures: this metric has not passed its validity test, so trust it less."
            " The Metrics page has the details."
        )
    downloads(rows, headline)
    stale = [row.name for row in rows if row.stale]
    if stale:
        st.warning(
            f"Scored by older metrics than those installed: {', '.join(stale)}. `bench all` scores"
            " them again."
        )
    failed = [row for row in rows if row.failure]
    if failed:
        with st.expander(f"{counted(len(failed), 'row')} with failures", expanded=False):
            for row in failed:
                st.markdown(f"**{row.name}**")
                st.text(row.failure)
    if view in ("Overall", "Speed"):
        show_charts(rows)
    st.caption(
        f"Data fingerprint {rows[0].dataset_fingerprint or 'unknown'}, version"
        f" {rows[0].dataset_version or 'unknown'}. Board file"
        f" {sources.board().digest[:12]}. Copy the address to share this view."
    )
