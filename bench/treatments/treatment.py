"""A system that wraps a system. By itself it changes nothing; each treatment overrides a part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from bench import registry
from bench.contract import Budget, Floats, Likelihood, Log, System
from bench.music import Score
from bench.training import saved
from bench.training.settings import Configured


class Treatment(Configured):
    """Passes everything on to the system it wraps."""

    @dataclass(frozen=True)
    class Settings:
        """Of every treatment."""

        wrapped: Mapping[str, Any]  # the system as the registry describes it: class, settings, ...

    settings: Settings

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        wrapped = self.settings.wrapped
        self.inner: System = registry.build(
            wrapped["class"], dict(wrapped["settings"]), type(self).__name__
        )
        self.others: list[Score] = []

    @property
    def likelihood(self) -> Likelihood:
        """The wrapped system's."""
        return self.inner.likelihood

    @property
    def samples_differ(self) -> str:
        """The wrapped system's."""
        return getattr(self.inner, "samples_differ", "")

    @property
    def parameter_count(self) -> int | None:
        """The wrapped system's."""
        return getattr(self.inner, "parameter_count", None)

    def provide(self, others: Mapping[str, Sequence[Score]]) -> None:
        """Receive the training pieces of other data sets."""
        self.others = [score for name in sorted(others) for score in others[name]]

    def fit(
        self, train: Sequence[Score], valid: Sequence[Score], budget: Budget, seed: int, log: Log
    ) -> None:
        """Train the wrapped system."""
        self.inner.fit(train, valid, budget, seed, log)

    def sample(self, prompts: Sequence[Score], steps: int, seed: int) -> list[Score]:
        """The wrapped system's samples."""
        return self.inner.sample(prompts, steps, seed)

    def log_likelihood(self, scores: Sequence[Score]) -> Floats:
        """The wrapped system's likelihood."""
        return self.inner.log_likelihood(scores)

    def save(self, folder: Path) -> None:
        """Write the settings, and the wrapped system into a folder of its own."""
        saved.save(folder, asdict(self.settings))
        inner = folder / "wrapped"
        inner.mkdir(exist_ok=True)
        self.inner.save(inner)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The system as it was saved."""
        settings, _ = saved.load(folder)
        system = cls(**settings)
        system.inner = type(system.inner).load(folder / "wrapped")
        return system


class Teaching(Treatment):
    """A treatment that changes only how the wrapped system learns, not what it does afterwards."""

    @property
    def next_frames(self) -> Any:
        """The wrapped system's, if it has it."""
        return getattr(self.inner, "next_frames", None)
