"""Whether a metric can be trusted: it must get worse as music is made worse.

A metric may list in `required` what must hold of it: comparisons over the sets of
`bench.protocol.corruptions.sets`, such as "human >= markov > noise"; NAME.DETAIL is a figure of the
details. `>=` and `<=` leave room for one null standard deviation: how much the value varies by
chance.
"""

from __future__ import annotations

import csv
import hashlib
import io
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from bench.contract import Floats, Measurement, Metric, Reference
from bench.data.dataset import Dataset
from bench.errors import BenchError
from bench.music import Score
from bench.protocol.corruptions import LADDERS, Material, sets
from bench.protocol.measuring import draws_of
from bench.seeds import named_generator

FILE = "validity.csv"  # beside the board
BARS = 8  # of an excerpt
MOST = 64  # excerpts on each side
ENOUGH = 32  # excerpts; up to here one of each piece, as excerpts of one piece are alike
DETECTED = 3.0  # null standard deviations
RESAMPLED = 20  # times, where a metric gives no draws

MEASURED = "every outcome is a number or has a reason"
KNOWS = "human is better than noise, silence and chord"

Kind = Literal["set", "ladder", "summary", "property"]
Result = Measurement | str  # of a metric on some pieces; a text: the error that it raised


@dataclass(frozen=True)
class Row:
    """One line of the table: a value, the summary of a ladder, or a property.

    `deviation` is how much worse than real music the value is (how different, for a metric without
    a direction), in null standard deviations. `detected`: the first level with more than 3 of them.
    """

    metric: str
    version: int
    kind: Kind
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
    """Held-out music in three parts: to corrupt, to compare with, and to tune on."""
    held_out = sorted(
        (*dataset.valid, *dataset.test), key=lambda piece: hashlib.sha256(piece.encode()).digest()
    )
    parts: tuple[list[str], ...] = ([], [], [])
    for number, name in enumerate(held_out):
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
        [excerpt.music for excerpt in tuning],
        [excerpt.music for excerpt in test],
        [excerpt.prompt for excerpt in real],
        [excerpt.piece for excerpt in test],
        [excerpt.piece for excerpt in real],
        [excerpt.music for excerpt in real],
    )
    music, copied = ([excerpt.music for excerpt in part] for part in (real, copies))
    return Material(music, train, copied, dataset.bar), compared


class _Excerpt(NamedTuple):
    """Some bars of a piece, and the bar before them."""

    piece: str
    prompt: Score
    music: Score


def _excerpts(dataset: Dataset, names: Sequence[str]) -> list[_Excerpt]:
    """Excerpts of the pieces: the first of each, and further ones where they are few."""
    bar, steps = dataset.bar, BARS * dataset.bar
    pieces = {name: dataset.pieces[name] for name in names}
    excerpts: list[_Excerpt] = []
    longest = max((piece.length for piece in pieces.values()), default=0)
    for start in range(bar, longest - steps + 1, steps):
        if len(excerpts) >= ENOUGH:
            break
        excerpts += [
            _Excerpt(name, piece.slice(start - bar, start), piece.slice(start, start + steps))
            for name, piece in pieces.items()
            if piece.length >= start + steps
        ]
    return excerpts[:MOST]


def validate(
    dataset: Dataset,
    metrics: Mapping[str, type[Metric]],
    seed: int = 0,
    on_step: Callable[[str], None] = lambda _: None,
) -> list[Row]:
    """The rows of all metrics on one data set; the same seed gives the same rows.

    `on_step` is called with the name of each set and ladder as its turn comes.
    """
    music, compared = material(dataset)
    prepared = {name: cls() for name, cls in metrics.items()}
    failed: dict[str, str] = {}

    def result_of(name: str, pieces: Sequence[Score]) -> Result:
        if name in failed:
            return failed[name]
        try:
            return prepared[name].score(pieces)
        except Exception as error:  # noqa: BLE001 - a user's metric may raise anything
            return f"{type(error).__name__}: {error}"

    for name, metric in prepared.items():
        try:
            metric.prepare(compared)
        except Exception as error:  # noqa: BLE001 - a user's metric may raise anything
            failed[name] = f"prepare: {type(error).__name__}: {error}"

    # Set by set, so that metrics which share a computation find its result in the cache.
    on_sets: dict[str, dict[str, Result]] = {name: {} for name in metrics}
    for title, pieces in sets(music, seed).items():
        on_step(title)
        for name in metrics:
            on_sets[name][title] = result_of(name, pieces)
    on_ladders: dict[str, dict[str, list[Result]]] = {name: {} for name in metrics}
    for ladder in LADDERS:
        on_step(ladder.name)
        for number, level in enumerate(ladder.levels):
            rng = named_generator(seed, ladder.name, number)
            pieces = ladder.corrupt(music, level, rng)
            for name in metrics:
                on_ladders[name].setdefault(ladder.name, []).append(result_of(name, pieces))
    rows = []
    for name, cls in metrics.items():
        human = on_sets[name]["human"]
        spread = _null(human, music.real, partial(result_of, name), seed)
        rows += _rows(cls, on_sets[name], on_ladders[name], spread)
    return [replace(row, dataset=dataset.name) for row in rows]


def _null(
    human: Result,
    real: Sequence[Score],
    result_of: Callable[[Sequence[Score]], Result],
    seed: int,
) -> float:
    """The standard deviation of the value over resamples of real music."""
    if isinstance(human, str) or human.value is None:
        return 0.0
    draws: Floats | None = draws_of(human)
    if draws is None:
        rng = np.random.default_rng(seed)
        results = (
            result_of([real[i] for i in rng.integers(len(real), size=len(real))])
            for _ in range(RESAMPLED)
        )
        draws = np.array(
            [r.value for r in results if not isinstance(r, str) and r.value is not None]
        )
    return float(np.std(draws)) if len(draws) else 0.0


def _rows(
    cls: type[Metric],
    on_sets: Mapping[str, Result],
    on_ladders: Mapping[str, Sequence[Result]],
    spread: float,
) -> list[Row]:
    """All rows of one metric."""
    human = on_sets["human"]
    clean = None if isinstance(human, str) else human.value

    def deviation(value: float | None) -> float | None:
        if value is None or clean is None:
            return None
        worse = {"higher": clean - value, "lower": value - clean, "none": abs(value - clean)}
        amount = worse[cls.direction]
        least = 1e-6 * max(1.0, abs(clean))  # the unit for a metric that does not vary by chance
        return 0.0 if abs(amount) < least / 1000 else float(amount / max(spread, least))

    def row(kind: Kind, title: str, result: Result, level: float | None = None) -> Row:
        value, note = (None, result) if isinstance(result, str) else (result.value, result.reason)
        value = None if value is None else float(value)
        return Row(cls.name, cls.version, kind, title, level, value, deviation(value), note=note)

    rows = [row("set", title, result) for title, result in on_sets.items()]
    for ladder in LADDERS:
        steps = [
            row("ladder", ladder.name, result, level)
            for level, result in zip(ladder.levels, on_ladders[ladder.name], strict=True)
        ]
        rows += steps
        rows.append(_summary(cls, ladder.name, steps))
    broken = [title for title, result in on_sets.items() if isinstance(result, str)]
    broken += [
        title
        for title, results in on_ladders.items()
        if any(isinstance(result, str) for result in results)
    ]
    properties = [(MEASURED, not broken, f"it failed on {', '.join(broken)}" if broken else "")]
    if cls.headline:
        worse = [deviation(_term(on_sets, title)) for title in ("noise", "silence", "chord")]
        properties.append((KNOWS, all(amount is not None and amount > 0 for amount in worse), ""))
    for statement in getattr(cls, "required", ()):
        properties.append((statement, *_judge(statement, on_sets, spread)))
    rows += [
        Row(cls.name, cls.version, "property", statement, holds=holds, note=note)
        for statement, holds, note in properties
    ]
    return rows


def _summary(cls: type[Metric], name: str, steps: Sequence[Row]) -> Row:
    """The summary of a ladder: its levels that have a value, after level 0 with deviation 0."""
    from scipy.stats import spearmanr

    defined = [(step.level, step.deviation) for step in steps if step.deviation is not None]
    worse = [0.0, *(round(amount, 6) for _, amount in defined)]  # rounding noise is no change
    varies = len(set(worse)) > 1
    monotone = float(spearmanr(range(len(worse)), worse).statistic) if varies else None
    detected = next((level for level, amount in defined if amount > DETECTED), None)
    return Row(cls.name, cls.version, "summary", name, monotone=monotone, detected=detected)


_COMPARE: dict[str, Callable[[float, float, float], bool]] = {
    ">": lambda a, b, _: a > b,
    "<": lambda a, b, _: a < b,
    ">=": lambda a, b, slack: operator.ge(a, b - slack),
    "<=": lambda a, b, slack: operator.le(a, b + slack),
}


def _term(on_sets: Mapping[str, Result], term: str) -> float | None:
    """The value of a term of a statement; none where it has none."""
    name, _, detail = term.partition(".")
    if name not in on_sets:
        try:
            return float(term)
        except ValueError:
            raise BenchError(
                f"required: '{term}' is neither a number nor one of {', '.join(on_sets)}."
            ) from None
    result = on_sets[name]
    if isinstance(result, str):
        return None
    return result.detail.get(detail) if detail else result.value


def _judge(statement: str, on_sets: Mapping[str, Result], spread: float) -> tuple[bool, str]:
    """Whether a chain of comparisons holds, and the values that were compared."""
    parts = re.split(r"\s*(>=|<=|>|<)\s*", statement.strip())
    terms, signs = parts[::2], parts[1::2]
    values = [_term(on_sets, term) for term in terms]
    note = ", ".join(
        f"{term} {value:.4g}" if value is not None else f"{term} has no value"
        for term, value in zip(terms, values, strict=True)
        if term.partition(".")[0] in on_sets
    )
    holds = all(
        a is not None and b is not None and _COMPARE[sign](a, b, spread)
        for a, sign, b in zip(values[:-1], signs, values[1:], strict=True)
    )
    return holds, note


def validated(metric: str, rows: Iterable[Row]) -> bool:
    """Whether the metric was tested and has every property required of it."""
    properties = [row for row in rows if row.metric == metric and row.kind == "property"]
    return bool(properties) and all(row.holds for row in properties)


def lost(board: Path) -> set[str]:
    """The metrics without a required property, by the table beside a board, if there is one."""
    try:
        rows = read_csv(board.with_name(FILE))
    except (BenchError, UnicodeDecodeError):
        return set()  # there is none, or another version wrote it
    return {row.metric for row in rows if row.kind == "property" and not row.holds}


# -- files ----------------------------------------------------------------------------------------


def to_csv(rows: Iterable[Row]) -> str:
    """The rows as CSV: an empty cell for none, six significant digits."""

    def text(value: str | float | None) -> str:
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
    """The rows of a file that `to_csv` made; BenchError says what is wrong with any other file."""
    try:
        table = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))
    except OSError as error:
        raise BenchError(f"{path} cannot be read: {error.strerror}.") from None
    rows = []
    for number, cells in enumerate(table, start=2):
        try:
            rows.append(Row(**{name: _value(name, cell) for name, cell in cells.items()}))
        except (TypeError, ValueError) as error:
            raise BenchError(f"{path}, line {number}: {error}.") from None
    return rows


def _value(column: str, cell: str) -> Any:
    """The value of a cell of the table."""
    if column in ("metric", "kind", "name", "note", "dataset"):
        return cell
    if column == "version":
        return int(cell)
    if column == "holds":
        return None if cell == "" else cell == "true"
    return float(cell) if cell else None


def figure(rows: Sequence[Row], path: Path) -> None:
    """Draw what every metric notices of every ladder, as a picture at `path`.

    The colour shows how steadily the metric gets worse with the level, the number in a cell the
    first level that it notices.
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
        cell = names.index(row.metric), ladders.index(row.name)
        colour[cell] = np.nan if row.monotone is None else row.monotone
        words[cell] = "–" if row.detected is None else f"{row.detected:g}"
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
