"""The rows between which every other row lies: two floors and the ceiling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from bench.contract import Budget, Floats, Likelihood, Log
from bench.encodings.escape import Spelling
from bench.encodings.frames import stack
from bench.errors import BenchError
from bench.music import Score
from bench.seeds import generators
from bench.training import saved
from bench.training.settings import Configured

Rates = Literal["pitch", "shared", "uniform"]


class Noise(Configured):
    """Every key of every step independently, as often as it sounds in the training pieces."""

    @dataclass(frozen=True)
    class Settings:
        """How often keys sound."""

        rates: Rates = "pitch"  # a rate for each pitch, one shared by all keys, or 1/2 for all
        smoothing: float = 0.5  # added to the counts of how often each key sounds and rests

    settings: Settings
    likelihood = Likelihood("exact", "frames")
    spelling: Spelling

    def fit(
        self, train: Sequence[Score], valid: Sequence[Score], budget: Budget, seed: int, log: Log
    ) -> None:
        """Count how often each key sounds."""
        s = self.settings
        self.spelling = Spelling(key_rates(stack(train), s.rates, s.smoothing))

    def sample(self, prompts: Sequence[Score], steps: int, seed: int) -> list[Score]:
        """Independent frames, the same distribution for every prompt."""
        return [
            Score.from_rolls(self.spelling.draw(rng, steps), grid=prompt.grid)
            for prompt, rng in zip(prompts, generators(prompts, seed), strict=True)
        ]

    def log_likelihood(self, scores: Sequence[Score]) -> Floats:
        """(pieces,) log p of the pieces' frames in nats."""
        return np.array([self.spelling.log_probability(s.sounding()).sum() for s in scores])

    def save(self, folder: Path) -> None:
        """Write settings and rates."""
        saved.save(folder, asdict(self.settings), {"rates": self.spelling.rates})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The system as it was saved."""
        settings, arrays = saved.load(folder)
        system = cls(**settings)
        system.spelling = Spelling(arrays["rates"])
        return system


def key_rates(frames: NDArray[np.bool_], rates: Rates, smoothing: float) -> Floats:
    """(keys,) how often each key sounds."""
    if rates == "pitch":
        return Spelling.of(frames, smoothing).rates
    if rates == "shared":
        return np.repeat(Spelling.of(frames.reshape(-1, 1), smoothing).rates, frames.shape[1])
    return np.full(frames.shape[1], 0.5)


class Silence(Configured):
    """No note at all: a floor that shows which metrics reward emptiness."""

    likelihood = Likelihood("none", reason="it gives every piece with a note probability 0")

    def fit(
        self, train: Sequence[Score], valid: Sequence[Score], budget: Budget, seed: int, log: Log
    ) -> None:
        """Learn nothing."""

    def sample(self, prompts: Sequence[Score], steps: int, seed: int) -> list[Score]:
        """Silence for every prompt."""
        return [Score.silence(steps, prompt.grid) for prompt in prompts]

    def log_likelihood(self, scores: Sequence[Score]) -> Floats:
        """Refused: see `likelihood`."""
        raise BenchError(f"silence has no likelihood: {self.likelihood.reason}.")

    def save(self, folder: Path) -> None:
        """Write an empty system."""
        saved.save(folder, {})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The system as it was saved."""
        saved.load(folder)
        return cls()


class Human(Configured):
    """The ceiling: what the composer wrote after each prompt.

    It learns nothing. The true continuations must be revealed before samples are drawn.
    """

    likelihood = Likelihood("none", reason="nobody knows the probability of what people write")

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._continuations: tuple[Score, ...] | None = None

    def fit(
        self, train: Sequence[Score], valid: Sequence[Score], budget: Budget, seed: int, log: Log
    ) -> None:
        """Learn nothing."""

    def reveal(self, continuations: Sequence[Score]) -> None:
        """Receive the true continuation of each prompt that `sample` will get, in their order."""
        self._continuations = tuple(continuations)

    def sample(self, prompts: Sequence[Score], steps: int, seed: int) -> list[Score]:
        """The revealed continuations, cut to `steps` steps."""
        truth = self._continuations
        if truth is None or len(truth) != len(prompts):
            count = "none were" if truth is None else f"{len(truth)} were"
            raise BenchError(
                f"human: {count} revealed for {len(prompts)} prompts; call reveal() with the true"
                " continuation of each."
            )
        for place, score in enumerate(truth):
            if score.length < steps:
                raise BenchError(
                    f"human: continuation {place} has {score.length} steps of the {steps} asked"
                    " for; choose prompts that are followed by enough music."
                )
        return [score.slice(0, steps) for score in truth]

    def log_likelihood(self, scores: Sequence[Score]) -> Floats:
        """Refused: see `likelihood`."""
        raise BenchError(f"human has no likelihood: {self.likelihood.reason}.")

    def save(self, folder: Path) -> None:
        """Write an empty system: revealed continuations are not saved."""
        saved.save(folder, {})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The system as it was saved, with nothing revealed."""
        saved.load(folder)
        return cls()
