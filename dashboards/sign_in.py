"""Who may see the survey's admin page: whoever gave the password in this session."""

from __future__ import annotations

import time

import streamlit as st

from bench.survey.login import admin_password_set, check_password

IDLE_SECONDS = 3600.0  # after which the password is asked for again
_SEEN = "admin_seen"


def possible() -> bool:
    """Whether there is an administrator at all: without a password there is none."""
    return admin_password_set()


def signed_in() -> bool:
    """Whether this session gave the password and was not idle since."""
    since = st.session_state.get(_SEEN)
    if not possible() or since is None or time.monotonic() - since > IDLE_SECONDS:
        sign_out()
        return False
    st.session_state[_SEEN] = time.monotonic()
    return True


def sign_in(password: str) -> bool:
    """Take the password; whether it is the right one. BenchError after too many wrong ones."""
    right = check_password(password)
    if right:
        st.session_state[_SEEN] = time.monotonic()
    return right


def sign_out() -> None:
    """Ask for the password again."""
    st.session_state.pop(_SEEN, None)
