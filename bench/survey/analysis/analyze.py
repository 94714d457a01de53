"""From the table of ratings to what can be concluded."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from bench.board.build import Entry
from bench.contract import Floats
from bench.errors import BenchError
from bench.jobs.run_folder import versions
from bench.protocol import statistics
from bench.protocol.statistics import LEVEL
from bench.survey.analysis import power
from bench.survey.analysis.agreement import Agreement, agreement, ceiling, figures_of
from bench.survey.analysis.checks import MARGIN, checks
from bench.survey.analysis.mixed import Estimates, by_role, t_difference, t_interval
from bench.survey.analysis.ratings import kept, screen, tidy
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
from bench.survey.analysis.simulation import HIGHEST, LOWEST

if TYPE_CHECKING:
    import pandas as pd

DRAWS = 4000
WORTH = 1.0  # points: a difference that one would like to find


def analyze(
    ratings: pd.DataFrame,
    about: About,
    entries: Sequence[Entry] = (),
    clips: pd.DataFrame | None = None,
    seed: int = 0,
) -> Results:
    """Everything that can be concluded from a table of ratings.

    `entries` are a board's rows, whose metrics are held against the ratings; `clips` the metrics of
    single clips (`bench.survey.analysis.agreement.clip_figures`). BenchError where there are no ratings.
    """
    if not len(ratings):
        raise BenchError(
            f"The survey {about.name} has no ratings yet. An interval takes two listeners and two"
            " clips of each system at least, a useful one about 20 listeners and 12 clips."
        )
    table = tidy(ratings)
    rules = screen(table)
    counted = kept(table, rules)
    if not (counted["kind"] == "main").any():
        raise BenchError(
            f"Screening leaves none of the {table['rater'].nunique()} listeners of {about.name}: "
            + "; ".join(f"{len(r.raters)} {r.text}" for r in rules if r.excludes and r.raters)
            + ". More listeners are needed."
        )
    excluded = table["rater"].nunique() - counted["rater"].nunique()
    studies = [
        study(part, table[table["dataset"] == name], entries, clips, seed)
        for name, part in counted.groupby("dataset")
        if (part["kind"] == "main").any()
    ]
    return Results(
        about=about,
        simulated=bool(table["simulated"].any()),
        ended=max(table["date"]),
        listeners=table["rater"].nunique(),
        screening=[
            ScreeningCount(rule=r.name, text=r.text, raters=len(r.raters), excludes=r.excludes)
            for r in rules
        ],
        left_out=excluded,
        methods=methods(about, table, counted),
        studies=studies,
    )


def study(
    part: pd.DataFrame,
    everyone: pd.DataFrame,
    entries: Sequence[Entry] = (),
    clips: pd.DataFrame | None = None,
    seed: int = 0,
) -> Study:
    """One data set: `part` is what counts of it, `everyone` what it is without screening."""
    main = part[part["kind"] == "main"]
    competing = main[main["role"] == "system"]
    fits = by_role(main)
    believed = by_role(main.dropna(subset="believable"), "believable")
    unscreened = fits
    if len(everyone) > len(part):
        unscreened = by_role(everyone[everyone["kind"] == "main"])
    systems = [
        system(one, *(fit[one["role"].iloc[0]] for fit in (fits, believed, unscreened)))
        for _, one in main.groupby("system")
    ]
    of_role = {
        role: [one.system for one in systems if one.role == role] for role in ("system", "human")
    }
    pairs = contrasts(main, fits["system"], list(combinations(of_role["system"], 2)))
    against = [(name, human) for human in of_role["human"][:1] for name in of_role["system"]]
    against_human = contrasts(main, fits["human"], against)
    estimates = fits["system"]
    method = next((fit.method for fit in fits.values() if fit is not None), "")
    agreements: list[Agreement] = []
    if estimates is not None:
        rank(systems, pairs, estimates, seed)
        figures, directions = figures_of(entries, main) if entries else ({}, {})
        means = {one.system: one.rating.value for one in systems}
        agreements = agreement(estimates, means, figures, directions, competing, clips, seed)
    made = Study(
        dataset=str(main["dataset"].iloc[0]),
        ratings=len(main),
        raters=main["rater"].nunique(),
        clips=main["clip"].nunique(),
        known=int((everyone["known"] & (everyone["role"] == "human")).sum()),
        per_rater=len(main) / main["rater"].nunique(),
        method=method,
        components=estimates.components if estimates else None,
        detectable=None,
        systems=sorted(systems, key=lambda one: -one.rating.value),
        pairs=pairs,
        against_human=against_human,
        reliability=reliability(part, seed),
        checks=checks(competing, main, estimates),
        agreement=agreements,
        noise_ceiling=ceiling(estimates) if estimates else None,
        conclusions=[],
        lacking=[],
    )
    if made.components and len(of_role["system"]) > 1:
        made.detectable = power.detectable(
            max(2, round(competing["clip"].nunique() / len(of_role["system"]))),
            made.raters,
            heard_of_each(made),
            len(of_role["system"]),
            made.components,
        )
    made.conclusions = conclusions(made)
    made.lacking = lacking(made)
    return made


def heard_of_each(made: Study) -> int:
    """How many clips of a system a listener heard, about."""
    return max(1, round(made.per_rater / len(made.systems)))


def bounded(value: float, pair: tuple[float, float] | None, low: float, high: float) -> Span:
    """A span that does not leave the scale."""
    if pair is None:
        return Span(value=value)
    return Span(value=value, low=max(pair[0], low), high=min(pair[1], high))


def at(name: str, estimates: Estimates | None, low: float, high: float, else_: float) -> Span:
    """A system's estimate with its interval; the plain mean where there is none."""
    if estimates is None or name not in estimates.systems:
        return Span(value=else_)
    place = estimates.systems.index(name)
    return bounded(float(estimates.means[place]), estimates.interval(place), low, high)


def system(
    one: pd.DataFrame,
    estimates: Estimates | None,
    believed: Estimates | None,
    unscreened: Estimates | None,
) -> SystemResult:
    """What was heard of one system."""
    from statsmodels.stats.proportion import proportion_confint

    first = one.iloc[0]
    name = str(first["system"])
    score = one["score"].to_numpy(float)
    per_clip = one.groupby("clip")["score"].mean().to_numpy(float)
    answers = one.dropna(subset="believable")
    shares = answers.groupby("clip")["believable"].mean().to_numpy(float)
    yes = answers["believable"].to_numpy(float)
    scale = (float(LOWEST), float(HIGHEST))
    return SystemResult(
        system=name,
        name=str(first["name"]),
        variant=str(first["variant"]),
        dataset=str(first["dataset"]),
        preset=str(first["preset"]),
        jobs=sorted(set(one["job"]) - {""}),
        role=first["role"],
        clips=len(per_clip),
        ratings=len(one),
        raters=one["rater"].nunique(),
        rating=at(name, estimates, *scale, float(score.mean())),
        by_clips=bounded(float(per_clip.mean()), t_interval(per_clip), *scale),
        naive=bounded(float(score.mean()), t_interval(score), *scale),
        everyone=at(name, unscreened, *scale, float(score.mean())),
        sd=float(score.std(ddof=1)) if len(score) > 1 else 0.0,
        median=float(np.median(score)),
        counts=np.bincount(score.astype(int), minlength=HIGHEST + 1)[LOWEST:].tolist(),
        clip_means=sorted(per_clip.tolist()),
        believable=bounded(float(shares.mean()), t_interval(shares), 0, 1) if len(yes) else None,
        believable_model=at(name, believed, 0, 1, float(yes.mean())) if len(yes) else None,
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
    own_level = main.groupby("rater")["score"].transform("mean")
    level = main.assign(centred=main["score"] - own_level + main["score"].mean())

    def clip_means(name: str, column: str) -> Floats:
        there = level[level["system"] == name].dropna(subset=column)
        found: Floats = there.groupby("clip")[column].mean().to_numpy(float)
        return found

    def gap(a: Floats, b: Floats) -> Span:
        pair = t_difference(a, b)
        low, high = pair if pair else (None, None)
        return Span(value=float(a.mean() - b.mean()), low=low, high=high)

    found = []
    for first, second in pairs:
        a, b = (main.loc[main["system"] == s, "score"].to_numpy(float) for s in (first, second))
        difference, p, equivalent = Span(value=float(a.mean() - b.mean())), None, None
        if estimates is not None:
            i, j = estimates.systems.index(first), estimates.systems.index(second)
            value, low, high, p = estimates.contrast(i, j)
            difference = Span(value=value, low=low, high=high)
            equivalent = estimates.equivalent(i, j, MARGIN)
        shares = [clip_means(name, "believable") for name in (first, second)]
        found.append(
            Contrast(
                first=first,
                second=second,
                difference=difference,
                by_clips=gap(clip_means(first, "centred"), clip_means(second, "centred")),
                naive=gap(a, b),
                p=p,
                equivalent_p=equivalent,
                believable=gap(*shares) if all(map(len, shares)) else None,
            )
        )
    tested = [one for one in found if one.p is not None]
    for one, p in zip(tested, statistics.holm([one.p or 0.0 for one in tested]), strict=True):
        one.p_holm = p
    return found


def rank(
    systems: Sequence[SystemResult], pairs: Sequence[Contrast], estimates: Estimates, seed: int
) -> None:
    """Fill in ranks, their intervals, and the chance to be the best."""
    draws = estimates.draws(DRAWS, seed)
    place = (draws[:, None, :] > draws[:, :, None]).sum(axis=2) + 1  # (draws, systems)
    tails = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    low, high = np.quantile(place, tails, axis=0, method="nearest")
    for one in systems:
        if one.role != "system":
            continue
        number = estimates.systems.index(one.system)
        better = [
            pair
            for pair in pairs
            if pair.p_holm is not None
            and pair.p_holm < 1 - LEVEL
            and one.system == (pair.second if pair.difference.value > 0 else pair.first)
        ]
        one.rank = 1 + len(better)
        one.rank_low, one.rank_high = int(low[number]), int(high[number])
        one.best = float((place[:, number] == 1).mean())


def conclusions(made: Study) -> list[str]:
    """What can be said, in sentences."""
    said = []
    ranked = [one for one in made.systems if one.rank is not None]
    sure = [one for one in made.pairs if one.p_holm is not None and one.p_holm < 1 - LEVEL]
    if len(ranked) > 1:
        top = [one.system for one in ranked if one.rank == 1]
        if len(top) == len(ranked):
            said.append("Listeners do not tell any two systems apart.")
        else:
            said.append(
                f"{len(sure)} of {len(made.pairs)} pairs of systems differ beyond doubt; nothing is"
                f" better beyond doubt than {', '.join(top)}."
            )
    for one in made.against_human:
        if one.p_holm is None or one.difference.low is None or one.difference.high is None:
            continue
        points = f"{abs(one.difference.value):.1f} points"
        where = f"95 %: {one.difference.low:.1f} to {one.difference.high:.1f}"
        if one.p_holm < 1 - LEVEL:
            side = "below" if one.difference.value < 0 else "above"
            said.append(f"{one.first} is rated {points} {side} human music ({where}).")
        elif one.equivalent_p is not None and one.equivalent_p < 1 - LEVEL:
            said.append(
                f"{one.first} is rated as good as human music, within {MARGIN} points ({where})."
            )
        else:
            said.append(
                f"Whether {one.first} is as good as human music is open ({where}): no difference"
                " was found, which does not make them equal."
            )
    return said


def lacking(made: Study) -> list[str]:
    """What there is too little of to conclude more, and how much more it would take."""
    said = []
    if made.raters < 2:
        said.append("There is one listener: any interval takes 1 more, a useful one about 20.")
    single = [one.system for one in made.systems if one.clips < 2]
    if single:
        said.append(
            f"Of {', '.join(single)} one clip was rated: 1 more at least is needed to know how its"
            " clips differ, 12 to know it well."
        )
    if not made.method and made.raters > 1 and len(single) < len(made.systems):
        said.append("All ratings are so alike that nothing can be estimated from them.")
    if len(made.systems) == 1:
        said.append("There is one system: a comparison takes 1 more.")
    if not any(one.role == "human" for one in made.systems):
        said.append("No human music was rated, so nothing can be said about being as good as it.")
    open_pairs = [one for one in made.pairs if (one.p_holm or 1.0) >= 1 - LEVEL]
    if made.detectable and open_pairs:
        said.append(
            f"A survey of {made.raters} listeners and {made.clips} clips finds a difference of"
            f" {made.detectable:.1f} points in four of five cases (one pair, no correction)."
        )
    if made.detectable and open_pairs and made.detectable > WORTH and made.components:
        n = sum(one.role == "system" for one in made.systems)
        for raters in (made.raters, 2 * made.raters, 4 * made.raters):
            clips = power.clips_needed(WORTH, raters, heard_of_each(made), n, made.components)
            if clips is not None:
                said.append(
                    f"To find a difference of {WORTH:g} point it takes about {clips} clips per"
                    f" system with {raters} listeners."
                )
                break
    return said


def methods(about: About, table: pd.DataFrame, counted: pd.DataFrame) -> str:
    """The paragraph for a paper, from what was really done."""
    main = counted[counted["kind"] == "main"]
    dates = sorted(set(main["date"]) - {""})
    seconds = main["clip_seconds"].dropna()
    people = [
        f"{number} {what}"
        for number, what in (
            (about.invited, "were invited"),
            (about.started, "started"),
            (about.finished, "finished"),
            (about.withdrawn, "withdrew"),
        )
        if number is not None
    ]
    left_out = table["rater"].nunique() - counted["rater"].nunique()
    people.append(f"{left_out} of {table['rater'].nunique()} who rated were left out by rules")
    said = ["Of the listeners, " + ", ".join(people) + "."] if len(people) > 1 else []
    if len(people) == 1:
        said = [f"Of {table['rater'].nunique()} listeners {left_out} were left out by rules."]
    length = f" of {seconds.median():.0f} s" if len(seconds) else ""
    per_system = main.groupby(["dataset", "system", "role"])["clip"].nunique()
    pool = " to ".join(map(str, sorted({per_system.min(), per_system.max()})))
    counts = per_system.groupby("role").size()
    number = int(counts.get("system", 0))
    sources = [f"{number} system{'' if number == 1 else 's'}"]
    sources += [
        name
        for role, name in (("human", "human music"), ("anchor", "a low anchor"))
        if role in counts
    ]
    said.append(
        f"They heard {main['clip'].nunique()} clips{length} ({', '.join(sources)}; {pool} of each),"
        f" {len(main) / main['rater'].nunique():.1f} per listener, blind and in balanced order"
        + (f", from {dates[0]} to {dates[-1]}" if dates else "")
        + "."
    )
    if about.scale:
        texts = ", ".join(f"{value} \u201c{text}\u201d" for value, text in about.scale.items())
        said.append(f"Each was rated from {LOWEST} to {HIGHEST} ({texts}).")
    said.append(
        "Means and 95 % intervals come from a linear mixed model with listeners and clips as"
        " crossed random effects (restricted maximum likelihood, Student's t), fitted to the"
        " systems alone, and with human music for comparisons with it; pairs are corrected after"
        " Holm."
    )
    used = {name: number for name, number in versions().items() if name != "torch"}
    used["statsmodels"] = version("statsmodels")
    said.append("Computed with " + ", ".join(f"{k} {v}" for k, v in used.items()) + ".")
    if about.config_hash:
        said.append(f"Configuration {about.config_hash}.")
    if table["simulated"].any():
        said.insert(0, "THE LISTENERS ARE SIMULATED.")
    return " ".join(said)
