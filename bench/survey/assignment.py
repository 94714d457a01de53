"""Which clips a listener hears, and in which order.

Systems follow each other as the rows of a Williams square say (each system once in a block, and
each as often after every other one); of a system the least-heard clip comes next. What counts is
what was rated or is about to be: people who leave half-way unbalance nothing.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
from sqlalchemy import Connection, RowMapping, and_, insert, or_, select, update

from bench.survey.config import SurveyConfig
from bench.survey.database.tables import clip, exclusion, participant, rating, survey, trial

APART = 5  # trials at least between a clip and its repetition
AWAY = timedelta(hours=24)  # after which an unfinished listener is not waited for


@dataclass(frozen=True)
class Planned:
    """One trial to come."""

    system: int
    clip: int
    block: int
    row: int
    kind: str = "main"


@dataclass(frozen=True)
class Heard:
    """How often, among the listeners that count, each thing was or is to be heard."""

    rows: Counter[int] = field(default_factory=Counter)
    clips: Counter[int] = field(default_factory=Counter)
    repeats: Counter[int] = field(default_factory=Counter)  # of a system


def williams(n: int) -> list[list[int]]:
    """Orders of 0..n-1 in which each comes equally often at each place and after each other one.

    n rows where n is even, 2n where it is odd (Williams 1949).
    """
    first, low, high = [], 0, n - 1
    for place in range(n):
        if place % 2:
            first.append(high)
            high -= 1
        else:
            first.append(low)
            low += 1
    rows = [[(item + shift) % n for item in first] for shift in range(n)]
    return rows if n % 2 == 0 else rows + [row[::-1] for row in rows]


def plan(
    clips: Mapping[int, Sequence[int]],
    blocks: int,
    repeats: int,
    heard: Heard,
    rng: np.random.Generator,
) -> list[Planned]:
    """One listener's trials, from the clips of each system and what others heard."""
    systems = list(clips)
    square = williams(len(systems))
    rows, used = heard.rows.copy(), heard.clips.copy()
    found: list[Planned] = []
    taken: set[int] = set()
    for block in range(1, blocks + 1):
        # No system follows itself where a block ends.
        last = found[-1].system if found and len(systems) > 1 else None
        fit = [i for i, order in enumerate(square) if systems[order[0]] != last]
        row = least(fit, rows, rng)
        rows[row] += 1
        for place in square[row]:
            one = least([c for c in clips[systems[place]] if c not in taken], used, rng)
            taken.add(one)
            found.append(Planned(systems[place], one, block, row))
    return with_repeats(found, repeats, heard.repeats.copy(), rng)


def least(options: Sequence[int], used: Counter[int], rng: np.random.Generator) -> int:
    """The least used of the options; chance decides between equals."""
    fewest = min(used[option] for option in options)
    return int(rng.choice([option for option in options if used[option] == fewest]))


def with_repeats(
    trials: list[Planned], repeats: int, used: Counter[int], rng: np.random.Generator
) -> list[Planned]:
    """The trials with some of their clips a second time, far from the first and beside no clip of
    the same system, each time of the system that was repeated least."""
    found, again = list(trials), set()
    for _ in range(repeats):
        places = [
            (one, at)
            for j, one in enumerate(found)
            for at in range(j + APART, len(found) + 1)
            if one.kind == "main"
            and one.clip not in again
            and found[at - 1].system != one.system
            and (at == len(found) or found[at].system != one.system)
        ]
        if not places:
            break  # too few trials for any distance
        chosen = least(sorted({one.system for one, _ in places}), used, rng)
        fit = [(one, at) for one, at in places if one.system == chosen]
        one, at = fit[int(rng.integers(len(fit)))]
        used[chosen] += 1
        again.add(one.clip)
        found.insert(at, Planned(one.system, one.clip, one.block, -1, "repeat"))
    return found


def assign(
    connection: Connection, who: RowMapping, config: SurveyConfig, seed: str, at: datetime
) -> None:
    """Write the listener's trials, unless they are there. For a writing transaction.

    The survey's row is locked: two listeners who come at once are balanced against each other.
    """
    locked = select(survey.c.id).where(survey.c.id == who["survey_id"])
    connection.execute(locked.with_for_update())
    done = select(participant.c.assigned_at).where(participant.c.id == who["id"])
    if connection.execute(done).scalar_one() is not None:
        return
    rng = np.random.default_rng(int.from_bytes(hashlib.sha256(seed.encode()).digest()[:16], "big"))
    of_system: dict[int, list[int]] = {}
    practice: list[int] = []
    every = select(clip.c.id, clip.c.system_id, clip.c.practice)
    for row in connection.execute(
        every.where(clip.c.survey_id == who["survey_id"]).order_by(clip.c.id)
    ):
        if row.practice:
            practice.append(row.id)
        else:
            of_system.setdefault(row.system_id, []).append(row.id)
    heard = _heard(connection, who["survey_id"], at)
    planned = plan(of_system, config.per_system, config.repeats_of_one, heard, rng)
    first = [int(one) for one in rng.permutation(practice)]
    rows = [
        _row(who["id"], one, "practice", 0, -1, position)
        for position, one in enumerate(first, start=1 - len(first))
    ]
    rows += [
        _row(who["id"], one.clip, one.kind, one.block, one.row, position)
        for position, one in enumerate(planned, start=1)
    ]
    connection.execute(insert(trial), rows)
    connection.execute(
        update(participant)
        .where(participant.c.id == who["id"])
        .values(assigned_at=at, seed=seed, last_seen_at=at)
    )


def _row(who: int, clip: int, kind: str, block: int, row: int, position: int) -> dict[str, object]:
    return {
        "token": secrets.token_urlsafe(18),
        "participant_id": who,
        "clip_id": clip,
        "kind": kind,
        "block": block,
        "square_row": row,
        "position": position,
    }


def _heard(connection: Connection, survey_id: int, at: datetime) -> Heard:
    """What was rated, or will be by those who were here in the last day and go on."""
    goes_on = and_(participant.c.finished_at.is_(None), participant.c.last_seen_at > at - AWAY)
    statement = (
        select(trial, clip.c.system_id)
        .join(participant, participant.c.id == trial.c.participant_id)
        .join(clip, clip.c.id == trial.c.clip_id)
        .outerjoin(rating, rating.c.trial_id == trial.c.id)
        .outerjoin(exclusion, exclusion.c.participant_id == participant.c.id)
        .where(
            participant.c.survey_id == survey_id,
            participant.c.withdrawn_at.is_(None),
            exclusion.c.id.is_(None),
            trial.c.kind != "practice",
            or_(rating.c.id.is_not(None), goes_on),
        )
    )
    heard = Heard()
    blocks = set()
    for row in connection.execute(statement):
        if row.kind == "repeat":
            heard.repeats[row.system_id] += 1
        else:
            heard.clips[row.clip_id] += 1
            blocks.add((row.participant_id, row.block, row.square_row))
    heard.rows.update(row for _, _, row in blocks)
    return heard
