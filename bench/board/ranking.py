"""Skills and ranks: how close the rows of a group come to human music, and in which order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench.board.rows import COPIES, Group, Row, rounded
from bench.board.skills import (
    AGGREGATES,
    CHOSEN,
    OWN_FAMILY,
    Skills,
    answers,
    questions_of,
    skills_of,
    slope,
)
from bench.protocol import statistics


def rank(group: Group) -> None:
    """Fill in the skills and ranks of a group's rows."""
    skills = skills_of(group, competitors(group.rows))
    fill_skills(group, skills)
    rows = contestants(group.rows)
    places = statistics.ranks(
        [row.evidence.draws["skill"] for row in rows], [row.skill or 0.0 for row in rows]
    )
    for row, (place, low_place, high_place) in zip(rows, places, strict=True):
        row.rank, row.rank_low, row.rank_high = place, low_place, high_place


def fill_skills(group: Group, skills: Skills) -> None:
    """Fill in each row's skill by every headline metric, and by all that count."""
    counting = skills.counting
    questions = questions_of([skills.metrics[i] for i in counting])
    values = skills.values[:, counting]
    present = ~np.isnan(values)
    whole = AGGREGATES[CHOSEN](values, questions) if counting else np.zeros(len(group.rows))
    # (rows, metrics) what a small change of a metric's skill changes of the row's.
    share = present * slope(np.nan_to_num(values)) / np.maximum(1, present.sum(axis=1))[:, None]
    outs = [f"{name}: left out, {reason}" for name, reason in skills.left_out.items()]
    for place, row in enumerate(group.rows):
        for column, name in enumerate(skills.metrics):
            value = skills.values[place, column]
            row.set_metric(name, skill=None if np.isnan(value) else rounded(float(value)))
        reasons = {
            skills.metrics[i]: skills.missing[place, i]
            for i in counting
            if (place, i) in skills.missing
        }
        lacking = [name for name, reason in reasons.items() if reason != OWN_FAMILY]
        row.skill_coverage = f"{int(present[place].sum())}/{len(skills.metrics)}"
        notes = [f"{name}: {reason}" for name, reason in reasons.items()]
        row.skill_note = "; ".join([*notes, *outs]) if row.evidence.exact else ""
        if row.status == COPIES:
            row.skill_note = "the samples are copies"
            continue
        if lacking or not present[place].any():
            continue
        row.skill = rounded(float(whole[place]))
        row.evidence.draws["skill"] = whole[place] + sum(
            share[place, order] * (skills.draws[place, i] - skills.values[place, i])
            for order, i in enumerate(counting)
            if present[place, order]
        )
        low, high = statistics.interval(row.evidence.draws["skill"])
        row.skill_low, row.skill_high = rounded(low), rounded(high)
        for question, answer in answers(values[place], questions).items():
            setattr(row, f"skill_{question}", rounded(answer))


def competitors(rows: Sequence[Row]) -> list[Row]:
    """The rows that are in the competition, whether they have a skill or not."""
    return [row for row in rows if row.competes]


def contestants(rows: Sequence[Row]) -> list[Row]:
    """The rows that compete: corrected systems with a skill that do not only fix the scale."""
    return [row for row in competitors(rows) if row.skill is not None]


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
