"""The probability of a frame for a system whose vocabulary is the chords of its training pieces.

By itself such a system gives an unseen frame probability 0. With an escape, the frame is spelled
out key by key, with some probability, instead of named. The mixture

    p(frame) = (1 - escape) p(frame is that chord) + escape p(frame is spelled out)

sums to 1 over all 2^88 frames, and no frame has an infinite cost.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.music.score import Roll

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Spelling:
    """Independent keys, each sounding with a probability of its own."""

    rates: Floats  # (keys,) strictly between 0 and 1

    @classmethod
    def of(cls, frames: Roll, smoothing: float = 0.5) -> Spelling:
        """The keys' rates in the frames; `smoothing` is added to the counts of sounds and rests."""
        return cls((frames.sum(axis=0) + smoothing) / (len(frames) + 2 * smoothing))

    def log_probability(self, frames: Roll) -> Floats:
        """(...) log p of frames (..., keys)."""
        silence = np.log1p(-self.rates).sum()
        odds = np.log(self.rates) - np.log1p(-self.rates)
        return np.asarray(silence + frames @ odds, dtype=np.float64)

    def draw(self, rng: np.random.Generator, steps: int) -> Roll:
        """(steps, keys) independent frames."""
        drawn: Roll = rng.random((steps, len(self.rates))) < self.rates
        return drawn


def log_sigmoid(x: Floats | float) -> Floats:
    """log(1 / (1 + exp(-x))), exact for large x."""
    return np.negative(np.logaddexp(0.0, np.negative(x)), dtype=np.float64)


def mixture(escape: Floats | float, named: Floats, spelled: Floats) -> Floats:
    """log p of frames, from the logit of the escape and the log p of either way to encode them.

    `named` is log p given no escape: -inf for a frame outside the vocabulary.
    """
    return np.logaddexp(log_sigmoid(-escape) + named, log_sigmoid(escape) + spelled)


def likeliest_bias(escape: Floats, named: Floats, spelled: Floats) -> float:
    """The number to add to the escape's logits to maximise the likelihood of the frames.

    It is 0 without frames. The frames must be held out, since all training chords are known. Half a
    frame that escapes and half a frame that does not are added, so that the escape stays possible
    where no frame needed it.
    """
    from scipy.optimize import minimize_scalar

    if not len(escape):
        return 0.0

    def cost(bias: float) -> float:
        typical = escape.mean() + bias
        halves = log_sigmoid(typical) + log_sigmoid(-typical)
        return -float(mixture(escape + bias, named, spelled).sum() + 0.5 * halves)

    return float(minimize_scalar(cost, bounds=(-30, 30), method="bounded").x)
