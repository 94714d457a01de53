"""Administration of surveys: create, invite, open, watch, exclude, close, publish, export, back up.

Only sessions that are signed in can see this page. `bench survey` offers the same.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Literal

import pandas as pd
import streamlit as st

from bench.errors import BenchError
from bench.survey import admin
from bench.survey.admin import Overview, Summary
from bench.survey.conclude import conclude
from bench.survey.config import EXAMPLE, parse_config
from bench.survey.database.opening import open_store
from bench.survey.database.store import SurveyStore
from bench.survey.terms import SurveyState, shows_results
from dashboards import parts, sign_in
from dashboards.views import surveys

BY = "admin page"
Step = Literal["open", "close", "publish"]
NEXT_STEP: dict[SurveyState, Step] = {"draft": "open", "open": "close", "closed": "publish"}
CONSEQUENCES: dict[Step, str] = {
    "open": "Listeners can enter. The configuration cannot change any more.",
    "close": "Listeners cannot enter any more, and the survey cannot be opened again. From then on"
    " its results are shown.",
    "publish": "The results become final: listeners cannot withdraw any more.",
}
ACTIONS: dict[Step, Callable[[SurveyStore, str, str], None]] = {
    "open": admin.open_survey,
    "close": admin.close,
    "publish": admin.publish,
}


def time_text(time: datetime | None) -> str:
    """A time to the minute; empty for None."""
    return f"{time:%Y-%m-%d %H:%M} UTC" if time else ""


def new_survey() -> None:
    """A form that takes a configuration and creates a draft."""
    with st.form("make"):
        uploaded = st.file_uploader("Configuration, as a TOML file", type="toml", max_upload_size=1)
        typed = st.text_area("or as text", EXAMPLE, height=320, key="toml")
        if not st.form_submit_button("Render the clips and create a draft", type="primary"):
            return
    text = uploaded.getvalue().decode("utf-8", "replace") if uploaded else typed
    config = parse_config(text, uploaded.name if uploaded else "The text")
    with st.status("Creating the survey …", expanded=True) as progress:
        try:
            summary = admin.create(surveys.store() or open_store(), config, st.write, BY)
        except BenchError:
            progress.update(label="The survey was not created", state="error", expanded=False)
            raise
        progress.update(label="Done", state="complete", expanded=False)
    st.success(
        f"The draft **{parts.plain(summary.name)}** is created. Its clips are checked: none is"
        " silent, clipped or equal to another, and all have the same length, loudness and file"
        " size. Next, make invitation codes, and then open the survey."
    )


def next_step(store: SurveyStore, summary: Summary) -> None:
    """The analysis of a closed survey, and the survey's next step, which must be confirmed."""
    if shows_results(summary.state):
        st.markdown("The analysis shows its results on the page Survey.")
        if st.button("Analyse"):
            with st.spinner("Analysing …"):
                _, files = conclude(store, summary.name)
            st.success(f"Done. The report is {parts.plain(str(files[0]))}.")
    step = NEXT_STEP.get(summary.state)
    if step is None:
        st.caption("The survey is published: it cannot change any more.")
        return
    st.markdown(CONSEQUENCES[step])
    confirmed = st.checkbox(f"Yes, {step} it", key=f"sure-{step}-{summary.name}")
    if st.button(f"{step.capitalize()} {summary.name}", type="primary", disabled=not confirmed):
        ACTIONS[step](store, summary.name, BY)
        st.rerun()


def invite(store: SurveyStore, summary: Summary) -> None:
    """New invitation codes, which are shown only once."""
    if summary.state not in ("draft", "open"):
        st.caption("Nobody can be invited any more.")
        return
    with st.form("codes", border=False):
        count = st.number_input("How many codes", 1, admin.MOST_CODES, 30, width=200)
        submitted = st.form_submit_button("Make codes")
    if submitted:
        codes = admin.codes(store, summary.name, int(count), BY)
        address = str(st.context.url or "").rpartition("/")[0]
        links = [f"{address}/listen?c={code}" for code in codes]
        table = pd.DataFrame({"code": codes, "link": links})
        st.warning("The codes are shown only now, since only hashes are stored. Download them now.")
        st.download_button(
            "Download codes and links (CSV)",
            table.to_csv(index=False),
            f"{summary.name}-codes.csv",
            "text/csv",
            on_click="ignore",
            type="primary",
        )
        st.dataframe(table, hide_index=True)


def progress(overview: Overview) -> None:
    """Counts of people, steps and clips; no score."""
    flow = overview.summary.flow
    numbers = {
        "Invited": flow.invited,
        "Started": flow.started,
        "Finished": flow.finished,
        "Withdrawn": flow.withdrawn,
        "Excluded": flow.excluded,
        "Ratings": overview.summary.ratings,
    }
    with st.container(horizontal=True):
        for name, value in numbers.items():
            st.metric(name, value, width="content")
    st.markdown("**Who passed each step**")
    gates = pd.DataFrame(
        [
            {
                "step": gate.name,
                "reached it": gate.reached,
                "passed it": gate.passed,
                "share": gate.passed / gate.reached if gate.reached else None,
            }
            for gate in overview.gates
        ]
    )
    share = st.column_config.ProgressColumn(format="percent", min_value=0, max_value=1)
    st.dataframe(gates, hide_index=True, column_config={"share": share})
    st.caption(
        "If most people do not pass a step, look for the cause in the survey or in their browsers."
    )
    st.markdown("**Ratings of each clip**")
    plays = [
        {
            "system": system,
            "clips": len(counts),
            "fewest": min(counts),
            "most": max(counts),
            "total": sum(counts),
        }
        for system, counts in overview.plays.items()
    ]
    st.dataframe(pd.DataFrame(plays), hide_index=True)


def listeners(store: SurveyStore, overview: Overview) -> None:
    """All listeners by number, and a form to exclude one of them."""
    if not overview.listeners:
        st.caption("Nobody is invited yet.")
        return
    table = pd.DataFrame(
        [
            {
                "listener": listener.rater,
                "stage": listener.stage,
                "rated": f"{listener.done} of {listener.total}",
                "last seen": time_text(listener.last_seen),
                "excluded": listener.excluded,
            }
            for listener in overview.listeners
        ]
    )
    st.dataframe(table, hide_index=True)
    raters = [listener.rater for listener in overview.listeners if not listener.excluded]
    with st.form("exclude", border=False, clear_on_submit=True):
        rater = st.selectbox("Exclude listener", raters, index=None, width=300)
        reason = st.text_input("because", max_chars=500)
        if st.form_submit_button("Exclude") and rater is not None:
            admin.exclude(store, overview.summary.name, rater, reason, BY)
            st.rerun()
    st.caption(
        "Nothing is deleted: the ratings are flagged with the reason, which is published, and the"
        " results are shown both with and without them."
    )


def data(store: SurveyStore, summary: Summary) -> None:
    """Export, backup, and deleting a listener."""
    if shows_results(summary.state):
        comments = st.checkbox("With comments: read them before you share the file")
        st.download_button(
            "Download the ratings (CSV)",
            lambda: admin.export(store, summary.name, comments=comments).to_csv(index=False),
            f"{summary.name}-ratings.csv",
            "text/csv",
            on_click="ignore",
        )
        st.download_button(
            "Download the completion codes",
            lambda: "\n".join(admin.completion_codes(store, summary.name)) + "\n",
            f"{summary.name}-completion-codes.txt",
            "text/plain",
            on_click="ignore",
        )
    else:
        st.caption("Ratings can be exported once the survey is closed.")
    if st.button("Back everything up"):
        file = parts.plain(str(admin.backup(store)))
        st.success(f"The backup is {file}; only its owner can read it.")
    with st.form("delete", border=False, clear_on_submit=True):
        code = st.text_input("Delete all rows of the listener with the code", max_chars=60)
        confirmed = st.checkbox("Yes, delete; this cannot be undone")
        if st.form_submit_button("Delete") and code.strip():
            if confirmed:
                admin.delete_participant(store, code, BY)
                st.success("Deleted. Earlier backups still hold the rows.")
            else:
                st.warning("Tick the box as well.")


def audit(store: SurveyStore, name: str) -> None:
    """Who did what in a survey."""
    lines = [
        {
            "when": time_text(line.at),
            "survey": line.survey,
            "by": line.by,
            "what": line.action,
            "detail": line.detail,
        }
        for line in admin.audit(store, name)
    ]
    st.dataframe(pd.DataFrame(lines), hide_index=True, placeholder="")


def survey(store: SurveyStore, summary: Summary) -> None:
    """Everything about one survey."""
    overview = admin.status(store, summary.name)
    st.caption(
        f"{parts.plain(summary.title)}  \nCreated {time_text(summary.created)}"
        + (f", opened {time_text(summary.opened)}" if summary.opened else "")
        + (f", closed {time_text(summary.closed)}" if summary.closed else "")
        + (f", published {time_text(summary.published)}" if summary.published else "")
        + f"  \nConfiguration `{summary.config_hash[:16]}`: each listener rates"
        f" {overview.config.trials} clips in about {overview.config.minutes} minutes"
    )
    if summary.simulated:
        st.warning("Simulated: no people take part in it.")
    names = ("Progress", "Invite", "Listeners", "State", "Data", "Audit")
    progress_tab, invite_tab, listeners_tab, state_tab, data_tab, audit_tab = st.tabs(names)
    with progress_tab:
        progress(overview)
    with invite_tab:
        invite(store, summary)
    with listeners_tab:
        listeners(store, overview)
    with state_tab:
        next_step(store, summary)
    with data_tab:
        data(store, summary)
    with audit_tab:
        audit(store, summary.name)


def page() -> None:
    """The page below its title."""
    store = surveys.store()
    known = {summary.name: summary for summary in admin.surveys(store)} if store else {}
    labels = {name: f"{name} · {summary.state}" for name, summary in known.items()}
    chosen = st.selectbox(
        "Survey", [*known, ""], format_func=lambda name: labels.get(name, "create a new one …")
    )
    try:
        if store and chosen:
            survey(store, known[chosen])
        else:
            new_survey()
    except BenchError as error:
        st.error(parts.plain(str(error)).replace("\n", "  \n"))


if not sign_in.signed_in():
    st.stop()
with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
    st.title("Survey admin", width="content")
    if st.button("Sign out"):
        sign_in.sign_out()
        st.rerun()
page()
