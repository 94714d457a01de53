"""The table of ratings: its columns, and the rules by which listeners are left out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bench.errors import BenchError
from bench.survey.terms import FULL_COVERAGE, HIGHEST, LOWEST

if TYPE_CHECKING:
    import pandas as pd

REQUIRED = ("rater", "clip", "system", "role", "kind", "position", "score")
DEFAULTS: dict[str, str | float | bool] = {
    "survey": "", "simulated": False, "variant": "corrected", "dataset": "", "preset": "",
    "job": "", "previous_system": "", "believable": np.nan, "known": False, "coverage": np.nan,
    "plays": np.nan, "answer_seconds": np.nan, "clip_seconds": np.nan, "date": "",
    "finished": True, "excluded": "", "flags": "",
}  # fmt: skip
YES = {True: 1.0, "True": 1.0, "true": 1.0, False: 0.0, "False": 0.0, "false": 0.0}

# Limits of the screening rules, fixed before any survey.
COMPLETE = 0.8  # share of the trials
FLAT = 0.5  # standard deviation of a listener's scores
INCONSISTENT = 3.0  # points between two ratings of one clip, on average


def tidy(ratings: pd.DataFrame) -> pd.DataFrame:
    """A copy with every column, each of the right type; BenchError where a value is wrong.

    `system` becomes a label that is unique within a data set: it includes variant and preset where
    these differ. `name` is the system's own name.
    """
    missing = [name for name in REQUIRED if name not in ratings]
    if missing:
        raise BenchError(
            f"The table of ratings has no column {', '.join(missing)}. `bench survey export` writes"
            " a complete one."
        )
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
            f"Row {wrong.index[0] + 1} of the ratings has the score {wrong['score'].iloc[0]};"
            f" scores are whole numbers from {LOWEST} to {HIGHEST}."
        )
    table["score"] = score.astype(float)
    table["name"] = table["system"].astype(str)
    table["system"] = labels(table)
    shared = table.groupby("clip")[["system", "dataset"]].nunique().max(axis=1)
    if (shared > 1).any():
        raise BenchError(f"The clip {shared.idxmax()} belongs to more than one system.")
    return table


def labels(table: pd.DataFrame) -> pd.Series:
    """A label of the system that each row rates, as short as it can be and still unique."""
    presets = table.groupby(["dataset", "name", "variant"])["preset"].transform("nunique")
    published = np.where(table["variant"] == "as-published", " (as published)", "")
    preset = np.where(presets > 1, " (" + table["preset"] + ")", "")
    return table["name"] + published + preset


@dataclass(frozen=True)
class Rule:
    """A reason to exclude listeners, and the listeners it concerns."""

    name: str
    text: str
    raters: tuple[int, ...]
    excludes: bool  # else the listeners are only noted


def screen(table: pd.DataFrame) -> list[Rule]:
    """Every rule with the listeners it concerns. Rules exclude listeners, never single ratings."""
    main = table[table["kind"] == "main"]
    by_rater = main.groupby("rater")
    rated = table.groupby("rater").size()
    finished = table.groupby("rater")["finished"].all()
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
    uncovered = table[table["coverage"] < FULL_COVERAGE]
    rated_several = by_rater.size() > 1
    agreement = with_others(main)

    def rule(name: str, text: str, raters: Iterable[int], excludes: bool = True) -> Rule:
        return Rule(name, text, tuple(sorted({int(rater) for rater in raters})), excludes)

    return [
        rule("excluded", "were excluded by the researcher, with a reason", excluded["rater"]),
        rule(
            "incomplete",
            f"rated less than {COMPLETE:.0%} of the clips",
            rated.index[~finished & (rated < COMPLETE * rated.max())],
        ),
        rule("not heard", f"heard less than {FULL_COVERAGE:.0%} of a clip", uncovered["rater"]),
        rule(
            "flat",
            f"gave scores that hardly differ (standard deviation below {FLAT})",
            spread.index[(spread < FLAT) & rated_several],
        ),
        rule("reversed", "rated human music no higher than random notes", reversed_),
        rule(
            "inconsistent",
            f"rated repeated clips differently by more than {INCONSISTENT:g} points on average",
            changes.index[changes > INCONSISTENT],
        ),
        rule(
            "contrary",
            "ranked the clips contrary to the other listeners",
            agreement.index[agreement < 0],
            excludes=False,
        ),
        rule(
            "too fast",
            "gave half of the answers before the clip could have ended",
            seconds.index[seconds < 0],
            excludes=False,
        ),
    ]


def repeats(table: pd.DataFrame) -> pd.DataFrame:
    """Clips that a listener rated twice, with columns rater, clip, first, second and change."""
    main = table[table["kind"] == "main"][["rater", "clip", "score"]]
    repeated = table[table["kind"] == "repeat"][["rater", "clip", "score"]]
    pairs = main.merge(repeated, on=["rater", "clip"], suffixes=("_first", "_second"))
    pairs.columns = ["rater", "clip", "first", "second"]
    return pairs.assign(change=(pairs["first"] - pairs["second"]).abs())


def with_others(main: pd.DataFrame) -> pd.Series:
    """Each listener's rank correlation with the mean of the others, over clips that both rated."""
    import pandas as pd

    clips = main.groupby("clip")["score"]
    total, count = clips.transform("sum"), clips.transform("size")
    table = main.assign(others=(total - main["score"]) / (count - 1).where(count > 1))
    correlations = {}
    for rater, own in table.dropna(subset="others").groupby("rater"):
        ranks = own[["score", "others"]].rank()
        if len(own) > 2 and (ranks.nunique() > 1).all():
            correlations[rater] = ranks["score"].corr(ranks["others"])
    return pd.Series(correlations, dtype=float)


def without_excluded(table: pd.DataFrame, rules: list[Rule]) -> pd.DataFrame:
    """The ratings that count: no excluded listeners, and no human music that the listener knew."""
    excluded = {rater for rule in rules if rule.excludes for rater in rule.raters}
    known = table["known"] & (table["role"] == "human")
    return table[~table["rater"].isin(excluded) & ~known]
