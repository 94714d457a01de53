"""How many clips and listeners it takes to tell two systems apart, before anybody listens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bench.errors import BenchError
from bench.survey.analysis.simulation import Components

if TYPE_CHECKING:
    import pandas as pd

POWER = 0.8
LEVEL = 0.05
CLIPS = (2, 3, 4, 8, 12, 24, 48)
RATERS = (10, 26, 50, 100)


def standard_error(clips: int, raters: int, heard: int, components: Components) -> float:
    """Of the difference of two systems' means. All but the listeners' severity counts: it cancels."""
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
    """The least true difference, in points, that is found in 80 % of surveys at a level of 5 %.

    `clips` is the pool of each system, `heard` how many of it each listener hears. `comparisons`
    is the number of pairs that are tested at once (Bonferroni's bound of Holm's correction).
    """
    from scipy.stats import t

    if clips < 2 or raters < 2 or heard < 1 or systems < 2 or comparisons < 1:
        raise BenchError(
            f"{systems} systems, {clips} clips of each, {raters} listeners who hear {heard}: to"
            " tell systems apart it takes two of each at least, and one clip heard."
        )
    freedom = systems * (clips - 1)
    needed = t.ppf(1 - LEVEL / comparisons / 2, freedom) + t.ppf(POWER, freedom)
    return float(needed * standard_error(clips, raters, heard, components or Components()))


def table(
    heard: int = 3,
    systems: int = 8,
    components: Components | None = None,
    comparisons: int = 1,
    clips: Sequence[int] = CLIPS,
    raters: Sequence[int] = RATERS,
) -> pd.DataFrame:
    """`detectable` for pools of clips (columns) and numbers of listeners (rows)."""
    import pandas as pd

    return pd.DataFrame(
        [
            [detectable(c, r, heard, systems, components, comparisons) for c in clips]
            for r in raters
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
    """The smallest pool of clips with which such a difference is `detectable`; none up to 200."""
    for clips in range(2, 201):
        if detectable(clips, raters, heard, systems, components, comparisons) <= difference:
            return clips
    return None


def from_pilot(ratings: pd.DataFrame) -> Components:
    """The components that a pilot's ratings of systems show, by restricted maximum likelihood.

    It needs listeners who heard two clips of one system. References do not count: at the ends of
    the scale ratings vary less.
    """
    from bench.survey.analysis.mixed import crossed

    main = ratings[(ratings["kind"] == "main") & (ratings["role"] == "system")]
    if (
        not len(main)
        or main.groupby(["rater", "system"]).size().max() < 2
        or main["rater"].nunique() < 3
    ):
        raise BenchError(
            "The pilot is too small to plan by: it takes three listeners or more, and listeners"
            " who heard two clips or more of one system."
        )
    fitted = crossed(main, tastes=True)
    if fitted is None or fitted.components is None:
        raise BenchError(
            "The pilot's ratings vary too little, or too oddly, for a model of them: use the"
            " default components."
        )
    return fitted.components
