"""Key normalisation (Sokolov et al. 2016, section 2.2): all music in C major or A minor."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench.contract import Budget, Floats, Likelihood, Log
from bench.music import KEYS, LOWEST, Score
from bench.music.key import key
from bench.treatments.prompts import continue_treated
from bench.treatments.treatment import Treatment

SHIFTS = 12  # -6..5 semitones


class KeyNormalisation(Treatment):
    """Shifts every piece to C major or A minor before the wrapped system sees it.

    Its probability of a piece: one of twelve shifts, each as likely, times that of the shifted
    piece. The other shifts by which the piece could have come about are left out, so the sum over
    all pieces falls short of 1: a bound, at most log 12 = 2.5 nats per piece from the truth.
    """

    @property
    def likelihood(self) -> Likelihood:
        """A bound, where the wrapped system has any."""
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
        self.inner.fit(shifted, held_out, budget, seed, log)

    def sample(self, prompts: Sequence[Score], steps: int, seed: int) -> list[Score]:
        """Continue the shifted prompts and shift back."""
        shifts = [to_c(prompt) for prompt in prompts]
        treated = [turn(prompt, by) for prompt, by in zip(prompts, shifts, strict=True)]
        found = continue_treated(self.inner, prompts, treated, steps, seed)
        return [turn(score, -by) for score, by in zip(found, shifts, strict=True)]

    def log_likelihood(self, scores: Sequence[Score]) -> Floats:
        """(pieces,) that of the shifted pieces, and the shift."""
        nats = self.inner.log_likelihood([turn(score, to_c(score)) for score in scores])
        # A piece of no steps is certain: whatever its shift, it is the same piece.
        some = np.array([float(score.length > 0) for score in scores])
        return np.asarray(nats - np.log(SHIFTS) * some, dtype=np.float64)


def to_c(score: Score) -> int:
    """The shift, -6..5 semitones, that brings the piece to C major or A minor; 0 without a key."""
    found = key(score)
    if found is None:
        return 0
    return (-found.tonic + (9 if found.mode == "minor" else 0) + 6) % SHIFTS - 6


def turn(score: Score, semitones: int) -> Score:
    """The piece shifted; what leaves the keyboard at one end comes back at the other.

    So every shift can be undone, and no two pieces become one.
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
