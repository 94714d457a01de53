"""Skills and ranks: how close the rows of a group come to human music, and in which order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench.board.rows import Group, Row, headline_metrics, rounded
from bench.contract import Floats
from bench.protocol import statistics


def rank(group: Group) -> None:
    """Fill in the skills and ranks of a group's rows."""
    headline = headline_metrics()
    floor, ceiling = group.anchor(0), group.anchor(1)
    for row in group.rows:
        skills: dict[str, tuple[float, Floats]] = {}
        missing = []
        for name in headline:
            skill = skill_draws(row, name, floor, ceiling)
            if isinstance(skill, str):
                missing.append(f"{name}: {skill}")
                row.set_metric(name, skill=None)
            else:
                skills[name] = skill
                row.set_metric(name, skill=rounded(skill[0]))
        row.skill_coverage = f"{len(skills)}/{len(headline)}"
        row.skill_note = "; ".join(missing) if row.evidence.exact else ""
        if headline and not missing:
            draws = np.mean([draws for _, draws in skills.values()], axis=0)
            row.evidence.draws["skill"] = draws
            row.skill = rounded(float(np.mean([value for value, _ in skills.values()])))
            low, high = statistics.interval(draws)
            row.skill_low, row.skill_high = rounded(low), rounded(high)
    rows = contestants(group.rows)
    places = statistics.ranks(
        [row.evidence.draws["skill"] for row in rows], [row.skill or 0.0 for row in rows]
    )
    for row, (place, low_place, high_place) in zip(rows, places, strict=True):
        row.rank, row.rank_low, row.rank_high = place, low_place, high_place


def contestants(rows: Sequence[Row]) -> list[Row]:
    """The rows that compete: corrected systems with a skill that do not only fix the scale."""
    return [
        row
        for row in rows
        if row.skill is not None and not row.is_scale and row.variant == "corrected"
    ]


def skill_draws(
    row: Row, name: str, floor: Row | None, ceiling: Row | None
) -> tuple[float, Floats] | str:
    """A metric's value, and its draws, on the scale from the floor to the ceiling.

    Or why there is none. The draws are those of a ratio to first order: they hold what the two
    rows that make the scale owe to chance, so that these themselves are 0 and 1 in every draw.
    """
    if not _has(row, name):
        return "no value"
    if floor is None or ceiling is None:
        return "no floor or no ceiling to measure by"
    if not (_has(floor, name) and _has(ceiling, name)):
        return "floor or ceiling has no value"
    gain = ceiling.evidence.exact[name] - floor.evidence.exact[name]
    low, high = statistics.interval(ceiling.evidence.draws[name] - floor.evidence.draws[name])
    if gain == 0 or low <= 0 <= high:
        return "floor and ceiling cannot be told apart"
    if (gain > 0) != (headline_metrics()[name] == "higher"):
        return "the floor is better than the ceiling"
    skill = (row.evidence.exact[name] - floor.evidence.exact[name]) / gain
    moved, bottom, top = (
        each.evidence.draws[name] - each.evidence.exact[name] for each in (row, floor, ceiling)
    )
    return skill, skill + (moved - (1 - skill) * bottom - skill * top) / gain


def _has(row: Row, name: str) -> bool:
    return name in row.evidence.exact and name in row.evidence.draws


def tied(rows: Sequence[Row]) -> tuple[list[Row], list[tuple[int, int]]]:
    """The ranked rows by skill, and the first and last of each run that cannot be told apart."""
    ranked = sorted(contestants(rows), key=lambda row: -(row.skill or 0.0))
    skills = [row.skill or 0.0 for row in ranked]
    apart = statistics.apart([row.evidence.draws["skill"] for row in ranked], skills)
    runs: list[tuple[int, int]] = []
    for first in range(len(ranked)):
        last = first
        while last + 1 < len(ranked) and not apart[first : last + 2, last + 1].any():
            last += 1
        if last > first and (not runs or last > runs[-1][1]):
            runs.append((first, last))
    return ranked, runs
