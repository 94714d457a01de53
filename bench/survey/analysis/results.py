"""The results of a survey, as they are stored: one JSON file per survey in its run folder."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ValidationError

from bench.board import ratings
from bench.board.ratings import RatingCells
from bench.errors import BenchError
from bench.files import read_json, write_json
from bench.survey.analysis.agreement import Agreement
from bench.survey.analysis.checks import Checks
from bench.survey.analysis.power import ALPHA
from bench.survey.analysis.reliability import Reliability
from bench.survey.analysis.simulation import Components
from bench.survey.terms import Role, SurveyState, shows_results

FOLDER = ratings.FOLDER  # where a board looks for what `save` writes


class Span(BaseModel):
    """A value and its 95 % interval; without bounds where the data are too few for one."""

    value: float
    low: float | None = None
    high: float | None = None


class About(BaseModel):
    """What the results say about the survey itself: name, state, and how many took part."""

    name: str
    title: str = ""
    state: SurveyState = "open"
    scale: dict[int, str] = {}
    config_hash: str = ""
    invited: int | None = None
    started: int | None = None
    finished: int | None = None
    withdrawn: int | None = None


class SystemResult(BaseModel):
    """The ratings of one system, of human music or of random notes."""

    system: str  # a label that is unique in its study
    name: str  # the system's own name
    variant: str
    dataset: str
    preset: str
    jobs: list[str]
    role: Role
    clips: int
    ratings: int
    raters: int
    rating: Span  # the main result: mean of a model with random listeners and clips
    by_clips: Span  # a check: from the means of clips
    naive: Span  # as if ratings were independent, as papers report it
    everyone: Span  # the main result's model, without screening
    sd: float
    median: float
    counts: list[int]  # how often each score was given
    clip_means: list[float]
    believable: Span | None  # share of yes, from the means of clips
    believable_model: Span | None  # the main result's model, on yes (1) and no (0)
    believable_naive: Span | None  # Wilson's interval, as if answers were independent
    rank: int | None = None  # 1 + the number of systems that are significantly better
    rank_low: int | None = None
    rank_high: int | None = None
    best: float | None = None  # the probability that it is the best


class Contrast(BaseModel):
    """The difference of two mean ratings, first minus second."""

    first: str
    second: str
    difference: Span
    by_clips: Span  # a check: from means of clips, each listener's mean subtracted
    naive: Span  # as if ratings were independent
    p: float | None
    p_holm: float | None = None  # corrected over all contrasts of its list
    equivalent_p: float | None = None  # of the hypothesis that they differ by MARGIN or more
    believable: Span | None = None  # difference of the shares of yes

    @property
    def significant(self) -> bool:
        """Whether the two differ, after Holm's correction."""
        return self.p_holm is not None and self.p_holm < ALPHA

    @property
    def equivalent(self) -> bool:
        """Whether the two differ by less than MARGIN."""
        return self.equivalent_p is not None and self.equivalent_p < ALPHA


class ScreeningCount(BaseModel):
    """A screening rule, and how many listeners it concerns."""

    rule: str
    text: str
    raters: int
    excludes: bool  # else the listeners are only noted


class Study(BaseModel):
    """The results for one data set. Data sets are never pooled."""

    dataset: str
    ratings: int
    raters: int
    clips: int
    known: int  # ratings of human pieces that the listener knew; they are left out
    per_rater: float  # ratings
    method: str  # of the main result; empty where the data are too few for any interval
    components: Components | None
    detectable: float | None  # the difference that such a survey finds with 80 % power
    systems: list[SystemResult]
    pairs: list[Contrast]  # of systems
    against_human: list[Contrast]
    reliability: Reliability
    checks: Checks
    agreement: list[Agreement]
    noise_ceiling: float | None  # the highest correlation a perfect metric could have
    conclusions: list[str]
    lacking: list[str]  # what the data are too few for, and how many more are needed

    @property
    def heard_per_system(self) -> int:
        """How many clips of each system a listener rated, about."""
        return max(1, round(self.per_rater / len(self.systems)))


class Results(BaseModel):
    """The complete results of a survey."""

    about: About
    simulated: bool
    ended: str  # date of the last rating
    listeners: int  # who rated, before screening
    screening: list[ScreeningCount]
    left_out: int  # listeners that screening excluded
    methods: str  # a paragraph for a paper
    studies: list[Study]

    @property
    def counts(self) -> bool:
        """Whether a board may show it: the survey is closed, and its listeners are people."""
        return shows_results(self.about.state) and not self.simulated


def save(results: Results, out: Path) -> Path:
    """Keep the results in the run folder `out`, where `bench board` finds them; returns the file."""
    path = out / FOLDER / f"{results.about.name}.json"
    board = {row: cells.model_dump() for row, cells in board_columns(results).items()}
    write_json(path, {**results.model_dump(mode="json"), "board": board})
    return path


def read(path: Path) -> Results:
    """The results that `save` wrote; BenchError says why they cannot be read."""
    content = read_json(path)
    if content is None:
        raise BenchError(f"{path} is missing or not valid JSON. `bench survey analyze` writes it.")
    try:
        return Results.model_validate(content)
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(map(str, problem["loc"]))
        raise BenchError(
            f"{path} was written by another version ({where}: {problem['msg']}). Run `bench survey"
            " analyze` again."
        ) from None


def board_columns(results: Results) -> dict[str, RatingCells]:
    """The cells of `bench board` by job; empty while the survey is open, and for a simulated one.

    Human music has no job: its cells are those of "human.DATASET".
    """
    if not results.counts:
        return {}
    columns: dict[str, RatingCells] = {}
    for study in results.studies:
        for system in study.systems:
            cells = RatingCells(
                human_rating=system.rating.value,
                human_rating_low=system.rating.low,
                human_rating_high=system.rating.high,
                believability=system.believable.value if system.believable else None,
                survey=results.about.name,
            )
            for job in system.jobs:
                columns[job] = cells
            if system.role == "human":
                columns[f"human.{system.dataset}"] = cells
    return columns
