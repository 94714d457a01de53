"""The survey's database as the pages see it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import streamlit as st

from bench.survey.database.opening import exists, open_store
from bench.survey.database.store import URL

if TYPE_CHECKING:
    from bench.survey.database.store import SurveyStore

HIDDEN = "in an open survey, hidden until it closes."


def store() -> SurveyStore | None:
    """The database; None where there is none, and none is created."""
    return _store(os.environ.get(URL) or "") if exists() else None


@st.cache_resource(max_entries=4, show_spinner=False)
def _store(url: str) -> SurveyStore:
    return open_store(url or None)


def embargoed() -> set[str]:
    """The ids of jobs in an open survey: no page plays or shows their samples."""
    from bench.survey import admin

    database = store()
    return admin.embargoed(database) if database else set()
