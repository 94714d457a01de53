"""Frames: which keys sound at each step.

`Score.sounding` and `Score.from_rolls` lead there and back. Lost on the way: where a key is
struck again while it sounds (the notes become one long note), and velocities. A score without
such re-onsets, at the default velocity, comes back as it was; frames always do.
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
    """(...) each frame as one opaque word of bits: equal and sortable as the frame is."""
    bits = np.ascontiguousarray(np.packbits(frames, axis=-1))
    return bits.view(np.dtype((np.void, bits.shape[-1])))[..., 0]
