"""The blind listening survey as a listener takes it: `/listen?c=CODE`.

The page keeps nothing but the code. Every run reads the listener's position from the database, so
that a reload, another device or a restarted server continues at the same clip.
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
def freeze_loaded_modules() -> None:
    """Exempt everything that is loaded by now from garbage collection.

    Streamlit collects garbage after every run of a page, which would take four fifths of its time.
    """
    gc.collect()
    gc.freeze()


def ask_for_code(problem: str = "") -> None:
    """A field for the invitation code, and what was wrong with the last code."""
    st.title("Listening survey", anchor=False)
    if problem:
        st.error(problem)
    with st.form("ask", border=False):
        typed = st.text_input(
            "Your invitation code", max_chars=60, autocomplete="off", key="typed-code"
        )
        if st.form_submit_button("Continue", type="primary") and typed.strip():
            st.query_params["c"] = typed.strip()
            st.rerun()
    st.caption("It is in the message that invited you.")


def listener_of(store: SurveyStore, code: str) -> str:
    """The listener's id for a code; the database is asked once in a session."""
    if st.session_state.get("entered") != code:
        st.session_state["listener"] = listening.enter(store, code)
        st.session_state["entered"] = code
    return str(st.session_state["listener"])


def show(code: str) -> None:
    """The current screen of the listener with this code."""
    store = surveys.store()
    if store is None:
        ask_for_code("There is no survey here at this time.")
        return
    try:
        listener = listener_of(store, code)
    except Refused as refusal:
        ask_for_code(str(refusal))
        return
    standing = listening.standing(store, listener)
    st.title(standing.survey.title, anchor=False)
    if standing.survey.simulated:
        st.warning("This is a demonstration: answers given here do not count.")
    try:
        screens.SCREENS[standing.stage](store, listener, standing)
        screens.footer(store, listener, standing)
    except Refused as refusal:  # an answer that came twice or late: show the current state instead
        if listening.standing(store, listener) != standing:
            st.rerun()
        st.error(str(refusal))


freeze_loaded_modules()
st.html(screens.STYLE)
code = str(st.query_params.get("c") or st.session_state.get("code") or "").strip()
st.session_state["code"] = code
try:
    if code:
        st.query_params["c"] = code
        show(code)
    else:
        ask_for_code()
except Refused as refusal:
    st.error(str(refusal))
except (SQLAlchemyError, BenchError):  # their messages can name files of the server
    st.error(
        "The survey cannot be reached at this time. Your answers are saved: reload this page in a"
        " few minutes."
    )
