"""The key of a piece, by the profiles of Krumhansl and Kessler (1982)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from bench.music.score import LOWEST, Score

CLASSES = ("C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B")
Mode = Literal["major", "minor"]

# How well each degree fits a key, as rated by listeners: Krumhansl (1990), Cognitive Foundations of
# Musical Pitch, p. 30.
_MAJOR = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
_MINOR = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)
PROFILES = np.array([np.roll(p, tonic) for p in (_MAJOR, _MINOR) for tonic in range(12)])


def note_name(key: int) -> str:
    """The name of a key of the keyboard, counted from 0: 39 is C4, middle C."""
    octave, pitch_class = divmod(key + LOWEST, 12)
    return f"{CLASSES[pitch_class]}{octave - 1}"


@dataclass(frozen=True)
class Key:
    """A tonic (pitch class, C is 0), a mode, and how clear they are: a correlation, at most 1."""

    tonic: int
    mode: Mode
    clarity: float


def key(score: Score) -> Key | None:
    """The key whose profile correlates best with how long each pitch class sounds.

    None where no key fits best: without notes, or where all twelve pitch classes are equal. Of
    equally good keys the first from C upwards, major before minor.
    """
    weights = np.bincount(score.pitch % 12, score.duration, minlength=12)
    if np.ptp(weights) == 0:
        return None
    clarity = np.corrcoef(weights, PROFILES)[0, 1:]
    best = int(np.argmax(np.round(clarity, 12)))  # rounding noise must not decide a tie
    return Key(best % 12, "major" if best < 12 else "minor", float(clarity[best]))
