"""A Markov chain over single keys (Svegliato & Witty 2017, section 8).

Each key has two states, interleaved: it sounds (play), it is struck (articulate). The chain's
matrix holds P(y | x) = N(x then y) / N(x): how often state y is active one step after state x.
Its entries are Bernoulli parameters, so a row does not sum to 1 but to the mean number of active
states that follow x.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np

from bench.contract import Budget, Floats, Likelihood, Log
from bench.errors import BenchError
from bench.music import HIGHEST, KEYS, LOWEST, Score
from bench.music.score import Roll
from bench.seeds import generators
from bench.training import saved

PIECES = 256  # drawn at once
SURE = 1 - 1e-9  # nothing is certain: a probability of 1 would make the contrary infinitely dear


class MarkovChain:
    """Keys that follow from the keys before them, each drawn on its own.

    `combine`: what the active states together make of P(y | x): their `mean`, which keeps the
    expected number of notes; `noisy-or`, 1 - prod(1 - P); or their `sum`, which exceeds 1.
    `transposed` multiplies from the wrong side, P(x | y) for P(y | x). `mask`: an articulation
    needs its `play`; `halves` makes the first half of the interleaved states need the second.
    `smoothing`: as if every state had been active that often more, and followed as usual.
    """

    matrix: Floats  # (states + 2, states); the last two rows: a piece begins, nothing sounds

    def __init__(
        self,
        *,
        lowest: int = LOWEST,
        highest: int = HIGHEST,
        combine: Literal["mean", "noisy-or", "sum"] = "mean",
        transposed: bool = False,
        mask: Literal["play", "halves"] = "play",
        smoothing: float = 1.0,
    ) -> None:
        for name, value, known in (
            ("combine", combine, ("mean", "noisy-or", "sum")),
            ("mask", mask, ("play", "halves")),
        ):
            if value not in known:
                raise BenchError(f"{name} = '{value}': choose {' or '.join(known)}.")
        self.settings: dict[str, Any] = {
            "lowest": lowest,
            "highest": highest,
            "combine": combine,
            "transposed": transposed,
            "mask": mask,
            "smoothing": smoothing,
        }
        self.first, self.keys = lowest - LOWEST, highest - lowest + 1
        self.combine, self.transposed, self.mask = combine, transposed, mask
        self.smoothing = smoothing
        self.likelihood = Likelihood("exact", "score")
        if self.keys < KEYS:
            self.likelihood = Likelihood("none", reason=f"it covers {self.keys} of {KEYS} keys")
        if combine == "sum" or transposed or mask == "halves":
            self.likelihood = Likelihood("none", reason="its numbers are no probabilities")

    # -- states -------------------------------------------------------------------------------

    def states(self, score: Score) -> Roll:
        """(steps, 2 * keys) which states are active: key by key, play then articulate."""
        keys = slice(self.first, self.first + self.keys)
        both = np.stack([score.sounding()[:, keys], score.onsets()[:, keys]], axis=-1)
        return both.reshape(score.length, 2 * self.keys)

    def causes(self, states: Roll) -> Floats:
        """(steps, states + 2) the same, with a last one that is active where nothing sounds."""
        beginning, silent = np.zeros((len(states), 1)), ~states.any(axis=1, keepdims=True)
        return np.hstack([states, beginning, silent])

    def past(self, states: Roll) -> Floats:
        """(steps, states + 2) what each step of a piece follows from."""
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
        # Half as much belief in an attack as in a sound: a held key stays possible everywhere.
        usual = (active + np.tile([0.5, 0.25], self.keys)) / (steps + 1)
        total = alone + self.smoothing
        total[total == 0] = 1
        self.matrix = (together + self.smoothing * usual) / total

    def probabilities(self, causes: Floats) -> Floats:
        """(rows, states) what the combined causes (rows, states + 2) say of every state."""
        matrix = self.matrix
        if self.transposed:
            # The original has no rows for silence and for the beginning: it starts inside a piece.
            states, beginning, silence = np.split(matrix, [-2, -1])
            matrix = np.vstack([states.T, beginning, np.zeros_like(silence)])
        if self.combine == "noisy-or":
            return -np.expm1(causes @ np.log1p(-np.minimum(matrix, SURE)))
        total: Floats = causes @ matrix
        return total / causes.sum(axis=1, keepdims=True) if self.combine == "mean" else total

    def play_and_articulate(self, causes: Floats) -> tuple[Floats, Floats]:
        """(rows, keys) twice: P(play), and P(articulate | play) of a key that sounded before."""
        combined = np.clip(self.probabilities(causes), 1 - SURE, SURE)
        play, articulate = combined[:, ::2], combined[:, 1::2]
        return play, np.minimum(articulate / play, SURE)

    # -- the contract -------------------------------------------------------------------------

    def sample(self, prompts: Sequence[Score], steps: int, seed: int) -> list[Score]:
        """Step by step from the prompt's last step, many pieces at once."""
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
        """(1, states + 2) what the step after the prompt follows from."""
        states = self.states(prompt.pad(1))[-1:]
        return self.causes(states) if prompt.length else self.past(states)

    def walk(self, ends: Sequence[Floats], draws: Floats) -> Roll:
        """(steps, pieces, states) what follows the ends, decided by draws of the same shape."""
        causes = np.vstack(ends)
        drawn = np.zeros(draws.shape, dtype=bool)
        for step, draw in enumerate(draws):
            if self.mask == "play":
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
        rolls[:, :, self.first : self.first + self.keys] = states[:, ::2], states[:, 1::2]
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
        free = sounds & (past[:, : 2 * self.keys : 2] > 0)  # elsewhere an attack is certain
        attacks = np.where(free, np.where(struck, np.log(articulate), np.log1p(-articulate)), 0)
        return float((np.where(sounds, np.log(play), np.log1p(-play)) + attacks).sum())

    def save(self, folder: Path) -> None:
        """Write settings and matrix."""
        saved.save(folder, self.settings, {"matrix": self.matrix})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The system as it was saved."""
        settings, arrays = saved.load(folder)
        system = cls(**settings)
        system.matrix = arrays["matrix"]
        return system
