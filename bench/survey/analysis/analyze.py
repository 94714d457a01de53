"""From the table of ratings to the results."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from bench.board.rows import Row
from bench.contract import Floats
from bench.errors import BenchError
from bench.protocol import statistics
from bench.protocol.statistics import LEVEL
from bench.survey.analysis import power
from bench.survey.analysis.agreement import Agreement, agreement, ceiling, figures_of
from bench.survey.analysis.checks import MARGIN, checks
from bench.survey.analysis.conclusions import conclusions, lacking, methods
from bench.survey.analysis.mixed import Estimates, by_role, t_difference, t_interval
from bench.survey.analysis.ratings import screen, tidy, without_excluded
from bench.survey.analysis.reliability import reliability
from bench.survey.analysis.results import (
    About,
    Contrast,
    Results,
    ScreeningCount,
    Span,
    Study,
    SystemResult,
)
from bench.survey.terms import HIGHEST, LOWEST

if TYPE_CHECKING:
    import pandas as pd

DRAWS = 4000  # of all means, for the intervals of ranks


def analyze(
    ratings: pd.DataFrame,
    about: About,
    rows: Sequence[Row] = (),
    clips: pd.DataFrame | None = None,
    seed: int = 0,
) -> Results:
    """The complete results of a table of ratings.

    `rows` are a board's, whose metrics are compared with the ratings; `clips` holds the
    metrics of single clips (`bench.survey.analysis.agreement.clip_figures`). BenchError where no
    rating counts.
    """
    if not len(ratings):
        raise BenchError(
            f"The survey {about.name} has no ratings yet. An interval needs at least two listeners"
            " and two clips of each system, a useful one about 20 listeners and 12 clips."
        )
    table = tidy(ratings)
    rules = screen(table)
    counted = without_excluded(table, rules)
    if not (counted["kind"] == "main").any():
        raise BenchError(
            f"Screening excludes all {table['rater'].nunique()} listeners of {about.name}: "
            + "; ".join(
                f"{len(rule.raters)} {rule.text}" for rule in rules if rule.excludes and rule.raters
            )
            + ". More listeners are needed."
        )
    excluded = table["rater"].nunique() - counted["rater"].nunique()
    studies = [
        analyze_dataset(part, table[table["dataset"] == name], rows, clips, seed)
        for name, part in counted.groupby("dataset")
        if (part["kind"] == "main").any()
    ]
    return Results(
        about=about,
        simulated=bool(table["simulated"].any()),
        ended=max(table["date"]),
        listeners=table["rater"].nunique(),
        screening=[
            ScreeningCount(
                rule=rule.name, text=rule.text, raters=len(rule.raters), excludes=rule.excludes
            )
            for rule in rules
        ],
        left_out=excluded,
        methods=methods(about, table, counted),
        studies=studies,
    )


def analyze_dataset(
    part: pd.DataFrame,
    everyone: pd.DataFrame,
    rows: Sequence[Row] = (),
    clips: pd.DataFrame | None = None,
    seed: int = 0,
) -> Study:
    """The results of one data set: `part` holds its ratings that count, `everyone` all of them."""
    main = part[part["kind"] == "main"]
    competing = main[main["role"] == "system"]
    fits = by_role(main)
    believed = by_role(main.dropna(subset="believable"), "believable")
    unscreened = fits
    if len(everyone) > len(part):
        unscreened = by_role(everyone[everyone["kind"] == "main"])
    systems = [
        system_result(rows, *(fit[rows["role"].iloc[0]] for fit in (fits, believed, unscreened)))
        for _, rows in main.groupby("system")
    ]
    names = [result.system for result in systems if result.role == "system"]
    humans = [result.system for result in systems if result.role == "human"]
    pairs = contrasts(main, fits["system"], list(combinations(names, 2)))
    human_pairs = [(name, human) for human in humans[:1] for name in names]
    against_human = contrasts(main, fits["human"], human_pairs)
    estimates = fits["system"]
    method = next((fit.method for fit in fits.values() if fit is not None), "")
    agreements: list[Agreement] = []
    if estimates is not None:
        rank(systems, pairs, estimates, seed)
        values, directions = figures_of(rows, main) if rows else ({}, {})
        means = {result.system: result.rating.value for result in systems}
        agreements = agreement(estimates, means, values, directions, competing, clips, seed)
    study = Study(
        dataset=str(main["dataset"].iloc[0]),
        ratings=len(main),
        raters=main["rater"].nunique(),
        clips=main["clip"].nunique(),
        known=int((everyone["known"] & (everyone["role"] == "human")).sum()),
        per_rater=len(main) / main["rater"].nunique(),
        method=method,
        components=estimates.components if estimates else None,
        detectable=None,
        systems=sorted(systems, key=lambda result: -result.rating.value),
        pairs=pairs,
        against_human=against_human,
        reliability=reliability(part, seed),
        checks=checks(competing, main, estimates),
        agreement=agreements,
        noise_ceiling=ceiling(estimates) if estimates else None,
        conclusions=[],
        lacking=[],
    )
    if study.components and len(names) > 1:
        study.detectable = power.detectable(
            clips=max(2, round(competing["clip"].nunique() / len(names))),
            raters=study.raters,
            heard=study.heard_per_system,
            systems=len(names),
            components=study.components,
        )
    study.conclusions = conclusions(study)
    study.lacking = lacking(study)
    return study


def bounded(value: float, interval: tuple[float, float] | None, low: float, high: float) -> Span:
    """A value with its interval, cut off at `low` and `high`."""
    if interval is None:
        return Span(value=value)
    return Span(value=value, low=max(interval[0], low), high=min(interval[1], high))


def estimated(name: str, estimates: Estimates | None, low: float, high: float, mean: float) -> Span:
    """A system's estimate with its interval, cut off; without an estimate its plain mean."""
    if estimates is None or name not in estimates.systems:
        return Span(value=mean)
    place = estimates.systems.index(name)
    return bounded(float(estimates.means[place]), estimates.interval(place), low, high)


def system_result(
    rows: pd.DataFrame,
    estimates: Estimates | None,
    believed: Estimates | None,
    unscreened: Estimates | None,
) -> SystemResult:
    """The results of one system, of which `rows` are all ratings that count."""
    from statsmodels.stats.proportion import proportion_confint

    first = rows.iloc[0]
    name = str(first["system"])
    score = rows["score"].to_numpy(float)
    per_clip = rows.groupby("clip")["score"].mean().to_numpy(float)
    answers = rows.dropna(subset="believable")
    shares = answers.groupby("clip")["believable"].mean().to_numpy(float)
    yes = answers["believable"].to_numpy(float)
    scale = (float(LOWEST), float(HIGHEST))
    return SystemResult(
        system=name,
        name=str(first["name"]),
        variant=str(first["variant"]),
        dataset=str(first["dataset"]),
        preset=str(first["preset"]),
        jobs=sorted(set(rows["job"]) - {""}),
        role=first["role"],
        clips=len(per_clip),
        ratings=len(rows),
        raters=rows["rater"].nunique(),
        rating=estimated(name, estimates, *scale, float(score.mean())),
        by_clips=bounded(float(per_clip.mean()), t_interval(per_clip), *scale),
        naive=bounded(float(score.mean()), t_interval(score), *scale),
        everyone=estimated(name, unscreened, *scale, float(score.mean())),
        sd=float(score.std(ddof=1)) if len(score) > 1 else 0.0,
        median=float(np.median(score)),
        counts=np.bincount(score.astype(int), minlength=HIGHEST + 1)[LOWEST:].tolist(),
        clip_means=sorted(per_clip.tolist()),
        believable=bounded(float(shares.mean()), t_interval(shares), 0, 1) if len(yes) else None,
        believable_model=estimated(name, believed, 0, 1, float(yes.mean())) if len(yes) else None,
        believable_naive=(
            bounded(
                float(yes.mean()), proportion_confint(yes.sum(), len(yes), method="wilson"), 0, 1
            )
            if len(yes)
            else None
        ),
    )


def contrasts(
    main: pd.DataFrame, estimates: Estimates | None, pairs: Sequence[tuple[str, str]]
) -> list[Contrast]:
    """The difference of every pair, with Holm's correction over all of them."""
    rater_mean = main.groupby("rater")["score"].transform("mean")
    centred = main.assign(centred=main["score"] - rater_mean + main["score"].mean())

    def clip_means(name: str, column: str) -> Floats:
        rows = centred[centred["system"] == name].dropna(subset=column)
        means: Floats = rows.groupby("clip")[column].mean().to_numpy(float)
        return means

    def difference_of(a: Floats, b: Floats) -> Span:
        interval = t_difference(a, b)
        low, high = interval if interval else (None, None)
        return Span(value=float(a.mean() - b.mean()), low=low, high=high)

    results = []
    for first, second in pairs:
        a, b = (main.loc[main["system"] == s, "score"].to_numpy(float) for s in (first, second))
        difference, p, equivalent_p = Span(value=float(a.mean() - b.mean())), None, None
        if estimates is not None:
            i, j = estimates.systems.index(first), estimates.systems.index(second)
            value, low, high, p = estimates.contrast(i, j)
            difference = Span(value=value, low=low, high=high)
            equivalent_p = estimates.equivalent(i, j, MARGIN)
        shares = [clip_means(name, "believable") for name in (first, second)]
        results.append(
            Contrast(
                first=first,
                second=second,
                difference=difference,
                by_clips=difference_of(clip_means(first, "centred"), clip_means(second, "centred")),
                naive=difference_of(a, b),
                p=p,
                equivalent_p=equivalent_p,
                believable=difference_of(*shares) if all(map(len, shares)) else None,
            )
        )
    tested = [result for result in results if result.p is not None]
    corrected = statistics.holm([result.p or 0.0 for result in tested])
    for result, p in zip(tested, corrected, strict=True):
        result.p_holm = p
    return results


def rank(
    systems: Sequence[SystemResult], pairs: Sequence[Contrast], estimates: Estimates, seed: int
) -> None:
    """Fill in each system's rank with its interval, and the probability that it is the best."""
    draws = estimates.draws(DRAWS, seed)
    places = (draws[:, None, :] > draws[:, :, None]).sum(axis=2) + 1  # (draws, systems)
    tails = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    low, high = np.quantile(places, tails, axis=0, method="nearest")
    for result in systems:
        if result.role != "system":
            continue
        number = estimates.systems.index(result.system)
        lost = [
            pair
            for pair in pairs
            if pair.significant
            and result.system == (pair.second if pair.difference.value > 0 else pair.first)
        ]
        result.rank = 1 + len(lost)
        result.rank_low, result.rank_high = int(low[number]), int(high[number])
        result.best = float((places[:, number] == 1).mean())
