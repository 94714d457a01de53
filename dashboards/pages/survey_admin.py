"""Surveys behind the scenes: make, invite, open, watch, exclude, close, publish, keep safe.

Registered only for sessions that gave the password. Everything here is in `bench survey` too.
"""

from __future__ import annotations

from datetime import datetime

import pandas as pd
import streamlit as st

from bench.errors import BenchError
from bench.survey import admin
from bench.survey.admin import Overview, Summary
from bench.survey.conclude import conclude
from bench.survey.config import EXAMPLE, parse_config
from bench.survey.database.opening import open_store
from bench.survey.database.store import SurveyStore
from dashboards import parts, sign_in
from dashboards.views import surveys

BY = "admin page"
NEXT = {"draft": "open", "open": "close", "closed": "publish"}
MEANS = {
    "open": "Listeners get in. The configuration cannot change any more.",
    "close": "Nobody gets in any more, for good: it cannot be opened again. The results show from"
    " then on.",
    "publish": "The results become final: nobody can withdraw any more.",
}
VERBS = {"open": admin.open_survey, "close": admin.close, "publish": admin.publish}


def when(time: datetime | None) -> str:
    """A time, in short."""
    return f"{time:%Y-%m-%d %H:%M} UTC" if time else ""


def make() -> None:
    """A form that takes a configuration and makes a draft of it."""
    with st.form("make"):
        given = st.file_uploader("Configuration, as a TOML file", type="toml", max_upload_size=1)
        typed = st.text_area("or as text", EXAMPLE, height=320, key="toml")
        if not st.form_submit_button("Render the clips and make a draft", type="primary"):
            return
    text = given.getvalue().decode("utf-8", "replace") if given else typed
    config = parse_config(text, given.name if given else "The text")
    with st.status("Making the survey …", expanded=True) as shown:
        try:
            made = admin.create(surveys.store() or open_store(), config, st.write, BY)
        except BenchError:
            shown.update(label="The survey was not made", state="error", expanded=False)
            raise
        shown.update(label="Done", state="complete", expanded=False)
    st.success(
        f"Draft **{parts.plain(made.name)}** is made. Every clip is checked: none is silent,"
        " clipped or equal to another, and all have one length, loudness and size. Make invitation"
        " codes, then open it."
    )


def change_state(store: SurveyStore, one: Summary) -> None:
    """The one step that comes next, after a tick."""
    if one.state in ("closed", "published"):
        st.markdown("Say what can be concluded: it shows on the Survey page.")
        if st.button("Analyse"):
            with st.spinner("Analysing …"):
                _, files = conclude(store, one.name)
            st.success(f"Done. The report is {parts.plain(str(files[0]))}.")
    verb = NEXT.get(one.state)
    if verb is None:
        st.caption("Published: nothing about it changes any more.")
        return
    st.markdown(MEANS[verb])
    sure = st.checkbox(f"Yes, {verb} it", key=f"sure-{verb}-{one.name}")
    if st.button(f"{verb.capitalize()} {one.name}", type="primary", disabled=not sure):
        VERBS[verb](store, one.name, BY)
        st.rerun()


def invite(store: SurveyStore, one: Summary) -> None:
    """New codes, shown this once."""
    if one.state not in ("draft", "open"):
        st.caption("Nobody can be invited any more.")
        return
    with st.form("codes", border=False):
        count = st.number_input("How many codes", 1, admin.MOST_CODES, 30, width=200)
        made = st.form_submit_button("Make codes")
    if made:
        codes = admin.codes(store, one.name, int(count), BY)
        address = str(st.context.url or "").rpartition("/")[0]
        table = pd.DataFrame({"code": codes, "link": [f"{address}/listen?c={c}" for c in codes]})
        st.warning("They are shown this once: only their hashes are kept. Download them now.")
        st.download_button(
            "Download codes and links (CSV)",
            table.to_csv(index=False),
            f"{one.name}-codes.csv",
            "text/csv",
            on_click="ignore",
            type="primary",
        )
        st.dataframe(table, hide_index=True)


def watch(status: Overview) -> None:
    """Counts, gates, plays and listeners; no score."""
    flow = status.summary.flow
    numbers = {
        "Invited": flow.invited,
        "Started": flow.started,
        "Finished": flow.finished,
        "Withdrawn": flow.withdrawn,
        "Excluded": flow.excluded,
        "Ratings": status.summary.ratings,
    }
    with st.container(horizontal=True):
        for name, value in numbers.items():
            st.metric(name, value, width="content")
    st.markdown("**Who got through each step**")
    gates = pd.DataFrame(
        [
            {
                "step": gate.name,
                "came to it": gate.reached,
                "got through": gate.passed,
                "share": gate.passed / gate.reached if gate.reached else None,
            }
            for gate in status.gates
        ]
    )
    share = st.column_config.ProgressColumn(format="percent", min_value=0, max_value=1)
    st.dataframe(gates, hide_index=True, column_config={"share": share})
    st.caption(
        "A step that most people fail is a fault of the survey or of their browsers, not of theirs."
    )
    st.markdown("**Ratings of each clip**")
    plays = [
        {
            "system": system,
            "clips": len(counts),
            "fewest": min(counts),
            "most": max(counts),
            "in all": sum(counts),
        }
        for system, counts in status.plays.items()
    ]
    st.dataframe(pd.DataFrame(plays), hide_index=True)


def listeners(store: SurveyStore, status: Overview) -> None:
    """Everybody by number, and how to exclude one."""
    if not status.listeners:
        st.caption("Nobody is invited yet.")
        return
    table = pd.DataFrame(
        [
            {
                "listener": one.rater,
                "stage": one.stage,
                "rated": f"{one.done} of {one.total}",
                "last seen": when(one.last_seen),
                "excluded": one.excluded,
            }
            for one in status.listeners
        ]
    )
    st.dataframe(table, hide_index=True)
    left = [one.rater for one in status.listeners if not one.excluded]
    with st.form("exclude", border=False, clear_on_submit=True):
        rater = st.selectbox("Exclude listener", left, index=None, width=300)
        reason = st.text_input("because", max_chars=500)
        if st.form_submit_button("Exclude") and rater is not None:
            admin.exclude(store, status.summary.name, rater, reason, BY)
            st.rerun()
    st.caption(
        "Nothing is deleted: the ratings are flagged with the reason, which is published, and the"
        " results show both with and without them."
    )


def take_out(store: SurveyStore, one: Summary) -> None:
    """Export, backup, and deleting somebody."""
    if one.state in ("closed", "published"):
        with_comments = st.checkbox("With comments: read them before you give them away")
        st.download_button(
            "Download the ratings (CSV)",
            lambda: admin.export(store, one.name, comments=with_comments).to_csv(index=False),
            f"{one.name}-ratings.csv",
            "text/csv",
            on_click="ignore",
        )
        st.download_button(
            "Download the completion codes",
            lambda: "\n".join(admin.completion_codes(store, one.name)) + "\n",
            f"{one.name}-completion-codes.txt",
            "text/plain",
            on_click="ignore",
        )
    else:
        st.caption("Ratings can be exported once the survey is closed.")
    if st.button("Back everything up"):
        st.success(f"Kept in {parts.plain(str(admin.backup(store)))}, readable by its owner alone.")
    with st.form("delete", border=False, clear_on_submit=True):
        code = st.text_input("Delete all rows of the listener with the code", max_chars=60)
        sure = st.checkbox("Yes, delete; this cannot be undone")
        if st.form_submit_button("Delete") and code.strip():
            if sure:
                admin.delete_participant(store, code, BY)
                st.success("Deleted. Backups made before still hold them.")
            else:
                st.warning("Tick the box as well.")


def record(store: SurveyStore, name: str | None = None) -> None:
    """Who did what."""
    lines = [
        {
            "when": when(entry.at),
            "survey": entry.survey,
            "by": entry.by,
            "what": entry.action,
            "detail": entry.detail,
        }
        for entry in admin.audit(store, name)
    ]
    st.dataframe(pd.DataFrame(lines), hide_index=True, placeholder="")


def one_survey(store: SurveyStore, one: Summary) -> None:
    """All about one survey."""
    status = admin.status(store, one.name)
    st.caption(
        f"{parts.plain(one.title)}  \nMade {when(one.created)}"
        + (f", opened {when(one.opened)}" if one.opened else "")
        + (f", closed {when(one.closed)}" if one.closed else "")
        + (f", published {when(one.published)}" if one.published else "")
        + f"  \nConfiguration `{one.config_hash[:16]}`: {status.config.trials} clips to each"
        f" listener, about {status.config.minutes} minutes"
    )
    if one.simulated:
        st.warning("Simulated: no people take part in it.")
    names = ("Progress", "Invite", "Listeners", "State", "Data", "Record")
    progress, invitations, people, state, data, audit = st.tabs(names)
    with progress:
        watch(status)
    with invitations:
        invite(store, one)
    with people:
        listeners(store, status)
    with state:
        change_state(store, one)
    with data:
        take_out(store, one)
    with audit:
        record(store, one.name)


def page() -> None:
    """The page."""
    store = surveys.store()
    known = admin.surveys(store) if store else []
    names = [one.name for one in known]
    labels = {one.name: f"{one.name} · {one.state}" for one in known}
    chosen = st.selectbox(
        "Survey", [*names, ""], format_func=lambda name: labels.get(name, "make a new one …")
    )
    try:
        if store and chosen:
            one_survey(store, next(one for one in known if one.name == chosen))
        else:
            make()
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
