"""The ratings of blind listeners on the board, out of the result files of closed surveys.

The surveys write a plain section `board` into their results: cells by job, and by `human.DATASET`
for human music, which has no job. Nothing else of a survey is read here.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ValidationError

from bench.board.rows import Row, rounded
from bench.files import read_json

FOLDER = "surveys"  # in the run folder: one JSON file per survey


class RatingCells(BaseModel):
    """What a survey says of one row."""

    human_rating: float
    human_rating_low: float | None = None
    human_rating_high: float | None = None
    believability: float | None = None
    survey: str


class _Results(BaseModel):
    ended: str  # day of the last rating
    board: dict[str, RatingCells] = {}


def fill_ratings(rows: Sequence[Row], runs: Path) -> None:
    """Fill in what listeners said in surveys that are closed; the latest survey of a row counts.

    Human music was rated as such, whichever its excerpts: its ratings stand in the row of skill 1
    beside rated systems. A file of results that cannot be read is as if it were not there.
    """
    results = []
    for path in sorted((runs / FOLDER).glob("*.json")):
        try:
            results.append(_Results.model_validate(read_json(path)))
        except ValidationError:
            continue
    ratings: dict[str, RatingCells] = {}
    for result in sorted(results, key=lambda result: result.ended):
        ratings |= result.board
    rated = set()  # (data set, preset) with a rated system
    for row in rows:
        for job in row.job_ids:
            if job in ratings:
                rated.add((row.dataset, row.preset))
                _fill(row, ratings[job])
    for row in rows:
        human = ratings.get(f"human.{row.dataset}")
        if human and row.evidence.anchor == 1 and (row.dataset, row.preset) in rated:
            _fill(row, human)


def _fill(row: Row, cells: RatingCells) -> None:
    row.human_rating = rounded(cells.human_rating)
    row.human_rating_low = rounded(cells.human_rating_low)
    row.human_rating_high = rounded(cells.human_rating_high)
    row.believability = rounded(cells.believability)
    row.survey = cells.survey
