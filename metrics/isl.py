"""Indirect sampling likelihood: how likely real music is under a density laid over samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from bench.contract import Direction, Floats, Measurement, Reference
from bench.music import KEYS, Score
from metrics.per_piece import NO_SAMPLES, jackknife_2
from metrics.shared import shared

Bits = NDArray[np.bool_]  # (vectors, bits)

MOST_CENTRES = 4000  # transitions of the samples
MOST_POINTS = 1200  # transitions of the test excerpts
MOST_TUNING = 400  # of the tuning excerpts
LEAST_POINTS = 10  # fewer say nothing
REDRAWN = np.geomspace(0.01, 1, 30)  # the probabilities that a key is drawn anew


class Isl:
    """The mean log probability of real transitions under a kernel density over the samples'.

    A transition is what sounds before a step at which a note begins, and what sounds at it. Every
    system gives equally many, `centres`: half of what the tuning excerpts lead to expect of so
    many samples of that length, at most MOST_CENTRES. A system that has fewer transitions than
    that gives silence for the missing ones: so none is scored on fewer, nothing is dropped, and
    silence itself has a value.

    The kernel around a transition: every key on its own is as in it, or, with one probability for
    all, drawn anew by how often the training pieces play that key. The probability is the
    likeliest of REDRAWN for the tuning excerpts. Where all keys are drawn anew nothing of the
    samples is left, so that what teaches nothing about music (noise, silence, one chord) scores as
    independent keys do, and no worse: there is no way to gain by leaving notes out. A kernel that
    flips keys on and off alike, whichever they are, has no such floor: on sparse piano music
    silence then beats noise, and equals real music.
    """

    name: ClassVar[str] = "isl"
    version: ClassVar[int] = 3
    unit: ClassVar[str] = "nats per transition"
    direction: ClassVar[Direction] = "higher"
    headline: ClassVar[bool] = True
    required: ClassVar[tuple[str, ...]] = ("human > jitter >= noise >= silence",)
    measures: ClassVar[str] = (
        "The mean log probability of the test excerpts' transitions (which keys sound before an"
        " attack, and at it) under a density over the samples' transitions: each, with some keys"
        " drawn anew as often as training pieces play them; how many is chosen on the tuning"
        " excerpts. `skill` in the details is 0 for independent keys, all drawn anew, and 1 for"
        " the training pieces themselves."
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
        self._tuning = draw(reference.tuning, MOST_TUNING)
        self._rates = key_rates(reference.train)
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
        redrawn = self._redrawn(centres)
        logs = log_kernels(self._points, centres, redrawn, self._rates)
        highest = logs.max(axis=1, keepdims=True)
        # Kernels are added up sample by sample; the silence for what is missing stands last.
        owner = np.append(chosen[:, 0], np.full(missing, len(samples)))
        starts = np.flatnonzero(np.diff(owner, prepend=-1))
        mass = np.zeros((len(logs), len(samples) + 1))
        mass[:, owner[starts]] = np.add.reduceat(np.exp(logs - highest), starts, axis=1)
        sizes = np.bincount(owner, minlength=len(samples) + 1)

        def likelihood(kept: Floats) -> Floats:
            """(rows,) the mean log probability with so much kept of each sample (rows, samples)."""
            # Less of all samples stands for as much less of the silence.
            kept = np.hstack([kept, kept.mean(axis=1, keepdims=True)])
            under = np.log(np.maximum(mass @ kept.T, 1e-300))
            total = np.maximum(kept @ sizes, 1e-300)
            return np.asarray((under + highest).mean(axis=0) - np.log(total))

        value = float(likelihood(np.ones((1, len(samples))))[0])
        low, high = self._anchor(count)
        return Measurement(
            value,
            draws=jackknife_2(value, likelihood, len(samples)),
            detail={
                "skill": (value - low) / (high - low) if high > low else 0.0,
                "independent": low,
                "train": high,
                "redrawn": redrawn,
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

    def _redrawn(self, centres: Bits) -> float:
        """The likeliest probability to draw a key anew for the tuning transitions."""
        found = [
            log_mean(log_kernels(self._tuning, centres, share, self._rates, np.float32)).mean()
            for share in REDRAWN
        ]
        return float(REDRAWN[int(np.argmax(found))])

    def _anchor(self, count: int) -> tuple[float, float]:
        """The value of independent keys, and of training pieces with as many transitions."""
        if count not in self._anchors:
            rates = self._rates
            independent = np.where(self._points, np.log(rates), np.log1p(-rates)).sum(axis=1)
            low = high = float(independent.mean())
            train = draw(self._reference.train, count)
            if len(train):
                logs = log_kernels(self._points, train, self._redrawn(train), rates)
                high = float(log_mean(logs).mean())
            self._anchors[count] = (low, high)
        return self._anchors[count]


@shared
def key_rates(train: Sequence[Score]) -> Floats:
    """(176,) how often each key sounds before an attack, and at it; never 0 or 1."""
    chosen = attacks(train)
    found = transitions(train, chosen).sum(axis=0) if len(chosen) else np.zeros(2 * KEYS)
    return np.asarray((found + 0.5) / (len(chosen) + 1))


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


def log_kernels(
    points: Bits, centres: Bits, redrawn: float, rates: Floats, kind: Any = np.float64
) -> Floats:
    """(points, centres) log probability of each point around each centre.

    Each bit keeps the centre's value, or is drawn anew with this probability by its rate: a
    product over bits, whose logarithm is a matrix product.
    """
    on, off = np.log(redrawn * rates), np.log(redrawn * (1 - rates))
    keep_on, keep_off = np.log1p(-redrawn * (1 - rates)), np.log1p(-redrawn * rates)
    appear, vanish, both = on - keep_off, off - keep_off, keep_on + keep_off - on - off
    y, x = points.astype(kind), centres.astype(kind)
    found = (y * both.astype(kind)) @ x.T
    found += (y @ appear.astype(kind))[:, None] + x @ vanish.astype(kind) + kind(keep_off.sum())
    return np.asarray(found)


def log_mean(logs: Floats) -> Floats:
    """(rows,) log of the mean of each row's exponentials."""
    highest = logs.max(axis=1)
    return np.asarray(highest + np.log(np.exp(logs - highest[:, None]).mean(axis=1)))
