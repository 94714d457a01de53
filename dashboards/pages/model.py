"""One system: its samples, figures, training, place among real music, and its card."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from bench import tables
from bench.store import JobFolder
from dashboards import (
    charts,
    job_view,
    map_view,
    model_view,
    music_view,
    parts,
    play,
    sources,
    surveys,
)
from dashboards.board_view import Cells, Table, counted, name_of
from dashboards.figures import figure_downloads

PARTS = ("Samples", "Figures", "Training", "Map", "Card")
PER_PAGE = 4


def pick(table: Table) -> Cells:
    """The row of the system that the reader chose."""
    parts.remembered("system")
    if st.session_state.get("system", table.names[0]) not in table.names:
        st.info(f"{st.session_state.pop('system')} is not in this table.")
    first = table.names.index(name_of(table.contestants[0]))
    name = st.selectbox("System", table.names, first, key="system", bind="query-params")
    parts.remember("system", name)
    return table.rows[table.names.index(name)]


def headline(row: Cells) -> None:
    """The figures that matter most."""
    with st.container(horizontal=True):
        rank = tables.span(row.get("rank"), row.get("rank_low"), row.get("rank_high"))
        st.metric("Rank", rank or "none", help="In brackets the places it may really have.")
        skill = row.get("skill")
        st.metric(
            "Skill",
            "none" if skill is None else f"{skill:.2f}",
            help="0 is noise, 1 is human music.",
        )
        nats = row.get("nats_per_step")
        st.metric(
            "Loss, nats per step",
            "none" if nats is None else f"{nats:.2f}",
            help=f"On held-out music; {row.get('likelihood_kind') or 'no likelihood'}."
            f" {row.get('likelihood_note') or ''}",
        )
        st.metric("Seeds that ended well", str(row.get("seeds") or 0))


def failures(row: Cells, jobs: list[JobFolder]) -> None:
    """What went wrong, with the end of each log."""
    if not row.get("failure"):
        return
    st.error(row["failure"], icon=":material/error:")
    for folder in jobs:
        job, status = job_view.job_of(folder), job_view.status_of(folder)
        if job and status and status.state != "ok":
            with st.expander(f"Log of seed {job.seed}, last {job_view.LOG_LINES} lines"):
                st.code(job_view.log_of(folder) or "The log is empty.", language=None)


@st.fragment
def show_samples(jobs: list[JobFolder]) -> None:
    """All samples in order; none is picked. None while listeners rate them."""
    if any(job.path.name in surveys.embargoed() for job in jobs):
        st.info(f"These samples are {surveys.HIDDEN}")
        return
    made = {f"{one.seed}": one for f in jobs if (one := sources.samples(f))}
    if not made:
        st.info("There are no samples on this machine.")
        return
    seed = next(iter(made))
    if len(made) > 1:
        seed = st.segmented_control(
            "Seed", list(made), default=seed, key="seed", bind="query-params", required=True
        )
    one = made[seed]
    job = next(job for f in jobs if (job := job_view.job_of(f)) and f"{job.seed}" == seed)
    asked = sources.prompts(job.dataset, job.protocol, job.dataset_fingerprint)
    st.caption(
        f"All {len(one.scores)} samples in the order in which they were made; none is picked."
        + ("" if asked else " Their prompts are not shown: the data set is not on this machine.")
    )
    if one.lost:
        st.warning(f"{counted(one.lost, 'file')} gone or changed since; they are left out.")
    pages = -(-len(one.scores) // PER_PAGE)
    page = st.pagination(pages, key="page", bind="query-params") if pages > 1 else 1
    clips: list[tuple[music_view.Clip | None, str]] = []
    for number in range((page - 1) * PER_PAGE, min(page * PER_PAGE, len(one.scores))):
        score = one.scores[number]
        label = f"Sample {number + 1}"
        if number < len(asked):
            label += f", after {asked[number].piece}"
        prompt = asked[number].score if number < len(asked) else None
        why = f"{label}: the file is gone or was changed."
        clips.append((music_view.continued(label, prompt, score) if score else None, why))
    play.side_by_side(clips, f"sample-{seed}-{page}")


def show_figures(row: Cells, jobs: list[JobFolder]) -> None:
    """Every figure: the row's with its interval, and per seed."""
    lines = model_view.per_seed(jobs)
    if not lines:
        st.info("The jobs are not on this machine; these are the figures of the leaderboard.")
        names = [name.removesuffix("_low") for name in row if name.endswith("_low")]
        lines = [
            {
                "metric": name.replace("_", " "),
                "value": row[name],
                "95 %": tables.number(row[name], row[f"{name}_low"], row[f"{name}_high"]),
            }
            for name in names
            if row.get(name) is not None
        ]
    else:
        lines = [model_view.loss_per_seed(jobs), *lines]
        st.caption("One column per seed. Where there is no value, the reason is at the right.")
    frame = pd.DataFrame(lines)
    figures = [name for name in frame if name.startswith("seed") or name == "value"]
    if "reason" in frame:
        frame = frame[["metric", *figures, "reason"]]
    st.dataframe(
        frame,
        hide_index=True,
        column_config={name: st.column_config.NumberColumn(format="%.4f") for name in figures},
        placeholder="",
        height="content",
        alt="Figures of this system",
    )


def show_training(row: Cells, jobs: list[JobFolder]) -> None:
    """The curves of training."""
    points = job_view.curves_of(jobs)
    if not points:
        st.info(
            "There are no training curves: this system does not learn step by step, or its jobs"
            " are not on this machine."
        )
        return
    losses = [point for point in points if "loss" in point["curve"]]
    others = sorted({point["curve"] for point in points} - {p["curve"] for p in losses})
    if losses:
        st.markdown("**Loss while it learns** (in the system's own unit)")
        st.altair_chart(charts.curves(losses, "loss"), width="stretch", alt="Loss curves")
        st.caption("A line per seed. Training goes on only as long as the validation loss falls.")
        figure_downloads("curves", f"{name_of(row)}-loss", points=losses, title=name_of(row))
    for name in others:
        with st.expander(name.replace("_", " ").capitalize()):
            rest = [point for point in points if point["curve"] == name]
            st.altair_chart(charts.curves(rest, name), width="stretch", alt=f"{name} curve")


def show_map(row: Cells, jobs: list[JobFolder]) -> None:
    """Where the samples lie among real music."""
    found = map_view.project(row, jobs)
    if isinstance(found, str):
        st.info(found)
    else:
        chart = charts.scatter(found.table, map_view.REAL, found.titles)
        st.altair_chart(chart, width="stretch", alt="Samples among real music")
        st.caption(
            "Each point is four bars. The axes are the two directions in which real music varies"
            " most; points far from the grey cloud do not look like it. What two axes cannot show"
            " is lost here: the distance itself is on the Figures page."
        )
    st.markdown("**Learned notes**")
    st.info("No system stores a vector per note that could be drawn here.")


def show_card(row: Cells, jobs: list[JobFolder]) -> None:
    """Where it comes from, how it was built, what was decided."""
    spec = model_view.spec_of(row)
    job = next((found for f in jobs if (found := job_view.job_of(f))), None)
    parts.facts(model_view.facts(row, spec, job))
    if spec is None:
        st.info("This system is not installed here, so its catalogue entry cannot be shown.")
        return
    if spec.decisions:
        st.markdown("**What was decided where the paper is silent**")
        for decision in spec.decisions:
            st.markdown("- " + parts.plain(decision))
    if spec.as_published:
        st.markdown("**Defects of the original, kept only in the variant 'as published'**")
        for defect in spec.as_published.defects:
            st.markdown("- " + parts.plain(defect))
    settings = model_view.settings_of(row, spec, job)
    if settings:
        st.markdown("**Settings**")
        st.json(settings, expanded=2)
    st.markdown("**Published figures beside ours**")
    if "none" in spec.published:
        st.text(f"There are none: {spec.published['none']}.")
        return
    st.dataframe(
        pd.DataFrame(model_view.published(spec, sources.board().rows)),
        hide_index=True,
        column_config={
            "of the paper's budget": st.column_config.NumberColumn(format="percent"),
        },
        placeholder="",
        height="content",
        alt="Published figures beside ours",
    )


st.title("Model")
left, right = st.columns(2)
with left:
    table = parts.choose_table()
with right:
    row = pick(table)
spec = model_view.spec_of(row)
st.subheader(spec.title if spec else name_of(row), divider="gray")
if spec and spec.about:
    st.text(spec.about)
if row["kind"] in ("floor", "ceiling"):
    st.caption("It is there to fix the scale and has no rank.")
headline(row)
there = job_view.folders(sources.runs())
jobs = job_view.folders_of(row, there)
failures(row, jobs)
part = st.segmented_control(
    "What to show",
    PARTS,
    default="Samples",
    key="part",
    bind="query-params",
    required=True,
    label_visibility="collapsed",
)
if part == "Samples":
    show_samples(jobs)
elif part == "Figures":
    show_figures(row, jobs)
elif part == "Training":
    show_training(row, jobs)
elif part == "Map":
    show_map(row, jobs)
else:
    show_card(row, jobs)
