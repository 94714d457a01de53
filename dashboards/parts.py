"""What several pages show: which table, which contestants, and what is wrong with the board."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import streamlit as st
from streamlit.errors import StreamlitAPIException

from bench.board.rows import Group
from dashboards.views import sources


def remembered(key: str) -> None:
    """Begin with what was chosen on the page before, unless the address says otherwise."""
    kept = st.session_state.get(f"kept_{key}")
    if st.session_state.get("page_is_new") and key not in st.query_params and kept is not None:
        with suppress(StreamlitAPIException):  # the address belongs to the widget already
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


def choose_group() -> Group:
    """The rows that the reader chose, by data set and preset; ends the page where there are none."""
    groups = sources.board().groups
    if not groups:
        no_board()
    notices()
    titles = [group.title for group in groups]
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
    return groups[titles.index(title)]


def in_pairs(count: int) -> Iterator[Any]:
    """Places for so many things, two beside each other; on a phone they keep their order."""
    for first in range(0, count, 2):
        yield from st.columns(2)[: count - first]


def draw(key: tuple[str, ...], make: Callable[[], Any], alt: str) -> bool:
    """Show a chart; whether there is one. It is made once for each key, which says all of it.

    Most of the time that a chart takes goes into checking it against Vega's schema; the tests do
    that, a page need not.
    """
    spec = _spec(key, make)
    if spec is not None:
        st.vega_lite_chart(spec, width="stretch", alt=alt)
    return spec is not None


@st.cache_data(max_entries=256, show_spinner=False)
def _spec(key: tuple[str, ...], _make: Callable[[], Any]) -> dict[str, Any] | None:
    import altair

    chart = _make()
    with altair.theme.enable("none"):
        return None if chart is None else chart.to_dict(validate=False)


def plain(text: str) -> str:
    """Text as it is: no sign in it is Markdown."""
    signs = "\\`*_{}[]()#+!|<>~$:"
    return "".join(f"\\{sign}" if sign in signs else sign for sign in text)


def prose(text: str) -> str:
    """The same, but for what stands between backticks: that is shown as code."""
    pieces = text.split("`")
    if len(pieces) % 2 == 0:  # one backtick has no other
        return plain(text)
    return "".join(
        f"`{piece}`" if number % 2 else plain(piece) for number, piece in enumerate(pieces)
    )


def facts(content: Mapping[str, str]) -> None:
    """Names with their values, one below the other; blank values are left out."""
    for name, value in content.items():
        if value:
            st.markdown(f"**{name}**  \n{plain(value)}")
