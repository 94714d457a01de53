"""The results of the closed surveys."""

from __future__ import annotations

import streamlit as st

from bench.errors import BenchError
from bench.survey.analysis.checks import MARGIN
from bench.survey.analysis.literature import published_ratings
from bench.survey.analysis.results import Results, Study
from bench.survey.analysis.results_page import blocks, to_html
from bench.survey.terms import shows_results
from dashboards import parts
from dashboards.charts import survey as survey_charts
from dashboards.views import sources, surveys
from dashboards.views import survey as survey_view

VIEWS = ("Ratings", "Believability", "Ranks", "Against human music", "Reliability", "Screening")


def flow(results: Results) -> None:
    """How many listeners were invited, took part, finished, withdrew and were excluded."""
    about = results.about
    numbers = {
        "Invited": about.invited,
        "Started": about.started,
        "Finished": about.finished,
        "Withdrew": about.withdrawn,
        "Excluded by rules": results.left_out,
    }
    with st.container(horizontal=True):
        for name, value in numbers.items():
            if value is not None:
                st.metric(name, value, width="content")


def show(results: Results, study: Study, view: str) -> None:
    """One view of one data set's results."""
    key = (results.about.name, results.about.config_hash, results.ended, study.dataset, view)
    if view == "Ratings":
        parts.draw(key, lambda: survey_charts.ratings(study), "Mean ratings with their intervals")
        st.caption(
            "Points: means with 95 % intervals, from a model with random listeners and clips."
            " Diamonds: means with nobody excluded."
        )
        st.dataframe(survey_view.ratings(study), hide_index=True)
        st.markdown("**The same by other methods**")
        st.dataframe(survey_view.ways(study), hide_index=True)
        st.caption(
            "Papers report the last column, which assumes independent ratings. Ratings are not"
            " independent: that interval contains the true mean much less often than in 95 % of"
            " surveys."
        )
    elif view == "Believability":
        if not parts.draw(key, lambda: survey_charts.believable(study), "Shares of yes"):
            st.info("Nobody was asked whether a human could have composed the clips.")
        st.caption("Compare with human music, not with 50 %: listeners doubt human music too.")
    elif view == "Ranks":
        if not parts.draw(key, lambda: survey_charts.ranks(study), "Ranks with their intervals"):
            st.info("There are too few ratings, or too few systems, to rank.")
        st.caption("A system's rank is 1 plus the number of systems that are significantly better.")
        st.markdown("**Every pair**")
        st.dataframe(survey_view.pairs(study), hide_index=True, placeholder="")
        st.caption("p values have Holm's correction over all pairs. Undecided does not mean equal.")
    elif view == "Against human music":
        table = survey_view.against_human(study)
        if len(table):
            st.dataframe(table, hide_index=True)
            st.caption(
                "To call a system as good as human music, it is not enough that no difference was"
                f" found. A small p of a difference of {MARGIN} points or more shows it."
            )
        else:
            st.info("No human music was rated.")
    elif view == "Reliability":
        st.dataframe(survey_view.reliability(study), hide_index=True)
        st.caption("Tastes differ: a low alpha does not mean that the listeners were careless.")
    else:
        st.dataframe(survey_view.screening(results), hide_index=True)
        st.caption(
            "The rules were fixed before the survey. They exclude listeners, never single ratings."
            " The view Ratings shows the results with nobody excluded, too."
        )


def downloads(results: Results) -> None:
    """The ratings and the results as files."""
    store, name = surveys.store(), results.about.name
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown("Download:")
        if store is not None:
            from bench.survey import admin

            known = admin.surveys(store)
            if any(summary.name == name and shows_results(summary.state) for summary in known):
                st.download_button(
                    "Ratings, anonymised (CSV)",
                    lambda: admin.export(store, name).to_csv(index=False),
                    f"{name}-ratings.csv",
                    "text/csv",
                    on_click="ignore",
                )
        st.download_button(
            "Report with all checks (HTML)",
            lambda: to_html(blocks(results), results.about.title or name),
            f"{name}.html",
            "text/html",
            on_click="ignore",
        )
        st.download_button(
            "Results (JSON)",
            lambda: results.model_dump_json(indent=1),
            f"{name}-results.json",
            "application/json",
            on_click="ignore",
        )


def papers() -> None:
    """The results of the papers' own surveys."""
    st.header("Published ratings")
    st.dataframe(survey_view.papers(published_ratings()), hide_index=True, placeholder="")
    st.caption(
        "Clips, listeners and questions differ from paper to paper: do not compare these ratings"
        " point by point. The papers give no intervals; those shown assume independent ratings. The"
        " detectable difference is what such a design finds in four of five cases."
    )


def survey(results: Results) -> None:
    """The results of one survey."""
    about = results.about
    if results.simulated:
        st.warning(
            "**Simulated listeners.** No person heard a clip: this survey shows what results look"
            " like and says nothing about any system. It is on no leaderboard.",
            icon=":material/science:",
        )
    st.header(about.title or about.name, divider="gray")
    if about.state == "closed":
        st.caption("Closed, but not final: listeners may still withdraw.")
    flow(results)
    study = results.studies[0]
    if len(results.studies) > 1:
        datasets = [study.dataset for study in results.studies]
        chosen = st.segmented_control("Data set", datasets, default=datasets[0], required=True)
        study = results.studies[datasets.index(chosen)]
    for sentence in study.conclusions:
        st.markdown(f"- {parts.plain(sentence)}")
    if study.lacking:
        st.info("  \n".join(parts.plain(sentence) for sentence in study.lacking))
    view = st.segmented_control(
        "What to show",
        VIEWS,
        default=VIEWS[0],
        key="survey-view",
        bind="query-params",
        required=True,
        label_visibility="collapsed",
    )
    show(results, study, view)
    with st.expander("Methods, for a paper"):
        st.markdown(parts.plain(results.methods))
        st.caption(f"Configuration {about.config_hash[:16]}")
    downloads(results)


st.title("Listening survey")
try:
    closed, problems = survey_view.closed_results(sources.runs(), surveys.store())
except BenchError as error:
    closed, problems = [], [str(error)]
for problem in problems:
    st.warning(parts.plain(problem))
if closed:
    names = [results.about.name for results in closed]
    labels = {
        results.about.name: f"{results.about.title or results.about.name}, {results.ended}"
        + (" (simulated)" if results.simulated else "")
        for results in closed
    }
    chosen = st.selectbox(
        "Survey", names, format_func=lambda name: labels[name], key="survey", bind="query-params"
    )
    survey(closed[names.index(chosen)])
else:
    st.info("No survey is closed and analysed yet.")
    st.markdown(
        "In a blind survey people hear clips without knowing what composed them, rate them, and say"
        " whether a human could have composed them. Results appear here, and on the leaderboard,"
        " only once a survey is closed. Were you invited to one? [Go to it](/listen)."
    )
papers()
