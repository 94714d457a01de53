"""The dashboard: `bench dashboard` runs it."""

from __future__ import annotations

import streamlit as st

from bench.errors import BenchError
from dashboards import sources

st.set_page_config(page_title="musicbench", page_icon="🎹", layout="wide")

PAGES = {
    "Results": [
        st.Page(
            "pages/leaderboard.py", title="Leaderboard", icon=":material/leaderboard:", default=True
        ),
        st.Page("pages/compare.py", title="Compare", icon=":material/compare_arrows:"),
        st.Page("pages/model.py", title="Model", icon=":material/piano:"),
    ],
    "Behind them": [
        st.Page(
            "pages/measures.py", title="Metrics", icon=":material/straighten:", url_path="metrics"
        ),
        st.Page("pages/pieces.py", title="Data", icon=":material/library_music:", url_path="data"),
        st.Page("pages/live.py", title="Run", icon=":material/monitoring:", url_path="run"),
    ],
    "Listening survey": [
        st.Page("pages/survey.py", title="Survey", icon=":material/hearing:"),
    ],
    "More": [st.Page("pages/about.py", title="About", icon=":material/info:")],
}

page = st.navigation(PAGES, expanded=True)
with st.sidebar:
    st.caption(
        f"Board: {sources.board_path().name} in {sources.board_path().resolve().parent.name}/"
    )

try:
    page.run()
except BenchError as error:
    st.error(str(error))
