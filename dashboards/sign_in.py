"""Who may see the survey's admin page: whoever gave the password in this session."""

from __future__ import annotations

import time

import streamlit as st

from bench.survey.login import admin_password_set
from dashboards import surveys

IDLE_SECONDS = 3600.0  # after which the password is asked for again


def possible() -> bool:
    """Whether there is an administrator at all: without a password there is none."""
    return admin_password_set()


def signed_in() -> bool:
    """Whether this session gave the password and was not idle since."""
    since = st.session_state.get("admin_seen")
    if since is None or time.monotonic() - since > IDLE_SECONDS:
        sign_out()
        return False
    st.session_state["admin_seen"] = time.monotonic()
    return True


def sign_in() -> None:
    """This session gave the password."""
    st.session_state["admin_seen"] = time.monotonic()


def sign_out() -> None:
    """Forget it."""
    st.session_state.pop("admin_seen", None)
