"""What a survey says, as it is kept: one JSON file per survey, in the folder of its run."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from bench.errors import BenchError
from bench.files import read_json, write_json
from bench.survey.analysis.agreement import Agreement
from bench.survey.analysis.checks import Checks
from bench.survey.analysis.reliability import Reliability
from bench.survey.analysis.simulation import Components

FOLDER = "surveys"


class Span(BaseModel):
    """A figure and where it may really lie (95 %); without bounds where there is too little."""

    value: float
    low: float | None = None
    high: float | None = None


class About(BaseModel):
    """What a survey is, beside its ratings."""

    name: str
    title: str = ""
    state: Literal["draft", "open", "closed", "published"] = "open"
    scale: dict[int, str] = {}
    config_hash: str = ""
    invited: int | None = None
    started: int | None = None
    finished: int | None = None
    withdrawn: int | None = None


class SystemResult(BaseModel):
    """One system, human music or the low anchor, as it was heard."""

    system: str  # unique in its study
    name: str
    variant: str
    dataset: str
    preset: str
    jobs: list[str]
    role: Literal["system", "human", "anchor"]
    clips: int
    ratings: int
    raters: int
    rating: Span  # the headline: listeners and clips random
    by_clips: Span  # the check: means of clips
    naive: Span  # if ratings were independent, as papers print it
    everyone: Span  # the headline's model without screening
    sd: float
    median: float
    counts: list[int]  # of each score
    clip_means: list[float]
    believable: Span | None  # means of clips
    believable_model: Span | None  # listeners and clips random, on yes (1) and no (0)
    believable_naive: Span | None  # Wilson's, if answers were independent
    rank: int | None = None  # one more than the systems that are better beyond doubt
    rank_low: int | None = None
    rank_high: int | None = None
    best: float | None = None  # the chance that it is the best


class Contrast(BaseModel):
    """How far the first is above the second."""

    first: str
    second: str
    difference: Span
    by_clips: Span  # the check: means of clips, each listener's own level taken off
    naive: Span
    p: float | None
    p_holm: float | None = None  # over all contrasts of its list
    equivalent_p: float | None = None  # that they differ by MARGIN or more
    believable: Span | None = None  # difference of the shares


class ScreeningCount(BaseModel):
    """A rule of screening, and how many listeners it concerns."""

    rule: str
    text: str
    raters: int
    excludes: bool


class Study(BaseModel):
    """Everything about one data set. Data sets are never pooled."""

    dataset: str
    ratings: int
    raters: int
    clips: int
    known: int  # ratings of human pieces that their listeners knew, left out
    per_rater: float
    method: str  # behind the headline; empty: too little for any interval
    components: Components | None
    detectable: float | None  # the difference that such a survey finds in 4 of 5 cases
    systems: list[SystemResult]
    pairs: list[Contrast]  # of the systems
    against_human: list[Contrast]
    reliability: Reliability
    checks: Checks
    agreement: list[Agreement]
    noise_ceiling: float | None  # the best that a metric could agree with these means
    conclusions: list[str]
    lacking: list[str]  # what there is too little of, and how much more it takes


class Results(BaseModel):
    """The analysis of a survey."""

    about: About
    simulated: bool
    ended: str  # day of the last rating
    listeners: int  # whose ratings were given
    screening: list[ScreeningCount]
    left_out: int  # listeners that screening left out
    methods: str
    studies: list[Study]

    @property
    def counts(self) -> bool:
        """Whether a board may show it: closed, and of real listeners."""
        return self.about.state in ("closed", "published") and not self.simulated


def save(results: Results, out: Path) -> Path:
    """Keep the results in the run folder `out`, where `bench board` finds them; returns the file."""
    path = out / FOLDER / f"{results.about.name}.json"
    write_json(path, results.model_dump(mode="json"))
    return path


def read(path: Path) -> Results:
    """The results that `save` wrote; BenchError says why they cannot be read."""
    content = read_json(path)
    if content is None:
        raise BenchError(f"{path} is missing or no JSON. `bench survey analyze` writes it.")
    try:
        return Results.model_validate(content)
    except ValidationError as error:
        what = error.errors()[0]
        where = ".".join(map(str, what["loc"]))
        raise BenchError(
            f"{path} is of another version ({where}: {what['msg']}). Run `bench survey analyze`"
            " again."
        ) from None


def board_columns(results: Results) -> dict[str, dict[str, Any]]:
    """The cells of `bench board` by job; empty while the survey is open, and for a simulated one.

    Human music has no job: its cells are those of "human.DATASET".
    """
    if not results.counts:
        return {}
    found: dict[str, dict[str, Any]] = {}
    for study in results.studies:
        for one in study.systems:
            cells = {
                "human_rating": one.rating.value,
                "human_rating_low": one.rating.low,
                "human_rating_high": one.rating.high,
                "believability": one.believable.value if one.believable else None,
                "survey": results.about.name,
            }
            for job in one.jobs:
                found[job] = cells
            if one.role == "human":
                found[f"human.{one.dataset}"] = cells
    return found
