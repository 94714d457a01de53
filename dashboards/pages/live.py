"""What a run is doing now, from its job folders."""

from __future__ import annotations

from collections import Counter

import pandas as pd
import streamlit as st

from bench.wording import duration
from dashboards.views import job as job_view
from dashboards.views import sources
from dashboards.views.board import counted
from dashboards.views.job import JobState

EVERY = "3s"
ORDER = ("running", "failed", "stopped", "waiting", "done")
PHASES = {"load": "loading data", "fit": "training", "sample": "sampling", "score": "scoring"}
WORDS = {
    "running": "A process works on it.",
    "waiting": "It has not begun.",
    "done": "It ended well.",
    "failed": "It ended with an error; the same `bench all` tries it again.",
    "stopped": "It was interrupted; the same `bench all` goes on with it.",
}


def counts(jobs: list[JobState]) -> None:
    """How many jobs stand how, and how long the rest takes."""
    number = Counter(job.state for job in jobs)
    left = job_view.seconds_left(jobs)
    with st.container(horizontal=True):
        for state in ("done", "running", "waiting", "failed", "stopped"):
            if number[state] or state in ("done", "running", "waiting"):
                st.metric(state.capitalize(), number[state], help=WORDS[state])
        st.metric(
            "Time left",
            "none" if left is None else f"about {duration(max(left, 1))}",
            help="From how long jobs like these took, and how many run at a time.",
        )
    st.progress(number["done"] / len(jobs), f"{number['done']} of {counted(len(jobs), 'job')} done")
    if not number["running"] and (number["waiting"] or number["stopped"]):
        st.info("Nothing runs now. The same `bench all` goes on where it stopped.")


def show_jobs(jobs: list[JobState]) -> None:
    """Every job, those in hand first."""
    states = [state for state in ORDER if any(job.state == state for job in jobs)]
    picked = st.pills("Show", states, selection_mode="multi", key="states", bind="query-params")
    jobs = sorted(jobs, key=lambda job: (ORDER.index(job.state), job.job.dataset, job.name))
    lines = [
        {
            "state": job.state,
            "system": job.job.system + (" (as published)" * (job.job.variant != "corrected")),
            "data": job.job.dataset,
            "preset": job.job.preset,
            "seed": job.job.seed,
            "phase": "" if job.state in ("done", "waiting") else PHASES.get(job.phase, job.phase),
            "done": None if job.share is None else 100 * job.share,
            "seconds": job.seconds,
            "attempt": job.attempt or None,
            "what happened": job.error,
        }
        for job in jobs
        if not picked or job.state in picked
    ]
    st.dataframe(
        pd.DataFrame(lines),
        hide_index=True,
        column_config={
            "done": st.column_config.ProgressColumn("of the phase", format="%d %%", max_value=100),
            "seconds": st.column_config.NumberColumn(format="%.0f"),
        },
        placeholder="",
        height=min(700, 38 + 35 * max(1, len(lines))),
        alt="The jobs of this run",
    )


@st.fragment(run_every=EVERY)
def live() -> None:
    """The part of the page that keeps itself up to date."""
    folders = job_view.folders(sources.runs())
    jobs = job_view.states(folders.values())
    if not jobs:
        st.info(
            f"There are no jobs in {sources.runs().name}/. `bench all` starts some;"
            " this page then follows them by itself."
        )
        return
    counts(jobs)
    show_jobs(jobs)
    unreadable = len(folders) - len(jobs)
    if unreadable:
        st.warning(f"{counted(unreadable, 'folder')} without a readable job left out.")
    for job in (job for job in jobs if job.state == "failed"):
        with st.expander(f"{job.name}: {job.error}"):
            st.code(job_view.log_of(folders[job.job.id]) or "The log is empty.", language=None)


st.title("Run")
if sources.published():
    st.caption(
        "These are the jobs behind the published board; they ended long ago. To follow a run of"
        " your own: `bench dashboard --out RUNS`."
    )
else:
    st.caption(f"Follows the job folders in {sources.runs().name}/ and keeps itself up to date.")
live()
