"""The survey's database as the pages see it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import streamlit as st

from bench.survey.database.opening import exists, open_store

if TYPE_CHECKING:
    from bench.survey.database.store import SurveyStore

HIDDEN = "in an open survey, hidden until it closes."


def store() -> SurveyStore | None:
    """The database; none where no survey was ever made. Asking makes none."""
    url = os.environ.get("BENCH_SURVEY_URL") or ""
    return _store(url) if exists() else None


@st.cache_resource(max_entries=4, show_spinner=False)
def _store(url: str) -> SurveyStore:
    return open_store()


def embargoed() -> set[str]:
    """The ids of jobs that listeners rate at this time: nobody can hear or see their samples."""
    from bench.survey.admin import embargoed as asked

    there = store()
    return asked(there) if there else set()
