"""How much of the samples is copied from the training pieces, beyond what human music shares.

Chorales share formulas without being copies, so there is no absolute threshold: the value is the
excess over the test excerpts, which have the samples' length and are compared with the same
training pieces. The raw figure and that baseline are in the details.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from bench.contract import Direction, Floats, Measurement, Reference
from bench.music import KEYS, Score
from metrics.per_piece import mean
from metrics.shared import shared

NOTES = 12  # of an n-gram: real chorales share few of that length
_BASE = 0x9E3779B97F4A7C15  # odd, so that it can be divided by modulo 2^64
_MOST = 2**64

Hashes = NDArray[np.uint64]


class Notes:
    """The pieces' notes as steps from note to note: every passage has a number, equal in any key.

    Notes are in order of onset, then pitch. A passage of n notes is the n - 1 differences of pitch
    and onset between them; equal passages have equal numbers, different ones almost never.
    """

    def __init__(self, pieces: Sequence[Score]) -> None:
        self.counts = np.array([len(piece) for piece in pieces], dtype=np.int64)
        pitch, onset = (
            np.concatenate([np.zeros(0, np.int64), *(getattr(piece, name) for piece in pieces)])
            for name in ("pitch", "onset")
        )
        step = 256 * np.diff(onset).astype(np.int64) + np.diff(pitch)
        token = _mixed(step.astype(np.uint64))
        power = np.ones(len(token) + 1, dtype=np.uint64)
        power[1:] = np.uint64(_BASE)
        power = np.cumprod(power, dtype=np.uint64)
        divisor = np.full(len(token) + 1, pow(_BASE, -1, _MOST), dtype=np.uint64)
        divisor[:1] = 1
        self.divisor = np.cumprod(divisor, dtype=np.uint64)
        self.sums = np.zeros(len(token) + 1, dtype=np.uint64)
        self.sums[1:] = np.cumsum(token * power[:-1], dtype=np.uint64)
        self.piece = np.repeat(np.arange(len(pieces)), self.counts)

    def passages(self, notes: int) -> tuple[Hashes, NDArray[np.int64]]:
        """The number of every passage of that many notes, and the piece that it is from."""
        start = np.arange(max(0, len(self.piece) - notes + 1))
        whole = start[self.piece[start] == self.piece[start + notes - 1]]
        numbers = (self.sums[whole + notes - 1] - self.sums[whole]) * self.divisor[whole]
        return numbers, self.piece[whole]


def among(numbers: Hashes, known: Hashes) -> NDArray[np.bool_]:
    """Which of the numbers are known."""
    if not len(known):
        return np.zeros(len(numbers), dtype=bool)
    known = np.sort(known)
    nearest = known[np.minimum(np.searchsorted(known, numbers), len(known) - 1)]
    return np.asarray(nearest == numbers)


def _mixed(numbers: Hashes) -> Hashes:
    """Numbers scattered over all 64 bits (splitmix64)."""
    x = numbers + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@shared
def notes_of(pieces: Sequence[Score]) -> Notes:
    """The pieces' notes, computed once."""
    return Notes(pieces)


@shared
def shared_ngrams(pieces: Sequence[Score], train: Sequence[Score]) -> Floats:
    """(pieces,) the share of each piece's passages of NOTES notes that occur in training pieces, in
    any key; NaN for a piece of fewer notes.
    """
    numbers, piece = notes_of(pieces).passages(NOTES)
    known = among(numbers, notes_of(train).passages(NOTES)[0])
    total = np.bincount(piece, minlength=len(pieces))
    copied = np.bincount(piece, known, minlength=len(pieces))
    return np.asarray(np.where(total > 0, copied / np.maximum(total, 1), np.nan))


@shared
def longest_runs(pieces: Sequence[Score], train: Sequence[Score]) -> Floats:
    """(pieces,) the notes in each piece's longest passage that occurs in a training piece, in any
    key; NaN without notes.
    """
    own, training = notes_of(pieces), notes_of(train)
    answers: dict[int, NDArray[np.bool_]] = {}

    def has(notes: int) -> NDArray[np.bool_]:
        """(pieces,) whether a passage of that many notes occurs in training pieces."""
        if notes not in answers:
            numbers, piece = own.passages(notes)
            known = among(numbers, training.passages(notes)[0])
            answers[notes] = np.bincount(piece, known, minlength=len(pieces)) > 0
        return answers[notes]

    # A piece with a run of some length has runs of every shorter length, so that the longest is
    # found by bisection. Pieces with runs of similar lengths need the same answers.
    low = np.minimum(own.counts, int(training.counts.max(initial=0) > 0))
    high = low.copy()
    notes = 2
    growing = own.counts >= notes
    while growing.any():
        growing &= has(notes)
        low[growing] = notes
        high[growing] = np.minimum(own.counts[growing], 2 * notes - 1)
        growing &= own.counts >= 2 * notes
        notes *= 2
    while (open_ := low < high).any():
        middle = (low + high + 1) // 2
        for notes in np.unique(middle[open_]):
            tested = open_ & (middle == notes)
            copied = has(int(notes))[tested]
            low[tested] = np.where(copied, notes, low[tested])
            high[tested] = np.where(copied, high[tested], notes - 1)
    return np.where(own.counts > 0, low, np.nan).astype(np.float64)


def bar_contents(score: Score, bar: int) -> list[bytes]:
    """The content of each whole bar in which anything sounds: equal for equal bars in the same key.

    A key that sounds when a bar begins counts as struck there: excerpts may begin within a note.
    """
    bars = score.length // bar
    sounding = score.sounding()[: bars * bar].reshape(bars, bar, KEYS)
    begun = score.onsets()[: bars * bar].reshape(bars, bar, KEYS)
    begun[:, 0] = sounding[:, 0]
    both = np.concatenate([sounding, begun], axis=2).reshape(bars, 2 * bar * KEYS)
    packed = np.packbits(both, axis=1)
    return [packed[i].tobytes() for i in np.flatnonzero(sounding.any(axis=(1, 2)))]


@shared
def bars_in(train: Sequence[Score], bar: int) -> frozenset[bytes]:
    """The contents of all bars of training pieces."""
    return frozenset(content for piece in train for content in bar_contents(piece, bar))


@shared
def shared_bars(pieces: Sequence[Score], train: Sequence[Score], bar: int) -> Floats:
    """(pieces,) the share of each piece's sounding bars that occur in training pieces, in the same
    key; NaN where nothing sounds.
    """
    known = bars_in(train, bar)
    copied = [[content in known for content in bar_contents(piece, bar)] for piece in pieces]
    return np.array([np.mean(bars) if bars else np.nan for bars in copied], dtype=np.float64)


class Copying:
    """The mean of a figure over the samples, minus its mean over the test excerpts."""

    version: ClassVar[int] = 1
    direction: ClassVar[Direction] = "lower"
    headline: ClassVar[bool] = False
    citation: ClassVar[str] = (
        "Yin, Reuben, Stepney and Collins 2021, A Good Algorithm Does Not Steal (the human"
        " baseline)"
    )

    undefined: ClassVar[str]

    def figure(self, pieces: Sequence[Score]) -> Floats:
        """(pieces,) NaN for a piece that has none."""
        raise NotImplementedError

    def prepare(self, reference: Reference) -> None:
        """Measure how much the test excerpts share with the training pieces."""
        self._train, self._bar = list(reference.train), reference.bar
        self._baseline = mean(list(self.figure(list(reference.test))), self.undefined)

    def score(self, samples: Sequence[Score]) -> Measurement:
        """The mean excess over the pieces that have a value."""
        if self._baseline.value is None:
            return Measurement(None, f"test excerpts: {self._baseline.reason}")
        raw = self.figure(list(samples))
        excess = mean(list(raw - self._baseline.value), self.undefined)
        detail = {"baseline": self._baseline.value, **excess.detail}
        if excess.value is not None:
            detail |= {"raw": float(np.nanmean(raw)), "most": float(np.nanmax(raw))}
        return Measurement(excess.value, excess.reason, excess.per_piece, detail=detail)


class NgramCopying(Copying):
    """Passages shared with training pieces."""

    name: ClassVar[str] = "ngram_copying"
    required: ClassVar[tuple[str, ...]] = ("copy.raw > 0.98", "copy > human")
    unit: ClassVar[str] = "share of passages above human"
    measures: ClassVar[str] = (
        f"The share of a piece's passages of {NOTES} notes (all voices, any key) that occur in"
        " training pieces, minus that share for test excerpts."
    )
    blind_to: ClassVar[str] = (
        "Quality: noise shares least. Copies with a note added or left out. How long notes last."
    )
    undefined: ClassVar[str] = f"no piece has {NOTES} notes"

    def figure(self, pieces: Sequence[Score]) -> Floats:
        """(pieces,) the share of passages."""
        return shared_ngrams(list(pieces), self._train)


class CopiedRun(Copying):
    """The longest passage shared with a training piece."""

    name: ClassVar[str] = "copied_run"
    required: ClassVar[tuple[str, ...]] = ("copy > human",)
    unit: ClassVar[str] = "notes above human"
    measures: ClassVar[str] = (
        "The number of notes in a piece's longest passage (all voices, any key) that occurs in a"
        " training piece, minus that number for test excerpts, averaged over pieces."
    )
    blind_to: ClassVar[str] = (
        "Quality: noise copies least. Copies with a note added or left out. One repeated key is a"
        " long run if training pieces repeat keys."
    )
    undefined: ClassVar[str] = "no piece has a note"

    def figure(self, pieces: Sequence[Score]) -> Floats:
        """(pieces,) notes."""
        return longest_runs(list(pieces), self._train)


class BarCopying(Copying):
    """Bars shared with training pieces."""

    name: ClassVar[str] = "bar_copying"
    required: ClassVar[tuple[str, ...]] = ("copy.raw > 0.999", "human.raw < 0.2")
    unit: ClassVar[str] = "share of bars above human"
    measures: ClassVar[str] = (
        "Of a piece's bars in which anything sounds, the share that occur note for note and in the"
        " same key in training pieces, minus that share for test excerpts."
    )
    blind_to: ClassVar[str] = (
        "Quality: noise copies least. Copies in another key, shifted within the bar, or with one"
        " note changed."
    )
    undefined: ClassVar[str] = "no piece has a bar in which anything sounds"

    def figure(self, pieces: Sequence[Score]) -> Floats:
        """(pieces,) the share of bars."""
        return shared_bars(list(pieces), self._train, self._bar)
