"""What the closed surveys found."""

from __future__ import annotations

import streamlit as st

from bench.errors import BenchError
from bench.survey.analysis.literature import published_ratings
from bench.survey.analysis.results import Results, Study
from bench.survey.analysis.results_page import blocks, to_html
from dashboards import parts
from dashboards.charts import survey as survey_charts
from dashboards.views import sources, surveys
from dashboards.views import survey as survey_view

VIEWS = ("Ratings", "Believability", "Ranks", "Against human music", "Reliability", "Who counts")


def flow(results: Results) -> None:
    """How many came, stayed and count."""
    about = results.about
    numbers = {
        "Invited": about.invited,
        "Started": about.started,
        "Finished": about.finished,
        "Withdrew": about.withdrawn,
        "Left out by rules": results.left_out,
    }
    with st.container(horizontal=True):
        for name, value in numbers.items():
            if value is not None:
                st.metric(name, value, width="content")


def show(results: Results, study: Study, view: str) -> None:
    """One view of one study."""
    key = (results.about.name, results.about.config_hash, results.ended, study.dataset, view)
    if view == "Ratings":
        parts.draw(key, lambda: survey_charts.ratings(study), "Mean ratings with their intervals")
        st.caption(
            "Points: the mean with its 95 % interval, from a model in which other listeners and"
            " other clips could have been drawn. Diamonds: with nobody left out."
        )
        st.dataframe(survey_view.ratings(study), hide_index=True)
        st.markdown("**The same by other methods**")
        st.dataframe(survey_view.ways(study), hide_index=True)
        st.caption(
            "Papers print the last column. It takes ratings for independent, which they are not:"
            " it holds the true mean much less often than 95 % of the time."
        )
    elif view == "Believability":
        if not parts.draw(key, lambda: survey_charts.believable(study), "Shares of yes"):
            st.info("Nobody was asked whether a human could have composed it.")
        st.caption("Compare with human music, not with 50 %: not all human music is believed.")
    elif view == "Ranks":
        if not parts.draw(key, lambda: survey_charts.ranks(study), "Ranks with their intervals"):
            st.info("There are too few ratings, or too few systems, to rank.")
        st.caption("The rank is one more than the systems that are better beyond doubt.")
        st.markdown("**Every pair**")
        st.dataframe(survey_view.pairs(study), hide_index=True, placeholder="")
        st.caption("p values are corrected by Holm over all pairs. Undecided is not equal.")
    elif view == "Against human music":
        table = survey_view.against_human(study)
        if len(table):
            st.dataframe(table, hide_index=True)
            st.caption(
                "To be as good as human music takes more than no difference: a small p in the"
                " fourth column says that the two differ by less than half a point."
            )
        else:
            st.info("No human music was rated.")
    elif view == "Reliability":
        st.dataframe(survey_view.reliability(study), hide_index=True)
        st.caption("Tastes differ: a low alpha is no fault of the listeners.")
    else:
        st.dataframe(survey_view.screening(results), hide_index=True)
        st.caption(
            "The rules were fixed before. Listeners are left out, never single ratings; the"
            " ratings of all are beside the headline under Ratings, as 'nobody left out'."
        )


def downloads(results: Results) -> None:
    """The ratings and the results, as files."""
    store, name = surveys.store(), results.about.name
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown("Download:")
        if store is not None:
            from bench.survey.admin import export
            from bench.survey.admin import surveys as known

            if any(
                one.name == name and one.state in ("closed", "published") for one in known(store)
            ):
                st.download_button(
                    "Ratings, anonymised (CSV)",
                    lambda: export(store, name).to_csv(index=False),
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


def from_papers() -> None:
    """What the papers' own surveys found."""
    st.header("What papers published")
    st.dataframe(survey_view.papers(published_ratings()), hide_index=True, placeholder="")
    st.caption(
        "Other clips, listeners and questions: not to be compared to the point. The papers give no"
        " intervals; these would hold if ratings were independent. The last but one column says"
        " which difference such a design finds in four of five cases."
    )


def survey(results: Results) -> None:
    """One survey."""
    about = results.about
    if results.simulated:
        st.warning(
            "**Simulated listeners.** No person heard a clip: these figures show how results look"
            " and say nothing of any system. They are on no leaderboard.",
            icon=":material/science:",
        )
    st.header(about.title or about.name, divider="gray")
    if about.state == "closed":
        st.caption("Closed, not yet final: listeners may still withdraw.")
    flow(results)
    study = results.studies[0]
    if len(results.studies) > 1:
        names = [one.dataset for one in results.studies]
        chosen = st.segmented_control("Data set", names, default=names[0], required=True)
        study = results.studies[names.index(chosen)]
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
    results, wrong = survey_view.found(sources.runs(), surveys.store())
except BenchError as error:
    results, wrong = [], [str(error)]
for sentence in wrong:
    st.warning(parts.plain(sentence))
if results:
    names = [one.about.name for one in results]
    labels = {
        one.about.name: f"{one.about.title or one.about.name}, {one.ended}"
        + (" (simulated)" if one.simulated else "")
        for one in results
    }
    chosen = st.selectbox(
        "Survey", names, format_func=lambda name: labels[name], key="survey", bind="query-params"
    )
    survey(results[names.index(chosen)])
else:
    st.info("No survey is closed and analysed yet.")
    st.markdown(
        "In a blind survey people hear clips without knowing who made them, rate them, and say"
        " whether a human could have composed them. Results appear here, and on the leaderboard,"
        " only once a survey is closed. Were you invited to one? [Go to it](/listen)."
    )
from_papers()
