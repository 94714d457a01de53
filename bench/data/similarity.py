"""How much of one piece occurs in another, in any key.

A piece is cut into all its windows of eight quarters; two windows are equal when the same keys
sound at the same steps after transposition. Windows of silence do not count.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.music import KEYS, LOWEST, Score

QUARTERS = 8  # per window
BLOCK = 256  # pieces
Hashes = NDArray[np.uint64]
Floats = NDArray[np.float64]


def windows(score: Score, *, melody: bool = False) -> Hashes:
    """(windows,) a number per window: equal for windows that are equal in any key.

    With `melody` only the highest sounding key of each step counts. A piece shorter than a
    window is one window.
    """
    roll = score.sounding()
    sounds = roll.any(axis=1)
    if not sounds.any():
        return np.zeros(0, dtype=np.uint64)
    size = QUARTERS * score.grid
    powers, inverses, weights = _numbers(size)
    # A chord is a sum of powers of a base, one per key, so that transposing multiplies it: dividing
    # by the power of the window's lowest key makes it independent of the key. All modulo 2^64.
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
    sounding = low < KEYS
    hashes: Hashes = sums[sounding] * inverses[low[sounding]]
    return hashes


@cache
def _numbers(size: int) -> tuple[Hashes, Hashes, Hashes]:
    """The power of each key, its inverse, and the weight of each step of a window."""
    generator = np.random.default_rng(2012)
    base = int(generator.integers(2**62)) * 8 + 3  # odd, and of the largest order
    inverse = pow(base, -1, 2**64)
    powers = np.array([pow(base, k, 2**64) for k in range(KEYS)], dtype=np.uint64)
    inverses = np.array([pow(inverse, k, 2**64) for k in range(KEYS)], dtype=np.uint64)
    return powers, inverses, generator.integers(2**64, size=size, dtype=np.uint64)


def shares(of: Sequence[Hashes], within: Sequence[Hashes]) -> Floats:
    """(of, within) the share of each piece's windows that occur in each of the others."""
    rows = list(_shares(of, within))
    return np.concatenate(rows) if rows else np.zeros((0, len(within)))


def alike(hashes: Sequence[Hashes], bound: float) -> NDArray[np.int64]:
    """(pairs, 2) pairs of pieces; at least that share of the first one's windows is in the second."""
    blocks = [np.zeros((0, 2), dtype=np.int64)]
    for block, share in enumerate(_shares(hashes, hashes)):
        first, second = np.nonzero(share >= bound)
        pairs = np.stack([first + block * BLOCK, second], axis=1)
        blocks.append(pairs[pairs[:, 0] != pairs[:, 1]])
    return np.concatenate(blocks)


def _shares(of: Sequence[Hashes], within: Sequence[Hashes]) -> Iterator[Floats]:
    """Rows of `shares`, BLOCK pieces at a time: the whole table may not fit into memory."""
    from scipy.sparse import csr_matrix

    hashes = np.concatenate([np.zeros(0, dtype=np.uint64), *of, *within])
    known, column = np.unique(hashes, return_inverse=True)
    row = np.repeat(np.arange(len(of) + len(within)), [len(h) for h in (*of, *within)])
    shape = (len(of) + len(within), len(known))
    counts: Any = csr_matrix((np.ones(len(row)), (row, column)), shape=shape)
    present = counts[len(of) :].sign().T.tocsr()
    for start in range(0, len(of), BLOCK):
        stop = min(start + BLOCK, len(of))
        total = np.maximum([len(h) for h in of[start:stop]], 1)
        yield np.asarray((counts[start:stop] @ present).toarray() / total[:, None])


def groups(pieces: Mapping[str, Score], *, whole: float = 0.25, melody: float = 0.5) -> list[int]:
    """(pieces,) the group of each piece; pieces that share too much to be separated are in one.

    Two pieces belong together when the share `whole` of either one's windows, or the share `melody`
    of its melody's, occurs in the other; so do pieces that are linked through others.
    """
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import connected_components

    scores = list(pieces.values())
    near = np.concatenate(
        [
            alike([windows(score, melody=only_melody) for score in scores], bound)
            for only_melody, bound in ((False, whole), (True, melody))
        ]
    )
    shape = (len(scores), len(scores))
    graph = csr_matrix((np.ones(len(near)), (near[:, 0], near[:, 1])), shape=shape)
    _, labels = connected_components(graph, directed=False)
    return [int(label) for label in labels]
