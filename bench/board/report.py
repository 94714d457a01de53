"""A run as one self-contained page: the board, and figures of what it says."""

from __future__ import annotations

import base64
import html
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from bench import data, registry
from bench.board import formats
from bench.board.build import Entry, build, ranked
from bench.errors import BenchError
from bench.jobs.run_folder import JobFolder, Store
from bench.jobs.scores import read_arrays
from bench.music import Score, from_midi
from bench.music.key import CLASSES
from bench.protocol import sampling, statistics

SHOWN = 12  # systems in figures that cannot show all of them
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; font-size: 13px; display: block; overflow-x: auto; }
th, td { border-bottom: 1px solid #ccc; padding: .3rem .6rem; text-align: right; white-space: nowrap; }
th:nth-child(-n+2), td:nth-child(-n+2) { text-align: left; }
figure { margin: 2rem 0; } img { max-width: 100%; } figcaption { color: #555; }
"""


@dataclass(frozen=True)
class Group:
    """Comparable rows, their jobs, and what they are compared with."""

    title: str
    rows: list[Entry]
    store: Store

    def folder(self, one: Entry) -> JobFolder:
        """The folder of the row's first job."""
        return JobFolder(self.store.root / "jobs" / one.row.jobs.split()[0])

    def samples(self, one: Entry) -> list[Score]:
        """The samples of the row's first job."""
        return [from_midi(path) for path in sorted(self.folder(one).samples.glob("*.mid"))]

    def finished(self) -> list[Entry]:
        """The rows with samples, the best first, as many as a figure can show."""
        return [one for one in self.rows if one.row.seeds][:SHOWN]


@dataclass(frozen=True)
class Figure:
    """A drawn figure and what it shows."""

    name: str
    caption: str
    png: bytes


def axes(width: float = 8.0, height: float = 4.0) -> tuple[Any, Any]:
    """An empty figure, drawn without a screen."""
    from matplotlib.figure import Figure as Canvas

    canvas = Canvas(figsize=(width, height), layout="constrained")
    return canvas, canvas.subplots()


def drawn(name: str, caption: str, canvas: Any) -> Figure:
    """The figure as PNG."""
    out = io.BytesIO()
    canvas.savefig(out, format="png", dpi=110, metadata={"Software": None})
    return Figure(name, caption, out.getvalue())


def skill_forest(group: Group) -> Iterator[Figure]:
    """Skill with its interval, best on top."""
    rows = [one.row for one in group.rows if one.row.skill is not None][::-1]
    if not rows:
        return
    canvas, ax = axes(height=1 + 0.3 * len(rows))
    for place, row in enumerate(rows):
        color = "0.5" if row.kind in ("floor", "ceiling") else "C0"
        ax.plot([row.skill_low, row.skill_high], [place, place], color=color)
        ax.plot(row.skill, place, "o", color=color)
    ax.set_yticks(range(len(rows)), [name_of(row) for row in rows])
    ax.axvline(0, color="0.8", zorder=0)
    ax.axvline(1, color="0.8", zorder=0)
    ax.set_xlim(left=max(-1.0, min(row.skill_low or 0.0 for row in rows) - 0.1))
    ax.set_xlabel("skill: 0 as noise, 1 as human music")
    yield drawn("skill", "Skill with its 95 % interval. Cut off below -1.", canvas)


def tied(entries: Sequence[Entry]) -> tuple[list[Entry], list[tuple[int, int]]]:
    """The ranked rows by skill, and the first and last of each run that cannot be told apart."""
    rows = sorted(ranked(entries), key=lambda one: -(one.row.skill or 0.0))
    skills = [one.row.skill or 0.0 for one in rows]
    apart = statistics.apart([one.draws["skill"] for one in rows], skills)
    bars: list[tuple[int, int]] = []
    for first in range(len(rows)):
        last = first
        while last + 1 < len(rows) and not apart[first : last + 2, last + 1].any():
            last += 1
        if last > first and (not bars or last > bars[-1][1]):
            bars.append((first, last))
    return rows, bars


def critical_differences(group: Group) -> Iterator[Figure]:
    """Systems by skill; a bar joins those that cannot be told apart."""
    rows, bars = tied(group.rows)
    if len(rows) < 2:
        return
    skills = [one.row.skill or 0.0 for one in rows]
    canvas, ax = axes(height=1 + 0.25 * (len(rows) + len(bars)))
    for place, (one, skill) in enumerate(zip(rows, skills, strict=True)):
        ax.plot(skill, -place, "o", color="C0")
        ax.annotate(f"  {name_of(one.row)}", (skill, -place), va="center", fontsize=8)
    for place, (first, last) in enumerate(bars):
        ax.plot([skills[last], skills[first]], [1 + 0.6 * place] * 2, color="C1", lw=4)
    ax.set_yticks([])
    ax.margins(x=0.25)
    ax.set_xlabel("skill")
    caption = "A bar joins systems that cannot be told apart at 5 % (paired, Holm over all pairs)."
    yield drawn("critical-differences", caption, canvas)


def loss_curves(group: Group) -> Iterator[Figure]:
    """Training and validation loss against updates."""
    canvas, ax = axes()
    for one in group.finished():
        points = [json.loads(line) for line in lines_of(group.folder(one).curves)]
        for key, style in (("train_loss", ":"), ("valid_loss", "-")):
            curve = [(p["step"], p[key]) for p in points if p.get(key) is not None]
            if curve:
                ax.plot(*zip(*curve, strict=True), style, label=f"{one.row.system} {key[:5]}")
    if ax.lines:
        ax.set(xlabel="update", ylabel="loss, each in its own unit")
        ax.legend(fontsize=7, ncols=2)
        caption = "Learning curves. Losses of different systems are in different units."
        yield drawn("loss-curves", caption, canvas)


def lines_of(path: Path) -> list[str]:
    """The whole lines of a file that may still be written to."""
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    return text[: text.rfind("\n") + 1].splitlines()


def trajectories(group: Group) -> Iterator[Figure]:
    """Figures at points through training, where a run kept snapshots."""
    curves = {}
    for one in group.finished():
        found = group.folder(one).read_result().get("snapshots", {}).get("points", [])
        if found:
            end = {"update": one.row.budget, "nats_per_step": one.row.nats_per_step}
            curves[one.row.system] = [*found, {**end, "metrics": one.cells}]
    headline = [name for name, cls in registry.metrics().items() if cls.headline]
    for name in ["nats_per_step", *headline] if curves else []:
        canvas, ax = axes(height=3)
        for system, points in curves.items():
            values = [p["metrics"].get(name) if name in headline else p[name] for p in points]
            there = [(p["update"], v) for p, v in zip(points, values, strict=True) if v is not None]
            if there:
                ax.plot(*zip(*there, strict=True), "o-", label=system)
        if ax.lines:
            ax.set(xlabel="update", ylabel=name)
            ax.legend(fontsize=7)
            yield drawn(f"trajectory-{name}", f"{name} through training.", canvas)


def feature_map(group: Group) -> Iterator[Figure]:
    """Windows of samples and of real music on two axes of the feature space."""
    project = registry.report_parts().get("feature_map")
    if project is None or not group.finished():
        return
    first = group.finished()[0]
    job = group.folder(first).read_job()
    if job is None or data.describe(job.dataset).where is None:
        return
    dataset = data.load(job.dataset)
    reference = sampling.reference(dataset, job.protocol, sampling.prompts(dataset, job.protocol))
    chosen = group.finished()[:6]
    from matplotlib.figure import Figure as Canvas

    canvas = Canvas(figsize=(9, 3 * -(-len(chosen) // 3)), layout="constrained")
    panels = canvas.subplots(-(-len(chosen) // 3), 3, squeeze=False, sharex=True, sharey=True)
    for ax in panels.flat:
        ax.set_axis_off()
    for ax, one in zip(panels.flat, chosen, strict=False):
        found = project(reference, group.samples(one))
        if found is None:
            continue
        ax.set_axis_on()
        ax.scatter(*np.asarray(found.reference).T[:2], s=6, color="0.7", label="test set")
        ax.scatter(*np.asarray(found.samples).T[:2], s=6, color="C0", label="samples")
        ax.set_title(name_of(one.row), fontsize=9)
    panels[0, 0].legend(fontsize=7)
    caption = "Four-bar windows on the first two axes of the feature space; grey: the test set."
    yield drawn("feature-map", caption, canvas)


def descriptors(group: Group) -> Iterator[Figure]:
    """How pieces of each system are distributed, metric by metric."""
    import pandas as pd
    import seaborn as sns

    values = []
    for one in group.finished():
        for name, array in read_arrays(group.folder(one)).items():
            metric, _, kind = name.rpartition(".")
            known = registry.metrics().get(metric)
            if (
                kind == "per_piece"
                and known
                and known.direction == "none"
                and "muspy" not in metric
            ):
                values += [(name_of(one.row), metric, v) for v in array if np.isfinite(v)]
    if not values:
        return
    table = pd.DataFrame(values, columns=["system", "metric", "value"])
    grid = sns.catplot(
        table, y="system", x="value", col="metric", kind="box", sharex=False, col_wrap=3,
        height=0.8 + 0.22 * table["system"].nunique(), aspect=1.4, fliersize=2,
    )  # fmt: skip
    grid.set_titles("{col_name}")
    caption = "Descriptors per piece. None is better higher or lower: compare with `human`."
    yield drawn("descriptors", caption, grid.figure)


def histograms(group: Group) -> Iterator[Figure]:
    """Pitch classes and number of sounding keys, system by system."""
    import seaborn as sns

    rows = group.finished()
    classes, keys = [], []
    for one in rows:
        samples = group.samples(one)
        pitch = np.concatenate([np.zeros(0, int), *[score.pitch % 12 for score in samples]])
        count = np.concatenate([np.zeros(0, int), *[s.sounding().sum(axis=1) for s in samples]])
        classes.append(np.bincount(pitch, minlength=12)[:12] / max(len(pitch), 1))
        keys.append(np.bincount(np.minimum(count, 8), minlength=9) / max(len(count), 1))
    names = [name_of(one.row) for one in rows]
    for name, table, heads, caption in (
        ("pitch-classes", classes, CLASSES, "Share of notes per pitch class."),
        ("polyphony", keys, [*map(str, range(8)), "8+"], "Share of steps by keys that sound."),
    ):
        if table:
            canvas, ax = axes(height=1 + 0.3 * len(rows))
            sns.heatmap(
                np.array(table), ax=ax, xticklabels=list(heads), yticklabels=names,
                cmap="viridis", vmin=0, annot=True, fmt=".2f", annot_kws={"size": 6},
            )  # fmt: skip
            yield drawn(name, caption, canvas)


def embeddings(group: Group) -> Iterator[Figure]:
    """What networks learnt of notes or chords, on a plane (t-SNE), for systems that show it."""
    from sklearn.manifold import TSNE

    for one in group.finished():
        folder = group.folder(one)
        job = folder.read_job()
        if job is None or not job.class_path:
            continue
        cls = registry.load_object(job.class_path)
        if not hasattr(cls, "note_embedding"):
            continue
        labels, vectors = cls.load(folder.system).note_embedding()
        labels, vectors = labels[:400], np.asarray(vectors)[:400]
        if len(labels) < 10:
            continue
        perplexity = min(30, len(labels) / 4)
        flat = TSNE(random_state=0, perplexity=perplexity, init="pca").fit_transform(vectors)
        canvas, ax = axes(height=6)
        ax.scatter(*flat.T, s=4, color="0.7")
        for label, (x, y) in list(zip(labels, flat, strict=True))[:120]:
            ax.annotate(label, (x, y), fontsize=6)
        ax.set_axis_off()
        caption = f"What {name_of(one.row)} learnt of notes that it treats alike (t-SNE)."
        yield drawn(f"embedding-{one.row.system}", caption, canvas)


def quality_and_speed(group: Group) -> Iterator[Figure]:
    """Skill against training time."""
    rows = [one.row for one in group.rows if one.row.skill is not None and one.row.train_seconds]
    if not rows:
        return
    canvas, ax = axes()
    for row in rows:
        ax.plot(max(row.train_seconds or 0.0, 0.01), row.skill, "o", color="C0")
        place = (max(row.train_seconds or 0.0, 0.01), row.skill)
        ax.annotate(f" {name_of(row)}", place, fontsize=8)
    ax.set(xscale="log", xlabel="seconds of training", ylabel="skill")
    ax.set_ylim(bottom=max(-1.0, ax.get_ylim()[0]))
    ax.margins(x=0.2)
    yield drawn(
        "quality-and-speed", "Skill against the time that training took. Cut off below -1.", canvas
    )


PARTS = (
    skill_forest, critical_differences, quality_and_speed, loss_curves, trajectories, feature_map,
    descriptors, histograms, embeddings,
)  # fmt: skip


def name_of(row: Any) -> str:
    """A row's name in figures."""
    return str(row.system) + (" (as published)" if row.variant == "as-published" else "")


def words(group: Group) -> list[str]:
    """A line on each system, from its figures beside the human ones."""
    say = registry.report_parts().get("in_words")
    human = next((one for one in group.rows if one.anchor == 1), None)
    if say is None or human is None:
        return []
    return [
        f"{name_of(one.row)}: {say(one.cells, human.cells)}" for one in group.rows if one.row.seeds
    ]


def report(store: Store) -> list[tuple[str, bytes]]:
    """The files of a report: `index.html`, which holds everything, `report.md` and its figures."""
    entries = build(store)
    if not entries:
        raise BenchError(f"There are no jobs in {store.root}. `bench all` runs some.")
    headline = [name for name, cls in registry.metrics().items() if cls.headline]
    page, text, files = [f"<style>{STYLE}</style><h1>musicbench</h1>"], ["# musicbench", ""], []
    groups = groupby(entries, key=lambda one: formats.title_of(one.row.model_dump()))
    for number, (title, members) in enumerate(groups):
        group = Group(title, list(members), store)
        rows = [one.flat() for one in group.rows]
        page.append(f"<h2>{html.escape(title)}</h2>{html_table(rows, headline)}")
        text += [formats.to_markdown(rows, headline)]
        said = words(group)
        page.append("".join(f"<p>{html.escape(line)}</p>" for line in said))
        text += [f"- {line}" for line in said] + [""]
        for part in PARTS:
            for one in part(group):
                name = f"{number}-{one.name}.png"
                files.append((name, one.png))
                encoded = base64.b64encode(one.png).decode()
                page.append(
                    f'<figure><img alt="{html.escape(one.caption)}"'
                    f' src="data:image/png;base64,{encoded}">'
                    f"<figcaption>{html.escape(one.caption)}</figcaption></figure>"
                )
                text += [f"![{one.caption}]({name})", "", one.caption, ""]
    document = '<!doctype html><html lang="en"><meta charset="utf-8"><title>musicbench</title>'
    files.append(("index.html", (document + "".join(page) + "</html>\n").encode()))
    files.append(("report.md", "\n".join(text).encode()))
    return files


def html_table(rows: Sequence[dict[str, Any]], headline: Sequence[str]) -> str:
    """Rows of the board as an HTML table."""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in formats.heads(headline))
    body = "".join(
        "<tr>"
        + "".join(f"<td>{html.escape(c)}</td>" for c in formats.cells_of(row, headline))
        + "</tr>"
        for row in rows
    )
    return f"<table><tr>{head}</tr>{body}</table>"
