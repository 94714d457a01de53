"""What the detector of copies reports of a contestant, as data and as a sentence."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

from bench.protocol.passages import STRETCH_NAMES
from bench.protocol.sampling import Protocol

VERSION = 1  # raise it when any verdict or value changes: reports are then made anew

Verdict = Literal["own", "copies", "unknown"]
Reference = Literal["data set", "itself", "other samples"]

BAR, PAIR, FOUR_BARS, WHOLE = STRETCH_NAMES
SINGLE_BARS, BAR_PAIRS, COPIED_SAMPLES = "single bars", "pairs of bars", "copied samples"
# Splices by one and by two bars, and the share that must be high as well.
SPLICES = {SINGLE_BARS: BAR, BAR_PAIRS: PAIR}

SPLIT_NAMES = {"train": "training", "valid": "validation", "test": "test"}
SIMILAR = 0.1  # excesses that differ by less are about the same


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Measure(_Part):
    """A mean over all samples, beside that of human music."""

    name: str  # a length of stretch, a kind of splice, or "copied samples"
    value: float
    human: float
    threshold: float  # at 1 or more nothing is accused: the data set is too uniform
    copies: bool

    @property
    def excess(self) -> float:
        """The position between human music (0) and exact copies throughout (1)."""
        return (self.value - self.human) / max(1e-9, 1 - self.human)


class Comparison(_Part):
    """All measures of the samples against one reference."""

    reference: Reference
    disguise: str = ""  # how the samples were transformed first: backwards, upside down ...
    measures: tuple[Measure, ...]

    @property
    def copies(self) -> bool:
        """Whether any measure is above its threshold."""
        return any(measure.copies for measure in self.measures)

    @property
    def excess(self) -> float:
        """The largest excess of a measure above its threshold."""
        return max((measure.excess for measure in self.measures if measure.copies), default=0.0)

    @property
    def clearest(self) -> Measure | None:
        """The strongest evidence; None where no measure is above its threshold.

        Of measures with about the same excess, the one of the longest stretch.
        """
        accusing = {measure.name: measure for measure in self.measures if measure.copies}
        order = (WHOLE, FOUR_BARS, PAIR, BAR, COPIED_SAMPLES)
        plain = [accusing[name] for name in order if name in accusing]
        if not plain:
            return next(iter(accusing.values()), None)
        top = max(measure.excess for measure in plain)
        measure = next(each for each in plain if each.excess >= top - SIMILAR)
        for splice, stretch in SPLICES.items():
            # Bars are copied, but no longer stretch: they come from many places.
            if measure.name == stretch and splice in accusing:
                return accusing[splice]
        return measure


class Passage(_Part):
    """A stretch of a sample, and the stretch of its source. Bars count from 1."""

    sample: int
    reference: Reference
    disguise: str = ""
    source: str  # a piece's id, "prompt", "own bars", or a sample's number
    split: str = ""  # of the piece
    bars: tuple[int, int]  # first and last, in the sample
    source_bars: tuple[int, int]  # first and last, in the source
    source_offset: int  # steps from the beginning of the source's first bar
    semitones: int  # by which the sample is higher
    matched: int  # notes of the stretch that the source has too
    notes: int  # notes of the stretch

    @property
    def place(self) -> str:
        """The source in words: its name, the bars and the key."""
        first, last = self.source_bars
        bars = f"bar {first}" if first == last else f"bars {first} to {last}"
        details = [bars] if self.source != "prompt" else []
        if self.semitones:
            direction = "up" if self.semitones > 0 else "down"
            plural = "s" * (abs(self.semitones) > 1)
            details.append(f"{abs(self.semitones)} semitone{plural} {direction}")
        if self.disguise:
            details.append(self.disguise)
        if self.reference == "other samples":
            name = f"sample {self.source}"
        elif self.reference == "itself":
            name = "its prompt" if self.source == "prompt" else "its own earlier bars"
        else:
            name = f"{SPLIT_NAMES.get(self.split, self.split)} piece {self.source}".strip()
        return f"{name} ({', '.join(details)})" if details else name


class CopyReport(_Part):
    """The verdict on a contestant's samples, with the evidence, and which samples it is about."""

    version: int = VERSION  # of the detector
    verdict: Verdict
    reason: str = ""  # why the verdict is unknown
    comparisons: tuple[Comparison, ...] = ()
    passages: tuple[Passage, ...] = ()  # of the samples with most copied notes, by comparison
    samples: str  # SHA-256 over the samples' hashes
    data: str  # the data set's fingerprint
    protocol: Protocol

    def is_of(self, hashes: Sequence[str], fingerprint: str, protocol: Protocol) -> bool:
        """Whether this version of the detector made it, for these samples."""
        return (self.version, self.samples, self.data, self.protocol) == (
            VERSION,
            samples_hash(hashes),
            fingerprint,
            protocol,
        )

    @property
    def clearest(self) -> Comparison | None:
        """The comparison with the strongest evidence; None where none accuses.

        Of several that are about as strong: repetition first, as a loop also repeats the bar of
        the piece that its prompt is from.
        """
        accusing = [comparison for comparison in self.comparisons if comparison.copies]
        top = max((comparison.excess for comparison in accusing), default=0.0)
        strong = [comparison for comparison in accusing if comparison.excess >= top - SIMILAR]
        order: tuple[Reference, ...] = ("itself", "data set", "other samples")
        return min(
            strong,
            key=lambda each: (bool(each.disguise), order.index(each.reference)),
            default=None,
        )

    @property
    def sentence(self) -> str:
        """The accusation with its evidence; empty where there is none."""
        comparison = self.clearest
        measure = comparison.clearest if comparison else None
        if self.verdict != "copies" or comparison is None or measure is None:
            return ""
        passages = [
            passage
            for passage in self.passages
            if (passage.reference, passage.disguise) == (comparison.reference, comparison.disguise)
        ]
        shares = {each.name: each.value for each in comparison.measures}
        share = f"{100 * shares[SPLICES.get(measure.name, measure.name)]:.0f} %"
        example = f", such as {passages[0].place}" if passages else ""
        if measure.name == COPIED_SAMPLES:
            share += " of its samples"
            if comparison.reference == "itself":
                return f"{share} repeat the prompt or their own earlier bars"
            source = "its other samples" if comparison.reference == "other samples" else "pieces"
            return f"{share} contain bars that are copied from {source}{example}"
        share += " of its notes"
        if comparison.reference == "itself":
            return f"{share} repeat the prompt or its own earlier bars"
        if comparison.reference == "other samples":
            return f"{share} are those of its other samples{example}"
        if measure.name in SPLICES:
            return f"{share} are put together from bars of pieces{example}"
        if not passages:
            return f"{share} are those of pieces of the data set"
        others = " and others" if len({passage.source for passage in passages}) > 1 else ""
        return f"{share} are those of {passages[0].place}{others}"


def samples_hash(hashes: Sequence[str]) -> str:
    """SHA-256 over the samples' hashes."""
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()
