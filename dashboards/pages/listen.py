"""The blind listening survey as a listener takes it: `/listen?c=CODE`.

The page keeps nothing but the code: where the listener is, is derived from the database anew on
every run, so that a reload, another device or a restarted server go on at the same clip.
"""

from __future__ import annotations

import gc

import streamlit as st
from sqlalchemy.exc import SQLAlchemyError

from bench.errors import BenchError
from bench.survey import listening
from bench.survey.database.store import SurveyStore
from bench.survey.listening import Refused
from dashboards.listening import screens
from dashboards.views import surveys


@st.cache_resource(show_spinner=False)
def settle() -> None:
    """Keep what is loaded for good out of the search for garbage.

    Streamlit searches after every run of a page, which takes four fifths of the run's time.
    """
    gc.collect()
    gc.freeze()


def ask_for_code(why: str = "") -> None:
    """A field for the invitation code, above it what was wrong with the last one."""
    st.title("Listening survey", anchor=False)
    if why:
        st.error(why)
    with st.form("ask", border=False):
        typed = st.text_input(
            "Your invitation code", max_chars=60, autocomplete="off", key="typed-code"
        )
        if st.form_submit_button("Continue", type="primary") and typed.strip():
            st.query_params["c"] = typed.strip()
            st.rerun()
    st.caption("It is in the message that invited you.")


def known(store: SurveyStore, code: str) -> str:
    """Who the code belongs to; asked of the database once in a session."""
    if st.session_state.get("entered") != code:
        st.session_state["listener"] = listening.enter(store, code)
        st.session_state["entered"] = code
    return str(st.session_state["listener"])


def show(code: str) -> None:
    """The screen that the listener with this code is at."""
    store = surveys.store()
    if store is None:
        ask_for_code("There is no survey here at this time.")
        return
    try:
        listener = known(store, code)
    except Refused as no:
        ask_for_code(str(no))
        return
    now = listening.standing(store, listener)
    st.title(now.survey.title, anchor=False)
    if now.survey.simulated:
        st.warning("A demonstration: no answer given here counts.")
    try:
        screens.SCREENS[now.stage](store, listener, now)
        screens.foot(store, listener, now)
    except Refused as no:  # of an answer that came twice or late: what holds now is shown instead
        if listening.standing(store, listener) != now:
            st.rerun()
        st.error(str(no))


settle()
st.html(screens.STYLE)
code = str(st.query_params.get("c") or st.session_state.get("code") or "").strip()
st.session_state["code"] = code
try:
    if code:
        st.query_params["c"] = code
        show(code)
    else:
        ask_for_code()
except Refused as no:
    st.error(str(no))
except (SQLAlchemyError, BenchError):  # whose words name files
    st.error(
        "The survey cannot be reached at this time. What you answered is kept: reload this page in"
        " a few minutes."
    )
