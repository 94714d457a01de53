"""The ratings as a table to share: no code, no listener's id, no time of day."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import select

from bench.errors import BenchError
from bench.survey.database.store import SurveyStore
from bench.survey.database.tables import belief, clip, exclusion, participant, rating, system, trial
from bench.survey.overview import Overview, survey_row
from bench.survey.terms import HIGHEST, LOWEST, shows_results

if TYPE_CHECKING:
    import pandas as pd

LONG_SECONDS, MANY_PLAYS = 600, 5  # above which an answer is flagged

# The meaning of each column; also the order of the columns.
CODEBOOK = {
    "survey": "the survey's name",
    "simulated": "whether the listeners were simulated",
    "rater": "a listener; numbered anew by every export",
    "clip": "a clip",
    "system": "the system that made the clip",
    "variant": "corrected or as-published",
    "dataset": "the data set",
    "preset": "the preset that the system was trained under",
    "job": "the job's id; empty for human music and random notes",
    "role": "system, human (the hidden reference) or anchor (random notes)",
    "kind": "main, or repeat: the same clip again",
    "block": "every system is heard once in a block",
    "position": "from 1, repeats counted",
    "previous_system": "the system that made the clip before; empty for the first clip",
    "score": f"{LOWEST} to {HIGHEST}",
    "believable": "whether a human could have composed it; empty where not answered",
    "known": "whether the listener knew the piece",
    "coverage": "share of the clip that was heard before the score",
    "plays": "how often the clip was played before the score",
    "answer_seconds": "from the first play to the score",
    "clip_seconds": "the clip's length",
    "date": "the day (UTC)",
    "training": "the listener's musical training, as answered",
    "device": "what the listener listened with, as answered",
    "finished": "whether the listener rated every clip",
    "excluded": "why the listener was excluded by hand; empty: not excluded",
    "flags": f"pause: over {LONG_SECONDS // 60} minutes for an answer; plays: over {MANY_PLAYS}"
    " plays; unfinished",
    "comment": "what the listener wrote; read it before you share it",
}


def codebook(overview: Overview, columns: list[str]) -> dict[str, Any]:
    """What goes with the table, as JSON: its columns, the configuration, and how many took part."""
    about, config = overview.summary, overview.config
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
    """The ratings, one in a row, in an order that tells nothing about the listeners.

    Comments only where asked for. BenchError before the survey is closed: someone who sees results
    could end the survey when they look best.
    """
    import pandas as pd

    with store.reading() as connection:
        survey = survey_row(connection, name)
        if not shows_results(survey.state):
            raise BenchError(
                f"The results of '{name}' stay hidden until it is closed, so that nobody can end it"
                f" when they look best: `bench survey close {name}`. `bench survey backup` keeps"
                " them safe until then."
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
            .where(participant.c.survey_id == survey.id, trial.c.kind != "practice")
            .order_by(participant.c.id, trial.c.position)
        )
        rows = connection.execute(statement).mappings().all()

    shuffled = np.random.default_rng(secrets.randbits(64)).permutation
    raters = sorted({row["participant"] for row in rows if row["score"] is not None})
    number_of = dict(zip(raters, (shuffled(len(raters)) + 1).tolist(), strict=True))
    table: list[dict[str, object]] = []
    last_system: dict[int, str] = {}  # by participant
    for row in rows:
        rater = row["participant"]
        previous, last_system[rater] = last_system.get(rater, ""), row["system"]
        if row["score"] is None:
            continue
        answers = json.loads(row["answers"] or "{}")
        seconds = (row["at"] - row["served_at"]).total_seconds()
        flags = {
            "pause": seconds > LONG_SECONDS,
            "plays": row["plays"] > MANY_PLAYS,
            "unfinished": row["finished_at"] is None,
        }
        table.append(
            {
                **{key: row[key] for key in CODEBOOK if key in row},
                **{f"background_{k}": v for k, v in answers.items() if k not in CODEBOOK},
                "survey": name,
                "simulated": survey.simulated,
                "rater": number_of[rater],
                "previous_system": previous,
                "known": bool(row["known"]),
                "answer_seconds": round(seconds, 1),
                "date": row["at"].date().isoformat(),
                "training": answers.get("training", ""),
                "device": answers.get("device", ""),
                "finished": row["finished_at"] is not None,
                "excluded": row["reason"] or "",
                "flags": ";".join(flag for flag, raised in flags.items() if raised),
                "comment": row["comment"] or "",
            }
        )
    own_questions = sorted({key for row in table for key in row} - set(CODEBOOK))
    frame = pd.DataFrame(table, columns=[*CODEBOOK, *own_questions])
    frame["believable"] = frame["believable"].astype("boolean")
    frame = frame.sort_values(["rater", "position"], ignore_index=True)
    return frame if comments else frame.drop(columns="comment")
