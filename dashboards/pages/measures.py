"""What each metric measures, what it misses, and whether it can be trusted."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from bench import registry
from dashboards import board_view, charts, parts, sources, validity
from dashboards.board_view import HUMAN, metric_names
from dashboards.columns import label
from dashboards.measures_view import correlations, enough

DIRECTIONS = {
    "higher": "higher is better",
    "lower": "lower is better",
    "none": "a description: neither more nor less is better",
}


def cards() -> None:
    """One entry per metric, those that make up the skill first."""
    known = registry.metrics()
    tested = validity.results(sources.board_path())
    words = st.text_input("Search", key="q", bind="query-params", max_chars=80) or ""
    ordered = sorted(known.items(), key=lambda item: (not item[1].headline, item[0]))
    shown = [
        (name, cls)
        for name, cls in ordered
        if all(w in f"{name} {cls.measures} {cls.blind_to}".lower() for w in words.lower().split())
    ]
    if not shown:
        st.info("No metric fits these words.")
    for name, cls in shown:
        mark = " · part of the skill" if cls.headline else ""
        with st.expander(f"**{label(name)}**{mark}", expanded=False):
            st.text(cls.measures)
            st.markdown("**It does not see**")
            st.text(cls.blind_to)
            st.caption(
                f"Unit: {cls.unit}. {DIRECTIONS[cls.direction].capitalize()}. Version"
                f" {cls.version}."
            )
            st.caption(f"Validity test: {parts.plain(validity.verdict(name, tested))}.")
            if cls.citation:
                st.caption(f"After {parts.plain(cls.citation)}.")


def ladders() -> None:
    """How each metric answers to music that is made worse step by step."""
    path = sources.board_path()
    rows = [row for row in validity.results(path) if row.kind == "summary"]
    if not rows:
        st.info(
            "The validity tests have not been run for this board, so its metrics are shown in"
            " grey. `bench validate` makes real music worse step by step and looks whether each"
            " metric notices."
        )
        return
    table = pd.DataFrame(
        {
            "metric": [label(row.metric) for row in rows],
            "ladder": [row.name for row in rows],
            "monotone": [row.monotone for row in rows],
            "detected": ["" if row.detected is None else f"{row.detected:g}" for row in rows],
        }
    )
    key = ("ladders", board_view.digest_of(path.with_name(validity.FILE)))
    parts.draw(key, lambda: charts.ladders(table), "How steadily each metric sees music get worse")
    st.caption(
        "Real music is made worse in each of these ways, more and more. Blue: the metric gets"
        " worse along with it; grey: it does not care; orange: it finds it better. The figure is"
        " the first level that it notices; none: it never does. No metric sees everything."
    )


def agreement() -> None:
    """Which metrics say the same about the systems of a table."""
    if not sources.tables():
        st.info("There is no leaderboard yet whose metrics could be compared.")
        return
    st.subheader("With each other")
    table = parts.choose_table()
    names = [
        name for name in metric_names(table.rows) if enough([row.get(name) for row in table.rows])
    ]
    known = registry.metrics()
    headline = [name for name in names if name in known and known[name].headline]
    chosen = st.multiselect(
        "Metrics",
        names,
        default=headline if len(headline) > 1 else names[:8],
        key="metrics",
        bind="query-params",
    )
    if len(chosen) < 2:
        st.info("Choose two metrics or more that have values for at least four systems.")
        return
    found = correlations(table.rows, chosen)
    found = found.assign(one=found["one"].map(label), other=found["other"].map(label))
    key = (sources.board().digest, table.title, *chosen)
    parts.draw(key, lambda: charts.correlations(found), "Rank correlations between metrics")
    st.caption(
        f"Spearman's rank correlation over the {len(table.rows)} rows of this table. 1: the same"
        " order; -1: the opposite one, as between a distance and a score. With few systems it says"
        " little."
    )


def listeners() -> None:
    """Which metrics agree with blind listeners."""
    st.subheader("With listeners")
    if any(row.get(name) is not None for row in sources.board().rows for name in HUMAN):
        st.caption("Rank correlation of each metric with the listeners' mean rating.")
        rated = [row for row in sources.board().rows if row.get("human_rating") is not None]
        names = [n for n in metric_names(rated) if enough([row.get(n) for row in rated])]
        found = correlations(rated, ["human_rating", *names])
        mine = found[(found["one"] == "human_rating") & (found["other"] != "human_rating")]
        st.dataframe(
            mine[["other", "rho", "systems"]].rename(
                columns={"other": "metric", "rho": "correlation"}
            ),
            hide_index=True,
            placeholder="",
            alt="Correlation of metrics with ratings",
        )
    else:
        st.info("Nobody knows yet: no listening survey has been closed.")


st.title("Metrics")
st.caption("No single figure can tell whether music is good. Here is what each one sees.")
part = st.segmented_control(
    "What to show",
    ("What each sees", "Do they notice", "Do they agree"),
    default="What each sees",
    key="part",
    bind="query-params",
    required=True,
    label_visibility="collapsed",
)
if part == "What each sees":
    cards()
elif part == "Do they notice":
    ladders()
else:
    agreement()
    listeners()
