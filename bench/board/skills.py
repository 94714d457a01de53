"""Skills: how close contestants come to human music, metric by metric and all together.

A metric's skill is 0 at the floor and 1 at the ceiling. The skill of a row is the mean of its skills,
each bounded, so that no metric can decide alone. Metrics also belong to questions that a musician
understands, and each question has its own mean.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from bench import registry
from bench.board.rows import QUESTIONS, Evidence, Group, Row, headline_metrics
from bench.contract import Floats
from bench.judges.families import BACKWARD, family_of, judges_for
from bench.protocol import statistics

NO_SCALE = "no floor or no ceiling to measure by"
NO_VALUE = "no value"
OWN_FAMILY = "a judge of its own family"
EXCUSED = {OWN_FAMILY, BACKWARD}  # the skill is the mean over the other metrics
LEFT_OUT = "left out"  # of the whole group

NEAR = 0.02  # of the floor or the ceiling: a metric that puts a contestant there says no more of it
CROWDED = 1 / 3  # of the contestants there: the metric does not separate them
SEVERAL = 6  # contestants, at least: of fewer, a third is one or two


@dataclass(frozen=True)
class Skills:
    """The skill of each row of a group by each headline metric, not bounded.

    `missing` says of a row why it has no skill by a metric that counts, `left_out` of a metric why
    it does not count in this group.
    """

    metrics: tuple[str, ...]
    values: Floats  # (rows, metrics), NaN: none
    draws: Mapping[tuple[int, int], Floats]  # (RESAMPLES,) of the values that there are
    missing: Mapping[tuple[int, int], str] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)

    @property
    def counting(self) -> list[int]:
        """The metrics that count, by their place."""
        return [i for i, name in enumerate(self.metrics) if name not in self.left_out]


def skills_of(group: Group, contestants: Sequence[Row]) -> Skills:
    """The skills of a group's rows; which metrics separate is judged by its contestants alone."""
    names = tuple(headline_metrics())
    floor, ceiling = group.anchor(0), group.anchor(1)
    values = np.full((len(group.rows), len(names)), np.nan)
    draws: dict[tuple[int, int], Floats] = {}
    missing: dict[tuple[int, int], str] = {}
    left_out: dict[str, str] = {}
    for column, name in enumerate(names):
        reason = _no_scale(name, floor, ceiling)
        for place, row in enumerate(group.rows):
            if row.evidence.backward and hasattr(registry.metrics()[name], "judge"):
                missing[place, column] = BACKWARD
            elif reason or not _has(row, name):
                missing[place, column] = reason or NO_VALUE
            elif not may_judge(name, row):
                missing[place, column] = OWN_FAMILY
            else:
                assert floor  # noqa: S101
                assert ceiling  # noqa: S101
                skill, drawn = skill_of(row.evidence, name, floor, ceiling)
                values[place, column], draws[place, column] = skill, drawn
        if reason and reason != NO_SCALE:
            left_out[name] = reason
    judged = [place for place, row in enumerate(group.rows) if any(row is c for c in contestants)]
    for column, name in enumerate(names):
        reason = does_not_separate(values[judged, column])
        if name not in left_out and reason:
            left_out[name] = reason
    return Skills(names, values, draws, missing, left_out)


def may_judge(metric: str, row: Row) -> bool:
    """Whether the metric may count for the row: a judge does not score its own family."""
    judge = getattr(registry.metrics()[metric], "judge", "")
    return not judge or judge in judges_for(family_of(row.system))


def questions_of(metrics: Sequence[str]) -> list[str]:
    """The question that each metric belongs to."""
    named = [getattr(registry.metrics()[name], "question", "other") for name in metrics]
    return [question if question in QUESTIONS else "other" for question in named]


def does_not_separate(skills: Floats) -> str:
    """Why a metric does not separate the contestants with these skills; empty if it does."""
    known = skills[~np.isnan(skills)]
    if len(known) < SEVERAL:
        return ""
    for end, there in (("floor", np.abs(known) <= NEAR), ("ceiling", known >= 1 - NEAR)):
        if there.mean() > CROWDED:
            return f"{there.sum()} of {len(known)} contestants are at its {end}"
    return ""


def _no_scale(name: str, floor: Row | None, ceiling: Row | None) -> str:
    """Why a metric has no scale from the floor to the ceiling; empty if it has one."""
    if floor is None or ceiling is None:
        return NO_SCALE
    if not (_has(floor, name) and _has(ceiling, name)):
        return "floor or ceiling has no value"
    gain = ceiling.evidence.exact[name] - floor.evidence.exact[name]
    low, high = statistics.interval(ceiling.evidence.draws[name] - floor.evidence.draws[name])
    if gain == 0 or low <= 0 <= high:
        return "floor and ceiling cannot be told apart"
    if (gain > 0) != (headline_metrics()[name] == "higher"):
        return "the floor is better than the ceiling"
    return ""


def skill_of(evidence: Evidence, name: str, floor: Row, ceiling: Row) -> tuple[float, Floats]:
    """A metric's value and its draws on the scale from the floor to the ceiling.

    The draws are those of a ratio to first order: they hold what the two rows that make the scale
    owe to chance, so that these themselves are 0 and 1 in every draw.
    """
    gain = ceiling.evidence.exact[name] - floor.evidence.exact[name]
    skill = (evidence.exact[name] - floor.evidence.exact[name]) / gain
    moved, bottom, top = (
        each.draws[name] - each.exact[name] for each in (evidence, floor.evidence, ceiling.evidence)
    )
    return skill, skill + (moved - (1 - skill) * bottom - skill * top) / gain


def _has(row: Row, name: str) -> bool:
    return name in row.evidence.exact and name in row.evidence.draws


# -- one number from several --------------------------------------------------------------------------

Questions = Sequence[str]  # the question of each metric
Aggregate = Callable[[Floats, Questions], Floats]  # (rows, metrics) to (rows,), higher is better


def bounded(skills: Floats) -> Floats:
    """Skills within -1 and 1: as they are from 0 to 1, x / (1 - x) below."""
    below = np.minimum(skills, 0.0)
    return np.asarray(np.where(skills < 0, below / (1 - below), np.minimum(skills, 1.0)))


def slope(skill: float) -> float:
    """How much of a small change of a skill is left in the bounded one.

    All of it at the upper bound too: there the change would be lost, and with it the uncertainty.
    """
    return float(1 / (1 - min(skill, 0.0)) ** 2)


def combined(parts: Sequence[tuple[float, Floats]]) -> tuple[float, Floats]:
    """The mean of bounded skills, as `CHOSEN` has it, and its draws to first order."""
    value = float(np.mean([bounded(np.array(skill)) for skill, _ in parts]))
    moved = [slope(skill) * (draws - skill) for skill, draws in parts]
    return value, value + np.mean(moved, axis=0)


def _mean(skills: Floats) -> Floats:
    """(rows,) the mean of the skills that a row has; NaN where it has none."""
    known = ~np.isnan(skills)
    total = np.nansum(skills, axis=1) / np.maximum(1, known.sum(axis=1))
    return np.asarray(np.where(known.any(axis=1), total, np.nan))


def grouped(skills: Floats, questions: Questions) -> Floats:
    """The mean over questions of the mean over their metrics, each bounded."""
    names = np.array(questions)
    parts = [_mean(bounded(skills[:, names == name])) for name in dict.fromkeys(questions)]
    return _mean(np.stack(parts, axis=1))


def answers(skills: Floats, questions: Questions) -> dict[str, float]:
    """The mean bounded skill of one row by question, for those that have one."""
    names, known = np.array(questions), ~np.isnan(skills)
    parts = {question: skills[(names == question) & known] for question in dict.fromkeys(questions)}
    return {question: float(bounded(part).mean()) for question, part in parts.items() if len(part)}


def mean(skills: Floats, questions: Questions) -> Floats:
    """The plain mean, as it was before skills were bounded."""
    return _mean(skills)


def bounded_mean(skills: Floats, questions: Questions) -> Floats:
    """The mean over metrics, each bounded."""
    return _mean(bounded(skills))


def win_rate(skills: Floats, questions: Questions) -> Floats:
    """The share of the others that a row beats, over all metrics; a tie is half a win.

    Everybody meets everybody, so that Bradley-Terry strengths would order the rows alike.
    """
    with np.errstate(invalid="ignore"):
        wins = (skills[:, None] > skills[None]) + 0.5 * (skills[:, None] == skills[None])
    met = ~np.isnan(skills[:, None] - skills[None])
    own = np.eye(len(skills), dtype=bool)[:, :, None]
    met &= ~own
    return np.asarray((wins * met).sum(axis=(1, 2)) / np.maximum(1, met.sum(axis=(1, 2))))


def median_rank(skills: Floats, questions: Questions) -> Floats:
    """Minus the median over metrics of the row's rank."""
    from scipy.stats import rankdata

    return np.asarray(-np.nanmedian(rankdata(-skills, axis=0, nan_policy="omit"), axis=1))


AGGREGATES: Mapping[str, Aggregate] = {
    "grouped": grouped,
    "bounded": bounded_mean,
    "mean": mean,
    "win rate": win_rate,
    "median rank": median_rank,
}
CHOSEN = "bounded"  # by the rule in docs/protocol.md; `bench validate --order` prints the table
