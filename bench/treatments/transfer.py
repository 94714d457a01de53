"""Transfer (Svegliato & Witty 2017, section 6): learn one kind of music first, then go on to another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.contract import Budget, Log
from bench.music import Score
from bench.treatments.companions import on_grid
from bench.treatments.stages import Stage, learn, shares
from bench.treatments.treatment import Treatment


class Transfer(Treatment):
    """Trains the wrapped system on other data sets, then on the training pieces.

    `share`: of the budget, for the other data sets; with none at hand all of it goes to the
    training pieces. `fresh_head`: the last layer is drawn anew in between (fine-tuning).
    """

    def __init__(
        self, *, wrapped: Mapping[str, Any], share: float = 5 / 7, fresh_head: bool = False
    ):
        super().__init__(wrapped=wrapped, share=share, fresh_head=fresh_head)
        self.share, self.fresh_head = share, fresh_head

    def fit(
        self, train: Sequence[Score], valid: Sequence[Score], budget: Budget, seed: int, log: Log
    ) -> None:
        """First the others, then the training pieces."""
        others = on_grid(self.others, train[0].grid)
        if not others:
            learn(self.inner, [Stage(train, budget)], valid, seed, log)
            return
        before, after = shares(budget, [self.share, 1 - self.share])
        stages = [Stage(others, before), Stage(train, after, self.fresh_head)]
        learn(self.inner, stages, valid, seed, log)
