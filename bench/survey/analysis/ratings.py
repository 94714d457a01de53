"""The table of ratings: what it must hold, which of it counts, and which listeners do not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.errors import BenchError
from bench.survey.analysis.simulation import HIGHEST, LOWEST

if TYPE_CHECKING:
    import pandas as pd

NEEDED = ("rater", "clip", "system", "role", "kind", "position", "score")
DEFAULTS: dict[str, Any] = {
    "survey": "", "simulated": False, "variant": "corrected", "dataset": "", "preset": "",
    "job": "", "previous_system": "", "believable": np.nan, "known": False, "coverage": np.nan,
    "plays": np.nan, "answer_seconds": np.nan, "clip_seconds": np.nan, "date": "",
    "finished": True, "excluded": "", "flags": "",
}  # fmt: skip
YES = {True: 1.0, "True": 1.0, "true": 1.0, False: 0.0, "False": 0.0, "false": 0.0}

# Of screening, fixed before anybody listened.
COMPLETE = 0.8  # of the trials
COVERAGE = 0.95  # of every clip
FLAT = 0.5  # standard deviation of a listener's scores
WANDERING = 3.0  # points between two ratings of one clip, on average


def tidy(ratings: pd.DataFrame) -> pd.DataFrame:
    """A copy with every column of the right type; BenchError says what cannot be analysed.

    `system` becomes a label that is unique within a data set (variant and preset are in it where
    they tell rows apart); `name` is the system as it was.
    """
    lacking = [name for name in NEEDED if name not in ratings]
    if lacking:
        raise BenchError(f"The ratings lack the columns {', '.join(lacking)}.")
    table = ratings.reset_index(drop=True).copy()
    for name, default in DEFAULTS.items():
        if name not in table:
            table[name] = default
        elif isinstance(default, str):
            table[name] = table[name].astype(object).where(table[name].notna(), "").astype(str)
    for name in ("known", "finished", "simulated"):
        table[name] = table[name].map(YES).fillna(0.0).astype(bool)
    table["believable"] = table["believable"].map(YES).astype(float)
    score = table["score"]
    wrong = table[~(score.between(LOWEST, HIGHEST) & (score == score.round()))]
    if len(wrong):
        raise BenchError(
            f"A score is {wrong['score'].iloc[0]} (row {wrong.index[0] + 1} of the ratings); scores"
            f" are whole numbers from {LOWEST} to {HIGHEST}."
        )
    table["score"] = score.astype(float)
    table["name"] = table["system"].astype(str)
    table["system"] = labels(table)
    shared = table.groupby("clip")[["system", "dataset"]].nunique().max(axis=1)
    if (shared > 1).any():
        raise BenchError(f"The clip {shared.idxmax()} belongs to more than one system.")
    return table


def labels(table: pd.DataFrame) -> pd.Series:
    """A name for what each row rates, as short as it can be."""
    presets = table.groupby(["dataset", "name", "variant"])["preset"].transform("nunique")
    published = np.where(table["variant"] == "as-published", " (as published)", "")
    preset = np.where(presets > 1, " (" + table["preset"] + ")", "")
    return table["name"] + published + preset


@dataclass(frozen=True)
class Rule:
    """A reason to leave a listener out, and whom it concerns."""

    name: str
    text: str
    raters: tuple[int, ...]
    excludes: bool  # else it is only noted


def screen(table: pd.DataFrame) -> list[Rule]:
    """Every rule with the listeners it concerns. Listeners are judged, never single ratings."""
    main = table[table["kind"] == "main"]
    by_rater = main.groupby("rater")
    most = table.groupby("rater").size().max()
    given = table.groupby("rater").size()
    ended = table.groupby("rater")["finished"].all()
    spread = by_rater["score"].std(ddof=0)
    medians = main.pivot_table(index="rater", columns="role", values="score", aggfunc="median")
    reversed_ = (
        medians.index[medians["human"] <= medians["anchor"]]
        if {"human", "anchor"} <= set(medians)
        else []
    )
    changes = repeats(table).groupby("rater")["change"].mean()
    seconds = by_rater["answer_seconds"].median() - by_rater["clip_seconds"].median()
    excluded = table[table["excluded"] != ""]
    uncovered = table[table["coverage"] < COVERAGE]
    enough = by_rater.size() > 1
    agreement = with_others(main)

    def rule(name: str, text: str, raters: Any, excludes: bool = True) -> Rule:
        return Rule(name, text, tuple(sorted(int(one) for one in set(raters))), excludes)

    return [
        rule("excluded", "excluded by hand, with a reason", excluded["rater"]),
        rule(
            "incomplete",
            f"rated less than {COMPLETE:.0%} of the clips",
            given.index[~ended & (given < COMPLETE * most)],
        ),
        rule("not heard", f"heard less than {COVERAGE:.0%} of a clip", uncovered["rater"]),
        rule(
            "flat",
            f"scores hardly differ (standard deviation below {FLAT})",
            spread.index[(spread < FLAT) & enough],
        ),
        rule("reversed", "human music is rated no higher than the low anchor", reversed_),
        rule(
            "wandering",
            f"ratings of one clip differ by more than {WANDERING:g} points on average",
            changes.index[changes > WANDERING],
        ),
        rule(
            "alone",
            "orders the clips against the other listeners (noted only)",
            agreement.index[agreement < 0],
            excludes=False,
        ),
        rule(
            "hasty",
            "half of the answers came before the clip can have ended (noted only)",
            seconds.index[seconds < 0],
            excludes=False,
        ),
    ]


def repeats(table: pd.DataFrame) -> pd.DataFrame:
    """Clips that a listener rated twice: rater, clip, first, second, change."""
    main = table[table["kind"] == "main"][["rater", "clip", "score"]]
    again = table[table["kind"] == "repeat"][["rater", "clip", "score"]]
    pairs = main.merge(again, on=["rater", "clip"], suffixes=("_first", "_second"))
    pairs.columns = ["rater", "clip", "first", "second"]
    return pairs.assign(change=(pairs["first"] - pairs["second"]).abs())


def with_others(main: pd.DataFrame) -> pd.Series:
    """Each listener's rank correlation with the mean of the others, over clips that both rated."""
    import pandas as pd

    clips = main.groupby("clip")["score"]
    total, count = clips.transform("sum"), clips.transform("size")
    table = main.assign(others=(total - main["score"]) / (count - 1).where(count > 1))
    found = {}
    for rater, one in table.dropna(subset="others").groupby("rater"):
        ranked = one[["score", "others"]].rank()
        if len(one) > 2 and (ranked.nunique() > 1).all():
            found[rater] = ranked["score"].corr(ranked["others"])
    return pd.Series(found, dtype=float)


def kept(table: pd.DataFrame, rules: list[Rule]) -> pd.DataFrame:
    """What counts: no excluded listeners, and no human piece that its listener knew."""
    out = {rater for rule in rules if rule.excludes for rater in rule.raters}
    known = table["known"] & (table["role"] == "human")
    return table[~table["rater"].isin(out) & ~known]
