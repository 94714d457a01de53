"""Learning in stages: one system, several lots of pieces, one after the other.

A killed job goes on inside the stage it was in: its checkpoints say which one that was.
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
        """As `fit`, but from where the last `fit` or `go_on` ended."""


@dataclass(frozen=True)
class Stage:
    """What to learn from, and how much of it."""

    pieces: Sequence[Score]
    budget: Budget
    fresh_head: bool = False  # the network's last layer is drawn anew before
    held_out: Sequence[Score] = ()  # pieces like these, at which to stop early


def learn(
    system: System,
    stages: Sequence[Stage],
    valid: Sequence[Score],
    seed: int,
    log: Log,
) -> None:
    """Train the system on the stages. Only the last of them, the real one, looks at `valid`.

    Earlier ones stop early by pieces of their own, where they have held some out.
    """
    name = type(system).__name__
    if not isinstance(system, Continuing):
        raise BenchError(f"{name} cannot learn in stages: it has no go_on().")
    system.fit(stages[-1].pieces, valid, Budget(0), seed, Silent())
    told = StagedLog(log, [stage.budget.amount for stage in stages])
    for number, stage in enumerate(stages):
        if stage.fresh_head:
            if not hasattr(system, "reset_head"):
                raise BenchError(f"{name} has no head to draw anew: it has no reset_head().")
            system.reset_head(stage.pieces, step_seed(seed, len(stages) + number))
        if told.enter(number):
            last = number == len(stages) - 1
            held_out = valid if last else stage.held_out
            system.go_on(stage.pieces, held_out, stage.budget, step_seed(seed, number), told)


def shares(budget: Budget, parts: Sequence[float]) -> list[Budget]:
    """The budget in these parts, to the update; each gets one where there are enough."""
    ideal = budget.amount * np.asarray(parts) / sum(parts)
    amounts = np.floor(ideal).astype(int)
    if budget.amount >= len(parts):
        amounts[:-1] = np.maximum(amounts[:-1], 1)
    amounts[-1] = budget.amount - amounts[:-1].sum()
    return [Budget(int(amount), budget.unit, budget.paper) for amount in amounts]


class Silent:
    """A log for what is not worth telling."""

    def record(self, step: int, **values: float) -> None:
        """Forget it."""

    def progress(self, done: int, total: int, music_steps: int = 0) -> None:
        """Forget it."""

    def checkpoint(self, state: Callable[[], Mapping[str, Any]]) -> None:
        """Forget it."""

    def resume(self) -> Mapping[str, Any] | None:
        """Nothing."""
        return None


class Onward(Silent):
    """Tells how far something is that comes after so many updates, and nothing else of it."""

    def __init__(self, log: Log, before: int) -> None:
        self.log, self.before = log, before

    def progress(self, done: int, total: int, music_steps: int = 0) -> None:
        """Say how far both together are."""
        self.log.progress(self.before + done, self.before + total)


class StagedLog:
    """Tells all stages as one training, and puts the stage's number into the checkpoints."""

    def __init__(self, log: Log, amounts: Sequence[int]) -> None:
        self.log = log
        self.shares = np.cumsum(amounts) / max(1, sum(amounts))
        self.resumed = log.resume()
        self.number = 0
        self.before = {"steps": 0, "music": 0}  # what earlier stages took
        self.now = dict(self.before)

    def enter(self, number: int) -> bool:
        """Begin a stage; False where an earlier attempt has been through it."""
        at = int(self.resumed["stage"]) if self.resumed else 0
        stopped = bool(self.resumed and self.resumed.get("stop")) and number > at
        self.number, self.before = number, dict(self.now)
        if self.resumed and number == at:
            self.before, self.now = (
                {name: int(value) for name, value in self.resumed[when].items()}
                for when in ("before", "now")
            )
        return number >= at and not stopped

    def record(self, step: int, **values: float) -> None:
        """Add a point to the curves; what a stage before the last held out has curves of its own."""
        if self.number < len(self.shares) - 1:
            values = {name.replace("valid", "stage_valid"): x for name, x in values.items()}
        self.log.record(self.before["steps"] + step, **values)

    def progress(self, done: int, total: int, music_steps: int = 0) -> None:
        """Say how far all stages together are."""
        steps, music = self.before["steps"], self.before["music"]
        self.now = {"steps": steps + done, "music": music + music_steps}
        share = self.shares[self.number] or 1.0
        self.log.progress(steps + done, round((steps + total) / share), self.now["music"])

    def checkpoint(self, state: Callable[[], Mapping[str, Any]]) -> None:
        """Offer the state to resume from."""
        place = {"stage": self.number, "before": self.before, "now": self.now}
        self.log.checkpoint(lambda: {**place, "inner": state()})

    def resume(self) -> Mapping[str, Any] | None:
        """The state that was left inside this stage."""
        if self.resumed is None or self.resumed["stage"] != self.number:
            return None
        return {**self.resumed["inner"], "stop": self.resumed.get("stop", False)}
