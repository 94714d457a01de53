"""Indirect sampling likelihood: how likely real music is under a density laid over samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from bench.contract import Direction, Floats, Measurement, Reference
from bench.music import KEYS, Score
from bench.statistics import RESAMPLES
from metrics.per_piece import NO_SAMPLES, around, halves
from metrics.shared import shared

Bits = NDArray[np.bool_]  # (vectors, bits)

MOST_CENTRES = 4000  # transitions of the samples
MOST_POINTS = 1200  # transitions of the test excerpts, and of the tuning excerpts
LEAST_POINTS = 10  # fewer say nothing
FLIPS = np.geomspace(1e-3, 0.3, 30)  # the probabilities that a key differs from the sample's


class Isl:
    """The mean log probability of real transitions under a kernel density over the samples'.

    A transition is what sounds before a step at which a note begins, and what sounds at it. Every
    system gives equally many, `centres`: half of what the tuning excerpts lead to expect of so
    many samples of that length, at most MOST_CENTRES. A system that has fewer transitions than
    that gives silence for the missing ones: so none is scored on fewer, nothing is dropped, and
    silence itself has a value. The kernel's one parameter is the likeliest of FLIPS for the tuning
    excerpts.
    """

    name: ClassVar[str] = "isl"
    version: ClassVar[int] = 1
    unit: ClassVar[str] = "nats per transition"
    direction: ClassVar[Direction] = "higher"
    headline: ClassVar[bool] = True
    required: ClassVar[tuple[str, ...]] = ("human >= markov > jitter > noise >= silence",)
    measures: ClassVar[str] = (
        "The mean log probability of the test excerpts' transitions (which keys sound before an"
        " attack, and at it) under a density over the samples' transitions: each, with every key"
        " flipped with one probability, chosen on the tuning excerpts. `skill` in the details is 0"
        " for independent keys as frequent as in training, 1 for the training pieces themselves."
    )
    blind_to: ClassVar[str] = (
        "Order beyond one attack, rhythm, copying; it knows keys, not intervals, so that the same"
        " music in another key scores less. It grows with the number of samples: compare rows of"
        " the same protocol only."
    )
    citation: ClassVar[str] = (
        "Sokolov et al. 2016, section 2.5, after Breuleux, Bengio and Vincent 2011; corrected:"
        " ours, for the reasons that Theis et al. 2016 give"
    )

    def prepare(self, reference: Reference) -> None:
        """Choose the test and tuning transitions, and how the anchors of the skill score."""
        self._reference = reference
        self._points = draw(reference.test, MOST_POINTS)
        self._tuning = draw(reference.tuning, MOST_POINTS)
        self._anchors: dict[int, tuple[float, float]] = {}

    def score(self, samples: Sequence[Score]) -> Measurement:
        """The mean log probability, the share of missing transitions beside it."""
        if not len(samples):
            return Measurement(None, NO_SAMPLES)
        for points, of in ((self._points, "test"), (self._tuning, "tuning")):
            if len(points) < LEAST_POINTS:
                return Measurement(
                    None, f"{len(points)} transitions in the {of} excerpts are too few to go by"
                )
        count = self._count(len(samples))
        chosen = choose(samples, count)
        centres = transitions(samples, chosen)
        missing = count - len(centres)
        centres = np.concatenate([centres, np.zeros((missing, 2 * KEYS), dtype=bool)])
        flip = self._flip(centres)
        logs = log_kernels(self._points, centres, flip)
        highest = logs.max(axis=1, keepdims=True)
        # Kernels are added up sample by sample, so that samples can be weighed; silence stands last.
        owner = np.append(chosen[:, 0], np.full(missing, len(samples)))
        starts = np.flatnonzero(np.diff(owner, prepend=-1))
        mass = np.add.reduceat(np.exp(logs - highest), starts, axis=1)
        sizes = np.diff(np.append(starts, count))

        def likelihood(weights: Floats) -> Floats:
            """(rows,) the mean log probability under weighted samples (rows, owners)."""
            under = np.log(np.maximum(mass @ weights.T, 1e-300))
            total = np.maximum(weights @ sizes, 1e-300)
            return np.asarray((under + highest).mean(axis=0) - np.log(total))

        value = float(likelihood(np.ones((1, len(starts))))[0])
        # Half of the samples stand for half of the silence.
        half = np.hstack([2.0 * halves(len(samples)), np.ones((RESAMPLES, 1))])
        drawn = likelihood(half[:, owner[starts]])
        low, high = self._anchor(count)
        return Measurement(
            value,
            draws=around(value, drawn, len(samples)),
            detail={
                "skill": (value - low) / (high - low) if high > low else 0.0,
                "noise": low,
                "train": high,
                "flip": flip,
                "centres": float(count),
                "missing": missing / count,
                "points": float(len(self._points)),
            },
        )

    def _count(self, samples: int) -> int:
        """The transitions of every system: none of its own doing, only of the protocol's."""
        tuning = self._reference.tuning
        rate = len(attacks(tuning)) / max(1, sum(max(0, s.length - 1) for s in tuning))
        expected = rate * samples * max(0, self._reference.steps - 1)
        return int(np.clip(expected / 2, 1, MOST_CENTRES))

    def _flip(self, centres: Bits) -> float:
        """The likeliest probability of a flip for the tuning transitions.

        Transitions at the same distance from a centre are equally likely under it, so that the
        counts of distances say all there is to know, for every probability at once.
        """
        apart = distances(self._tuning, centres)
        bits = centres.shape[1]
        rows = np.arange(len(apart))[:, None] * (bits + 1)
        counts = np.bincount((rows + apart).ravel(), minlength=len(apart) * (bits + 1))
        counts = counts.reshape(len(apart), bits + 1)
        some = counts.sum(axis=0) > 0
        at = np.flatnonzero(some)
        with np.errstate(divide="ignore"):
            logs = np.log(counts[:, some])  # (points, distances)
        kernel = at * np.log(FLIPS)[:, None] + (bits - at) * np.log1p(-FLIPS)[:, None]
        found = [_log_sum(logs + one).mean() for one in kernel]
        return float(FLIPS[int(np.argmax(found))])

    def _anchor(self, count: int) -> tuple[float, float]:
        """The value of independent keys, and of training pieces, with as many transitions."""
        if count not in self._anchors:
            train = transitions(self._reference.train, choose(self._reference.train, count))
            rng = np.random.default_rng(0)
            noise = rng.random((count, 2 * KEYS)) < train.mean(axis=0)
            low, high = (
                float(
                    _log_sum(log_kernels(self._points, centres, self._flip(centres))).mean()
                    - np.log(len(centres))
                )
                if len(centres)
                else 0.0
                for centres in (noise, train)
            )
            self._anchors[count] = (low, high)
        return self._anchors[count]


@shared
def attacks(pieces: Sequence[Score]) -> NDArray[np.int64]:
    """(transitions, 2) piece and step of every step, a piece's first left out, with an attack."""
    found = [np.zeros((0, 2), dtype=np.int64)]
    for number, piece in enumerate(pieces):
        steps = np.flatnonzero(np.bincount(piece.onset, minlength=1)[1:]) + 1
        found.append(np.stack([np.full(len(steps), number), steps], axis=1))
    return np.concatenate(found)


def choose(pieces: Sequence[Score], count: int) -> NDArray[np.int64]:
    """(at most count, 2) as many of the attacks, drawn without replacement."""
    found = attacks(pieces)
    order = np.random.default_rng(0).permutation(len(found))[:count]
    return found[np.sort(order)]


def draw(pieces: Sequence[Score], count: int) -> Bits:
    """(at most count, 176) so many of the pieces' transitions."""
    return transitions(pieces, choose(pieces, count))


def transitions(pieces: Sequence[Score], chosen: NDArray[np.int64]) -> Bits:
    """(chosen, 176) what sounds before each step (piece, step), and what sounds at it."""
    found = np.zeros((len(chosen), 2 * KEYS), dtype=bool)
    starts = np.searchsorted(chosen[:, 0], np.arange(len(pieces) + 1))
    for number, piece in enumerate(pieces):
        rows = slice(starts[number], starts[number + 1])
        steps = chosen[rows, 1]
        if len(steps):
            roll = piece.sounding()
            found[rows, :KEYS], found[rows, KEYS:] = roll[steps - 1], roll[steps]
    return found


def distances(points: Bits, centres: Bits) -> NDArray[np.int64]:
    """(points, centres) in how many bits they differ."""
    x, y = points.astype(np.float32), centres.astype(np.float32)  # whole numbers: exact
    both = x @ y.T
    return np.asarray(x.sum(axis=1)[:, None] + y.sum(axis=1) - 2 * both, dtype=np.int64)


def log_kernels(points: Bits, centres: Bits, flip: float) -> Floats:
    """(points, centres) log probability of each point if each bit of a centre is flipped so."""
    apart = distances(points, centres)
    slope = np.log(flip) - np.log1p(-flip)
    return np.asarray(apart * slope + points.shape[1] * np.log1p(-flip))


def _log_sum(logs: Floats) -> Floats:
    """(rows,) log of the sum of each row's exponentials."""
    highest = logs.max(axis=1)
    return np.asarray(highest + np.log(np.exp(logs - highest[:, None]).sum(axis=1)))
