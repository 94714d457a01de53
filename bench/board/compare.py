"""Two systems on the same prompts: paired differences with their uncertainty."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench import registry
from bench.board.build import Entry
from bench.errors import BenchError, unknown
from bench.protocol import statistics


@dataclass(frozen=True)
class Difference:
    """How far the first system's figure is from the second's, on the same pieces."""

    figure: str
    first: float
    second: float
    difference: float
    low: float
    high: float
    p: float  # that there is none, after Holm over all figures of the comparison
    better: str  # the name of the better system; empty: it cannot be told, or neither is better


def direction_of(figure: str) -> str:
    """Whether higher or lower is better; `none` for a mere description."""
    if figure == "skill":
        return "higher"
    if figure == "nats_per_step":
        return "lower"
    known = registry.metrics()
    return known[figure].direction if figure in known else "none"


def find(entries: Sequence[Entry], name: str) -> list[Entry]:
    """The rows of a system, `NAME` or `NAME:as-published`; BenchError when it has none."""
    system, _, variant = name.partition(":")
    rows = [
        one
        for one in entries
        if one.row.system == system and one.row.variant == (variant or "corrected")
    ]
    if not rows:
        raise unknown("row", name, {one.row.system for one in entries})
    return rows


def comparable(entries: Sequence[Entry], first: str, second: str) -> list[tuple[Entry, Entry]]:
    """The rows of the two that share data, preset, protocol and metrics; BenchError if none do."""
    pairs = [
        (a, b)
        for a in find(entries, first)
        for b in find(entries, second)
        if a.row.group == b.row.group
    ]
    if not pairs:
        raise BenchError(
            f"{first} and {second} have no rows of the same data, preset and protocol; run both"
            " with the same options."
        )
    return pairs


def compare(a: Entry, b: Entry) -> list[Difference]:
    """Every figure that both have, the skill first."""
    figures = [name for name in a.draws if name in b.draws]
    if (a.row.likelihood_kind, a.row.likelihood_object) != (
        b.row.likelihood_kind,
        b.row.likelihood_object,
    ):
        figures = [name for name in figures if name != "nats_per_step"]  # of different objects
    figures.sort(key=lambda name: (name != "skill", name != "nats_per_step", name))
    tests = [(a.value(name), b.value(name), a.draws[name] - b.draws[name]) for name in figures]
    adjusted = statistics.holm([statistics.p_of(x - y, draws) for x, y, draws in tests])
    found = []
    for name, (x, y, draws), p in zip(figures, tests, adjusted, strict=True):
        low, high = statistics.interval(draws)
        better = ""
        if p < 1 - statistics.LEVEL and direction_of(name) != "none":
            first_wins = (x > y) == (direction_of(name) == "higher")
            better = a.row.system if first_wins else b.row.system
        found.append(Difference(name, x, y, float(np.subtract(x, y)), low, high, p, better))
    return found
