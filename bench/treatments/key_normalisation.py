"""Key normalisation (Sokolov et al. 2016, section 2.2): all music in C major or A minor."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.contract import Budget, Floats, Likelihood, Log
from bench.music import KEYS, LOWEST, Score
from bench.music.key import key
from bench.treatments.prompts import continue_treated
from bench.treatments.treatment import Treatment

SHIFTS = 12  # -6..5 semitones


class KeyNormalisation(Treatment):
    """Shifts every piece to C major or A minor before the wrapped system sees it.

    The probability of a piece is that of the shifted piece times 1/12, as all twelve shifts are
    equally likely. Other shifts could also have led to the piece but are not counted, so that the
    sum over all pieces is below 1: a bound, at most log 12 = 2.5 nats per piece from the truth.
    """

    @property
    def likelihood(self) -> Likelihood:
        """A bound, if the wrapped system has a likelihood."""
        inner = self.inner.likelihood
        if inner.kind == "exact":
            return Likelihood("upper", inner.object, "one of twelve shifts is counted")
        return inner

    def fit(
        self, train: Sequence[Score], valid: Sequence[Score], budget: Budget, seed: int, log: Log
    ) -> None:
        """Train the wrapped system on shifted pieces."""
        shifted, held_out = (
            [turn(piece, to_c(piece)) for piece in pieces] for pieces in (train, valid)
        )
        filled, steps = (score.length > 0 for score in valid), sum(s.length for s in valid)
        shift = np.log(SHIFTS) * sum(filled) / max(1, steps)
        self.inner.fit(shifted, held_out, budget, seed, WithShift(log, float(shift)))

    def sample(self, prompts: Sequence[Score], steps: int, seed: int) -> list[Score]:
        """Continue the shifted prompts and shift back."""
        shifts = [to_c(prompt) for prompt in prompts]
        treated = [turn(prompt, by) for prompt, by in zip(prompts, shifts, strict=True)]
        samples = continue_treated(self.inner, prompts, treated, steps, seed)
        return [turn(score, -by) for score, by in zip(samples, shifts, strict=True)]

    def log_likelihood(self, scores: Sequence[Score]) -> Floats:
        """(pieces,) log p of the shifted pieces, and of the shift."""
        nats = self.inner.log_likelihood([turn(score, to_c(score)) for score in scores])
        # A piece of no steps is certain: all shifts of it are the same piece.
        filled = np.array([float(score.length > 0) for score in scores])
        return np.asarray(nats - np.log(SHIFTS) * filled, dtype=np.float64)


@dataclass(frozen=True)
class WithShift:
    """A log whose validation losses count the shifts, too."""

    log: Log
    shift: float  # nats per step

    def record(self, step: int, **values: float) -> None:
        """Add a point to the curves."""
        if "valid_loss" in values:
            values["valid_loss"] += self.shift
        self.log.record(step, **values)

    def progress(self, done: int, total: int, music_steps: int = 0) -> None:
        """Report how far training is."""
        self.log.progress(done, total, music_steps)

    def checkpoint(self, state: Callable[[], Mapping[str, Any]]) -> None:
        """Offer the state to resume from."""
        self.log.checkpoint(state)

    def resume(self) -> Mapping[str, Any] | None:
        """The state of the last checkpoint."""
        return self.log.resume()


def to_c(score: Score) -> int:
    """The shift, -6..5 semitones, that brings the piece to C major or A minor; 0 without a key."""
    own = key(score)
    if own is None:
        return 0
    return (-own.tonic + (9 if own.mode == "minor" else 0) + 6) % SHIFTS - 6


def turn(score: Score, semitones: int) -> Score:
    """The piece shifted; notes that leave the keyboard at one end come back at the other.

    Every shift can therefore be undone, and no two pieces become the same.
    """
    pitch = (score.pitch - LOWEST + semitones) % KEYS + LOWEST
    order = np.lexsort((pitch, score.onset))
    return Score(
        score.onset[order],
        score.duration[order],
        pitch[order],
        score.velocity[order],
        score.length,
        score.grid,
    )
