"""A run as one self-contained page: the board, and figures of what it says."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench import data, registry
from bench.board import formats
from bench.board.build import build
from bench.board.embeddings import embeddings_of, has_embedding
from bench.board.ranking import tied
from bench.board.rows import Group, Row
from bench.errors import BenchError
from bench.jobs.record import JobRecord
from bench.jobs.results import SnapshotPoint
from bench.jobs.run_folder import JobFolder, RunFolder
from bench.music import Score, from_midi
from bench.music.key import CLASSES
from bench.protocol import sampling

SHOWN = 12  # systems in figures that cannot show all of them
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; font-size: 13px; display: block; overflow-x: auto; }
th, td { border-bottom: 1px solid #ccc; padding: .3rem .6rem; text-align: right; white-space: nowrap; }
th:nth-child(-n+2), td:nth-child(-n+2) { text-align: left; }
figure { margin: 2rem 0; } img { max-width: 100%; } figcaption { color: #555; }
"""


@dataclass(frozen=True)
class Shown:
    """A group of comparable rows, with the run folder that holds their jobs."""

    group: Group
    runs: RunFolder

    def record(self, row: Row) -> JobRecord:
        """The row's first job."""
        return JobRecord(JobFolder(self.runs.root / "jobs" / row.job_ids[0]))

    def samples(self, row: Row) -> list[Score]:
        """The samples of the row's first job."""
        return [from_midi(path) for path in sorted(self.record(row).folder.samples.glob("*.mid"))]

    def finished(self) -> list[Row]:
        """The rows with samples, the best first, as many as a figure can show."""
        return [row for row in self.group.rows if row.seeds][:SHOWN]


@dataclass(frozen=True)
class Drawing:
    """A drawn figure and what it shows."""

    name: str
    caption: str
    png: bytes


def axes(width: float = 8.0, height: float = 4.0) -> tuple[Any, Any]:
    """An empty figure, drawn without a screen."""
    from matplotlib.figure import Figure as Canvas

    canvas = Canvas(figsize=(width, height), layout="constrained")
    return canvas, canvas.subplots()


def drawn(name: str, caption: str, canvas: Any) -> Drawing:
    """The figure as PNG."""
    out = io.BytesIO()
    canvas.savefig(out, format="png", dpi=110, metadata={"Software": None})
    return Drawing(name, caption, out.getvalue())


def skill_forest(shown: Shown) -> Iterator[Drawing]:
    """Skill with its interval, best on top."""
    rows = [row for row in shown.group.rows if row.skill is not None][::-1]
    if not rows:
        return
    canvas, ax = axes(height=1 + 0.3 * len(rows))
    for place, row in enumerate(rows):
        color = "0.5" if row.is_scale else "C0"
        ax.plot([row.skill_low, row.skill_high], [place, place], color=color)
        ax.plot(row.skill, place, "o", color=color)
    ax.set_yticks(range(len(rows)), [row.name for row in rows])
    ax.axvline(0, color="0.8", zorder=0)
    ax.axvline(1, color="0.8", zorder=0)
    ax.set_xlim(left=max(-1.0, min(row.skill_low or 0.0 for row in rows) - 0.1))
    ax.set_xlabel("skill: 0 as noise, 1 as human music")
    yield drawn("skill", "Skill with its 95 % interval. Cut off below -1.", canvas)


def critical_differences(shown: Shown) -> Iterator[Drawing]:
    """Systems by skill; a bar joins those of which no two are separated."""
    rows, bars = tied(shown.group.rows)
    if len(rows) < 2:
        return
    skills = [row.skill or 0.0 for row in rows]
    canvas, ax = axes(height=1 + 0.25 * (len(rows) + len(bars)))
    for place, (row, skill) in enumerate(zip(rows, skills, strict=True)):
        ax.plot(skill, -place, "o", color="C0")
        ax.annotate(f"  {row.name}", (skill, -place), va="center", fontsize=8)
    for place, (first, last) in enumerate(bars):
        ax.plot([skills[last], skills[first]], [1 + 0.6 * place] * 2, color="C1", lw=4)
    ax.set_yticks([])
    ax.margins(x=0.25)
    ax.set_xlabel("skill")
    caption = "A bar joins systems of which no two are separated (at 5 % over all pairs, paired)."
    yield drawn("critical-differences", caption, canvas)


def loss_curves(shown: Shown) -> Iterator[Drawing]:
    """Training and validation loss against updates."""
    canvas, ax = axes()
    for row in shown.finished():
        points = shown.record(row).folder.read_curves()
        for key, style in (("train_loss", ":"), ("valid_loss", "-")):
            curve = [(point["step"], point[key]) for point in points if key in point]
            if curve:
                ax.plot(*zip(*curve, strict=True), style, label=f"{row.system} {key[:5]}")
    if ax.lines:
        ax.set(xlabel="update", ylabel="loss, each in its own unit")
        ax.legend(fontsize=7, ncols=2)
        caption = "Learning curves. Losses of different systems are in different units."
        yield drawn("loss-curves", caption, canvas)


def trajectories(shown: Shown) -> Iterator[Drawing]:
    """Figures at points through training, where a run kept snapshots."""
    curves: dict[str, list[SnapshotPoint]] = {}
    for row in shown.finished():
        snapshots = shown.record(row).result.snapshots
        if snapshots and snapshots.points:
            metrics = {name: cells.value for name, cells in row.metrics.items()}
            end = SnapshotPoint(update=row.budget, nats_per_step=row.nats_per_step, metrics=metrics)
            curves[row.system] = [*snapshots.points, end]
    headline = [name for name, cls in registry.metrics().items() if cls.headline]
    for name in ["nats_per_step", *headline] if curves else []:
        canvas, ax = axes(height=3)
        for system, points in curves.items():
            values = [
                point.metrics.get(name) if name in headline else point.nats_per_step
                for point in points
            ]
            known = [
                (point.update, value)
                for point, value in zip(points, values, strict=True)
                if value is not None
            ]
            if known:
                ax.plot(*zip(*known, strict=True), "o-", label=system)
        if ax.lines:
            ax.set(xlabel="update", ylabel=name)
            ax.legend(fontsize=7)
            yield drawn(f"trajectory-{name}", f"{name} through training.", canvas)


def feature_map(shown: Shown) -> Iterator[Drawing]:
    """Windows of samples and of real music on two axes of the feature space."""
    project = registry.report_parts().get("feature_map")
    rows = shown.finished()[:6]
    if project is None or not rows:
        return
    job = shown.record(rows[0]).job
    if job is None or data.describe(job.dataset).where is None:
        return
    dataset = data.load(job.dataset)
    reference = sampling.reference(dataset, job.protocol, sampling.prompts(dataset, job.protocol))
    from matplotlib.figure import Figure as Canvas

    canvas = Canvas(figsize=(9, 3 * -(-len(rows) // 3)), layout="constrained")
    panels = canvas.subplots(-(-len(rows) // 3), 3, squeeze=False, sharex=True, sharey=True)
    for ax in panels.flat:
        ax.set_axis_off()
    for ax, row in zip(panels.flat, rows, strict=False):
        points = project(reference, shown.samples(row))
        if points is None:
            continue
        ax.set_axis_on()
        ax.scatter(*np.asarray(points.reference).T[:2], s=6, color="0.7", label="test set")
        ax.scatter(*np.asarray(points.samples).T[:2], s=6, color="C0", label="samples")
        ax.set_title(row.name, fontsize=9)
    panels[0, 0].legend(fontsize=7)
    caption = "Four-bar windows on the first two axes of the feature space; grey: the test set."
    yield drawn("feature-map", caption, canvas)


def descriptors(shown: Shown) -> Iterator[Drawing]:
    """How pieces of each system are distributed, metric by metric."""
    import pandas as pd
    import seaborn as sns

    values = []
    for row in shown.finished():
        for metric, array in shown.record(row).scores.per_piece.items():
            known = registry.metrics().get(metric)
            if known and known.direction == "none" and "muspy" not in metric:
                values += [(row.name, metric, value) for value in array if np.isfinite(value)]
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


def histograms(shown: Shown) -> Iterator[Drawing]:
    """Pitch classes and number of sounding keys, system by system."""
    import seaborn as sns

    rows = shown.finished()
    classes, keys = [], []
    for row in rows:
        samples = shown.samples(row)
        pitch = np.concatenate([np.zeros(0, int), *[score.pitch % 12 for score in samples]])
        count = np.concatenate([np.zeros(0, int), *[s.sounding().sum(axis=1) for s in samples]])
        classes.append(np.bincount(pitch, minlength=12)[:12] / max(len(pitch), 1))
        keys.append(np.bincount(np.minimum(count, 8), minlength=9) / max(len(count), 1))
    names = [row.name for row in rows]
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


def embeddings(shown: Shown) -> Iterator[Drawing]:
    """What networks learnt of notes or chords, on a plane (t-SNE), for systems that show it."""
    from sklearn.manifold import TSNE

    for row in shown.finished():
        record = shown.record(row)
        job = record.job
        if job is None or not job.class_path:
            continue
        cls = registry.load_object(job.class_path)
        if not has_embedding(cls):
            continue
        sets = embeddings_of(cls.load(record.folder.system))
        for of, (names, every) in sets.items():
            labels, vectors = names[:400], np.asarray(every)[:400]
            if len(labels) < 10:
                continue
            perplexity = min(30, len(labels) / 4)
            flat = TSNE(random_state=0, perplexity=perplexity, init="pca").fit_transform(vectors)
            canvas, ax = axes(height=6)
            off = np.array([" off" in label for label in labels])
            ax.scatter(*flat[~off].T, s=4, color="0.7")
            ax.scatter(*flat[off].T, s=8, color="0.7", marker="x")  # keys that go up
            for label, (x, y) in list(zip(labels, flat, strict=True))[:120]:
                ax.annotate(label, (x, y), fontsize=6)
            ax.set_axis_off()
            caption = f"What {row.name} learnt of {of} that it treats alike (t-SNE)."
            file = "" if len(sets) == 1 else f"-{of.replace(' ', '-')}"
            yield drawn(f"embedding-{row.system}{file}", caption, canvas)


def quality_and_speed(shown: Shown) -> Iterator[Drawing]:
    """Skill against training time."""
    rows = [row for row in shown.group.rows if row.skill is not None and row.train_seconds]
    if not rows:
        return
    canvas, ax = axes()
    for row in rows:
        ax.plot(max(row.train_seconds or 0.0, 0.01), row.skill, "o", color="C0")
        place = (max(row.train_seconds or 0.0, 0.01), row.skill)
        ax.annotate(f" {row.name}", place, fontsize=8)
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


def words(group: Group) -> list[str]:
    """A line on each system, from its figures beside the human ones."""
    say = registry.report_parts().get("in_words")
    human = group.anchor(1)
    if say is None or human is None:
        return []
    return [f"{row.name}: {say(values(row), values(human))}" for row in group.rows if row.seeds]


def values(row: Row) -> dict[str, float | None]:
    """The row's metrics without their intervals."""
    return {name: cells.value for name, cells in row.metrics.items()}


def report(runs: RunFolder) -> list[tuple[str, bytes]]:
    """The files of a report: `index.html`, which holds everything, `report.md` and its figures."""
    board = build(runs)
    if not board.rows:
        raise BenchError(f"There are no jobs in {runs.root}. `bench all` runs some.")
    headline = [name for name, cls in registry.metrics().items() if cls.headline]
    page, text = [f"<style>{STYLE}</style><h1>musicbench</h1>"], ["# musicbench", ""]
    files: list[tuple[str, bytes]] = []
    for number, group in enumerate(board.groups):
        page.append(f"<h2>{html.escape(group.heading)}</h2>{html_table(group.rows, headline)}")
        text += [formats.to_markdown([group], headline)]
        lines = words(group)
        page.append("".join(f"<p>{html.escape(line)}</p>" for line in lines))
        text += [f"- {line}" for line in lines] + [""]
        for part in PARTS:
            for drawing in part(Shown(group, runs)):
                name, caption = f"{number}-{drawing.name}.png", drawing.caption
                files.append((name, drawing.png))
                encoded = base64.b64encode(drawing.png).decode()
                page.append(
                    f'<figure><img alt="{html.escape(caption)}"'
                    f' src="data:image/png;base64,{encoded}">'
                    f"<figcaption>{html.escape(caption)}</figcaption></figure>"
                )
                text += [f"![{caption}]({name})", "", caption, ""]
    document = '<!doctype html><html lang="en"><meta charset="utf-8"><title>musicbench</title>'
    files.append(("index.html", (document + "".join(page) + "</html>\n").encode()))
    files.append(("report.md", "\n".join(text).encode()))
    return files


def html_table(rows: Sequence[Row], headline: Sequence[str]) -> str:
    """Rows of the board as an HTML table."""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in formats.heads(headline))
    body = "".join(
        "<tr>"
        + "".join(f"<td>{html.escape(cell)}</td>" for cell in formats.cells_of(row, headline))
        + "</tr>"
        for row in rows
    )
    return f"<table><tr>{head}</tr>{body}</table>"
