"""Skills and ranks: how close the rows of a group come to human music, and in which order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench.board.intervals import fill_intervals
from bench.board.rows import COPIES, Group, Row, rounded
from bench.board.skills import (
    EXCUSED,
    LEFT_OUT,
    OWN_FAMILY,
    Skills,
    answers,
    combined,
    questions_of,
    skill_of,
    skills_of,
)
from bench.protocol import statistics
from bench.protocol.statistics import NOTHING


def rank(group: Group) -> None:
    """Fill in the skills, intervals and ranks of a group's rows."""
    rank_all([group])


def rank_all(groups: Sequence[Group]) -> None:
    """Fill in the skills, intervals and ranks of the rows of a board."""
    for group in groups:
        fill_skills(group)
        fill_same_as(group.rows)
    fill_intervals(groups)
    for group in groups:
        fill_ranks(group.rows)


def fill_skills(group: Group) -> None:
    """Fill in each row's skill by every headline metric and by all that count, with its draws."""
    skills = skills_of(group, competitors(group.rows))
    counting = skills.counting
    questions = questions_of([skills.metrics[i] for i in counting])
    for place, row in enumerate(group.rows):
        for column, name in enumerate(skills.metrics):
            value = skills.values[place, column]
            row.set_metric(name, skill=None if np.isnan(value) else rounded(float(value)))
        present = [i for i in counting if (place, i) in skills.draws]
        row.skill_coverage = f"{len(present)}/{len(skills.metrics)}"
        row.skill_note = _note(skills, place) if row.evidence.exact else ""
        lacking = {skills.missing.get((place, i), OWN_FAMILY) for i in counting} - EXCUSED
        if row.status == COPIES:
            row.skill_note = "the samples are copies"
        elif present and not lacking:
            parts = [(float(skills.values[place, i]), skills.draws[place, i]) for i in present]
            row.evidence.skills = dict(
                zip([skills.metrics[i] for i in present], parts, strict=True)
            )
            value, row.evidence.draws["skill"] = combined(parts)
            row.skill = rounded(value)
            for question, answer in answers(skills.values[place, counting], questions).items():
                setattr(row, f"skill_{question}", rounded(answer))
            _fill_seeds(row, [skills.metrics[i] for i in present], group)


def _note(skills: Skills, place: int) -> str:
    """Why a row lacks a skill by some metrics."""
    names = [skills.metrics[i] for i in skills.counting if (place, i) in skills.missing]
    reasons = [f"{n}: {skills.missing[place, skills.metrics.index(n)]}" for n in names]
    return "; ".join(
        [*reasons, *(f"{name}: {LEFT_OUT}, {reason}" for name, reason in skills.left_out.items())]
    )


def _fill_seeds(row: Row, names: Sequence[str], group: Group) -> None:
    """Keep the skill of each seed as evidence."""
    floor, ceiling = group.anchor(0), group.anchor(1)
    for evidence in row.evidence.by_seed:
        if floor and ceiling and all(name in evidence.draws for name in names):
            parts = [skill_of(evidence, name, floor, ceiling) for name in names]
            evidence.exact["skill"], evidence.draws["skill"] = combined(parts)


def fill_same_as(rows: Sequence[Row]) -> None:
    """Name, in rows whose samples equal those of another, the first of these by name.

    Equal under every seed that both have. Rows that only fix the scale, controls and copies are no
    one's first: who makes what they make is judged alone.
    """
    firsts: dict[tuple[int, tuple[str, ...]], list[Row]] = {}
    for row in sorted(rows, key=lambda row: (row.variant != "corrected", row.system)):
        samples = row.evidence.samples
        aside = row.is_scale or row.kind == "control" or row.status == COPIES
        if aside or not any(samples.values()):
            continue
        candidates = [first for key in samples.items() for first in firsts.get(key, ())]
        for first in candidates:
            theirs = first.evidence.samples
            if all(samples[seed] == theirs[seed] for seed in samples.keys() & theirs.keys()):
                row.same_as = first.name
                break
        else:
            for key in samples.items():
                firsts.setdefault(key, []).append(row)


def fill_ranks(rows: Sequence[Row]) -> None:
    """Fill in the ranks, by skill."""
    ranked = distinct(rows)
    places = statistics.ranks(
        [row.evidence.draws["skill"] for row in ranked],
        [row.skill or 0.0 for row in ranked],
        [row.evidence.retraining.get("skill", NOTHING) for row in ranked],
    )
    for row, (place, low_place, high_place) in zip(ranked, places, strict=True):
        row.rank, row.rank_low, row.rank_high = place, low_place, high_place


def competitors(rows: Sequence[Row]) -> list[Row]:
    """The rows that are in the competition, whether they have a skill or not."""
    return [row for row in rows if row.competes]


def distinct(rows: Sequence[Row]) -> list[Row]:
    """The contestants whose samples are not those of another one, by name.

    Without those that run backward: they are given other prompts, and no judge reads them.
    By name, so that the simulation behind `statistics.apart` is the same wherever it is asked for.
    """
    named = (row for row in contestants(rows) if not row.same_as and not row.evidence.backward)
    return sorted(named, key=lambda row: row.system)


def contestants(rows: Sequence[Row]) -> list[Row]:
    """The rows that compete and have a skill."""
    return [row for row in competitors(rows) if row.skill is not None]


def tied(rows: Sequence[Row]) -> tuple[list[Row], list[tuple[int, int]]]:
    """The ranked rows by skill, and the first and last of each run within which none is separated.

    Not the same as sharing a rank: of three rows in a run, the middle one may be in another, too.
    """
    named = distinct(rows)
    by_skill = sorted(range(len(named)), key=lambda place: -(named[place].skill or 0.0))
    apart = statistics.apart(
        [row.evidence.draws["skill"] for row in named],
        [row.skill or 0.0 for row in named],
        [row.evidence.retraining.get("skill", NOTHING) for row in named],
    )[np.ix_(by_skill, by_skill)]
    ranked = [named[place] for place in by_skill]
    runs: list[tuple[int, int]] = []
    for first in range(len(ranked)):
        last = first
        while last + 1 < len(ranked) and not apart[first : last + 2, last + 1].any():
            last += 1
        if last > first and (not runs or last > runs[-1][1]):
            runs.append((first, last))
    return ranked, runs
