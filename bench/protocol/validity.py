"""Whether a metric deserves belief: it must get worse as music is made worse, and know its signs.

A metric may state what must hold of it in `required`, a tuple of comparisons over the sets of
`bench.protocol.corruptions.sets`, such as "human >= markov > noise"; NAME.DETAIL is a figure of the details.
`>=` and `<=` leave room for one null standard deviation: how much the value varies by chance.
"""

from __future__ import annotations

import csv
import hashlib
import io
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from bench.contract import Floats, Measurement, Metric, Reference
from bench.data.dataset import Dataset
from bench.errors import BenchError
from bench.music import Score
from bench.protocol.corruptions import LADDERS, Material, sets
from bench.protocol.measuring import draws_of

FILE = "validity.csv"  # beside the board
BARS = 8  # of an excerpt
MOST = 64  # excerpts on each side
ENOUGH = 32  # so many come from as many pieces: excerpts of one piece are alike
DETECTED = 3.0  # null standard deviations
RESAMPLED = 20  # times, where a metric gives no draws

MEASURED = "every outcome is a number or has a reason"
KNOWS = "human is better than noise, silence and chord"


@dataclass(frozen=True)
class Row:
    """One line of the table: a value, what a ladder says as a whole, or a property.

    `deviation` is how much worse than real music (just different, for a metric without a
    direction) in null standard deviations. `detected`: the first level with more than 3 of them.
    """

    metric: str
    version: int
    kind: Literal["set", "ladder", "summary", "property"]
    name: str
    level: float | None = None
    value: float | None = None
    deviation: float | None = None
    monotone: float | None = None  # Spearman's correlation of level and deviation
    detected: float | None = None
    holds: bool | None = None
    note: str = ""
    dataset: str = ""


def material(dataset: Dataset) -> tuple[Material, Reference]:
    """Held-out music in three parts: to be corrupted, to be compared with, and to tune on."""
    held = sorted(
        (*dataset.valid, *dataset.test), key=lambda piece: hashlib.sha256(piece.encode()).digest()
    )
    parts: tuple[list[str], ...] = ([], [], [])
    for number, name in enumerate(held):
        parts[(0, 1, 0, 1, 2)[number % 5]].append(name)
    real, test, tuning = (_excerpts(dataset, part) for part in parts)
    train = [piece for piece in dataset.split("train") if piece.length]
    copies = _excerpts(dataset, dataset.train)
    if min(len(real), len(test), len(tuning), len(copies)) < 2:
        raise BenchError(
            f"{dataset.name} has too little held-out music to validate metrics on: it takes two"
            f" excerpts of {BARS} bars of real, reference, tuning and training music each."
        )
    compared = Reference(
        dataset.grid,
        dataset.bar,
        BARS * dataset.bar,
        train,
        [one.music for one in tuning],
        [one.music for one in test],
        [one.prompt for one in real],
        [one.piece for one in test],
        [one.piece for one in real],
    )
    given = Material([one.music for one in real], train, [one.music for one in copies], dataset.bar)
    return given, compared


class _Excerpt(NamedTuple):
    """Some bars of a piece, and the bar before them."""

    piece: str
    prompt: Score
    music: Score


def _excerpts(dataset: Dataset, names: Sequence[str]) -> list[_Excerpt]:
    """Excerpts of the pieces: of each the first; further ones where they are few."""
    bar, steps = dataset.bar, BARS * dataset.bar
    pieces = {name: dataset.pieces[name] for name in names}
    found: list[_Excerpt] = []
    longest = max((piece.length for piece in pieces.values()), default=0)
    for start in range(bar, longest - steps + 1, steps):
        if len(found) >= ENOUGH:
            break
        found += [
            _Excerpt(name, piece.slice(start - bar, start), piece.slice(start, start + steps))
            for name, piece in pieces.items()
            if piece.length >= start + steps
        ]
    return found[:MOST]


def validate(
    dataset: Dataset,
    metrics: Mapping[str, type[Metric]],
    seed: int = 0,
    say: Callable[[str], None] = lambda _: None,
) -> list[Row]:
    """The rows of all metrics on one data set; the same seed gives the same rows."""
    given, compared = material(dataset)
    prepared = {name: cls() for name, cls in metrics.items()}
    failed: dict[str, str] = {}

    def outcome(name: str, pieces: Sequence[Score]) -> Measurement | str:
        if name in failed:
            return failed[name]
        try:
            return prepared[name].score(pieces)
        except Exception as error:  # noqa: BLE001 - a user's metric may raise anything
            return f"{type(error).__name__}: {error}"

    for name, metric in prepared.items():
        try:
            metric.prepare(compared)
        except Exception as error:  # noqa: BLE001 - the same
            failed[name] = f"prepare: {type(error).__name__}: {error}"

    # Set by set, so that metrics which share a computation find it still there.
    found: dict[str, dict[str, Measurement | str]] = {name: {} for name in metrics}
    for title, pieces in sets(given, seed).items():
        say(title)
        for name in metrics:
            found[name][title] = outcome(name, pieces)
    climbed: dict[str, dict[str, list[Measurement | str]]] = {name: {} for name in metrics}
    for ladder in LADDERS:
        say(ladder.name)
        for number, level in enumerate(ladder.levels):
            rng = np.random.default_rng([seed, len(ladder.name), number])
            pieces = ladder.corrupt(given, level, rng)
            for name in metrics:
                climbed[name].setdefault(ladder.name, []).append(outcome(name, pieces))
    rows = []
    for name, cls in metrics.items():
        human = found[name]["human"]
        spread = _null(human, given.real, lambda pieces, n=name: outcome(n, pieces), seed)  # type: ignore[misc]
        rows += _rows(cls, found[name], climbed[name], spread)
    return [replace(row, dataset=dataset.name) for row in rows]


def _null(
    human: Measurement | str,
    real: Sequence[Score],
    outcome: Callable[[Sequence[Score]], Measurement | str],
    seed: int,
) -> float:
    """The standard deviation of the value over resamples of real music."""
    if isinstance(human, str) or human.value is None:
        return 0.0
    draws: Floats | None = draws_of(human)
    if draws is None:
        rng = np.random.default_rng(seed)
        again = (
            outcome([real[i] for i in rng.integers(len(real), size=len(real))])
            for _ in range(RESAMPLED)
        )
        draws = np.array([a.value for a in again if not isinstance(a, str) and a.value is not None])
    return float(np.std(draws)) if len(draws) else 0.0


def _rows(
    cls: type[Metric],
    found: Mapping[str, Measurement | str],
    climbed: Mapping[str, Sequence[Measurement | str]],
    spread: float,
) -> list[Row]:
    """Everything about one metric."""
    human = found["human"]
    clean = None if isinstance(human, str) else human.value

    def deviation(value: float | None) -> float | None:
        if value is None or clean is None:
            return None
        worse = {"higher": clean - value, "lower": value - clean, "none": abs(value - clean)}
        amount = worse[cls.direction]
        least = 1e-6 * max(1.0, abs(clean))  # what is not chance, where nothing is left to chance
        return 0.0 if abs(amount) < least / 1000 else float(amount / max(spread, least))

    def row(kind: Any, title: str, one: Measurement | str, level: float | None = None) -> Row:
        value, note = (None, one) if isinstance(one, str) else (one.value, one.reason)
        value = None if value is None else float(value)
        return Row(cls.name, cls.version, kind, title, level, value, deviation(value), note=note)

    rows = [row("set", title, one) for title, one in found.items()]
    for ladder in LADDERS:
        steps = [
            row("ladder", ladder.name, one, level)
            for level, one in zip(ladder.levels, climbed[ladder.name], strict=True)
        ]
        rows += steps
        rows.append(_summary(cls, ladder.name, steps))
    broken = [title for title, one in found.items() if isinstance(one, str)]
    broken += [title for title, ones in climbed.items() if any(isinstance(o, str) for o in ones)]
    judged = [(MEASURED, not broken, f"it failed on {', '.join(broken)}" if broken else "")]
    if cls.headline:
        worse = {title: deviation(_figure(found, title)) for title in ("noise", "silence", "chord")}
        holds = all(amount is not None and amount > 0 for amount in worse.values())
        judged.append((KNOWS, holds, ""))
    for statement in getattr(cls, "required", ()):
        judged.append((statement, *_judge(statement, found, spread)))
    rows += [
        Row(cls.name, cls.version, "property", statement, holds=holds, note=note)
        for statement, holds, note in judged
    ]
    return rows


def _summary(cls: type[Metric], name: str, steps: Sequence[Row]) -> Row:
    """What a ladder says as a whole: levels without a value are left out, no corruption is in."""
    from scipy.stats import spearmanr

    there = [(step.level, step.deviation) for step in steps if step.deviation is not None]
    worse = [0.0, *(round(amount, 6) for _, amount in there)]  # rounding noise is no climb
    varies = len(set(worse)) > 1
    monotone = float(spearmanr(range(len(worse)), worse).statistic) if varies else None
    detected = next((level for level, amount in there if amount > DETECTED), None)
    return Row(cls.name, cls.version, "summary", name, monotone=monotone, detected=detected)


_COMPARE: dict[str, Callable[[float, float, float], bool]] = {
    ">": lambda a, b, _: a > b,
    "<": lambda a, b, _: a < b,
    ">=": lambda a, b, slack: operator.ge(a, b - slack),
    "<=": lambda a, b, slack: operator.le(a, b + slack),
}


def _figure(found: Mapping[str, Measurement | str], term: str) -> float | None:
    """The number that a term of a statement stands for; none where there is none."""
    name, _, detail = term.partition(".")
    if name not in found:
        try:
            return float(term)
        except ValueError:
            raise BenchError(
                f"required: '{term}' is no number and none of {', '.join(found)}."
            ) from None
    one = found[name]
    if isinstance(one, str):
        return None
    return one.detail.get(detail) if detail else one.value


def _judge(
    statement: str, found: Mapping[str, Measurement | str], spread: float
) -> tuple[bool, str]:
    """Whether a chain of comparisons holds, and the figures it was judged by."""
    terms = re.split(r"\s*(>=|<=|>|<)\s*", statement.strip())
    figures = [_figure(found, term) for term in terms[::2]]
    said = ", ".join(
        f"{term} {figure:.4g}" if figure is not None else f"{term} has no value"
        for term, figure in zip(terms[::2], figures, strict=True)
        if term.partition(".")[0] in found
    )
    holds = all(
        a is not None and b is not None and _COMPARE[sign](a, b, spread)
        for a, sign, b in zip(figures[:-1], terms[1::2], figures[1:], strict=True)
    )
    return holds, said


def validated(metric: str, rows: Iterable[Row]) -> bool:
    """Whether the metric was put to the test and has every property required of it."""
    judged = [row for row in rows if row.metric == metric and row.kind == "property"]
    return bool(judged) and all(row.holds for row in judged)


def lost(board: Path) -> set[str]:
    """The metrics that lost a required property, says the table beside a board, if there is one."""
    try:
        rows = read_csv(board.with_name(FILE))
    except (BenchError, UnicodeDecodeError):
        return set()  # none was made, or by another version
    return {row.metric for row in rows if row.kind == "property" and not row.holds}


# -- files ----------------------------------------------------------------------------------------


def to_csv(rows: Iterable[Row]) -> str:
    """The rows as CSV; an empty cell for none, six significant digits."""

    def text(value: Any) -> str:
        if value is None:
            return ""
        if isinstance(value, bool):
            return str(value).lower()
        return f"{value:.6g}" if isinstance(value, float) else str(value)

    out = io.StringIO()
    writer = csv.DictWriter(out, [field.name for field in fields(Row)], lineterminator="\n")
    writer.writeheader()
    writer.writerows({k: text(v) for k, v in asdict(row).items()} for row in rows)
    return out.getvalue()


def read_csv(path: Path) -> list[Row]:
    """The rows of a file that `to_csv` made; BenchError says what is wrong with another."""
    try:
        table = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))
    except OSError as error:
        raise BenchError(f"{path} cannot be read: {error.strerror}.") from None
    texts = {"metric", "kind", "name", "note", "dataset"}
    rows = []
    for number, cells in enumerate(table, start=2):
        try:
            values: dict[str, Any] = {}
            for name, cell in cells.items():
                if name == "holds":
                    values[name] = None if cell == "" else cell == "true"
                elif name in texts or name == "version":
                    values[name] = cell if name in texts else int(cell)
                else:
                    values[name] = float(cell) if cell else None
            rows.append(Row(**values))
        except (TypeError, ValueError) as error:
            raise BenchError(f"{path}, line {number}: {error}.") from None
    return rows


def figure(rows: Sequence[Row], path: Path) -> None:
    """Draw what every metric sees of every ladder, as a picture at `path`.

    Colour is how steadily the metric gets worse with the level, the figure in a cell the first
    level that it notices.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    import seaborn as sns
    from matplotlib import pyplot as plt

    from bench.files import replacing

    summaries = [row for row in rows if row.kind == "summary"]
    names = list(dict.fromkeys(row.metric for row in summaries))
    ladders = [ladder.name for ladder in LADDERS]
    colour = np.full((len(names), len(ladders)), np.nan)
    words = np.full(colour.shape, "", dtype=object)
    for row in summaries:
        at = names.index(row.metric), ladders.index(row.name)
        colour[at] = np.nan if row.monotone is None else row.monotone
        words[at] = "–" if row.detected is None else f"{row.detected:g}"
    labels = [name if validated(name, rows) else f"{name} (fails)" for name in names]
    drawing, axes = plt.subplots(figsize=(9, 1.5 + 0.28 * len(names)))
    sns.heatmap(
        colour,
        ax=axes,
        annot=words,
        fmt="",
        vmin=-1,
        vmax=1,
        cmap="RdBu",
        xticklabels=ladders,
        yticklabels=labels,
        cbar_kws={"label": "gets worse with the level (Spearman)"},
        annot_kws={"size": 8},
    )
    axes.tick_params(axis="x", rotation=30)
    axes.tick_params(axis="y", rotation=0)
    axes.set_title("The first level of each corruption that a metric notices (–: none)")
    with replacing(path) as temporary:
        drawing.savefig(temporary, dpi=150, bbox_inches="tight", metadata={"Software": None})
    plt.close(drawing)
