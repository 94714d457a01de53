"""Plans a survey: how many clips and listeners it takes to tell two systems apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bench.errors import BenchError
from bench.survey.analysis.simulation import Components

if TYPE_CHECKING:
    import pandas as pd

POWER = 0.8
ALPHA = 0.05  # significance level of every test; intervals hold 1 - ALPHA
CLIPS = (2, 3, 4, 8, 12, 24, 48)
RATERS = (10, 26, 50, 100)


def standard_error(clips: int, raters: int, heard: int, components: Components) -> float:
    """The standard error of the difference of two systems' means.

    How high or low a listener rates in general does not count: it cancels in a difference.
    """
    heard = min(heard, clips)
    variance = (
        components.clip**2 / clips
        + components.rater_system**2 / raters
        + components.residual**2 / (raters * heard)
    )
    return float(np.sqrt(2 * variance))


def detectable(
    clips: int,
    raters: int,
    heard: int = 3,
    systems: int = 8,
    components: Components | None = None,
    comparisons: int = 1,
) -> float:
    """The smallest true difference, in points, that 80 % of surveys find at a level of 5 %.

    `clips` is the number of clips of each system, of which each listener hears `heard`.
    `comparisons` is the number of pairs that are tested at once (with Bonferroni's correction,
    which bounds Holm's).
    """
    from scipy.stats import t

    if clips < 2 or raters < 2 or heard < 1 or systems < 2 or comparisons < 1:
        raise BenchError(
            f"A survey of {systems} systems with {clips} clips each and {raters} listeners who hear"
            f" {heard} of them cannot tell systems apart: it takes at least two systems, two clips"
            " of each and two listeners, and one clip heard."
        )
    freedom = systems * (clips - 1)
    needed = t.ppf(1 - ALPHA / comparisons / 2, freedom) + t.ppf(POWER, freedom)
    return float(needed * standard_error(clips, raters, heard, components or Components()))


def table(
    heard: int = 3,
    systems: int = 8,
    components: Components | None = None,
    comparisons: int = 1,
    clips: Sequence[int] = CLIPS,
    raters: Sequence[int] = RATERS,
) -> pd.DataFrame:
    """`detectable` for numbers of clips (columns) and of listeners (rows)."""
    import pandas as pd

    return pd.DataFrame(
        [
            [detectable(n, people, heard, systems, components, comparisons) for n in clips]
            for people in raters
        ],
        index=pd.Index(raters, name="listeners"),
        columns=pd.Index(clips, name="clips per system"),
    )


def clips_needed(
    difference: float,
    raters: int,
    heard: int = 3,
    systems: int = 8,
    components: Components | None = None,
    comparisons: int = 1,
) -> int | None:
    """The smallest number of clips per system that makes this difference `detectable`.

    None where 200 are not enough.
    """
    for clips in range(2, 201):
        if detectable(clips, raters, heard, systems, components, comparisons) <= difference:
            return clips
    return None


def from_pilot(ratings: pd.DataFrame) -> Components:
    """The components of a pilot's ratings, by restricted maximum likelihood.

    Needs listeners who heard two clips of a system. The references are left out: at the ends of the
    scale ratings vary less.
    """
    from bench.survey.analysis.mixed import crossed

    main = ratings[(ratings["kind"] == "main") & (ratings["role"] == "system")]
    if (
        not len(main)
        or main.groupby(["rater", "system"]).size().max() < 2
        or main["rater"].nunique() < 3
    ):
        raise BenchError(
            "The pilot is too small: it takes at least three listeners, and listeners who heard at"
            " least two clips of a system."
        )
    fitted = crossed(main, tastes=True)
    if fitted is None or fitted.components is None:
        raise BenchError(
            "The model does not fit the pilot's ratings, for example because they hardly vary: use"
            " the default components."
        )
    return fitted.components
