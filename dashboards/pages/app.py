"""The dashboard: `bench dashboard` runs it."""

from __future__ import annotations

import streamlit as st

from bench.errors import BenchError
from dashboards import sign_in
from dashboards.views import sources

BOARD = st.Page("leaderboard.py", title="Leaderboard", icon=":material/leaderboard:", default=True)
LISTEN = st.Page("listen.py", title="Listening survey", icon="🎹", visibility="hidden")


def dashboard() -> None:
    """The pages for whoever looks at results."""
    st.set_page_config(page_title="musicbench", page_icon="🎹", layout="wide")
    survey = [
        st.Page("survey_results.py", title="Survey", icon=":material/hearing:", url_path="survey")
    ]
    if sign_in.possible():
        # Before signing in another page stands at the same address: this one does not exist.
        script = "survey_admin.py" if sign_in.signed_in() else "survey_login.py"
        survey.append(
            st.Page(script, title="Survey admin", icon=":material/lock:", url_path="survey-admin")
        )
    pages = {
        "Results": [
            BOARD,
            st.Page("compare.py", title="Compare", icon=":material/compare_arrows:"),
            st.Page("model.py", title="Model", icon=":material/piano:"),
        ],
        "Behind them": [
            st.Page(
                "measures.py", title="Metrics", icon=":material/straighten:", url_path="metrics"
            ),
            st.Page("pieces.py", title="Data", icon=":material/library_music:", url_path="data"),
            st.Page("live.py", title="Run", icon=":material/monitoring:", url_path="run"),
        ],
        "Listening survey": [*survey, LISTEN],
        "More": [st.Page("about.py", title="About", icon=":material/info:")],
    }
    page = st.navigation(pages, expanded=True)
    st.session_state["page_is_new"] = st.session_state.get("page_before") != page.title
    st.session_state["page_before"] = page.title
    with st.sidebar:
        st.caption(f"Board: {sources.board_name()}")
    page.run()


def survey() -> None:
    """The survey for its listeners: no way from it to the results."""
    st.set_page_config(page_title="Listening survey", page_icon="🎹", layout="centered")
    st.navigation([BOARD, LISTEN], position="hidden").run()


try:
    if str(st.context.url or "").rstrip("/").endswith("/listen"):
        survey()
    else:
        dashboard()
except BenchError as error:
    st.error(str(error))
