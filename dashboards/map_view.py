"""Samples among real music, on the first two principal components of its features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.store import JobFolder
from dashboards import sources
from dashboards.board_view import Cells, name_of
from dashboards.job_view import job_of

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
        from metrics.pca_distance import project as onto
    except ImportError:
        return "The metric that draws this map (PCA distance) is not installed."
    import pandas as pd

    from bench import sampling

    job = next((found for folder in jobs if (found := job_of(folder))), None)
    made = [s for f in jobs if (one := sources.samples(f)) for s in one.scores if s]
    if job is None or not made:
        return "There are no samples on this machine to draw."
    data = sources.dataset(job.dataset, job.dataset_fingerprint)
    if data is None:
        return "The data set is not on this machine, so there is nothing to draw the samples among."
    compared = sampling.reference(data, job.protocol, sampling.prompts(data, job.protocol))
    points: Any = onto(compared, [compared.test, made])
    frames = [
        pd.DataFrame({"x": xy[:, 0], "y": xy[:, 1], "whose": whose})
        for xy, whose in zip(points, (REAL, name_of(row)), strict=True)
    ]
    return Map(pd.concat(frames), ("first component", "second component"))
