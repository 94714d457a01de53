"""Samples among real music, on the first two principal components of its features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.jobs.run_folder import JobFolder
from dashboards.views import sources
from dashboards.views.board import Cells, name_of
from dashboards.views.job import job_of

if TYPE_CHECKING:
    import pandas as pd

REAL = "real music (test)"


@dataclass(frozen=True)
class Map:
    """The points, and what the axes are."""

    table: pd.DataFrame  # x, y, whose
    titles: tuple[str, str]


def project(row: Cells, jobs: Sequence[JobFolder]) -> Map | str:
    """Where the samples lie among the test pieces, or why that cannot be shown."""
    try:
        from metrics.features import project as onto
    except ImportError:
        return "The metrics that give this map its axes are not installed."
    import pandas as pd

    from bench.protocol import sampling

    job = next((found for folder in jobs if (found := job_of(folder))), None)
    made = [s for f in jobs if (one := sources.samples(f)) for s in one.scores if s is not None]
    if job is None or not made:
        return sources.why_none(row)
    data = sources.dataset(job.dataset, job.dataset_fingerprint)
    if data is None:
        return "The data set is not on this machine, so there is nothing to draw the samples among."
    compared = sampling.reference(data, job.protocol, sampling.prompts(data, job.protocol))
    found = onto(compared, made)
    if found is None:
        return "The training pieces are too alike to give this map two axes."
    frames = [
        pd.DataFrame({"x": points[:, 0], "y": points[:, 1], "whose": whose})
        for points, whose in ((found.reference, REAL), (found.samples, name_of(row)))
    ]
    first, second = (f"{share:.0%} of the variance" for share in found.explained)
    return Map(pd.concat(frames), (f"first axis, {first}", f"second axis, {second}"))
