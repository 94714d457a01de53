"""Curriculum learning (Sokolov et al. 2016, section 2.3): graded pieces first, easy to hard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bench.contract import Budget, Log
from bench.data.grades import difficulty
from bench.music import Score
from bench.treatments.companions import on_grid
from bench.treatments.stages import Stage, learn, shares
from bench.treatments.treatment import Treatment


class Curriculum(Treatment):
    """Trains the wrapped system on `grades` lots of ever harder pieces, then on all training pieces.

    The graded pieces are those of the other data sets that are provided; without any they are the
    training pieces themselves. `share`: of the budget, for each grade. Every tenth piece of a grade
    is held out, so that none is learnt by heart.
    """

    def __init__(self, *, wrapped: Mapping[str, Any], grades: int = 4, share: float = 1 / 24):
        super().__init__(wrapped=wrapped, grades=grades, share=share)
        self.grades, self.share = grades, share

    def fit(
        self, train: Sequence[Score], valid: Sequence[Score], budget: Budget, seed: int, log: Log
    ) -> None:
        """Grade by grade, then everything."""
        graded = on_grid(self.others, train[0].grid) or train
        budgets = shares(budget, [*[self.share] * self.grades, 1 - self.grades * self.share])
        stages = [
            Stage(
                [piece for place, piece in enumerate(lot) if place % 10 != 9],
                part,
                held_out=lot[9::10],
            )
            for lot, part in zip(by_difficulty(graded, self.grades), budgets[:-1], strict=True)
        ]
        stages.append(Stage(train, budgets[-1]))
        learn(self.inner, stages, valid, seed, log)


def by_difficulty(pieces: Sequence[Score], grades: int) -> list[list[Score]]:
    """The pieces in so many equal lots, the easiest first; each piece may be in one lot only.

    With fewer pieces than lots the hardest are in several.
    """
    order = np.argsort([difficulty(piece) for piece in pieces], kind="stable")
    lots = [[pieces[place] for place in lot] for lot in np.array_split(order, grades)]
    return [lot or [pieces[order[-1]]] for lot in lots]
