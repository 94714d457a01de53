"""A survey's results as tables to show."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from bench.errors import BenchError
from bench.survey.analysis.literature import PublishedRating
from bench.survey.analysis.results import FOLDER, Results, Span, Study, SystemResult, read
from bench.survey.analysis.results_page import p_value, span

if TYPE_CHECKING:
    from bench.survey.database.store import SurveyStore

ROLES = {"system": "system", "human": "human music", "anchor": "random notes"}


def found(runs: Path, store: SurveyStore | None) -> tuple[list[Results], list[str]]:
    """The results of closed surveys, the last first, and what is wrong with those not read.

    They are looked for in the run folder that is shown and in those that the surveys of this
    machine were made from. A survey that is open shows nothing, whatever its file says.
    """
    from bench.survey.admin import surveys

    known = {one.name: one for one in surveys(store)} if store else {}
    closed = [one for one in known.values() if one.state in ("closed", "published")]
    paths = {path.stem: path for path in sorted((runs / FOLDER).glob("*.json"))}
    paths |= {
        one.name: path
        for one in closed
        if (path := Path(one.run) / FOLDER / f"{one.name}.json").is_file()
    }
    results, wrong = [], []
    for name, path in paths.items():
        if name in known and known[name] not in closed:
            continue
        try:
            one = read(path)
        except BenchError as error:
            wrong.append(str(error))
            continue
        if name in known:
            one.about.state = known[name].state  # it may have been published since
        if one.about.state in ("closed", "published"):
            results.append(one)
    missing = [one.name for one in closed if one.name not in paths]
    wrong += [
        f"The survey '{name}' is closed and not analysed: `bench survey analyze {name}` does it."
        for name in missing
    ]
    return sorted(results, key=lambda one: one.ended, reverse=True), wrong


def percent(one: Span | None) -> str:
    """A share with its interval, in words."""
    if one is None:
        return ""
    if one.low is None or one.high is None:
        return f"{one.value:.0%}"
    return f"{one.value:.0%} [{one.low:.0%}, {one.high:.0%}]"


def rank(one: SystemResult) -> str:
    """The rank and where it may really lie."""
    if one.rank is None:
        return ""
    same = one.rank_low == one.rank_high
    return f"{one.rank}" if same else f"{one.rank} [{one.rank_low}, {one.rank_high}]"


def ratings(study: Study) -> pd.DataFrame:
    """The headline table."""
    return pd.DataFrame(
        [
            {
                "system": one.system,
                "rating, 95 %": span(one.rating),
                "rank, 95 %": rank(one),
                "believable, 95 %": percent(one.believable),
                "ratings": one.ratings,
                "clips": one.clips,
                "listeners": one.raters,
                "sd": round(one.sd, 2),
                "median": one.median,
            }
            for one in by_rating(study)
        ]
    )


def by_rating(study: Study) -> list[SystemResult]:
    """The systems, the best rated first."""
    return sorted(study.systems, key=lambda one: -one.rating.value)


def ways(study: Study) -> pd.DataFrame:
    """The same means by every method, to see what hangs on it."""
    return pd.DataFrame(
        [
            {
                "system": one.system,
                "listeners and clips random": span(one.rating),
                "means of clips": span(one.by_clips),
                "nobody left out": span(one.everyone),
                "as papers print it (too narrow)": span(one.naive),
            }
            for one in by_rating(study)
        ]
    )


def pairs(study: Study) -> pd.DataFrame:
    """Every pair of systems, corrected by Holm."""
    return pd.DataFrame(
        [
            {
                "first": one.first,
                "second": one.second,
                "difference, 95 %": span(one.difference),
                "p (Holm)": p_value(one.p_holm),
                "rated higher": verdict(one.difference.value, one.first, one.second, one.p_holm),
            }
            for one in study.pairs
        ]
    )


def against_human(study: Study) -> pd.DataFrame:
    """Every system against human music, and whether it is as good."""
    return pd.DataFrame(
        [
            {
                "system": one.first,
                "difference, 95 %": span(one.difference),
                "p (Holm)": p_value(one.p_holm),
                "p (not as good within half a point)": p_value(one.equivalent_p),
                "believable, difference": percent(one.believable),
            }
            for one in study.against_human
        ]
    )


def verdict(difference: float, first: str, second: str, p: float | None) -> str:
    """Who is rated higher, or that it is undecided."""
    if p is None or p >= 0.05:
        return "undecided"
    return first if difference > 0 else second


def reliability(study: Study) -> pd.DataFrame:
    """How far listeners agree."""
    one = study.reliability
    figures = {
        "Krippendorff's alpha, ordinal": one.alpha_ordinal,
        "Krippendorff's alpha, interval": one.alpha_interval,
        "One rating of a clip (ICC)": one.icc_single,
        "The mean rating of a clip (ICC)": one.icc_mean,
        "Halves of the listeners, on system means": one.split_half,
        "The same for all listeners (Spearman and Brown)": one.split_half_full,
        "Ratings per clip": one.ratings_per_clip,
    }
    found = {name: f"{value:.2f}" for name, value in figures.items() if value is not None}
    if one.repeats:
        found["Clips rated twice"] = str(one.repeats.pairs)
        found["Equal both times"] = f"{one.repeats.same:.0%}"
        found["Points between the two"] = f"{one.repeats.change:.2f}"
        if one.repeats.kappa is not None:
            found["Weighted kappa of the two"] = f"{one.repeats.kappa:.2f}"
    return pd.DataFrame({"measure": list(found), "value": list(found.values())})


def screening(results: Results) -> pd.DataFrame:
    """The rules fixed before, and whom they concern."""
    return pd.DataFrame(
        [
            {
                "rule": one.text,
                "listeners": one.raters,
                "then": "left out" if one.excludes else "noted",
            }
            for one in results.screening
        ]
    )


def papers(rows: Sequence[PublishedRating]) -> pd.DataFrame:
    """What the papers published."""
    return pd.DataFrame(
        [
            {
                "paper": one.paper,
                "system": one.system,
                "mean": one.mean,
                "sd": one.sd,
                "if ratings were independent (too narrow)": f"{one.low:.2f} to {one.high:.2f}",
                "believable": "" if one.believable is None else f"{one.believable:.0%}",
                "clips": one.clips,
                "listeners": one.raters,
                "difference it could find": round(one.detectable, 1),
                "from": one.section,
            }
            for one in rows
        ]
    )
