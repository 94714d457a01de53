"""Reversed time (Sokolov et al. 2016, section 2.2): music learnt from its end to its beginning."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench.contract import Budget, Floats, Log
from bench.music import Score
from bench.treatments.prompts import continue_treated
from bench.treatments.treatment import Treatment


class Reversal(Treatment):
    """Reverses every piece before the wrapped system sees it, and reverses its samples back.

    A sample leads up to its prompt and does not follow it: in reversed time the prompt comes first.
    """

    direction = "backward"

    def fit(
        self, train: Sequence[Score], valid: Sequence[Score], budget: Budget, seed: int, log: Log
    ) -> None:
        """Train the wrapped system on reversed pieces."""
        self.inner.fit([*map(reverse, train)], [*map(reverse, valid)], budget, seed, log)

    def sample(self, prompts: Sequence[Score], steps: int, seed: int) -> list[Score]:
        """Music that leads up to the prompts."""
        reversed_prompts = [reverse(prompt) for prompt in prompts]
        samples = continue_treated(self.inner, prompts, reversed_prompts, steps, seed)
        return [reverse(score) for score in samples]

    def log_likelihood(self, scores: Sequence[Score]) -> Floats:
        """(pieces,) log p of the reversed pieces; no two pieces have the same reversal."""
        return self.inner.log_likelihood([reverse(score) for score in scores])


def reverse(score: Score) -> Score:
    """The piece backwards: a note begins where it ended."""
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
