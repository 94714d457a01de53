"""Curriculum learning (Sokolov et al. 2016, section 2.3): graded pieces first, easy to hard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.contract import Budget, Log
from bench.data.grades import difficulty
from bench.music import Score
from bench.treatments.companions import on_grid
from bench.treatments.stages import Stage, learn, shares
from bench.treatments.treatment import Teaching


class Curriculum(Teaching):
    """Trains the wrapped system on grades of increasing difficulty, then on all training pieces.

    The graded pieces are those of the other data sets that are provided; without any, they are the
    training pieces. Every tenth piece of a grade is held out, to stop before the grade is overfit.
    """

    @dataclass(frozen=True)
    class Settings(Teaching.Settings):
        """The paper's curriculum."""

        grades: int = 4  # how many grades
        share: float = 1 / 24  # of the budget, for each grade

    settings: Settings

    def fit(
        self, train: Sequence[Score], valid: Sequence[Score], budget: Budget, seed: int, log: Log
    ) -> None:
        """Grade by grade, then everything."""
        grades, share = self.settings.grades, self.settings.share
        graded = on_grid(self.others, train[0].grid) or train
        budgets = shares(budget, [*[share] * grades, 1 - grades * share])
        stages = [
            Stage(
                [piece for place, piece in enumerate(grade) if place % 10 != 9],
                part,
                held_out=grade[9::10],
            )
            for grade, part in zip(by_difficulty(graded, grades), budgets[:-1], strict=True)
        ]
        stages.append(Stage(train, budgets[-1]))
        learn(self.inner, stages, valid, seed, log)


def by_difficulty(pieces: Sequence[Score], grades: int) -> list[list[Score]]:
    """The pieces divided into grades of equal size, the easiest first.

    With fewer pieces than grades, the last grades consist of the hardest piece.
    """
    order = np.argsort([difficulty(piece) for piece in pieces], kind="stable")
    parts = [[pieces[place] for place in part] for part in np.array_split(order, grades)]
    return [part or [pieces[order[-1]]] for part in parts]
