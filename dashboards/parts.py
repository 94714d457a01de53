"""What several pages show: which table, which contestants, and what is wrong with the board."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from dashboards import sources
from dashboards.board_view import Table


def remembered(key: str) -> None:
    """Begin with what was chosen on the page before, unless the address says otherwise."""
    kept = st.session_state.get(f"kept_{key}")
    if st.session_state.get("arrived") and key not in st.query_params and kept is not None:
        st.query_params[key] = kept
        st.session_state[key] = kept


def remember(key: str, value: Any) -> None:
    """Keep a choice for the next page."""
    st.session_state[f"kept_{key}"] = value


def notices() -> None:
    """Say what a reader must know about the board."""
    for note in sources.board().notes:
        st.warning(note, icon=":material/info:")


def no_board() -> None:
    """What to do where there is no board; ends the page."""
    notices()
    st.markdown(
        "`bench all` trains, samples and scores every system and writes one;"
        " `bench board` rebuilds it from what has finished. This page shows it as soon as it is"
        " there."
    )
    st.page_link("live.py", label="See what is running", icon=":material/monitoring:")
    st.stop()


def choose_table() -> Table:
    """The table that the reader chose; ends the page where there is none."""
    found = sources.tables()
    if not found:
        no_board()
    notices()
    titles = [table.title for table in found]
    remembered("board")
    if st.session_state.get("board") not in titles:
        st.session_state.pop("board", None)
    title = st.selectbox(
        "Data set and preset",
        titles,
        key="board",
        bind="query-params",
        help="Only rows with the same data, preset and protocol are ranked together.",
    )
    remember("board", title)
    return found[titles.index(title)]


def plain(text: str) -> str:
    """Text as it is: no sign in it is Markdown."""
    signs = "\\`*_{}[]()#+!|<>~$:"
    return "".join(f"\\{sign}" if sign in signs else sign for sign in text)


def facts(content: Mapping[str, str]) -> None:
    """Names with their values, one below the other; blank values are left out."""
    for name, value in content.items():
        if value:
            st.markdown(f"**{name}**  \n{plain(value)}")
