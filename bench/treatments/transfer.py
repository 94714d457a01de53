"""Transfer (Svegliato & Witty 2017, section 6): learn one kind of music, then another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.contract import Budget, Log
from bench.music import Score
from bench.treatments.companions import on_grid
from bench.treatments.stages import Stage, learn, shares
from bench.treatments.treatment import Teaching


class Transfer(Teaching):
    """Trains the wrapped system on other data sets, then on the training pieces.

    Without other data sets, the training pieces get the whole budget.
    """

    @dataclass(frozen=True)
    class Settings(Teaching.Settings):
        """The paper's transfer."""

        share: float = 5 / 7  # of the budget, for the other data sets
        fresh_head: bool = False  # the last layer is initialised again in between (fine-tuning)

    settings: Settings

    def fit(
        self, train: Sequence[Score], valid: Sequence[Score], budget: Budget, seed: int, log: Log
    ) -> None:
        """First the others, then the training pieces."""
        others = on_grid(self.others, train[0].grid)
        if not others:
            learn(self.inner, [Stage(train, budget)], valid, seed, log)
            return
        share = self.settings.share
        before, after = shares(budget, [share, 1 - share])
        stages = [Stage(others, before), Stage(train, after, self.settings.fresh_head)]
        learn(self.inner, stages, valid, seed, log)
