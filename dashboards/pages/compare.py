"""Two to four systems on the same prompts, side by side."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from bench import registry
from bench.board.compare import Difference, compare, direction_of
from bench.board.rows import Group, Row
from bench.jobs.run_folder import JobFolder
from bench.protocol.sampling import Prompt
from dashboards import parts, play
from dashboards.charts import board as charts
from dashboards.views import columns, sources, surveys
from dashboards.views import compare as compare_view
from dashboards.views import job as job_view
from dashboards.views import music as music_view
from dashboards.views.board import counted, digest_of, ended_first, file_name

REAL = "the composer"


def pick(group: Group) -> list[Row]:
    """The rows to compare."""
    default = [row.name for row in ended_first(group)[:2]]
    if "systems" in st.session_state:  # of another table, perhaps
        kept = [name for name in st.session_state["systems"] if name in group.names]
        st.session_state["systems"] = kept
    chosen = st.multiselect(
        "Systems, two to four",
        group.names,
        default=default,
        max_selections=4,
        key="systems",
        bind="query-params",
    )
    return [row for row in map(group.row, chosen) if row is not None]


@st.fragment
def listen(rows: list[Row], jobs: list[list[JobFolder]], asked: list[list[Prompt]]) -> None:
    """The same prompt as each of them continues it; for one that runs backward, an ending."""
    hidden = surveys.embargoed()
    samples = [sources.samples(folders[0]) if folders else None for folders in jobs]
    count = max((len(made.scores) for made in samples if made), default=0)
    if not count:
        st.info(
            "The samples are not on this machine: only the leaderboard is. Where the run folder"
            " is, `bench dashboard --out RUNS` plays them."
        )
        return
    number = st.number_input(
        f"Prompt, 1 to {count}", 1, count, 1, key="prompt", bind="query-params", width=200
    )
    prompts = [given[number - 1] if number <= len(given) else None for given in asked]
    forward = next((prompt for prompt in prompts if prompt and not prompt.backward), None)
    if forward:
        st.caption(
            f"One bar of {forward.piece}, from step {forward.start}, then each system's continuation."
        )
    for row, prompt in zip(rows, prompts, strict=True):
        if prompt and prompt.backward:
            st.caption(
                f"{row.name} runs backward and has another prompt: its sample leads up to one bar of"
                f" {prompt.piece}, from step {prompt.start}."
            )
    if not any(prompts):
        st.caption("The prompt is not shown: this data set is not on this machine.")
    clips: list[tuple[music_view.Clip | None, str]] = []
    for row, made, folders, prompt in zip(rows, samples, jobs, prompts, strict=True):
        score = made.scores[number - 1] if made and number <= len(made.scores) else None
        if any(folder.path.name in hidden for folder in folders):
            clips.append((None, f"{row.name}: {surveys.HIDDEN}"))
        elif score is None:
            clips.append((None, f"{row.name} has no such sample: {why_not(row, made)}"))
        else:
            clips.append((music_view.continued(row.name, prompt, score), ""))
    play.side_by_side(clips, f"clip-{file_name(group)}-{number}")


def why_not(row: Row, made: job_view.Samples | None) -> str:
    """Why a sample cannot be played."""
    if made:
        return "the file is gone or was changed."
    if row.failure:
        return row.failure
    if row.kind == "ceiling":
        return sources.why_none(row)
    return "its job is not on this machine."


def show_differences(rows: list[Row], folders: dict[str, JobFolder]) -> None:
    """Paired differences: the first against each of the others."""
    rebuilt = compare_view.rebuilt(group.rows, folders)
    first, known = rows[0].name, registry.metrics()
    lines, scaled = [], []
    for row in rows[1:]:
        a, b = rebuilt.get(first), rebuilt.get(row.name)
        if a is None or b is None or a.standing != b.standing:
            continue
        for difference in compare(a, b):
            headline = difference.figure in known and known[difference.figure].headline
            label = columns.label(difference.figure)
            if not (headline or show_all or difference.figure in ("skill", "nats_per_step")):
                continue
            lines.append(
                {
                    "figure": label,
                    "against": row.name,
                    first: difference.first,
                    "the other": difference.second,
                    "difference": difference.difference,
                    "95 %": f"{difference.low:+.3f} to {difference.high:+.3f}",
                    "better": verdict(difference, first, row.name),
                }
            )
            gain = compare_view.scale(group.rows, difference.figure) if headline else None
            gain = 1.0 if difference.figure == "skill" else gain
            if gain:
                ends = sorted((difference.low / gain, difference.high / gain))
                scaled.append((label, row.name, difference.difference / gain, *ends))
    if not lines:
        st.info("The jobs behind these rows are not on this machine, so nothing can be paired.")
        return
    if scaled:
        names = ["metric", "other", "difference", "low", "high"]
        st.altair_chart(
            charts.differences(pd.DataFrame(scaled, columns=names)),
            width="stretch",
            alt="Differences in skill with their intervals",
        )
        st.caption(
            f"Right of the line {first} is better. One unit is the distance from noise to human music."
            " Where an interval contains zero, the difference is not significant."
        )
    st.dataframe(
        pd.DataFrame(lines),
        hide_index=True,
        column_config={
            name: st.column_config.NumberColumn(format="%.3f")
            for name in (first, "the other", "difference")
        },
        placeholder="",
        alt="Paired differences",
    )
    st.caption("Undecided: the difference may be chance (Holm's correction over all figures).")


def verdict(difference: Difference, first: str, second: str) -> str:
    """What a difference says, in words."""
    if difference.better:
        wins = (difference.difference > 0) == (direction_of(difference.figure) == "higher")
        return first if wins else second
    return "" if direction_of(difference.figure) == "none" else "undecided"


def show_distributions(rows: list[Row], jobs: list[list[JobFolder]], asked: list[Prompt]) -> None:
    """How notes are distributed, against what the composers wrote after the first row's prompts."""
    music = {}
    results = [digest_of(f.result) for folders in jobs for f in folders]
    if asked:
        music[REAL] = [prompt.continuation for prompt in asked]
    for row, folders in zip(rows, jobs, strict=True):
        samples = [made for f in folders if (made := sources.samples(f))]
        scores = [score for made in samples for score in made.scores if score is not None]
        if scores:
            music[row.name] = scores
    if not set(music) - {REAL}:
        st.info("There are no samples on this machine to count notes in.")
        return
    places = parts.in_pairs(len(music_view.DISTRIBUTIONS))
    known = music_view.DISTRIBUTIONS.items()
    for place, (title, (count, bins, unit)) in zip(places, known, strict=True):

        def make(count: Any = count, bins: Any = bins, unit: str = unit) -> Any:
            shares = {name: count(pieces) for name, pieces in music.items()}
            return charts.distribution(shares, bins, unit, REAL)

        with place:
            st.markdown(f"**{title}**")
            parts.draw((title, *music, *results), make, f"{title} of each system")
    if asked:
        st.caption("Grey bars: what the composers wrote after the same prompts.")


st.title("Compare")
st.caption(
    "The same prompts, continued by each system. Every difference is paired by prompt; with a system"
    " that runs backward, by the pieces that its endings and the prompts of the others are from."
)
group = parts.choose_group()
rows = pick(group)
if len(rows) < 2:
    st.info("Choose two systems or more.")
    st.stop()
folders = job_view.folders(sources.runs())
jobs = [job_view.folders_of(row, folders) for row in rows]
described = [next((job for f in some if (job := job_view.job_of(f))), None) for some in jobs]
asked = [
    sources.prompts(job.dataset, job.protocol, job.dataset_fingerprint) if job else []
    for job in described
]

st.subheader("Listen")
listen(rows, jobs, asked)
against = rows[1].name if len(rows) == 2 else "the others"
st.subheader(f"{rows[0].name} against {against}")
show_all = st.toggle("Every metric, not only the headline ones", key="all", bind="query-params")
show_differences(rows, folders)
st.subheader("How the notes are distributed")
show_distributions(rows, jobs, next(filter(None, asked), []))
lost = sum(made.lost for folders in jobs for f in folders if (made := sources.samples(f)))
if lost:
    st.warning(f"{counted(lost, 'sample')} of these systems: the file is gone or was changed.")
