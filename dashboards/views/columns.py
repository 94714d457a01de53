"""The columns of the leaderboard page: what each shows, in which view, and in plain words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bench.board.rows import COLUMNS, Row
from bench.contract import Metric

Form = Literal["text", "whole", "figure", "seconds"]


@dataclass(frozen=True)
class Column:
    """One column: its key in addresses, its head, what it means, and a row's value for it."""

    key: str
    head: str
    about: str
    value: Callable[[Row], Any]
    form: Form = "text"
    metric: str = ""  # the metric it is a figure of


def cell(name: str) -> Callable[[Row], Any]:
    """The row's cell of that name; nothing where it is empty."""

    def value(row: Row) -> Any:
        content = getattr(row, name) if name in COLUMNS else row.value(name)
        return None if content == "" else content

    return value


def skill_of(metric: str) -> Callable[[Row], float | None]:
    """The row's skill by that metric."""
    return lambda row: row.metric(metric).skill


def span(name: str, digits: int = 2) -> Callable[[Row], str | None]:
    """The row's interval of that name."""

    def text(row: Row) -> str | None:
        low, high = row.figure(name).low, row.figure(name).high
        if low is None or high is None:
            return None
        if name == "rank":
            return f"{low:.0f}" if low == high else f"{low:.0f}–{high:.0f}"
        return f"{low:.{digits}f} to {high:.{digits}f}"

    return text


def likelihood(name: str, described: str) -> Callable[[Row], Any]:
    """A likelihood, where it is one of that object: two objects never share a column."""
    inner = span(name.removesuffix(".span")) if name.endswith(".span") else cell(name)
    return lambda row: inner(row) if row.likelihood_object == described else None


def seconds(value: float) -> str:
    """Seconds with three digits that count, and never a power of ten."""
    return f"{value:,.0f}" if value >= 100 else f"{float(f'{value:.3g}'):g}"


def steps_per_second(row: Row) -> int | None:
    """How much music the system makes in a second."""
    if not row.sample_seconds or not row.pieces:
        return None
    return round(row.pieces * row.steps / row.sample_seconds)


FIXED = [
    Column(
        "rank",
        "Rank",
        "1 + the number of systems that are significantly better.",
        cell("rank"),
        "whole",
    ),
    Column("rank_range", "Rank, 95 %", "95 % interval of the rank.", span("rank")),
    Column("system", "System", "Select a row to open it.", lambda row: row.name),
    Column("paper", "Paper", "Where it was published.", cell("paper")),
    Column(
        "kind",
        "Kind",
        "paper: from one of the papers. floor and ceiling: the rows that define the scale.",
        cell("kind"),
    ),
    Column(
        "skill",
        "Skill",
        "0 is noise, 1 is human music: the mean over all metrics that count here, each bounded. Blank"
        " where one of them has no value.",
        cell("skill"),
        "figure",
    ),
    Column("skill_range", "Skill, 95 %", "95 % interval of the skill.", span("skill")),
    Column(
        "likely",
        "Likely?",
        "The skill by the judges: how likely frozen networks find it, compared with human music.",
        cell("skill_likely"),
        "figure",
    ),
    Column(
        "notes",
        "Notes?",
        "The skill by metrics of notes and chords.",
        cell("skill_notes"),
        "figure",
    ),
    Column("form", "Form?", "The skill by metrics of form.", cell("skill_form"), "figure"),
    Column(
        "prompt",
        "Prompt?",
        "The skill by whether a continuation belongs to its prompt.",
        cell("skill_prompt"),
        "figure",
    ),
    Column(
        "coverage", "Metrics", "Headline metrics that count here, of all.", cell("skill_coverage")
    ),
    Column("skill_note", "Not counted", "Why the other metrics do not count.", cell("skill_note")),
    Column("human", "Rating", "Mean of blind listeners, 1 to 10.", cell("human_rating"), "figure"),
    Column("human_range", "Rating, 95 %", "95 % interval of the rating.", span("human_rating")),
    Column(
        "believability",
        "Taken for human",
        "Share of listeners who thought a human could have composed it.",
        cell("believability"),
        "figure",
    ),
    Column(
        "nats",
        "Loss on notes ↓",
        "Nats per step on held-out music, for onsets and durations.",
        likelihood("nats_per_step", "score"),
        "figure",
    ),
    Column("nats_range", "Loss on notes, 95 %", "", likelihood("nats_per_step.span", "score")),
    Column(
        "frames",
        "Loss on keys ↓",
        "Nats per step on held-out music, for sounding keys only. Not comparable with the loss on"
        " notes.",
        likelihood("nats_per_step", "frames"),
        "figure",
    ),
    Column("frames_range", "Loss on keys, 95 %", "", likelihood("nats_per_step.span", "frames")),
    Column(
        "tag",
        "Kind of loss",
        "exact: a probability. upper: a bound, the real loss is lower. coarse: repeated notes cost"
        " nothing. estimate: neither exact nor a bound. none: no likelihood.",
        cell("likelihood_kind"),
    ),
    Column("bits", "Bits per note ↓", "The same, per note.", cell("bits_per_note"), "figure"),
    Column("bits_range", "Bits per note, 95 %", "", span("bits_per_note")),
    Column(
        "accuracy",
        "Frame accuracy ↑",
        "Of the keys that sound or that it predicts to sound next, the share that is both. Only of"
        " networks of frames.",
        cell("frame_accuracy"),
        "figure",
    ),
    Column("accuracy_range", "Frame accuracy, 95 %", "", span("frame_accuracy", 3)),
    Column("loss_note", "Why there is no loss", "", cell("likelihood_note")),
    Column("parameters", "Parameters", "Numbers it learns.", cell("parameters"), "whole"),
    Column(
        "vocabulary",
        "Vocabulary",
        "Different tokens in its training pieces.",
        cell("vocabulary"),
        "whole",
    ),
    Column("tokens", "Tokens", "Tokens of the training pieces.", cell("tokens"), "whole"),
    Column(
        "size",
        "Network",
        "full: the paper's sizes. reduced, small: what the preset affords.",
        cell("size"),
    ),
    Column(
        "train",
        "Training",
        "Seconds, mean of the seeds: the processor's, or the clock's where a GPU works.",
        cell("train_seconds"),
        "seconds",
    ),
    Column(
        "sample",
        "Sampling",
        "Seconds for all samples of a seed.",
        cell("sample_seconds"),
        "seconds",
    ),
    Column("speed", "Steps per second", "Music made per second.", steps_per_second, "whole"),
    Column("memory", "Memory, MB", "The most it held.", cell("peak_memory_mb"), "whole"),
    Column("device", "Device", "", cell("device")),
    Column("hardware", "Hardware", "", cell("hardware")),
    Column("threads", "Threads", "", cell("threads"), "whole"),
    Column("budget", "Budget", "Updates or passes of training.", cell("budget"), "whole"),
    Column(
        "share",
        "Of the paper's",
        "Its budget as a share of what the paper spent. Blank: the paper names none.",
        cell("budget_share"),
        "figure",
    ),
    Column("seeds", "Seeds", "Runs that ended well.", cell("seeds"), "whole"),
    Column(
        "spread",
        "Spread",
        "Where its intervals know the spread over training runs from: own seeds, pooled over the"
        " group's systems, assumed; none: nothing is trained.",
        cell("spread"),
    ),
    Column(
        "copying",
        "Copies",
        "What it copies, where its samples are not its own.",
        cell("copying"),
    ),
    Column("same_as", "Same as", "A row with the same samples, which is ranked.", cell("same_as")),
    Column("status", "Status", "ok; partial: some seeds failed; or how it failed.", cell("status")),
    Column("date", "Date", "When its last job ended.", cell("date")),
    Column("commit", "Commit", "The code that made it.", cell("commit")),
]

ARROWS = {"higher": " ↑", "lower": " ↓", "none": ""}

VIEWS: dict[str, tuple[str, ...]] = {
    "Overall": (
        *("rank", "rank_range", "system", "kind", "skill", "skill_range"),
        *("likely", "notes", "form", "prompt", "nats", "frames"),
        *("isl", "pca_distance", "scale_consistency", "polyphony"),
        *("paper", "parameters", "train", "seeds", "device", "status"),
    ),
    "Metrics": (
        *("rank", "system", "kind", "skill", "coverage", "*headline", "skill_note"),
        *("copying", "same_as"),
    ),
    "Loss": (
        *("system", "tag", "nats", "nats_range", "frames", "frames_range"),
        *("bits", "bits_range", "accuracy", "accuracy_range", "loss_note", "paper"),
    ),
    "Listeners": (
        "system",
        "kind",
        "human",
        "human_range",
        "believability",
        "skill",
        "skill_range",
    ),
    "Speed": (
        *("system", "kind", "skill", "parameters", "vocabulary", "tokens"),
        *("train", "sample", "speed", "memory"),
        *("budget", "share", "device", "hardware", "threads", "date", "commit"),
    ),
}
VIEW_WORDS = {
    "Overall": "How close to human music each system comes, by skill.",
    "Metrics": "What the skill is made of: every headline metric, and its skill.",
    "Loss": "How well each system predicts music it never saw. Lower is better; only figures"
    " in one column compare.",
    "Listeners": "The ratings of blind listeners.",
    "Speed": "The time, memory and budget of each system.",
}


SHORT = {"isl", "pca", "mmd", "kde"}  # words that are written in capitals


def label(figure: str) -> str:
    """What people read for a figure's name."""
    if figure == "nats_per_step":
        return "loss, nats per step"
    return " ".join(
        word.upper() if word in SHORT else word for word in figure.replace("_", " ").split()
    )


def columns(names: Sequence[str], classes: Mapping[str, type[Metric]]) -> dict[str, Column]:
    """Every column by its key: the fixed ones, then three per metric of the board."""
    known = {column.key: column for column in FIXED}
    for name in names:
        cls = classes.get(name)
        head = label(name)
        arrow = ARROWS[cls.direction] if cls else ""
        about = f"{cls.measures} Unit: {cls.unit}." if cls else "Not installed here."
        known[name] = Column(name, head + arrow, about, cell(name), "figure", name)
        known[f"{name}.range"] = Column(
            f"{name}.range", f"{head}, 95 %", about, span(name, 3), metric=name
        )
        if cls is None or cls.headline:
            known[f"{name}.skill"] = Column(
                f"{name}.skill",
                f"{head}, skill",
                "The same on the scale from 0 (noise) to 1 (human).",
                skill_of(name),
                "figure",
                name,
            )
    return known


def of_view(
    view: str, known: Mapping[str, Column], headline: Sequence[str], sizes: bool
) -> list[str]:
    """The keys of a view's columns; `sizes`: not all networks have their paper's size."""
    keys: list[str] = []
    for key in VIEWS[view]:
        if key == "*headline":
            keys += [k for name in headline for k in (name, f"{name}.skill") if k in known]
        else:
            keys += [key, "size"] if key == "parameters" and sizes else [key]
    return [key for key in keys if key in known]  # a board need not have every metric


def order(view: str) -> Callable[[Row], tuple[Any, ...]]:
    """How a view sorts its rows: the best on top, what has no figure below."""

    def down(value: float | None) -> tuple[bool, float]:
        return (value is None, -(value or 0.0))

    def up(value: float | None) -> tuple[bool, float]:
        return (value is None, value or 0.0)

    def place(row: Row) -> tuple[Any, ...]:
        if view == "Loss":
            kind = {"score": 0, "frames": 1}.get(row.likelihood_object, 2)
            return (kind, *up(row.nats_per_step), row.name)
        if view == "Listeners":
            return (*down(row.human_rating), *down(row.skill), row.name)
        if view == "Speed":
            return (*up(row.sample_seconds), row.name)
        return (*down(row.skill), row.name)

    return place
