"""Training in stages: one system learns from several sets of pieces, one after the other.

Checkpoints contain the number of the stage, so that a killed job resumes within it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from bench.contract import Budget, Log, System
from bench.errors import BenchError
from bench.music import Score
from bench.seeds import step_seed


@runtime_checkable
class Continuing(System, Protocol):
    """A system that can learn in stages."""

    def go_on(
        self, train: Sequence[Score], valid: Sequence[Score], budget: Budget, seed: int, log: Log
    ) -> None:
        """As `fit`, but continuing from the weights that the last `fit` or `go_on` left."""


@dataclass(frozen=True)
class Stage:
    """What to learn from, and for how long."""

    pieces: Sequence[Score]
    budget: Budget
    fresh_head: bool = False  # the network's last layer is initialised again before
    held_out: Sequence[Score] = ()  # similar pieces, for early stopping


def learn(
    system: System,
    stages: Sequence[Stage],
    valid: Sequence[Score],
    seed: int,
    log: Log,
) -> None:
    """Train the system on the stages.

    The last stage stops early by `valid`, an earlier one by the pieces it has held out, if any.
    """
    name = type(system).__name__
    if not isinstance(system, Continuing):
        raise BenchError(f"{name} cannot learn in stages: it has no go_on().")
    system.fit(stages[-1].pieces, valid, Budget(0), seed, Silent())
    staged = StagedLog(log, [stage.budget.amount for stage in stages])
    for number, stage in enumerate(stages):
        if stage.fresh_head:
            if not hasattr(system, "reset_head"):
                raise BenchError(f"{name} cannot renew its last layer: it has no reset_head().")
            system.reset_head(stage.pieces, step_seed(seed, len(stages) + number))
        if staged.enter(number):
            last = number == len(stages) - 1
            held_out = valid if last else stage.held_out
            system.go_on(stage.pieces, held_out, stage.budget, step_seed(seed, number), staged)


def shares(budget: Budget, parts: Sequence[float]) -> list[Budget]:
    """The budget divided in these proportions; each part gets an update if there are enough."""
    ideal = budget.amount * np.asarray(parts) / sum(parts)
    amounts = np.floor(ideal).astype(int)
    if budget.amount >= len(parts):
        amounts[:-1] = np.maximum(amounts[:-1], 1)
    amounts[-1] = budget.amount - amounts[:-1].sum()
    return [Budget(int(amount), budget.unit, budget.paper) for amount in amounts]


class Silent:
    """A log that ignores everything."""

    def record(self, step: int, **values: float) -> None:
        """Ignore it."""

    def progress(self, done: int, total: int, music_steps: int = 0) -> None:
        """Ignore it."""

    def checkpoint(self, state: Callable[[], Mapping[str, Any]]) -> None:
        """Ignore it."""

    def resume(self) -> Mapping[str, Any] | None:
        """Nothing to resume from."""
        return None


class Onward(Silent):
    """Reports the progress of a training that follows `before` updates, and ignores the rest."""

    def __init__(self, log: Log, before: int) -> None:
        self.log, self.before = log, before

    def progress(self, done: int, total: int, music_steps: int = 0) -> None:
        """Report how far both trainings together are."""
        self.log.progress(self.before + done, self.before + total)


class StagedLog:
    """Reports all stages as one training, and adds the stage's number to the checkpoints."""

    def __init__(self, log: Log, amounts: Sequence[int]) -> None:
        self.log = log
        self.shares = np.cumsum(amounts) / max(1, sum(amounts))
        self.resumed = log.resume()
        self.number = 0
        self.before = {"steps": 0, "music": 0}  # of earlier stages
        self.now = dict(self.before)

    def enter(self, number: int) -> bool:
        """Begin a stage; False if an earlier attempt has completed it, or was stopped before it."""
        current = int(self.resumed["stage"]) if self.resumed else 0
        stopped = bool(self.resumed and self.resumed.get("stop")) and number > current
        self.number, self.before = number, dict(self.now)
        if self.resumed and number == current:
            self.before, self.now = (
                {name: int(value) for name, value in self.resumed[when].items()}
                for when in ("before", "now")
            )
        return number >= current and not stopped

    def record(self, step: int, **values: float) -> None:
        """Add a point to the curves; earlier stages have validation curves of their own."""
        if self.number < len(self.shares) - 1:
            values = {name.replace("valid", "stage_valid"): x for name, x in values.items()}
        self.log.record(self.before["steps"] + step, **values)

    def progress(self, done: int, total: int, music_steps: int = 0) -> None:
        """Report how far all stages together are."""
        steps, music = self.before["steps"], self.before["music"]
        self.now = {"steps": steps + done, "music": music + music_steps}
        share = self.shares[self.number] or 1.0
        self.log.progress(steps + done, round((steps + total) / share), self.now["music"])

    def checkpoint(self, state: Callable[[], Mapping[str, Any]]) -> None:
        """Offer the state to resume from."""
        position = {"stage": self.number, "before": self.before, "now": self.now}
        self.log.checkpoint(lambda: {**position, "inner": state()})

    def resume(self) -> Mapping[str, Any] | None:
        """The state in which this stage was interrupted, if it was."""
        if self.resumed is None or self.resumed["stage"] != self.number:
            return None
        return {**self.resumed["inner"], "stop": self.resumed.get("stop", False)}
