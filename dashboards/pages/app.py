"""The dashboard: `bench dashboard` runs it."""

from __future__ import annotations

import streamlit as st

from bench.errors import BenchError
from dashboards import sources

st.set_page_config(page_title="musicbench", page_icon="🎹", layout="wide")

PAGES = {
    "Results": [
        st.Page("leaderboard.py", title="Leaderboard", icon=":material/leaderboard:", default=True),
        st.Page("compare.py", title="Compare", icon=":material/compare_arrows:"),
        st.Page("model.py", title="Model", icon=":material/piano:"),
    ],
    "Behind them": [
        st.Page("measures.py", title="Metrics", icon=":material/straighten:", url_path="metrics"),
        st.Page("pieces.py", title="Data", icon=":material/library_music:", url_path="data"),
        st.Page("live.py", title="Run", icon=":material/monitoring:", url_path="run"),
    ],
    "Listening survey": [
        st.Page("survey.py", title="Survey", icon=":material/hearing:"),
    ],
    "More": [st.Page("about.py", title="About", icon=":material/info:")],
}

page = st.navigation(PAGES, expanded=True)
st.session_state["arrived"] = st.session_state.get("page") != page.title
st.session_state["page"] = page.title
with st.sidebar:
    st.caption(
        f"Board: {sources.board_path().name} in {sources.board_path().resolve().parent.name}/"
    )

try:
    page.run()
except BenchError as error:
    st.error(str(error))
