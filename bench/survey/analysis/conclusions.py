"""What a study's results allow to conclude, in sentences, and the paragraph on methods."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

from bench.jobs.run_folder import versions
from bench.survey.analysis import power
from bench.survey.analysis.checks import MARGIN
from bench.survey.analysis.results import About, Study
from bench.survey.terms import HIGHEST, LOWEST

if TYPE_CHECKING:
    import pandas as pd

INTERESTING = 1.0  # points: a difference that one would like to find


def conclusions(study: Study) -> list[str]:
    """What can be concluded, in sentences."""
    sentences = []
    ranked = [result for result in study.systems if result.rank is not None]
    significant = [pair for pair in study.pairs if pair.significant]
    if len(ranked) > 1:
        best = [result.system for result in ranked if result.rank == 1]
        if len(best) == len(ranked):
            sentences.append("No two systems differ significantly.")
        else:
            sentences.append(
                f"{len(significant)} of {len(study.pairs)} pairs of systems differ significantly;"
                f" no system is significantly better than {', '.join(best)}."
            )
    for contrast in study.against_human:
        difference = contrast.difference
        if contrast.p_holm is None or difference.low is None or difference.high is None:
            continue
        bounds = f"95 %: {difference.low:.1f} to {difference.high:.1f}"
        if contrast.significant:
            side = "below" if difference.value < 0 else "above"
            sentences.append(
                f"{contrast.first} is rated {abs(difference.value):.1f} points {side} human music"
                f" ({bounds})."
            )
        elif contrast.equivalent:
            sentences.append(
                f"{contrast.first} is rated as good as human music, within {MARGIN} points"
                f" ({bounds})."
            )
        else:
            sentences.append(
                f"Whether {contrast.first} is as good as human music is undecided ({bounds}): no"
                " difference was found, which does not make them equal."
            )
    return sentences


def lacking(study: Study) -> list[str]:
    """What the data are too few for, and how many more are needed, in sentences."""
    sentences = []
    if study.raters < 2:
        sentences.append(
            "There is one listener: an interval needs at least 1 more, a useful one about 20."
        )
    single = [result.system for result in study.systems if result.clips < 2]
    if single:
        sentences.append(
            f"Only one clip was rated of {', '.join(single)}: at least 1 more of each is needed to"
            " estimate how clips vary, and 12 of each for a good estimate."
        )
    if not study.method and study.raters > 1 and len(single) < len(study.systems):
        sentences.append("The ratings hardly vary, so that no interval can be estimated.")
    if len(study.systems) == 1:
        sentences.append("There is one system: a comparison needs 1 more.")
    if not any(result.role == "human" for result in study.systems):
        sentences.append("No human music was rated, so no system can be compared with it.")
    if study.detectable is None or all(pair.significant for pair in study.pairs):
        return sentences
    sentences.append(
        f"A survey of {study.raters} listeners and {study.clips} clips finds a difference of"
        f" {study.detectable:.1f} points in four of five cases (one pair, no correction)."
    )
    if study.detectable > INTERESTING and study.components:
        systems = sum(result.role == "system" for result in study.systems)
        for raters in (study.raters, 2 * study.raters, 4 * study.raters):
            clips = power.clips_needed(
                INTERESTING, raters, study.heard_per_system, systems, study.components
            )
            if clips is not None:
                sentences.append(
                    f"To find a difference of {INTERESTING:g} point, about {clips} clips per system"
                    f" and {raters} listeners are needed."
                )
                break
    return sentences


def methods(about: About, table: pd.DataFrame, counted: pd.DataFrame) -> str:
    """A paragraph for a paper on what was done: `counted` is what screening leaves of `table`."""
    main = counted[counted["kind"] == "main"]
    rated = table["rater"].nunique()
    left_out = rated - counted["rater"].nunique()
    sentences = ["THE LISTENERS ARE SIMULATED."] if table["simulated"].any() else []
    sentences += [_participation(about, rated, left_out), _design(main)]
    if about.scale:
        labels = ", ".join(f"{value} \u201c{text}\u201d" for value, text in about.scale.items())
        sentences.append(f"Each was rated from {LOWEST} to {HIGHEST} ({labels}).")
    sentences.append(
        "Means and 95 % intervals come from a linear mixed model with listeners and clips as"
        " crossed random effects (restricted maximum likelihood, Student's t), fitted to the"
        " systems alone, and with human music for comparisons with it; p values of pairs are"
        " corrected by Holm's method."
    )
    used = {name: number for name, number in versions().items() if name != "torch"}
    used["statsmodels"] = version("statsmodels")
    sentences.append("Computed with " + ", ".join(f"{k} {v}" for k, v in used.items()) + ".")
    if about.config_hash:
        sentences.append(f"Configuration {about.config_hash}.")
    return " ".join(sentences)


def _participation(about: About, rated: int, left_out: int) -> str:
    """How many people were invited, took part and counted."""
    counts = [
        f"{number} {what}"
        for number, what in (
            (about.invited, "were invited"),
            (about.started, "started"),
            (about.finished, "finished"),
            (about.withdrawn, "withdrew"),
        )
        if number is not None
    ]
    if not counts:
        return f"Of {rated} listeners {left_out} were excluded by the screening rules."
    excluded = f"{left_out} of {rated} who rated were excluded by the screening rules"
    return "Of the listeners, " + ", ".join([*counts, excluded]) + "."


def _design(main: pd.DataFrame) -> str:
    """How many clips, of what, were heard by whom, and when."""
    dates = sorted(set(main["date"]) - {""})
    seconds = main["clip_seconds"].dropna()
    length = f" of {seconds.median():.0f} s" if len(seconds) else ""
    per_system = main.groupby(["dataset", "system", "role"])["clip"].nunique()
    clips_of_each = " to ".join(map(str, sorted({per_system.min(), per_system.max()})))
    by_role = per_system.groupby("role").size()
    number = int(by_role.get("system", 0))
    sources = [f"{number} system{'' if number == 1 else 's'}"]
    sources += [
        text
        for role, text in (("human", "human music"), ("anchor", "random notes"))
        if role in by_role
    ]
    return (
        f"They heard {main['clip'].nunique()} clips{length} ({', '.join(sources)}; {clips_of_each}"
        f" of each), {len(main) / main['rater'].nunique():.1f} per listener, blind and in balanced"
        " order" + (f", from {dates[0]} to {dates[-1]}" if dates else "") + "."
    )
