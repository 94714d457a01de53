"""What differs between two systems on the same prompts, and whether chance could do it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bench import registry
from bench.board.rows import Row
from bench.board.skills import combined
from bench.contract import Floats
from bench.errors import BenchError, unknown
from bench.protocol import statistics
from bench.protocol.statistics import NOTHING

LIKELIHOODS = ("nats_per_step", "bits_per_note")


@dataclass(frozen=True)
class Difference:
    """One figure of two systems, paired by the pieces that both were measured on."""

    figure: str
    first: float
    second: float
    difference: float  # first less second
    low: float  # of the difference, 95 %
    high: float
    p: float  # that there is none, after Holm over all figures of the comparison
    better: str  # the name of the better system; empty: it cannot be told, or neither is better


def direction_of(figure: str) -> Literal["higher", "lower", "none"]:
    """Whether higher or lower is better; `none` for a mere description."""
    if figure in ("skill", "frame_accuracy"):
        return "higher"
    if figure in LIKELIHOODS:
        return "lower"
    known = registry.metrics()
    return known[figure].direction if figure in known else "none"


def named(rows: Sequence[Row], name: str) -> list[Row]:
    """The rows of a system, `NAME` or `NAME:as-published`; BenchError when it has none."""
    system, _, variant = name.partition(":")
    wanted = (system, variant or "corrected")
    chosen = [row for row in rows if (row.system, row.variant) == wanted]
    if not chosen:
        raise unknown("row", name, {row.system for row in rows})
    return chosen


def comparable(rows: Sequence[Row], first: str, second: str) -> list[tuple[Row, Row]]:
    """The rows of the two that share data, preset, protocol and metrics; BenchError if none do."""
    pairs = [
        (a, b) for a in named(rows, first) for b in named(rows, second) if a.standing == b.standing
    ]
    if not pairs:
        raise BenchError(
            f"{first} and {second} have no rows of the same data, preset and protocol; run both"
            " with the same options."
        )
    return pairs


def compare(a: Row, b: Row) -> list[Difference]:
    """Every figure that both have, the skill first. The rows must have been built from jobs."""
    figures = [name for name in a.evidence.draws if name in b.evidence.draws]
    if (a.likelihood_kind, a.likelihood_object) != (b.likelihood_kind, b.likelihood_object):
        figures = [name for name in figures if name not in LIKELIHOODS]  # of different objects
    figures.sort(key=lambda name: (name != "skill", name != "nats_per_step", name))
    pairs = [measured(a, b, name)[:2] for name in figures]
    tests = [difference(a, b, name) for name in figures]
    adjusted = statistics.holm([p for _, _, p in tests])
    ends = [(low, high) for low, high, _ in tests]
    differences = []
    for name, (x, y), p, (low, high) in zip(figures, pairs, adjusted, ends, strict=True):
        better = ""
        if p < 1 - statistics.LEVEL and direction_of(name) != "none":
            first_wins = (x > y) == (direction_of(name) == "higher")
            better = a.system if first_wins else b.system
        differences.append(Difference(name, x, y, x - y, low, high, p, better))
    return differences


def difference(a: Row, b: Row, figure: str) -> tuple[float, float, float]:
    """Low and high of the first row's figure less the second's, and the p-value of no difference.

    Paired by pieces, and with what other training runs would do to both. The rows must have been
    built from jobs, with draws of the figure.
    """
    x, y, draws = measured(a, b, figure)
    gap = x - y
    parts = [row.evidence.retraining.get(figure, NOTHING) for row in (a, b)]
    ((low, high),) = statistics.retrained_intervals([gap], [draws], [parts])
    return low, high, statistics.p_retrained(gap, draws, parts)


def measured(a: Row, b: Row, figure: str) -> tuple[float, float, Floats]:
    """Both rows' values of a figure, and the draws of the first less those of the second.

    The skills of a row that runs backward and of one that does not are taken over the metrics that
    count for both: no judge reads the first.
    """
    mine, theirs = a.evidence, b.evidence
    if figure == "skill" and mine.backward != theirs.backward:
        both = [name for name in mine.skills if name in theirs.skills]
        x, drawn = combined([mine.skills[name] for name in both])
        y, other = combined([theirs.skills[name] for name in both])
        return x, y, drawn - other
    return _value(a, figure), _value(b, figure), mine.draws[figure] - theirs.draws[figure]


def _value(row: Row, figure: str) -> float:
    """The figure behind draws of that name."""
    value = row.value(figure)
    if value is None:
        raise BenchError(f"{row.system} has no {figure}.")
    return value
