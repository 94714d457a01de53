"""How hard a piece is, measured on the piece alone: a curriculum orders its pieces by it.

Three things make a tune harder: more notes per quarter, a wider range, more varied durations. Each
is measured in standard deviations from the folk tunes' mean, and the three are added. Each of the
grades 1 to 4 has a quarter of the folk tunes. On other music the order is still meaningful, while
the grades only compare a piece with folk tunes.
"""

from __future__ import annotations

import numpy as np

from bench.music import Score

GRADES = (1, 2, 3, 4)
# Mean and standard deviation over the training tunes of `folk`, version 1, and the quartiles of
# their sum. They are part of the definition: they stay as they are when the tunes change.
DENSITY = (2.08, 0.70)  # notes per quarter
RANGE = (18.3, 3.6)  # semitones between the lowest and the highest note
VARIETY = (1.02, 0.54)  # bits: entropy of the durations
CUTS = (-1.15, 0.0, 1.15)


def difficulty(score: Score) -> float:
    """How hard the piece is: about 0 for an average folk tune, higher for a harder one."""
    if not len(score):
        return -float(sum(mean / deviation for mean, deviation in (DENSITY, RANGE, VARIETY)))
    density = len(score) * score.grid / score.length
    span = int(score.pitch.max()) - int(score.pitch.min())
    _, counts = np.unique(score.duration, return_counts=True)
    share = counts / len(score)
    variety = -float((share * np.log2(share)).sum())
    return sum(
        (value - mean) / deviation
        for value, (mean, deviation) in zip(
            (density, span, variety), (DENSITY, RANGE, VARIETY), strict=True
        )
    )


def grade(score: Score) -> int:
    """The piece's grade, 1 (easiest) to 4."""
    return GRADES[int(np.searchsorted(CUTS, difficulty(score), side="right"))]
