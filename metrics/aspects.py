"""Six aspects of music that Schaldenbrand et al. 2018 (table 3) rated by ear, as measures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from bench.contract import Direction, Measurement, Reference
from bench.music import LOWEST, Score
from bench.music.key import key
from metrics.per_piece import mean
from metrics.shared import shared
from metrics.structure import NO_BARS, alike, bars_of

_TABLE = "Schaldenbrand, He and Almoubayyed 2018, tables 1 and 3 (the aspect; the measure is ours)"
_NEITHER = "Neither more nor less is better: compare with the human row."

_MAJOR, _MINOR = (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10, 11)  # the leading note is usual
_CHORDS = (  # major, minor, diminished, augmented, and the sevenths on them
    (0, 4, 7),
    (0, 3, 7),
    (0, 3, 6),
    (0, 4, 8),
    (0, 4, 7, 10),
    (0, 4, 7, 11),
    (0, 3, 7, 10),
    (0, 3, 6, 10),
    (0, 3, 6, 9),
)
_KNOWN = np.zeros(4096, dtype=bool)  # by the bits of its pitch classes
for _chord in _CHORDS:
    for _root in range(12):
        _KNOWN[sum(1 << (_root + _interval) % 12 for _interval in _chord)] = True


def on_key(score: Score) -> float:
    """The share of sounding time in the scale of the piece's key; NaN where it has no key."""
    own = key(score)
    if own is None:
        return math.nan
    scale = np.add(_MAJOR if own.mode == "major" else _MINOR, own.tonic) % 12
    held = np.bincount(score.pitch % 12, score.duration, minlength=12)
    return float(held[scale].sum() / held.sum())


def dynamics(score: Score) -> float:
    """The standard deviation of the notes' velocities; NaN without notes."""
    return float(score.velocity.std()) if len(score) else math.nan


def metre(score: Score, bar: int) -> float:
    """The correlation of the number of notes that begin at a step with that one bar later.

    NaN for a piece of less than two bars, or where all numbers are equal.
    """
    begun = np.bincount(score.onset, minlength=score.length)[: score.length].astype(float)
    if score.length < 2 * bar:
        return math.nan
    first, second = begun[:-bar], begun[bar:]
    spread = float(first.std() * second.std())
    return (
        float(((first * second).mean() - first.mean() * second.mean()) / spread)
        if spread
        else math.nan
    )


def recurrence(score: Score, bar: int) -> float:
    """What bars share with the most similar earlier bar, on average; NaN without two bars."""
    sounding, _ = bars_of(score, bar)
    if len(sounding) < 2:
        return math.nan
    table = np.tril(alike(sounding), -1)
    return float(table[1:].max(axis=1).mean())


def rhythms(score: Score, bar: int) -> list[bytes]:
    """At which steps notes begin, for each whole bar in which at least one does."""
    _, begun = bars_of(score, bar)
    return [row.tobytes() for row in begun[begun.any(axis=1)]]


@shared
def rhythms_in(pieces: Sequence[Score], bar: int) -> frozenset[bytes]:
    """All rhythms of the pieces' bars."""
    return frozenset(rhythm for piece in pieces for rhythm in rhythms(piece, bar))


def harmonies(score: Score) -> NDArray[np.int64]:
    """(attacks,) the pitch classes that sound at each step at which a note begins, as bits."""
    steps = np.unique(score.onset)
    roll = score.sounding()[steps]
    classes = np.zeros(len(steps), dtype=np.int64)
    for pitch_class in range(12):
        sounds = roll[:, (pitch_class - LOWEST) % 12 :: 12].any(axis=1)
        classes |= sounds.astype(np.int64) << pitch_class
    return classes


def chords(score: Score) -> tuple[float, float]:
    """Of the attacks with three or more pitch classes, the share that are triads or sevenths (NaN
    where there are none); and the share of all attacks that have three or more (NaN without any).
    """
    classes = harmonies(score)
    many = np.bitwise_count(classes) >= 3
    right = float(_KNOWN[classes[many]].mean()) if many.any() else math.nan
    return right, float(many.mean()) if len(classes) else math.nan


class Aspect:
    """The mean over pieces of one aspect."""

    version: ClassVar[int] = 1
    direction: ClassVar[Direction] = "none"
    headline: ClassVar[bool] = False
    citation: ClassVar[str] = _TABLE

    undefined: ClassVar[str]

    def of(self, score: Score) -> float:
        """The aspect of one piece; NaN where it has none."""
        raise NotImplementedError

    def prepare(self, reference: Reference) -> None:
        """Keep the length of a bar."""
        self._bar = reference.bar

    def score(self, samples: Sequence[Score]) -> Measurement:
        """The mean over the pieces that have a value."""
        return mean([self.of(piece) for piece in samples], self.undefined)


class OnKey(Aspect):
    """Key signature: whether notes belong to the piece's key."""

    name: ClassVar[str] = "on_key"
    unit: ClassVar[str] = "share of time"
    measures: ClassVar[str] = (
        "The share of the notes' sounding time that belongs to notes in the scale of the piece's"
        " key (estimated by Krumhansl and Kessler's profiles; minor includes the leading note)."
    )
    blind_to: ClassVar[str] = f"Which key it is; a piece of one note is on key. {_NEITHER}"
    undefined: ClassVar[str] = "no piece has a key"

    def of(self, score: Score) -> float:
        """See `on_key`."""
        return on_key(score)


class Dynamics(Aspect):
    """Dynamics: loud and soft."""

    name: ClassVar[str] = "dynamics"
    unit: ClassVar[str] = "MIDI velocities"
    measures: ClassVar[str] = (
        "How much the velocities of a piece's notes differ (standard deviation)."
    )
    blind_to: ClassVar[str] = (
        f"Order: noise varies too. Data without velocities has 0 everywhere. {_NEITHER}"
    )
    undefined: ClassVar[str] = "no piece has a note"

    def of(self, score: Score) -> float:
        """See `dynamics`."""
        return dynamics(score)


class Metre(Aspect):
    """Time signature: the same accents in every bar."""

    name: ClassVar[str] = "metre"
    unit: ClassVar[str] = "correlation"
    measures: ClassVar[str] = (
        "How well the number of notes that begin at a step predicts that number one bar later"
        " (correlation)."
    )
    blind_to: ClassVar[str] = (
        "Which steps are accented; metres that fit into the bar, such as 2/4 in 4/4. One bar"
        f" repeated has 1. {_NEITHER}"
    )
    undefined: ClassVar[str] = "no piece of two bars has accents"

    def of(self, score: Score) -> float:
        """See `metre`."""
        return metre(score, self._bar)


class Recurrence(Aspect):
    """Recurrent structure: bars that come back."""

    name: ClassVar[str] = "recurrence"
    unit: ClassVar[str] = "share in common"
    measures: ClassVar[str] = (
        "How much a bar has in common with the most similar earlier bar: what sounds in both as a"
        " share of what sounds in either."
    )
    blind_to: ClassVar[str] = (
        f"Repetition in another key or shifted within the bar. One held chord has 1. {_NEITHER}"
    )
    undefined: ClassVar[str] = NO_BARS

    def of(self, score: Score) -> float:
        """See `recurrence`."""
        return recurrence(score, self._bar)


class Rhythm(Aspect):
    """Tempo and rhythm: rhythms that occur in training pieces."""

    name: ClassVar[str] = "rhythm"
    unit: ClassVar[str] = "share of bars"
    measures: ClassVar[str] = (
        "Of the bars in which notes begin, the share whose rhythm (of all voices together) occurs"
        " in some bar of the training pieces."
    )
    blind_to: ClassVar[str] = f"Pitch, how often a rhythm is used, how long notes last. {_NEITHER}"
    undefined: ClassVar[str] = "no piece has a bar in which a note begins"

    def prepare(self, reference: Reference) -> None:
        """Collect the rhythms of the training pieces."""
        super().prepare(reference)
        self._known = rhythms_in(list(reference.train), reference.bar)

    def of(self, score: Score) -> float:
        """The share of the piece's bars with a known rhythm."""
        own = rhythms(score, self._bar)
        return float(np.mean([rhythm in self._known for rhythm in own])) if own else math.nan


class Chords(Aspect):
    """Chords: what sounds together."""

    name: ClassVar[str] = "chords"
    unit: ClassVar[str] = "share of chords"
    measures: ClassVar[str] = (
        "Of the attacks at which three or more pitch classes sound, the share that are triads or"
        " seventh chords; `of_all_attacks` in the details is the share of such attacks among all."
    )
    blind_to: ClassVar[str] = f"Which chords, in which order, in which position. {_NEITHER}"
    undefined: ClassVar[str] = "nowhere do three pitch classes sound together"

    def of(self, score: Score) -> float:
        """See `chords`."""
        return chords(score)[0]

    def score(self, samples: Sequence[Score]) -> Measurement:
        """The mean over the pieces that have chords."""
        shares = [chords(piece) for piece in samples]
        result = mean([right for right, _ in shares], self.undefined)
        many = [share for _, share in shares if not math.isnan(share)]
        detail = {**result.detail, "of_all_attacks": float(np.mean(many)) if many else 0.0}
        return Measurement(result.value, result.reason, result.per_piece, detail=detail)


# For each aspect: how far from the human value still counts as equal, and the words for less than
# in human music, about as much, and more.
_WORDS: Mapping[str, tuple[float, str, str, str]] = {
    "on_key": (0.05, "wanders off its key", "keeps to its key", "hardly ever leaves its key"),
    "dynamics": (4.0, "flatter dynamics", "usual dynamics", "wilder dynamics"),
    "metre": (0.15, "a weak metre", "a steady metre", "a rigid metre"),
    "recurrence": (0.08, "little comes back", "bars come back as usual", "repeats itself a lot"),
    "rhythm": (0.15, "unfamiliar rhythms", "familiar rhythms", "only familiar rhythms"),
    "chords": (0.12, "fewer real chords", "well-formed chords", "nothing but plain chords"),
}


def plain_words(
    values: Mapping[str, float | None], human_values: Mapping[str, float | None]
) -> str:
    """One line that compares the aspects' values with those of human music, in words.

    The keys are the names of the metrics in this module. An aspect without a human value is left
    out, and so are dynamics where human music has none.
    """
    phrases = []
    for name, (margin, less, same, more) in _WORDS.items():
        value, human = values.get(name), human_values.get(name)
        if human is None or (name == "dynamics" and human == 0):
            continue
        if value is None:
            phrases.append(f"no {name.replace('_', ' ')} to speak of")
            continue
        words = less if value < human - margin else more if value > human + margin else same
        phrases.append(f"{words} ({value:.2f}, human {human:.2f})")
    return "; ".join(phrases).capitalize() + "." if phrases else "Nothing to compare."
