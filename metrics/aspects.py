"""Six aspects of music, measured where Schaldenbrand et al. 2018 judged them by ear (table 3)."""

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
    found = key(score)
    if found is None:
        return math.nan
    scale = np.add(_MAJOR if found.mode == "major" else _MINOR, found.tonic) % 12
    held = np.bincount(score.pitch % 12, score.duration, minlength=12)
    return float(held[scale].sum() / held.sum())


def dynamics(score: Score) -> float:
    """The standard deviation of the notes' velocities; NaN without notes."""
    return float(score.velocity.std()) if len(score) else math.nan


def metre(score: Score, bar: int) -> float:
    """The correlation of the numbers of notes begun with those one bar later.

    NaN for a piece of less than two bars, or where the numbers are all alike.
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
    """What bars have in common with the earlier bar most like them; NaN with fewer than two bars."""
    sounding, _ = bars_of(score, bar)
    if len(sounding) < 2:
        return math.nan
    table = np.tril(alike(sounding), -1)
    return float(table[1:].max(axis=1).mean())


def rhythms(score: Score, bar: int) -> list[bytes]:
    """Where notes begin in each whole bar in which one does."""
    _, begun = bars_of(score, bar)
    return [row.tobytes() for row in begun[begun.any(axis=1)]]


@shared
def rhythms_in(pieces: Sequence[Score], bar: int) -> frozenset[bytes]:
    """All rhythms of the pieces' bars."""
    return frozenset(rhythm for piece in pieces for rhythm in rhythms(piece, bar))


def harmonies(score: Score) -> NDArray[np.int64]:
    """(attacks,) the pitch classes that sound whenever a note begins, as bits."""
    steps = np.unique(score.onset)
    roll = score.sounding()[steps]
    found = np.zeros(len(steps), dtype=np.int64)
    for pitch_class in range(12):
        sounds = roll[:, (pitch_class - LOWEST) % 12 :: 12].any(axis=1)
        found |= sounds.astype(np.int64) << pitch_class
    return found


def chords(score: Score) -> tuple[float, float]:
    """Of the attacks with three or more pitch classes the share that are triads or sevenths, NaN
    where there are none; and the share of attacks that have three or more, NaN without attacks.
    """
    found = harmonies(score)
    many = np.bitwise_count(found) >= 3
    right = float(_KNOWN[found[many]].mean()) if many.any() else math.nan
    return right, float(many.mean()) if len(found) else math.nan


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
        """Take the length of a bar."""
        self._bar = reference.bar

    def score(self, samples: Sequence[Score]) -> Measurement:
        """The mean over the pieces that have a value."""
        return mean([self.of(piece) for piece in samples], self.undefined)


class OnKey(Aspect):
    """Key signature: staying on key."""

    name: ClassVar[str] = "on_key"
    unit: ClassVar[str] = "share of time"
    measures: ClassVar[str] = (
        "The share of the time that notes sound in which they belong to the scale of the piece's"
        " key (Krumhansl and Kessler's; minor with the leading note too)."
    )
    blind_to: ClassVar[str] = f"Which key; a piece of one note is on key. {_NEITHER}"
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
        f"Order: noise is dynamic. Data without velocities has 0 throughout. {_NEITHER}"
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
        "How well the number of notes that begin at a step tells that number one bar later."
    )
    blind_to: ClassVar[str] = (
        "Which steps are accented; metres that fit into the bar, such as 2/4 in 4/4; one bar"
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
        "What a bar has in common with the earlier bar most like it, of what sounds in either."
    )
    blind_to: ClassVar[str] = (
        f"Repetition in another key or shifted within the bar; one held chord has 1. {_NEITHER}"
    )
    undefined: ClassVar[str] = NO_BARS

    def of(self, score: Score) -> float:
        """See `recurrence`."""
        return recurrence(score, self._bar)


class Rhythm(Aspect):
    """Tempo and rhythm: rhythms that are in use."""

    name: ClassVar[str] = "rhythm"
    unit: ClassVar[str] = "share of bars"
    measures: ClassVar[str] = (
        "The share of bars in which notes begin whose rhythm, of all voices together, is that of"
        " some bar of the training pieces."
    )
    blind_to: ClassVar[str] = f"Pitch, how often a rhythm is used, how long notes last. {_NEITHER}"
    undefined: ClassVar[str] = "no piece has a bar in which a note begins"

    def prepare(self, reference: Reference) -> None:
        """Take the rhythms of the training pieces."""
        super().prepare(reference)
        self._known = rhythms_in(list(reference.train), reference.bar)

    def of(self, score: Score) -> float:
        """The share of the piece's bars with a known rhythm."""
        found = rhythms(score, self._bar)
        return float(np.mean([one in self._known for one in found])) if found else math.nan


class Chords(Aspect):
    """Chords: what sounds together."""

    name: ClassVar[str] = "chords"
    unit: ClassVar[str] = "share of chords"
    measures: ClassVar[str] = (
        "Of the attacks at which three or more pitch classes sound, the share that are triads or"
        " seventh chords; `of_all_attacks` in the details is how many sound so many."
    )
    blind_to: ClassVar[str] = f"Which chords, in which order, in which position. {_NEITHER}"
    undefined: ClassVar[str] = "nowhere do three pitch classes sound together"

    def of(self, score: Score) -> float:
        """See `chords`."""
        return chords(score)[0]

    def score(self, samples: Sequence[Score]) -> Measurement:
        """The mean over the pieces that have chords."""
        found = [chords(piece) for piece in samples]
        result = mean([right for right, _ in found], self.undefined)
        many = [share for _, share in found if not math.isnan(share)]
        detail = {**result.detail, "of_all_attacks": float(np.mean(many)) if many else 0.0}
        return Measurement(result.value, result.reason, result.per_piece, detail=detail)


# What each aspect is called when there is less than in human music, about as much, and more; and
# how far from the human value is still about as much.
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
    """One line that says what the aspects' values mean beside those of human music.

    Keys are the names of the metrics here; an aspect that either lacks is left out, and so are
    dynamics where human music has none.
    """
    said = []
    for name, (margin, less, same, more) in _WORDS.items():
        value, human = values.get(name), human_values.get(name)
        if human is None or (name == "dynamics" and human == 0):
            continue
        if value is None:
            said.append(f"no {name.replace('_', ' ')} to speak of")
            continue
        words = less if value < human - margin else more if value > human + margin else same
        said.append(f"{words} ({value:.2f}, human {human:.2f})")
    return "; ".join(said).capitalize() + "." if said else "Nothing to compare."
