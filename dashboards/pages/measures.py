"""What each metric measures, what it misses, and whether it can be trusted."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from bench import registry
from bench.board.rows import Group
from bench.errors import BenchError
from dashboards import parts
from dashboards.charts import metric as metric_charts
from dashboards.views import board as board_view
from dashboards.views import sources, surveys, validity
from dashboards.views import survey as survey_view
from dashboards.views.board import metric_names
from dashboards.views.columns import label
from dashboards.views.measures import correlations, enough, rated_systems, with_ratings

DIRECTIONS = {
    "higher": "higher is better",
    "lower": "lower is better",
    "none": "a description: neither more nor less is better",
}


def cards() -> None:
    """One entry per metric, those that make up the skill first."""
    known = registry.metrics()
    tested = validity.results(sources.tested_beside())
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
    parts.draw(
        key, lambda: metric_charts.ladders(table), "How steadily each metric sees music get worse"
    )
    st.caption(
        "Real music is made worse in each of these ways, more and more. Blue: the metric gets"
        " worse along with it; grey: it does not care; orange: it finds it better. The figure is"
        " the first level that it notices; none: it never does. No metric sees everything."
    )


def agreement() -> None:
    """Which metrics say the same about systems, and which say what listeners say."""
    if not sources.board().groups:
        st.info("There is no leaderboard yet whose metrics could be compared.")
        return
    group = parts.choose_group()
    with_each_other(group)
    listeners(group)


def with_each_other(group: Group) -> None:
    """Which metrics order systems alike."""
    st.subheader("With each other")
    names = [
        name for name in metric_names(group.rows) if enough([row.value(name) for row in group.rows])
    ]
    known = registry.metrics()
    headline = [name for name in names if name in known and known[name].headline]
    chosen = st.multiselect(
        "Metrics",
        names,
        default=headline if len(headline) > 1 else names[:8],
        format_func=label,
        key="metrics",
        bind="query-params",
    )
    if len(chosen) < 2:
        st.info("Choose two metrics or more that have values for at least four systems.")
        return
    table = correlations(group.rows, chosen)
    table = table.assign(one=table["one"].map(label), other=table["other"].map(label))
    key = (sources.board().digest, group.title, *chosen)
    parts.draw(key, lambda: metric_charts.correlations(table), "Rank correlations between metrics")
    st.caption(
        f"Spearman's rank correlation over the {len(group.rows)} rows of this table. 1: the same"
        " order; -1: the opposite one, as between a distance and a score. With few systems it says"
        " little."
    )


def listeners(group: Group) -> None:
    """Which metrics agree with blind listeners."""
    st.subheader("With listeners")
    try:
        closed, wrong = survey_view.closed_results(sources.runs(), surveys.store())
    except BenchError as error:
        closed, wrong = [], [str(error)]
    for sentence in wrong:
        st.warning(parts.plain(sentence))
    studies = {
        f"{result.about.title or result.about.name}, {study.dataset}, {result.ended}": (
            result,
            study,
        )
        for result in closed
        for study in result.studies
    }
    if not studies:
        on_the_board(group)
        return
    chosen = st.selectbox("Survey", list(studies), key="survey", bind="query-params")
    results, study = studies[chosen]
    if results.simulated:
        st.warning(
            "**Simulated listeners.** No person heard a clip: this shows how results look.",
            icon=":material/science:",
        )
    table = with_ratings(study)
    if table.empty:
        st.info("It has too few rated systems with metrics of the same run to compare the two.")
        for verdict in sorted({agreement.verdict for agreement in study.agreement} - {""}):
            st.caption(parts.plain(verdict))
        return
    key = (results.about.name, results.about.config_hash, results.ended, study.dataset)
    parts.draw(("tau", *key), lambda: metric_charts.agreement(table), "Agreement with listeners")
    ceiling = (
        f" No metric can correlate with ratings this uncertain by more than"
        f" {study.noise_ceiling:.2f} on average."
        if study.noise_ceiling is not None
        else ""
    )
    st.caption(
        "Right of the line: what the metric calls better is rated better. The 95 % intervals take"
        f" into account which systems were rated, and how surely.{ceiling}"
    )
    known = [each.metric for each in study.agreement if each.tau is not None and each.values]
    if known:
        metric = st.selectbox(
            "Metric", sorted(known), format_func=label, key="metric", bind="query-params"
        )
        chosen_systems = rated_systems(study, metric)
        about = f"Mean ratings against {label(metric)}"
        parts.draw(
            ("rated", *key, metric),
            lambda: metric_charts.rated(chosen_systems, label(metric)),
            about,
        )
    with st.expander("As a table"):
        st.dataframe(
            table.drop(columns="sure").rename(columns={"p": "p, over all metrics"}),
            hide_index=True,
            placeholder="",
            alt="Agreement of metrics with listeners",
        )


def on_the_board(group: Group) -> None:
    """The metrics against the ratings that a board holds, where nothing else of a survey is here."""
    rated = [row for row in group.rows if row.human_rating is not None]
    if not enough([row.human_rating for row in rated]):
        st.info("Nobody knows yet: no listening survey is closed that rated four of these systems.")
        return
    names = [name for name in metric_names(rated) if enough([row.value(name) for row in rated])]
    table = correlations(rated, ["human_rating", *names])
    mine = table[(table["one"] == "human_rating") & (table["other"] != "human_rating")]
    st.dataframe(
        mine.assign(other=mine["other"].map(label))[["other", "rho", "systems"]].rename(
            columns={"other": "metric", "rho": "correlation"}
        ),
        hide_index=True,
        placeholder="",
        alt="Correlation of metrics with ratings",
    )
    st.caption(
        "Spearman's rank correlation with the ratings on the board, human music among them. The"
        " survey itself is not on this machine, so how sure that is cannot be said here."
    )


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
