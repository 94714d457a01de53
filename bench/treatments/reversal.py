"""Reversed time (Sokolov et al. 2016, section 2.2): music learnt from its end."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench.contract import Budget, Floats, Log
from bench.music import Score
from bench.treatments.prompts import continue_treated
from bench.treatments.treatment import Treatment


class Reversal(Treatment):
    """Turns every piece round before the wrapped system sees it, and its samples back.

    A prompt is what the sample leads up to, not what it follows: the system cannot look back.
    """

    def fit(
        self, train: Sequence[Score], valid: Sequence[Score], budget: Budget, seed: int, log: Log
    ) -> None:
        """Train the wrapped system on reversed pieces."""
        self.inner.fit([*map(reverse, train)], [*map(reverse, valid)], budget, seed, log)

    def sample(self, prompts: Sequence[Score], steps: int, seed: int) -> list[Score]:
        """Music that leads up to the prompts."""
        turned = [reverse(prompt) for prompt in prompts]
        found = continue_treated(self.inner, prompts, turned, steps, seed)
        return [reverse(score) for score in found]

    def log_likelihood(self, scores: Sequence[Score]) -> Floats:
        """(pieces,) that of the reversed pieces: each piece is the reversal of one other."""
        return self.inner.log_likelihood([reverse(score) for score in scores])


def reverse(score: Score) -> Score:
    """The piece backwards: a note begins where it ended, an attack becomes a release."""
    onset = score.length - score.end
    order = np.lexsort((score.pitch, onset))
    return Score(
        onset[order],
        score.duration[order],
        score.pitch[order],
        score.velocity[order],
        score.length,
        score.grid,
    )
