"""How much of one piece occurs in another, in whatever key.

A piece is cut into all its windows of eight quarters; two windows are equal when the same keys
sound at the same steps after transposition. Windows of silence do not count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.music import KEYS, LOWEST, Score

QUARTERS = 8  # per window
Hashes = NDArray[np.uint64]
Floats = NDArray[np.float64]


def windows(score: Score, *, melody: bool = False) -> Hashes:
    """(windows,) one number per window, equal for equal windows in any key.

    With `melody` only the highest sounding key of each step counts. A piece shorter than a
    window is one window.
    """
    roll = score.sounding()
    sounds = roll.any(axis=1)
    if not sounds.any():
        return np.zeros(0, dtype=np.uint64)
    size = QUARTERS * score.grid
    powers, inverses, weights = _numbers(size)
    # A chord is a sum of powers, so that transposing multiplies it: dividing by the power of
    # the window's lowest key takes the key away. All modulo 2^64.
    if melody:
        lowest = np.where(sounds, KEYS - 1 - roll[:, ::-1].argmax(axis=1), KEYS)
        chords = np.append(powers, np.uint64(0))[lowest]
    else:
        lowest = np.where(sounds, roll.argmax(axis=1), KEYS)
        changes = np.zeros(score.length + 1, dtype=np.uint64)
        np.add.at(changes, score.onset, powers[score.pitch - LOWEST])
        np.subtract.at(changes, score.end, powers[score.pitch - LOWEST])
        chords = np.cumsum(changes[:-1], dtype=np.uint64)
    missing = max(0, size - score.length)
    chords = np.pad(chords, (0, missing))
    lowest = np.pad(lowest, (0, missing), constant_values=KEYS)
    count = len(chords) - size + 1
    sums, low = np.zeros(count, dtype=np.uint64), np.full(count, KEYS)
    for i in range(size):
        sums += chords[i : i + count] * weights[i]
        low = np.minimum(low, lowest[i : i + count])
    some = low < KEYS
    hashes: Hashes = sums[some] * inverses[low[some]]
    return hashes


@cache
def _numbers(size: int) -> tuple[Hashes, Hashes, Hashes]:
    generator = np.random.default_rng(2012)
    base = int(generator.integers(2**62)) * 8 + 3  # odd, and of the largest order
    inverse = pow(base, -1, 2**64)
    powers = np.array([pow(base, k, 2**64) for k in range(KEYS)], dtype=np.uint64)
    inverses = np.array([pow(inverse, k, 2**64) for k in range(KEYS)], dtype=np.uint64)
    return powers, inverses, generator.integers(2**64, size=size, dtype=np.uint64)


def shares(of: Sequence[Hashes], within: Sequence[Hashes]) -> Floats:
    """(of, within) the share of each piece's windows that occur in each other piece."""
    from scipy.sparse import csr_matrix

    known, column = np.unique(np.concatenate([*of, *within]), return_inverse=True)
    row = np.repeat(np.arange(len(of) + len(within)), [len(h) for h in (*of, *within)])
    shape = (len(of) + len(within), len(known))
    counts: Any = csr_matrix((np.ones(len(row)), (row, column)), shape=shape)
    there = counts[len(of) :].sign()
    total = np.maximum([len(h) for h in of], 1)
    return np.asarray((counts[: len(of)] @ there.T).toarray() / total[:, None])


def groups(pieces: Mapping[str, Score], *, whole: float = 0.25, melody: float = 0.5) -> list[int]:
    """(pieces,) a number per piece, equal for pieces that share too much to part them.

    Two pieces belong together when that share of either one's windows, or of its melody's,
    occurs in the other; and so on from piece to piece.
    """
    from scipy.sparse.csgraph import connected_components

    near = np.zeros((len(pieces), len(pieces)), dtype=bool)
    for only_melody, bound in ((False, whole), (True, melody)):
        hashes = [windows(score, melody=only_melody) for score in pieces.values()]
        near |= shares(hashes, hashes) >= bound
    _, labels = connected_components(near, directed=False)
    return [int(label) for label in labels]
