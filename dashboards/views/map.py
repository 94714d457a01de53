"""Samples among real music, on the first two principal components of its features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench import registry
from bench.board.rows import Row
from bench.jobs.run_folder import JobFolder
from dashboards.views import sources
from dashboards.views.job import job_of

if TYPE_CHECKING:
    import pandas as pd

REAL = "real music (test)"


@dataclass(frozen=True)
class Map:
    """The points, and what the axes are."""

    table: pd.DataFrame  # x, y, whose
    titles: tuple[str, str]


def project(row: Row, jobs: Sequence[JobFolder]) -> Map | str:
    """Where the samples lie among the test pieces, or why that cannot be shown."""
    onto = registry.report_parts().get("feature_map")
    if onto is None:
        return "The metrics that give this map its axes are not installed."
    import pandas as pd

    from bench.protocol import sampling

    job = next((job for folder in jobs if (job := job_of(folder))), None)
    samples = [made for folder in jobs if (made := sources.samples(folder))]
    pieces = [score for made in samples for score in made.scores if score is not None]
    if job is None or not pieces:
        return sources.why_none(row)
    data = sources.dataset(job.dataset, job.dataset_fingerprint)
    if data is None:
        return "The data set is not on this machine, so there is nothing to draw the samples among."
    compared = sampling.reference(data, job.protocol, sampling.prompts(data, job.protocol))
    points = onto(compared, pieces)
    if points is None:
        return "The training pieces are too alike to give this map two axes."
    frames = [
        pd.DataFrame({"x": places[:, 0], "y": places[:, 1], "whose": whose})
        for places, whose in ((points.reference, REAL), (points.samples, row.name))
    ]
    first, second = (f"{share:.0%} of the variance" for share in points.explained)
    return Map(pd.concat(frames), (f"first axis, {first}", f"second axis, {second}"))
