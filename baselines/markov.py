"""A Markov chain over single keys (Svegliato & Witty 2017, section 8).

Each key has two states, interleaved: it sounds (play), it is struck (articulate). The chain's
matrix contains P(y | x) = N(x then y) / N(x): how often state y is active one step after state x.
Its entries are Bernoulli parameters. A row therefore does not sum to 1 but to the mean number of
active states that follow x.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, Self

import numpy as np

from bench.contract import Budget, Floats, Likelihood, Log
from bench.errors import BenchError
from bench.music import HIGHEST, KEYS, LOWEST, Score
from bench.music.score import Roll
from bench.seeds import generators
from bench.training import saved
from bench.training.settings import Configured

PIECES = 256  # drawn at once
SURE = 1 - 1e-9  # the highest probability: with 1, a state that does not follow would cost infinity


class MarkovChain(Configured):
    """Predicts each key independently, from the keys of the step before."""

    @dataclass(frozen=True)
    class Settings:
        """The corrected chain; the catalogue has the original's settings."""

        lowest: int = LOWEST  # MIDI number of the lowest key
        highest: int = HIGHEST  # and of the highest
        # How the P(y | x) of all active states x are combined: the mean keeps the expected number
        # of notes; noisy-or is 1 - prod(1 - P); the sum can exceed 1.
        combine: Literal["mean", "noisy-or", "sum"] = "mean"
        transposed: bool = False  # multiplies from the wrong side: P(x | y) in place of P(y | x)
        # An articulation requires that its key plays; or, as published, each state of the first
        # half of the interleaved ones requires the state half the keyboard above.
        mask: Literal["play", "halves"] = "play"
        smoothing: float = 1.0  # added to how often each state was active, with average followers

    settings: Settings
    matrix: Floats  # (states + 2, states); the last two rows: a piece begins, nothing sounds

    @property
    def keys(self) -> int:
        """How many keys it covers."""
        return self.settings.highest - self.settings.lowest + 1

    @property
    def likelihood(self) -> Likelihood:
        """Exact; none where the numbers are no probabilities or keys are left out."""
        s = self.settings
        if s.combine == "sum" or s.transposed or s.mask == "halves":
            return Likelihood("none", reason="its numbers are no probabilities")
        if self.keys < KEYS:
            return Likelihood("none", reason=f"it covers {self.keys} of {KEYS} keys")
        return Likelihood("exact", "score")

    # -- states -------------------------------------------------------------------------------

    def states(self, score: Score) -> Roll:
        """(steps, 2 * keys) which states are active: key by key, play then articulate."""
        keys = self._covered()
        states = np.stack([score.sounding()[:, keys], score.onsets()[:, keys]], axis=-1)
        return states.reshape(score.length, 2 * self.keys)

    def _covered(self) -> slice:
        return slice(self.settings.lowest - LOWEST, self.settings.highest - LOWEST + 1)

    def causes(self, states: Roll) -> Floats:
        """(steps, states + 2) the states as causes; the last one is active where nothing sounds."""
        beginning, silent = np.zeros((len(states), 1)), ~states.any(axis=1, keepdims=True)
        return np.hstack([states, beginning, silent])

    def past(self, states: Roll) -> Floats:
        """(steps, states + 2) the causes of each step of a piece."""
        past = np.zeros((len(states), 2 * self.keys + 2))
        past[:1, -2] = 1
        past[1:] = self.causes(states[:-1])
        return past

    # -- probabilities ------------------------------------------------------------------------

    def fit(
        self, train: Sequence[Score], valid: Sequence[Score], budget: Budget, seed: int, log: Log
    ) -> None:
        """Count what follows what in the training pieces."""
        width = 2 * self.keys
        together, alone = np.zeros((width + 2, width)), np.zeros((width + 2, 1))
        active, steps = np.zeros(width), 0
        for score in train:
            states = self.states(score)
            past = self.past(states)
            together += past.T @ states
            alone += past.sum(axis=0)[:, None]
            active += states.sum(axis=0)
            steps += len(states)
        # An attack counts half as much as a sound, so that a held key stays possible everywhere.
        usual = (active + np.tile([0.5, 0.25], self.keys)) / (steps + 1)
        smoothing = self.settings.smoothing
        total = alone + smoothing
        total[total == 0] = 1
        self.matrix = (together + smoothing * usual) / total

    def probabilities(self, causes: Floats) -> Floats:
        """(rows, states) the combined prediction of the causes (rows, states + 2)."""
        matrix = self.matrix
        if self.settings.transposed:
            # The original has no rows for silence and for the beginning: it starts inside a piece.
            states, beginning, silence = np.split(matrix, [-2, -1])
            matrix = np.vstack([states.T, beginning, np.zeros_like(silence)])
        if self.settings.combine == "noisy-or":
            return -np.expm1(causes @ np.log1p(-np.minimum(matrix, SURE)))
        total: Floats = causes @ matrix
        if self.settings.combine == "sum":
            return total
        return np.asarray(total / causes.sum(axis=1, keepdims=True))

    def play_and_articulate(self, causes: Floats) -> tuple[Floats, Floats]:
        """(rows, keys) P(play), (rows, keys) P(articulate | play) of a key that sounded before."""
        combined = np.clip(self.probabilities(causes), 1 - SURE, SURE)
        play, articulate = combined[:, ::2], combined[:, 1::2]
        return play, np.minimum(articulate / play, SURE)

    # -- the contract -------------------------------------------------------------------------

    def sample(self, prompts: Sequence[Score], steps: int, seed: int) -> list[Score]:
        """Continue the prompts step by step, many pieces at once."""
        streams, continuations = generators(prompts, seed), []
        for start in range(0, len(prompts), PIECES):
            group = prompts[start : start + PIECES]
            # (steps, pieces, states)
            draws = np.stack(
                [rng.random((steps, 2 * self.keys)) for rng in streams[start : start + PIECES]],
                axis=1,
            )
            drawn = self.walk([self.end(prompt) for prompt in group], draws)
            for piece, prompt in enumerate(group):
                continuations.append(self.score(drawn[:, piece], prompt.grid))
        return continuations

    def end(self, prompt: Score) -> Floats:
        """(1, states + 2) the causes of the step after the prompt."""
        states = self.states(prompt.pad(1))[-1:]
        return self.causes(states) if prompt.length else self.past(states)

    def walk(self, ends: Sequence[Floats], draws: Floats) -> Roll:
        """(steps, pieces, states) what follows the ends, by uniform draws of the same shape."""
        causes = np.vstack(ends)
        drawn = np.zeros(draws.shape, dtype=bool)
        for step, draw in enumerate(draws):
            if self.settings.mask == "play":
                play, articulate = self.play_and_articulate(causes)
                sounds, sounded = draw[:, ::2] < play, causes[:, : 2 * self.keys : 2] > 0
                drawn[step, :, ::2] = sounds
                # The first step of a sound is its attack.
                drawn[step, :, 1::2] = sounds & (~sounded | (draw[:, 1::2] < articulate))
            else:
                drawn[step] = draw < self.probabilities(causes)
                drawn[step, :, : self.keys] &= drawn[step, :, self.keys :]
            causes = self.causes(drawn[step])
        return drawn

    def score(self, states: Roll, grid: int) -> Score:
        """The piece of states (steps, 2 * keys)."""
        rolls = np.zeros((2, len(states), KEYS), dtype=bool)
        rolls[:, :, self._covered()] = states[:, ::2], states[:, 1::2]
        return Score.from_rolls(rolls[0], rolls[1], grid=grid)

    def log_likelihood(self, scores: Sequence[Score]) -> Floats:
        """(pieces,) log p of the pieces in nats: which keys sound, and which of them are struck."""
        if self.likelihood.kind == "none":
            raise BenchError(f"This Markov chain has no likelihood: {self.likelihood.reason}.")
        return np.array([self._log_likelihood(self.states(score)) for score in scores])

    def _log_likelihood(self, states: Roll) -> float:
        past = self.past(states)
        play, articulate = self.play_and_articulate(past)
        sounds, struck = states[:, ::2], states[:, 1::2]
        free = sounds & (past[:, : 2 * self.keys : 2] > 0)  # a new sound is certainly struck
        attacks = np.where(free, np.where(struck, np.log(articulate), np.log1p(-articulate)), 0)
        return float((np.where(sounds, np.log(play), np.log1p(-play)) + attacks).sum())

    def save(self, folder: Path) -> None:
        """Write settings and matrix."""
        saved.save(folder, asdict(self.settings), {"matrix": self.matrix})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The system as it was saved."""
        settings, arrays = saved.load(folder)
        system = cls(**settings)
        system.matrix = arrays["matrix"]
        return system
