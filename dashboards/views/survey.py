"""A survey's results as tables to show."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from bench.errors import BenchError
from bench.survey.analysis.checks import MARGIN
from bench.survey.analysis.literature import PublishedRating
from bench.survey.analysis.results import (
    FOLDER,
    Contrast,
    Results,
    Span,
    Study,
    SystemResult,
    read,
)
from bench.survey.analysis.results_page import p_text, span_text
from bench.survey.terms import Role, shows_results
from bench.wording import span as rank_text

if TYPE_CHECKING:
    from bench.survey.database.store import SurveyStore

ROLES: dict[Role, str] = {"system": "system", "human": "human music", "anchor": "random notes"}


def closed_results(runs: Path, store: SurveyStore | None) -> tuple[list[Results], list[str]]:
    """The results of closed surveys, the latest first, and a sentence for each that is missing.

    They are read from the run folder that the dashboard shows, and from the run folders of this
    machine's surveys. A survey that is open shows nothing, whatever its file says.
    """
    from bench.survey.admin import surveys

    known = {summary.name: summary for summary in surveys(store)} if store else {}
    closed = [summary for summary in known.values() if shows_results(summary.state)]
    paths = {path.stem: path for path in sorted((runs / FOLDER).glob("*.json"))}
    paths |= {
        summary.name: path
        for summary in closed
        if (path := Path(summary.run) / FOLDER / f"{summary.name}.json").is_file()
    }
    shown, problems = [], []
    for name, path in paths.items():
        if name in known and known[name] not in closed:
            continue
        try:
            results = read(path)
        except BenchError as error:
            problems.append(str(error))
            continue
        if name in known:
            results.about.state = known[name].state  # it may be published by now
        if shows_results(results.about.state):
            shown.append(results)
    problems += [
        f"The survey '{summary.name}' is closed and not analysed yet: run `bench survey analyze"
        f" {summary.name}`."
        for summary in closed
        if summary.name not in paths
    ]
    return sorted(shown, key=lambda results: results.ended, reverse=True), problems


def percent(span: Span | None) -> str:
    """A share with its interval, in percent; empty for None."""
    if span is None:
        return ""
    if span.low is None or span.high is None:
        return f"{span.value:.0%}"
    return f"{span.value:.0%} [{span.low:.0%}, {span.high:.0%}]"


def by_rating(study: Study) -> list[SystemResult]:
    """The systems, the best rated first."""
    return sorted(study.systems, key=lambda result: -result.rating.value)


def ratings(study: Study) -> pd.DataFrame:
    """The main result of every system."""
    return pd.DataFrame(
        [
            {
                "system": result.system,
                "rating, 95 %": span_text(result.rating),
                "rank, 95 %": rank_text(result.rank, result.rank_low, result.rank_high),
                "believable, 95 %": percent(result.believable),
                "ratings": result.ratings,
                "clips": result.clips,
                "listeners": result.raters,
                "sd": round(result.sd, 2),
                "median": result.median,
            }
            for result in by_rating(study)
        ]
    )


def ways(study: Study) -> pd.DataFrame:
    """The means by every method, to see how much they depend on it."""
    return pd.DataFrame(
        [
            {
                "system": result.system,
                "listeners and clips random": span_text(result.rating),
                "means of clips": span_text(result.by_clips),
                "nobody excluded": span_text(result.everyone),
                "as papers report it (too narrow)": span_text(result.naive),
            }
            for result in by_rating(study)
        ]
    )


def pairs(study: Study) -> pd.DataFrame:
    """Every pair of systems, with Holm's correction."""
    return pd.DataFrame(
        [
            {
                "first": pair.first,
                "second": pair.second,
                "difference, 95 %": span_text(pair.difference),
                "p (Holm)": p_text(pair.p_holm),
                "rated higher": verdict(pair),
            }
            for pair in study.pairs
        ]
    )


def verdict(pair: Contrast) -> str:
    """The system that is rated significantly higher, or "undecided"."""
    if not pair.significant:
        return "undecided"
    return pair.first if pair.difference.value > 0 else pair.second


def against_human(study: Study) -> pd.DataFrame:
    """Every system compared with human music: whether it differs, and whether it is as good."""
    return pd.DataFrame(
        [
            {
                "system": contrast.first,
                "difference, 95 %": span_text(contrast.difference),
                "p (Holm)": p_text(contrast.p_holm),
                f"p (differs by {MARGIN} points or more)": p_text(contrast.equivalent_p),
                "believable, difference": percent(contrast.believable),
            }
            for contrast in study.against_human
        ]
    )


def reliability(study: Study) -> pd.DataFrame:
    """How well listeners agree."""
    measured = study.reliability
    values = {
        "Krippendorff's alpha, ordinal": measured.alpha_ordinal,
        "Krippendorff's alpha, interval": measured.alpha_interval,
        "One rating of a clip (ICC)": measured.icc_single,
        "The mean rating of a clip (ICC)": measured.icc_mean,
        "Halves of the listeners, on system means": measured.split_half,
        "The same for all listeners (Spearman and Brown)": measured.split_half_full,
        "Ratings per clip": measured.ratings_per_clip,
    }
    texts = {name: f"{value:.2f}" for name, value in values.items() if value is not None}
    if measured.repeats:
        repeats = measured.repeats
        texts["Clips rated twice"] = str(repeats.pairs)
        texts["The same rating both times"] = f"{repeats.same:.0%}"
        texts["Mean difference of the two, in points"] = f"{repeats.change:.2f}"
        if repeats.kappa is not None:
            texts["Weighted kappa of the two"] = f"{repeats.kappa:.2f}"
    return pd.DataFrame({"measure": list(texts), "value": list(texts.values())})


def screening(results: Results) -> pd.DataFrame:
    """The screening rules, and how many listeners each concerns."""
    return pd.DataFrame(
        [
            {
                "listeners who": rule.text,
                "number": rule.raters,
                "consequence": "excluded" if rule.excludes else "noted",
            }
            for rule in results.screening
        ]
    )


def papers(rows: Sequence[PublishedRating]) -> pd.DataFrame:
    """The ratings that papers published."""
    return pd.DataFrame(
        [
            {
                "paper": row.paper,
                "system": row.system,
                "mean": row.mean,
                "sd": row.sd,
                "95 % (too narrow)": f"{row.low:.2f} to {row.high:.2f}",
                "believable": "" if row.believable is None else f"{row.believable:.0%}",
                "clips": row.clips,
                "listeners": row.raters,
                "detectable difference": round(row.detectable, 1),
                "source": row.section,
            }
            for row in rows
        ]
    )
