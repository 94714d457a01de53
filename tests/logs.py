"""The log of everything that learns in a test."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bench.check import NoLog
from bench.training.checkpoint import load_tree, save_tree


class Stopped(Exception):
    """Training ended here, as if the process had been killed."""


class Log(NoLog):
    """Keeps curves and progress; resumes from `state`.

    With `keep` it keeps every checkpoint too. At checkpoint number `stop_at` it keeps the state
    and raises Stopped; whoever trains with the same log again goes on from there.
    """

    def __init__(
        self,
        state: Mapping[str, Any] | None = None,
        *,
        keep: bool = False,
        stop_at: int | None = None,
    ) -> None:
        self.state, self.keep, self.stop_at = state, keep, stop_at
        self.points: list[tuple[int, dict[str, float]]] = []
        self.reports: list[tuple[int, int, int]] = []  # done, total, steps of music
        self.checkpoints = 0  # offered
        self.states: list[Mapping[str, Any]] = []  # kept

    def record(self, step: int, **values: float) -> None:
        self.points.append((step, values))

    @property
    def curves(self) -> dict[str, dict[int, float]]:
        """The values of each curve by step; of a step recorded twice the later."""
        curves: dict[str, dict[int, float]] = {}
        for step, values in self.points:
            for name, value in values.items():
                curves.setdefault(name, {})[step] = value
        return curves

    def curve(self, name: str) -> list[float]:
        return [values[name] for _, values in self.points if name in values]

    def progress(self, done: int, total: int, music_steps: int = 0) -> None:
        self.reports.append((done, total, music_steps))

    def checkpoint(self, state: Callable[[], Mapping[str, Any]]) -> None:
        self.checkpoints += 1
        if self.keep:
            self.states.append(saved(state()))
        if self.checkpoints == self.stop_at:
            self.state = saved(state())
            raise Stopped

    def resume(self) -> Mapping[str, Any] | None:
        return self.state


def saved(state: Mapping[str, Any]) -> Any:
    """The state as it comes back from a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state"
        save_tree(path, state)
        return load_tree(path)
