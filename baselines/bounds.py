"""The rows between which every other row lies: two floors and the ceiling."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from bench.contract import Budget, Floats, Likelihood, Log
from bench.encodings.escape import Spelling
from bench.encodings.frames import stack
from bench.errors import BenchError
from bench.music import Score
from bench.seeds import generators
from bench.training import saved


class Noise:
    """Every key of every step on its own, as often as the training pieces play it.

    `rates`: one rate per `pitch`, one `shared` by all keys, or 1/2 for all (`uniform`).
    """

    likelihood = Likelihood("exact", "frames")
    spelling: Spelling

    def __init__(
        self, *, rates: Literal["pitch", "shared", "uniform"] = "pitch", smoothing: float = 0.5
    ) -> None:
        self.rates, self.smoothing = rates, smoothing

    def fit(
        self, train: Sequence[Score], valid: Sequence[Score], budget: Budget, seed: int, log: Log
    ) -> None:
        """Count how often each key sounds."""
        self.spelling = Spelling(key_rates(stack(train), self.rates, self.smoothing))

    def sample(self, prompts: Sequence[Score], steps: int, seed: int) -> list[Score]:
        """Independent frames, whatever the prompt."""
        return [
            Score.from_rolls(self.spelling.draw(rng, steps), grid=prompt.grid)
            for prompt, rng in zip(prompts, generators(prompts, seed), strict=True)
        ]

    def log_likelihood(self, scores: Sequence[Score]) -> Floats:
        """(pieces,) log p of the pieces' frames in nats."""
        return np.array([self.spelling.log_probability(s.sounding()).sum() for s in scores])

    def save(self, folder: Path) -> None:
        """Write settings and rates."""
        settings = {"rates": self.rates, "smoothing": self.smoothing}
        saved.save(folder, settings, {"rates": self.spelling.rates})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The system as it was saved."""
        settings, arrays = saved.load(folder)
        system = cls(**settings)
        system.spelling = Spelling(arrays["rates"])
        return system


def key_rates(frames: NDArray[np.bool_], rates: str, smoothing: float) -> Floats:
    """(keys,) how often each key sounds, by the named assumption."""
    if rates == "pitch":
        return Spelling.of(frames, smoothing).rates
    if rates == "shared":
        return np.repeat(Spelling.of(frames.reshape(-1, 1), smoothing).rates, frames.shape[1])
    if rates == "uniform":
        return np.full(frames.shape[1], 0.5)
    raise BenchError(f"rates = '{rates}': choose pitch, shared or uniform.")


class Silence:
    """Nothing at all: the floor that metrics which reward emptiness must not put on top."""

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
        """Write that there is nothing to keep."""
        saved.save(folder, {})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The system as it was saved."""
        saved.load(folder)
        return cls()


class Human:
    """The ceiling: what the composer wrote after each prompt.

    Nothing is learnt; whoever asks for samples first reveals the true continuations.
    """

    likelihood = Likelihood("none", reason="nobody knows the probability of what people write")

    def __init__(self) -> None:
        self._continuations: tuple[Score, ...] | None = None

    def fit(
        self, train: Sequence[Score], valid: Sequence[Score], budget: Budget, seed: int, log: Log
    ) -> None:
        """Learn nothing."""

    def reveal(self, continuations: Sequence[Score]) -> None:
        """Tell what truly follows each of the prompts that `sample` will get, in their order."""
        self._continuations = tuple(continuations)

    def sample(self, prompts: Sequence[Score], steps: int, seed: int) -> list[Score]:
        """The revealed continuations, cut to `steps` steps."""
        truth = self._continuations
        if truth is None or len(truth) != len(prompts):
            told = "none were" if truth is None else f"{len(truth)} were"
            raise BenchError(
                f"human: {told} revealed for {len(prompts)} prompts; call reveal() with the true"
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
        """Write that there is nothing to keep: what was revealed stays with who revealed it."""
        saved.save(folder, {})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The system as it was saved, to which nothing is revealed yet."""
        saved.load(folder)
        return cls()
