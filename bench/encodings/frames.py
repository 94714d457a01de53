"""Frames: which keys sound at each step.

`Score.sounding` encodes and `Score.from_rolls` decodes. Two things are lost: a key struck again
while it sounds (the notes become one long note), and velocities. A score without such re-onsets, at
the default velocity, is restored exactly; frames always are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bench.music.score import KEYS, Roll, Score


def stack(scores: Sequence[Score]) -> Roll:
    """(steps, 88) the frames of all pieces, one piece after the other."""
    return np.concatenate([np.zeros((0, KEYS), dtype=bool)] + [s.sounding() for s in scores])


def pack(frames: Roll) -> NDArray[np.void]:
    """(...) each frame as one opaque value that can be compared and sorted."""
    bits = np.ascontiguousarray(np.packbits(frames, axis=-1))
    return bits.view(np.dtype((np.void, bits.shape[-1])))[..., 0]
