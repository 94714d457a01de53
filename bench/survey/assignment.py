"""Which clips a listener hears, and in which order.

Systems are ordered by the rows of a Williams square: each system occurs once in a block, and each
follows every other one equally often. Of a system the least-heard clip comes next. Only trials that
are rated, or probably will be, are counted: listeners who leave do not unbalance the rest.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
from sqlalchemy import Connection, and_, insert, or_, select, update

from bench.survey.database.tables import clip, exclusion, participant, rating, survey, trial
from bench.survey.participants import Participant

REPEAT_DISTANCE = 5  # trials, at least, between a clip and its repetition
PATIENCE = timedelta(hours=24)  # after this long away, a listener is not expected to return


@dataclass(frozen=True)
class PlannedTrial:
    """A trial that is to be assigned; ids of the system and the clip."""

    system: int
    clip: int
    block: int
    row: int  # of the Williams square
    kind: str = "main"


@dataclass(frozen=True)
class HeardCounts:
    """How often each row, clip and repetition was or will be heard by listeners that count."""

    rows: Counter[int] = field(default_factory=Counter)  # of the Williams square
    clips: Counter[int] = field(default_factory=Counter)
    repeats: Counter[int] = field(default_factory=Counter)  # by system


def williams(n: int) -> list[list[int]]:
    """Orders of 0..n-1: each number equally often at each place and after each other number.

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
    heard: HeardCounts,
    rng: np.random.Generator,
) -> list[PlannedTrial]:
    """One listener's trials, from the clips of each system and the counts of other listeners."""
    systems = list(clips)
    square = williams(len(systems))
    row_counts, clip_counts = heard.rows.copy(), heard.clips.copy()
    trials: list[PlannedTrial] = []
    used: set[int] = set()
    for block in range(1, blocks + 1):
        # A block does not begin with the system that ended the block before.
        last = trials[-1].system if trials and len(systems) > 1 else None
        allowed = [i for i, order in enumerate(square) if systems[order[0]] != last]
        row = least_used(allowed, row_counts, rng)
        row_counts[row] += 1
        for place in square[row]:
            system = systems[place]
            chosen = least_used([c for c in clips[system] if c not in used], clip_counts, rng)
            used.add(chosen)
            trials.append(PlannedTrial(system, chosen, block, row))
    return with_repeats(trials, repeats, heard.repeats.copy(), rng)


def least_used(options: Sequence[int], counts: Counter[int], rng: np.random.Generator) -> int:
    """The option with the smallest count; at random among several."""
    fewest = min(counts[option] for option in options)
    return int(rng.choice([option for option in options if counts[option] == fewest]))


def with_repeats(
    trials: list[PlannedTrial], repeats: int, counts: Counter[int], rng: np.random.Generator
) -> list[PlannedTrial]:
    """The trials with some of their clips a second time.

    A repetition comes REPEAT_DISTANCE trials or more after the first, and beside no clip of the
    same system. The system that was repeated least is repeated next.
    """
    planned, repeated = list(trials), set()
    for _ in range(repeats):
        places = [
            (first, at)
            for j, first in enumerate(planned)
            for at in range(j + REPEAT_DISTANCE, len(planned) + 1)
            if first.kind == "main"
            and first.clip not in repeated
            and planned[at - 1].system != first.system
            and (at == len(planned) or planned[at].system != first.system)
        ]
        if not places:
            break  # too few trials for that distance
        chosen = least_used(sorted({first.system for first, _ in places}), counts, rng)
        allowed = [(first, at) for first, at in places if first.system == chosen]
        first, at = allowed[int(rng.integers(len(allowed)))]
        counts[chosen] += 1
        repeated.add(first.clip)
        planned.insert(at, PlannedTrial(first.system, first.clip, first.block, -1, "repeat"))
    return planned


def assign(connection: Connection, person: Participant, seed: str, at: datetime) -> None:
    """Insert the listener's trials, unless that was done before. For a writing transaction.

    The survey's row is locked: listeners who come at the same time are assigned in turn.
    """
    locked = select(survey.c.id).where(survey.c.id == person.survey_id)
    connection.execute(locked.with_for_update())
    assigned = select(participant.c.assigned_at).where(participant.c.id == person.id)
    if connection.execute(assigned).scalar_one() is not None:
        return
    rng = np.random.default_rng(int.from_bytes(hashlib.sha256(seed.encode()).digest()[:16], "big"))
    clips_of_system: dict[int, list[int]] = {}
    practice_clips: list[int] = []
    every_clip = select(clip.c.id, clip.c.system_id, clip.c.practice)
    for row in connection.execute(
        every_clip.where(clip.c.survey_id == person.survey_id).order_by(clip.c.id)
    ):
        if row.practice:
            practice_clips.append(row.id)
        else:
            clips_of_system.setdefault(row.system_id, []).append(row.id)
    heard = _heard(connection, person.survey_id, at)
    config = person.config
    main = plan(clips_of_system, config.per_system, config.repeated_clips, heard, rng)
    practice = [int(clip_id) for clip_id in rng.permutation(practice_clips)]
    rows = [
        _trial_row(person.id, clip_id, "practice", 0, -1, position)
        for position, clip_id in enumerate(practice, start=1 - len(practice))
    ]
    rows += [
        _trial_row(person.id, planned.clip, planned.kind, planned.block, planned.row, position)
        for position, planned in enumerate(main, start=1)
    ]
    connection.execute(insert(trial), rows)
    connection.execute(
        update(participant)
        .where(participant.c.id == person.id)
        .values(assigned_at=at, seed=seed, last_seen_at=at)
    )


def _trial_row(
    participant_id: int, clip_id: int, kind: str, block: int, square_row: int, position: int
) -> dict[str, object]:
    return {
        "token": secrets.token_urlsafe(18),
        "participant_id": participant_id,
        "clip_id": clip_id,
        "kind": kind,
        "block": block,
        "square_row": square_row,
        "position": position,
    }


def _heard(connection: Connection, survey_id: int, at: datetime) -> HeardCounts:
    """What is rated, and what listeners who were seen within PATIENCE will still rate."""
    continues = and_(
        participant.c.finished_at.is_(None), participant.c.last_seen_at > at - PATIENCE
    )
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
            or_(rating.c.id.is_not(None), continues),
        )
    )
    heard = HeardCounts()
    blocks = set()
    for row in connection.execute(statement):
        if row.kind == "repeat":
            heard.repeats[row.system_id] += 1
        else:
            heard.clips[row.clip_id] += 1
            blocks.add((row.participant_id, row.block, row.square_row))
    heard.rows.update(row for _, _, row in blocks)
    return heard
