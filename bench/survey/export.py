"""The ratings as a table that can be given away: no code, no listener's id, no time of day."""

from __future__ import annotations

import secrets
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import select

from bench.errors import BenchError
from bench.survey.database.store import SurveyStore
from bench.survey.database.tables import belief, clip, exclusion, participant, rating, system, trial
from bench.survey.overview import Overview, named

if TYPE_CHECKING:
    import pandas as pd

# What each column holds; also the order of the columns.
CODEBOOK = {
    "survey": "the survey's name",
    "simulated": "whether the listeners were simulated",
    "rater": "a listener; numbered anew by every export",
    "clip": "a clip",
    "system": "who made it",
    "variant": "corrected or as-published",
    "dataset": "the data set",
    "preset": "how much training was spent",
    "job": "the job's id; empty for human music and random notes",
    "role": "system, human (the hidden reference) or anchor (random notes)",
    "kind": "main, or repeat: the same clip again",
    "block": "every system is heard once in a block",
    "position": "from 1, repeats counted",
    "previous_system": "who made the clip before; empty for the first",
    "score": "1 to 10",
    "believable": "whether a human could have composed it; empty where not answered",
    "known": "whether the listener knew the piece",
    "coverage": "share of the clip that was heard before the score",
    "plays": "how often it was played before the score",
    "answer_seconds": "from the first play to the score",
    "clip_seconds": "the clip's length",
    "date": "the day (UTC)",
    "training": "the listener's musical training, as answered",
    "device": "what the listener listened with, as answered",
    "finished": "whether the listener rated every clip",
    "excluded": "why the listener is not to be counted; empty: is to be",
    "flags": "pause: over 10 minutes for an answer; plays: over 5 plays; unfinished",
    "comment": "what the listener wrote; read it before you give it away",
}
LONG, OFTEN = 600, 5  # seconds, plays


def codebook(status: Overview, columns: list[str]) -> dict[str, Any]:
    """What goes with the table: what its columns mean, what was asked, and how many took part."""
    about, config = status.summary, status.config
    return {
        "survey": about.name,
        "simulated": about.simulated,
        "config_hash": about.config_hash,
        "config": config.model_dump(mode="json", exclude={"run"}),
        "flow": asdict(about.flow),
        "columns": {
            name: CODEBOOK.get(name, "as answered: see config, background") for name in columns
        },
    }


def export(store: SurveyStore, name: str, comments: bool = False) -> pd.DataFrame:
    """The ratings, one row each, in an order that tells nothing. Comments only when asked for.

    BenchError before the survey is closed: who sees results stops when they please.
    """
    import json

    import pandas as pd

    with store.reading() as connection:
        one = named(connection, name)
        if one.state not in ("closed", "published"):
            raise BenchError(
                f"The results of '{name}' stay hidden until it is closed, so that nobody stops when"
                f" they please: `bench survey close {name}`. `bench survey backup` keeps them safe."
            )
        statement = (
            select(
                participant.c.id.label("participant"),
                participant.c.answers,
                participant.c.finished_at,
                clip.c.label.label("clip"),
                clip.c.seconds.label("clip_seconds"),
                *(system.c[key] for key in ("variant", "dataset", "preset", "job", "role")),
                system.c.name.label("system"),
                *(
                    trial.c[key]
                    for key in ("kind", "block", "position", "served_at", "coverage", "plays")
                ),
                rating.c.score,
                rating.c.at,
                *(belief.c[key] for key in ("believable", "known", "comment")),
                exclusion.c.reason,
            )
            .join(trial, trial.c.participant_id == participant.c.id)
            .join(clip, clip.c.id == trial.c.clip_id)
            .join(system, system.c.id == clip.c.system_id)
            .outerjoin(rating, rating.c.trial_id == trial.c.id)
            .outerjoin(belief, belief.c.trial_id == trial.c.id)
            .outerjoin(exclusion, exclusion.c.participant_id == participant.c.id)
            .where(participant.c.survey_id == one.id, trial.c.kind != "practice")
            .order_by(participant.c.id, trial.c.position)
        )
        rows = connection.execute(statement).mappings().all()

    shuffled = np.random.default_rng(secrets.randbits(64)).permutation
    people = sorted({row["participant"] for row in rows if row["score"] is not None})
    number = dict(zip(people, (shuffled(len(people)) + 1).tolist(), strict=True))
    table: list[dict[str, object]] = []
    before: dict[int, str] = {}
    for row in rows:
        who = row["participant"]
        previous, before[who] = before.get(who, ""), row["system"]
        if row["score"] is None:
            continue
        answers = json.loads(row["answers"] or "{}")
        took = (row["at"] - row["served_at"]).total_seconds()
        flags = {
            "pause": took > LONG,
            "plays": row["plays"] > OFTEN,
            "unfinished": row["finished_at"] is None,
        }
        table.append(
            {
                **{key: row[key] for key in CODEBOOK if key in row},
                **{f"background_{k}": v for k, v in answers.items() if k not in CODEBOOK},
                "survey": name,
                "simulated": one.simulated,
                "rater": number[who],
                "previous_system": previous,
                "known": bool(row["known"]),
                "answer_seconds": round(took, 1),
                "date": row["at"].date().isoformat(),
                "training": answers.get("training", ""),
                "device": answers.get("device", ""),
                "finished": row["finished_at"] is not None,
                "excluded": row["reason"] or "",
                "flags": ";".join(flag for flag, raised in flags.items() if raised),
                "comment": row["comment"] or "",
            }
        )
    others = sorted({key for row in table for key in row} - set(CODEBOOK))
    frame = pd.DataFrame(table, columns=[*CODEBOOK, *others])
    frame["believable"] = frame["believable"].astype("boolean")
    frame = frame.sort_values(["rater", "position"], ignore_index=True)
    return frame if comments else frame.drop(columns="comment")
