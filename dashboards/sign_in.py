"""Who may see the survey's admin page: a session in which the password was given."""

from __future__ import annotations

import time

import streamlit as st

from bench.survey.login import admin_password_set, check_password

IDLE_SECONDS = 3600.0  # without a visit to the page, after which the password is asked for again
_LAST_SEEN = "admin_seen"


def possible() -> bool:
    """Whether anyone can sign in: only where a password is set."""
    return admin_password_set()


def signed_in() -> bool:
    """Whether the password was given in this session, and the session was not idle for too long."""
    last_seen = st.session_state.get(_LAST_SEEN)
    if not possible() or last_seen is None or time.monotonic() - last_seen > IDLE_SECONDS:
        sign_out()
        return False
    st.session_state[_LAST_SEEN] = time.monotonic()
    return True


def sign_in(password: str) -> bool:
    """Sign in; whether the password is right. BenchError after too many wrong ones."""
    right = check_password(password)
    if right:
        st.session_state[_LAST_SEEN] = time.monotonic()
    return right


def sign_out() -> None:
    """End the session's right to see the admin page."""
    st.session_state.pop(_LAST_SEEN, None)
