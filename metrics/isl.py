"""Indirect sampling likelihood: how likely real music is under a kernel density of samples."""

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
LEAST_POINTS = 10  # fewer are not enough for a mean
REDRAWN = np.geomspace(0.01, 1, 30)  # probabilities that a key is drawn anew


class Isl:
    """The mean log probability of real transitions under a kernel density of the samples'.

    A transition is what sounds before a step at which a note begins, and what sounds at that step.
    Every system gives the same number of them, `centres`: half of the number that the tuning
    excerpts let one expect in as many samples of that length, and at most MOST_CENTRES. A system
    with fewer transitions gives silence for the missing ones: so no system is scored on fewer,
    nothing is dropped, and silence itself has a value.

    The kernel around a transition: every key independently keeps its state, or, with a probability
    that is the same for all keys, is drawn anew, as often on as the training pieces play that key.
    The probability is the one of REDRAWN under which the tuning excerpts are likeliest. Where all
    keys are drawn anew nothing of the samples is left, so that samples that say nothing about music
    (noise, silence, one chord) score like independent keys, and no worse: leaving notes out gains
    nothing. A kernel that flips all keys with the same probability has no such floor: with it, on
    sparse piano music, silence beats noise and equals real music.
    """

    name: ClassVar[str] = "isl"
    version: ClassVar[int] = 3
    unit: ClassVar[str] = "nats per transition"
    direction: ClassVar[Direction] = "higher"
    headline: ClassVar[bool] = False
    required: ClassVar[tuple[str, ...]] = ("human > jitter >= noise >= silence",)
    measures: ClassVar[str] = (
        "The mean log probability of the test excerpts' transitions (which keys sound before an"
        " attack, and at it) under a kernel density of the samples' transitions. A kernel is a"
        " transition with some keys drawn anew, as often as training pieces play them; how many is"
        " chosen on the tuning excerpts. `skill` in the details is 0 for independent keys, all"
        " drawn anew, and 1 for the training pieces themselves."
    )
    blind_to: ClassVar[str] = (
        "Order beyond one attack, rhythm, copying. It compares keys, not intervals, so that the"
        " same music in another key scores lower. It grows with the number of samples: compare only"
        " rows of the same protocol."
    )
    citation: ClassVar[str] = (
        "Sokolov et al. 2016, section 2.5, after Breuleux, Bengio and Vincent 2011; corrected:"
        " ours, for the reasons that Theis et al. 2016 give"
    )

    def prepare(self, reference: Reference) -> None:
        """Choose the test and tuning transitions, and count the keys of the training pieces."""
        self._reference = reference
        self._points = draw(reference.test, MOST_POINTS)
        self._tuning = draw(reference.tuning, MOST_TUNING)
        self._rates = key_rates(reference.train)
        self._anchors: dict[int, tuple[float, float]] = {}

    def score(self, samples: Sequence[Score]) -> Measurement:
        """The mean log probability; the share of missing transitions is in the details."""
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
        # Kernels are added up by sample; the silence for missing transitions comes last.
        owner = np.append(chosen[:, 0], np.full(missing, len(samples)))
        starts = np.flatnonzero(np.diff(owner, prepend=-1))
        mass = np.zeros((len(logs), len(samples) + 1))
        mass[:, owner[starts]] = np.add.reduceat(np.exp(logs - highest), starts, axis=1)
        sizes = np.bincount(owner, minlength=len(samples) + 1)

        def likelihood(kept: Floats) -> Floats:
            """(rows,) the mean log probability for weights of the samples (rows, samples)."""
            # The silence has the mean weight of the samples.
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
        """The number of transitions, which depends on the protocol and not on the system."""
        tuning = self._reference.tuning
        rate = len(attacks(tuning)) / max(1, sum(max(0, s.length - 1) for s in tuning))
        expected = rate * samples * max(0, self._reference.steps - 1)
        return int(np.clip(expected / 2, 1, MOST_CENTRES))

    def _redrawn(self, centres: Bits) -> float:
        """The probability to draw a key anew under which the tuning transitions are likeliest."""
        logs = [
            log_mean(log_kernels(self._tuning, centres, share, self._rates, np.float32)).mean()
            for share in REDRAWN
        ]
        return float(REDRAWN[int(np.argmax(logs))])

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
    counts = transitions(train, chosen).sum(axis=0) if len(chosen) else np.zeros(2 * KEYS)
    return np.asarray((counts + 0.5) / (len(chosen) + 1))


@shared
def attacks(pieces: Sequence[Score]) -> NDArray[np.int64]:
    """(transitions, 2) piece and step of every attack, except at the first step of a piece."""
    places = [np.zeros((0, 2), dtype=np.int64)]
    for number, piece in enumerate(pieces):
        steps = np.flatnonzero(np.bincount(piece.onset, minlength=1)[1:]) + 1
        places.append(np.stack([np.full(len(steps), number), steps], axis=1))
    return np.concatenate(places)


def choose(pieces: Sequence[Score], count: int) -> NDArray[np.int64]:
    """(at most count, 2) attacks of the pieces, drawn without replacement."""
    places = attacks(pieces)
    order = np.random.default_rng(0).permutation(len(places))[:count]
    return places[np.sort(order)]


def draw(pieces: Sequence[Score], count: int) -> Bits:
    """(at most count, 176) transitions of the pieces, drawn without replacement."""
    return transitions(pieces, choose(pieces, count))


def transitions(pieces: Sequence[Score], chosen: NDArray[np.int64]) -> Bits:
    """(chosen, 176) what sounds before each step (piece, step), and what sounds at it."""
    bits = np.zeros((len(chosen), 2 * KEYS), dtype=bool)
    starts = np.searchsorted(chosen[:, 0], np.arange(len(pieces) + 1))
    for number, piece in enumerate(pieces):
        rows = slice(starts[number], starts[number + 1])
        steps = chosen[rows, 1]
        if len(steps):
            roll = piece.sounding()
            bits[rows, :KEYS], bits[rows, KEYS:] = roll[steps - 1], roll[steps]
    return bits


def log_kernels(
    points: Bits,
    centres: Bits,
    redrawn: float,
    rates: Floats,
    kind: type[np.floating[Any]] = np.float64,
) -> Floats:
    """(points, centres) log probability of each point under the kernel of each centre.

    Each bit keeps the centre's value, or is drawn anew by its rate with probability `redrawn`: a
    product over bits, whose logarithm is a matrix product. `kind` is the type to compute in.
    """
    on, off = np.log(redrawn * rates), np.log(redrawn * (1 - rates))
    keep_on, keep_off = np.log1p(-redrawn * (1 - rates)), np.log1p(-redrawn * rates)
    appear, vanish, both = on - keep_off, off - keep_off, keep_on + keep_off - on - off
    y, x = points.astype(kind), centres.astype(kind)
    logs = (y * both.astype(kind)) @ x.T
    logs += (y @ appear.astype(kind))[:, None] + x @ vanish.astype(kind) + kind(keep_off.sum())
    return np.asarray(logs)


def log_mean(logs: Floats) -> Floats:
    """(rows,) log of the mean of each row's exponentials."""
    highest = logs.max(axis=1)
    return np.asarray(highest + np.log(np.exp(logs - highest[:, None]).mean(axis=1)))
