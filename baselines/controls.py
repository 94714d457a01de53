"""Controls: contestants that cheat, and one that plays random notes of the scale.

A run takes them along with `--controls`, to show where they end. They hold no rank.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from bench.contract import Budget, Floats, Likelihood, Log
from bench.errors import BenchError
from bench.music import HIGHEST, LOWEST, Score, concatenate
from bench.music.key import key
from bench.seeds import generators
from bench.training import saved
from bench.training.settings import Configured

NOTE = ("onset", "duration", "pitch", "velocity")
SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)}


def bar_of(prompt: Score) -> int:
    """The steps of a bar: those of the prompt; of four quarters where there is none."""
    return prompt.length or 4 * prompt.grid


class TrainingExcerpt(Configured):
    """Excerpts of training pieces as continuations.

    `begin`: where an excerpt begins: at a `random` place, after the bar that is `nearest` to the
    prompt, or at `one` place for all prompts. `key` transposes each excerpt by up to six semitones,
    `changed` is the share of notes that get another pitch, and with `spliced` each bar is from
    another place.
    """

    @dataclass(frozen=True)
    class Settings:
        """Where excerpts are from, and how they are changed."""

        begin: Literal["random", "nearest", "one"] = "random"
        key: bool = False
        changed: float = 0.0
        spliced: bool = False

    settings: Settings
    likelihood = Likelihood("none", reason="it plays training pieces: nothing is estimated")
    pieces: list[Score]

    def fit(
        self, train: Sequence[Score], valid: Sequence[Score], budget: Budget, seed: int, log: Log
    ) -> None:
        """Keep the training pieces."""
        self.pieces = [piece for piece in train if len(piece)]
        if not self.pieces:
            raise BenchError("There is no note in the training pieces: nothing can be copied.")

    def sample(self, prompts: Sequence[Score], steps: int, seed: int) -> list[Score]:
        """Excerpts of `steps` steps."""
        shared = self.excerpt(steps, np.random.default_rng(seed))
        samples = []
        for prompt, rng in zip(prompts, generators(prompts, seed), strict=True):
            if self.settings.begin == "one":
                music = shared
            elif self.settings.begin == "nearest" and prompt.length:
                music = self.after_nearest(prompt, steps)
            elif self.settings.spliced:
                bar = bar_of(prompt)
                bars = [self.excerpt(bar, rng, bar) for _ in range(-(-steps // bar))]
                music = concatenate(bars).slice(0, steps)
            else:
                music = self.excerpt(steps, rng)
            if self.settings.key:
                music = shifted(music, int(rng.integers(-6, 7)))
            samples.append(changed(music, self.settings.changed, rng))
        return samples

    def excerpt(self, steps: int, rng: np.random.Generator, every: int = 1) -> Score:
        """`steps` steps of a training piece that begin at some multiple of `every`."""
        long = [piece for piece in self.pieces if piece.length >= steps] or self.pieces
        piece = long[int(rng.integers(len(long)))]
        start = every * int(rng.integers(max(0, piece.length - steps) // every + 1))
        return piece.slice(start, start + steps).pad(steps)

    def after_nearest(self, prompt: Score, steps: int) -> Score:
        """What follows the bar of the training pieces whose sounding notes differ least from the prompt."""
        bar, wanted = prompt.length, prompt.sounding().ravel().astype(np.float32)
        best, nearest = -np.inf, (self.pieces[0], 0)
        for piece in self.pieces:
            bars = max(0, piece.length - steps) // bar
            if not bars:
                continue
            rolls = piece.sounding()[: bars * bar].reshape(bars, -1).astype(np.float32)
            alike = 2 * rolls @ wanted - rolls.sum(axis=1)  # highest where the fewest cells differ
            if alike.max() > best:
                best, nearest = float(alike.max()), (piece, bar * (1 + int(alike.argmax())))
        piece, start = nearest
        return piece.slice(start, start + steps).pad(steps)

    def log_likelihood(self, scores: Sequence[Score]) -> Floats:
        """Refused: see `likelihood`."""
        raise BenchError(f"A training excerpt has no likelihood: {self.likelihood.reason}.")

    def save(self, folder: Path) -> None:
        """Write settings and pieces."""
        save_pieces(folder, asdict(self.settings), self.pieces)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The system as it was saved."""
        settings, pieces = load_pieces(folder)
        system = cls(**settings)
        system.pieces = pieces
        return system


class PromptLoop(Configured):
    """The prompt over and over."""

    likelihood = Likelihood("none", reason="it repeats the prompt: nothing is estimated")

    def fit(
        self, train: Sequence[Score], valid: Sequence[Score], budget: Budget, seed: int, log: Log
    ) -> None:
        """Learn nothing."""

    def sample(self, prompts: Sequence[Score], steps: int, seed: int) -> list[Score]:
        """Every prompt until `steps` steps are full; silence after no prompt."""
        return [
            concatenate([prompt] * -(-steps // prompt.length)).slice(0, steps)
            if prompt.length and steps
            else Score.silence(steps, prompt.grid)
            for prompt in prompts
        ]

    def log_likelihood(self, scores: Sequence[Score]) -> Floats:
        """Refused: see `likelihood`."""
        raise BenchError(f"A loop has no likelihood: {self.likelihood.reason}.")

    def save(self, folder: Path) -> None:
        """Write that there is nothing to keep."""
        saved.save(folder, {})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The system as it was saved."""
        saved.load(folder)
        return cls()


class ScaleNotes(Configured):
    """Random notes of the prompt's scale, as dense and as long as training notes; not a copy."""

    likelihood = Likelihood(
        "none", reason="overlapping notes are merged: no piece's probability is known"
    )
    density: NDArray[np.int64]  # notes that begin at a step: one figure per training step
    lengths: NDArray[np.int64]  # of training notes
    low: int
    high: int

    def fit(
        self, train: Sequence[Score], valid: Sequence[Score], budget: Budget, seed: int, log: Log
    ) -> None:
        """Count how many notes begin together and how long they are; take the usual range."""
        none = np.zeros(0, dtype=np.int64)
        counts = [np.bincount(piece.onset, minlength=piece.length) for piece in train]
        pitch = np.concatenate([none, *(piece.pitch for piece in train)])
        self.density = np.bincount(np.concatenate([none, *counts]), minlength=1)
        self.lengths = np.bincount(
            np.concatenate([none, *(piece.duration for piece in train)]), minlength=2
        )
        self.low, self.high = (
            (int(end) for end in np.percentile(pitch, (5, 95))) if len(pitch) else (LOWEST, HIGHEST)
        )

    def sample(self, prompts: Sequence[Score], steps: int, seed: int) -> list[Score]:
        """At each step as many notes as some training step has, of the prompt's scale."""
        streams = generators(prompts, seed)
        return [self.play(p, steps, rng) for p, rng in zip(prompts, streams, strict=True)]

    def play(self, prompt: Score, steps: int, rng: np.random.Generator) -> Score:
        """One sample; in a random major key where the prompt is in none."""
        prompt_key = key(prompt)
        tonic = prompt_key.tonic if prompt_key else int(rng.integers(12))
        degrees = SCALES[prompt_key.mode if prompt_key else "major"]
        keys = [k for k in range(LOWEST, HIGHEST + 1) if (k - tonic) % 12 in degrees]
        usual = [k for k in keys if self.low <= k <= self.high] or keys
        counts = drawn(self.density, steps, rng)
        onset = np.repeat(np.arange(steps), counts)
        lengths = 1 + drawn(self.lengths[1:], len(onset), rng)
        pitch = rng.choice(usual, len(onset))
        return Score.from_notes(onset, lengths, pitch, length=steps, grid=prompt.grid)

    def log_likelihood(self, scores: Sequence[Score]) -> Floats:
        """Refused: see `likelihood`."""
        raise BenchError(f"Notes of the scale have no likelihood: {self.likelihood.reason}.")

    def save(self, folder: Path) -> None:
        """Write what was counted."""
        arrays = {"density": self.density, "lengths": self.lengths}
        saved.save(folder, {"low": self.low, "high": self.high}, arrays)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The system as it was saved."""
        values, arrays = saved.load(folder)
        system = cls()
        system.low, system.high = values["low"], values["high"]
        system.density, system.lengths = arrays["density"], arrays["lengths"]
        return system


def drawn(counts: NDArray[np.int64], size: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """(size,) indices, as often as they were counted; 0 where nothing was."""
    if not counts.sum():
        return np.zeros(size, dtype=np.int64)
    return np.asarray(rng.choice(len(counts), size, p=counts / counts.sum()), dtype=np.int64)


def shifted(score: Score, semitones: int) -> Score:
    """The piece in another key, without notes that would leave the keyboard."""
    return Score.from_notes(
        score.onset, score.duration, score.pitch + semitones, score.velocity,
        length=score.length, grid=score.grid,
    )  # fmt: skip


def changed(score: Score, share: float, rng: np.random.Generator) -> Score:
    """The piece with a share of its notes moved by one to six semitones, up or down."""
    hit = rng.random(len(score)) < share
    moved = score.pitch + rng.integers(1, 7, len(score)) * rng.choice([-1, 1], len(score))
    return Score.from_notes(
        score.onset, score.duration, np.where(hit, moved, score.pitch), score.velocity,
        length=score.length, grid=score.grid,
    )  # fmt: skip


def save_pieces(folder: Path, settings: dict[str, Any], pieces: Sequence[Score]) -> None:
    """Write settings and pieces, their notes one after the other."""
    arrays = {name: np.concatenate([getattr(p, name) for p in pieces]) for name in NOTE}
    arrays["notes"] = np.array([len(piece) for piece in pieces], dtype=np.int64)
    arrays["length"] = np.array([piece.length for piece in pieces], dtype=np.int64)
    saved.save(folder, {"settings": settings, "grid": pieces[0].grid}, arrays)


def load_pieces(folder: Path) -> tuple[dict[str, Any], list[Score]]:
    """What `save_pieces` wrote."""
    values, arrays = saved.load(folder)
    ends = np.cumsum(arrays["notes"])
    pieces = []
    for end, notes, length in zip(ends, arrays["notes"], arrays["length"], strict=True):
        onset, duration, pitch, velocity = (arrays[name][end - notes : end] for name in NOTE)
        pieces.append(Score(onset, duration, pitch, velocity, int(length), values["grid"]))
    return values["settings"], pieces
