"""One system: its samples, figures, training, place among real music, and its card."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial

import pandas as pd
import streamlit as st

from bench import registry, wording
from bench.board.rows import Group, Row
from bench.jobs.run_folder import JobFolder
from bench.music import Score
from bench.protocol.sampling import Prompt
from dashboards import parts, play
from dashboards.charts import model as model_charts
from dashboards.charts.downloads import figure_downloads
from dashboards.views import board as board_view
from dashboards.views import columns, sources, surveys
from dashboards.views import copying as copying_view
from dashboards.views import embedding as embedding_view
from dashboards.views import job as job_view
from dashboards.views import map as map_view
from dashboards.views import model as model_view
from dashboards.views import music as music_view
from dashboards.views import snapshot as snapshot_view
from dashboards.views.board import counted, ended_first

PARTS = ("Samples", "Figures", "Training", "Map", "Card")
PER_PAGE = 4


def pick(group: Group) -> Row:
    """The row of the system that the reader chose."""
    parts.remembered("system")
    if st.session_state.get("system", group.names[0]) not in group.names:
        st.info(f"{st.session_state.pop('system')} is not in this table.")
    first = group.names.index(ended_first(group)[0].name)
    name = st.selectbox("System", group.names, first, key="system", bind="query-params")
    parts.remember("system", name)
    return group.rows[group.names.index(name)]


def headline(row: Row) -> None:
    """The figures that matter most."""
    with st.container(horizontal=True):
        rank = wording.span(row.rank, row.rank_low, row.rank_high)
        st.metric("Rank", rank or "none", help="In brackets: its 95 % interval.")
        skill = row.skill
        st.metric(
            "Skill",
            "none" if skill is None else f"{skill:.2f}",
            help="0 is noise, 1 is human music.",
        )
        nats = row.nats_per_step
        st.metric(
            "Loss, nats per step",
            "none" if nats is None else f"{nats:.2f}",
            help=f"On held-out music; {row.likelihood_kind or 'no likelihood'}."
            f" {row.likelihood_note}",
        )
        st.metric("Finished seeds", str(row.seeds or 0))


def failures(row: Row, jobs: list[JobFolder]) -> None:
    """What went wrong, with the end of each log."""
    if not row.failure:
        return
    st.error(row.failure, icon=":material/error:")
    for folder in jobs:
        job, status = job_view.job_of(folder), job_view.status_of(folder)
        if job and status and status.state != "ok":
            with st.expander(f"Log of seed {job.seed}, last {job_view.LOG_LINES} lines"):
                st.code(job_view.log_of(folder) or "The log is empty.", language=None)


def clip_of(label: str, prompt: Prompt | None, score: Score | None) -> music_view.Clip | None:
    """A sample with its prompt; none where it is gone."""
    return None if score is None else music_view.continued(label, prompt, score)


def show_copying(row: Row, jobs: list[JobFolder]) -> None:
    """The evidence where the samples are copies: each passage beside its source."""
    accused = copying_view.report_of(jobs)
    if accused is None:
        if row.copying:
            st.warning(f"The samples are copies: {row.copying}.", icon=":material/content_copy:")
        return
    folder, report = accused
    st.warning(f"The samples are copies: {report.sentence}.", icon=":material/content_copy:")
    job, made = job_view.job_of(folder), sources.samples(folder)
    if job is None or made is None or folder.path.name in surveys.embargoed():
        return
    dataset = sources.dataset(job.dataset, job.dataset_fingerprint)
    pairs = copying_view.pairs(
        report,
        made.scores,
        sources.prompts(job.dataset, job.protocol, job.dataset_fingerprint),
        dataset.pieces if dataset else {},
    )
    with st.expander(f"Listen to {counted(len(pairs), 'passage')} and where they come from"):
        for number, pair in enumerate(pairs):
            st.caption(f"{pair.matched}.")
            place = pair.passage.place
            clips = [
                (clip_of(pair.label, None, pair.sample), f"{pair.label}: the file is gone."),
                (clip_of(place, None, pair.source), f"{place}: not on this machine."),
            ]
            play.side_by_side(clips, f"copy-{number}")


@st.fragment
def show_samples(row: Row, jobs: list[JobFolder]) -> None:
    """All samples in order; none is picked. None while listeners rate them."""
    if any(job.path.name in surveys.embargoed() for job in jobs):
        st.info(f"These samples are {surveys.HIDDEN}")
        return
    made = {f"{samples.seed}": samples for f in jobs if (samples := sources.samples(f))}
    if not made:
        st.info(sources.why_none(row))
        return
    seed = next(iter(made))
    if len(made) > 1:
        seed = st.segmented_control(
            "Seed", list(made), default=seed, key="seed", bind="query-params", required=True
        )
    samples = made[seed]
    job = next(job for f in jobs if (job := job_view.job_of(f)) and f"{job.seed}" == seed)
    asked = sources.prompts(job.dataset, job.protocol, job.dataset_fingerprint)
    st.caption(
        f"All {len(samples.scores)} samples in the order in which they were made; none is picked."
        + ("" if asked else " Their prompts are not shown: the data set is not on this machine.")
    )
    if samples.lost:
        st.warning(f"{counted(samples.lost, 'file')} gone or changed since; they are left out.")
    st.download_button(
        "All samples as MIDI (ZIP)",
        lambda: job_view.archive_of(list(made.values())),
        f"{job.system}-{job.dataset}-{job.preset}.zip",
        "application/zip",
        on_click="ignore",
        icon=":material/download:",
        help="A folder per seed. The samples only, without the prompts that they continue.",
    )
    pages = -(-len(samples.scores) // PER_PAGE)
    page = st.pagination(pages, key="page", bind="query-params") if pages > 1 else 1
    clips: list[tuple[music_view.Clip | None, str]] = []
    for number in range((page - 1) * PER_PAGE, min(page * PER_PAGE, len(samples.scores))):
        score = samples.scores[number]
        label = f"Sample {number + 1}"
        if number < len(asked):
            label += f", {'before' if asked[number].backward else 'after'} {asked[number].piece}"
        prompt = asked[number] if number < len(asked) else None
        why = f"{label}: the file is gone or was changed."
        clips.append((clip_of(label, prompt, score), why))
    play.side_by_side(clips, f"sample-{seed}-{page}")


def show_figures(row: Row, jobs: list[JobFolder]) -> None:
    """Every figure: the row's with its interval, and per seed."""
    lines = model_view.per_seed(row, jobs)
    table: list[dict[str, str | float | None]]
    if not lines:
        st.info("The jobs are not on this machine; these are the figures of the leaderboard.")
        names = ["skill", "human_rating", "nats_per_step", "bits_per_note"]
        names += ["frame_accuracy", *sorted(row.metrics)]
        table = [
            {
                "metric": columns.label(name),
                "value": row.value(name),
                "mean, 95 %": model_view.number(row, name),
            }
            for name in names
            if row.value(name) is not None
        ]
    else:
        st.caption(
            "The mean with its interval, as on the leaderboard, and each seed by itself. Where there"
            " is no value, the reason is at the right."
        )
        table = [
            {
                "metric": line.metric,
                "mean, 95 %": line.mean,
                **{f"seed {seed}": value for seed, value in line.seeds.items()},
                "reason": line.reason,
            }
            for line in (model_view.loss_per_seed(row, jobs), *lines)
        ]
    frame = pd.DataFrame(table)
    figures = [name for name in frame if name.startswith("seed") or name == "value"]
    reasons = ["reason"] if "reason" in frame and frame["reason"].any() else []
    frame = frame[["metric", "mean, 95 %", *figures, *reasons]]
    st.dataframe(
        frame,
        hide_index=True,
        column_config={name: st.column_config.NumberColumn(format="%.4f") for name in figures},
        placeholder="",
        height="content",
        alt="Figures of this system",
    )


def show_training(row: Row, jobs: list[JobFolder]) -> None:
    """The curves of training, and the system on its way."""
    show_curves(row, jobs)
    st.subheader("Through training")
    stages = snapshot_view.trajectories(jobs)
    if not stages:
        st.info(
            "This run kept no snapshots. `bench all --snapshots 6` lets each system sample, and"
            " scores it, at six points through its training."
        )
        return
    headline = {name for name, metric in registry.metrics().items() if metric.headline}
    usual = [name for name in stages if name == snapshot_view.LOSS or name in headline]
    names = {columns.label(name): name for name in stages}
    chosen = st.multiselect(
        "Figures",
        list(names),
        default=[columns.label(name) for name in usual[:4]],
        key="figures",
        bind="query-params",
    )
    for place, label in zip(parts.in_pairs(len(chosen)), chosen, strict=True):
        lines = pd.DataFrame(stages[names[label]])
        key = ("trajectory", label, lines.to_json())
        with place:
            parts.draw(
                key,
                partial(model_charts.trajectory, lines, label),
                f"{label} through training",
            )
    st.caption("The last point is the finished system, as the leaderboard has it.")
    listen_on_its_way(jobs)


@st.fragment
def listen_on_its_way(jobs: list[JobFolder]) -> None:
    """The same prompt as the system continued it at each stage."""
    if any(job.path.name in surveys.embargoed() for job in jobs):
        st.info(f"Its music is {surveys.HIDDEN}")
        return
    folder = next((f for f in jobs if snapshot_view.updates_kept(f)), None)
    if folder is None or (job := job_view.job_of(folder)) is None:
        st.info("The music of these stages is not on this machine.")
        return
    last = sources.samples(folder)
    asked = sources.prompts(job.dataset, job.protocol, job.dataset_fingerprint)
    count = len(last.scores) if last else job.protocol.samples
    number = st.number_input(
        f"Sample, 1 to {count}", 1, count, 1, key="stage-sample", bind="query-params", width=200
    )
    made = {
        f"After {update:,} updates": snapshot_view.sample(folder, update, number - 1)
        for update in snapshot_view.updates_kept(folder)
    }
    made["Finished"] = last.scores[number - 1] if last else None
    prompt = asked[number - 1] if number <= len(asked) else None
    clips = [
        (clip_of(label, prompt, score), f"{label}: the file is gone.")
        for label, score in made.items()
    ]
    play.side_by_side(clips, f"stage-{job.id}-{number}")


def show_curves(row: Row, jobs: list[JobFolder]) -> None:
    """The curves of training."""
    points = job_view.curves_of(jobs)
    if not points:
        st.info(
            "There are no training curves: this system is not trained step by step, or its jobs"
            " are not on this machine."
        )
        return
    losses = [point for point in points if "loss" in point.curve]
    others = sorted({point.curve for point in points} - {point.curve for point in losses})
    if losses:
        st.markdown("**Loss during training** (nats per step of music)")
        st.altair_chart(model_charts.curves(losses, "loss"), width="stretch", alt="Loss curves")
        st.caption("One line per seed. Training stops when the validation loss no longer falls.")
        figure_downloads("curves", f"{row.name}-loss", points=losses, title=row.name)
    for name in others:
        with st.expander(name.replace("_", " ").capitalize()):
            rest = [point for point in points if point.curve == name]
            st.altair_chart(model_charts.curves(rest, name), width="stretch", alt=f"{name} curve")


def show_map(row: Row, jobs: list[JobFolder]) -> None:
    """Where the samples lie among real music."""
    projected = map_view.project(row, jobs)
    if isinstance(projected, str):
        st.info(projected)
    else:
        chart = model_charts.scatter(projected.table, map_view.REAL, projected.titles)
        st.altair_chart(chart, width="stretch", alt="Samples among real music")
        st.caption(
            "Each point is four bars. The axes are the two directions in which real music varies"
            " most; points far from the grey cloud do not look like it. What two axes cannot show"
            " is lost here: the distance itself is on the Figures page."
        )
    st.subheader("Learned vectors of notes")
    show_learnt(row, jobs)


def show_learnt(row: Row, jobs: list[JobFolder]) -> None:
    """Its vectors of notes or chords, on a plane."""
    every = embedding_view.learnt(model_view.spec_of(row), jobs)
    if isinstance(every, str):
        st.info(every)
        return
    of = next(iter(every))
    if len(every) > 1:
        if st.session_state.get("of", of) not in every:
            st.session_state.pop("of")
        of = st.segmented_control(
            "Of", list(every), default=of, key="of", bind="query-params", required=True
        )
    learnt = every[of]
    method = st.segmented_control(
        "Onto two axes by",
        embedding_view.METHODS,
        default=embedding_view.METHODS[0],
        key="method",
        bind="query-params",
        required=True,
    )
    digests = (board_view.digest_of(folder.result) for folder in jobs)
    parts.draw(
        ("embedding", row.name, of, method, *digests),
        lambda: model_charts.embedding(
            embedding_view.flattened(learnt, method), embedding_view.NAMED
        ),
        f"What {row.name} learnt of notes",
    )
    st.caption(
        "Each point is a note, notes that sound together, or a message; what lies close is alike to"
        " the system. The most frequent ones are named, point at the others."
        + (
            " t-SNE keeps neighbours together; distances across the map mean nothing."
            if method == "t-SNE"
            else ""
        )
    )


def show_card(row: Row, jobs: list[JobFolder]) -> None:
    """Where it comes from, how it was built, what was decided."""
    spec = model_view.spec_of(row)
    job = next((job for f in jobs if (job := job_view.job_of(f))), None)
    parts.facts(model_view.facts(row, spec, job))
    if spec is None:
        st.info("This system is not installed here, so its catalogue entry cannot be shown.")
        return
    if spec.decisions:
        st.markdown("**What was decided where the paper is silent**")
        for decision in spec.decisions:
            st.markdown("- " + parts.prose(decision))
    if spec.as_published:
        st.markdown("**Defects of the original, kept only in the variant 'as published'**")
        for defect in spec.as_published.defects:
            st.markdown("- " + parts.prose(defect))
    settings = model_view.settings_of(row, spec, job)
    if settings:
        st.markdown("**Settings**")
        st.json(settings, expanded=2)
    st.markdown("**Published figures next to ours**")
    if "none" in spec.published:
        st.text(f"There are none: {spec.published['none']}.")
        return
    st.dataframe(
        pd.DataFrame(
            [asdict(line) for line in model_view.published(spec, sources.board().rows)]
        ).rename(
            columns={
                "dataset": "data set",
                "published": "in the paper",
                "ours": "here",
                "budget_share": "of the paper's budget",
            }
        ),
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
    group = parts.choose_group()
with right:
    row = pick(group)
spec = model_view.spec_of(row)
st.subheader(spec.title if spec else row.name, divider="gray")
if spec and spec.about:
    st.text(spec.about)
if row.is_scale:
    st.caption("It defines the scale and has no rank.")
headline(row)
folders = job_view.folders(sources.runs())
jobs = job_view.folders_of(row, folders)
failures(row, jobs)
show_copying(row, jobs)
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
    show_samples(row, jobs)
elif part == "Figures":
    show_figures(row, jobs)
elif part == "Training":
    show_training(row, jobs)
elif part == "Map":
    show_map(row, jobs)
else:
    show_card(row, jobs)
