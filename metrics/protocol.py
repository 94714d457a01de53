"""Whether samples do what was asked: go on from the prompt, and go on to the end."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from bench.contract import Direction, Measurement, Reference
from bench.music import Score
from metrics.originality import bar_contents
from metrics.per_piece import NO_SAMPLES, mean
from metrics.polyphony import keys_per_step

_OURS = "ours"


class PromptCopy:
    """How often a sample only repeats its prompt."""

    name: ClassVar[str] = "prompt_copy"
    version: ClassVar[int] = 1
    unit: ClassVar[str] = "share of bars"
    direction: ClassVar[Direction] = "none"
    headline: ClassVar[bool] = False
    measures: ClassVar[str] = (
        "The share of a sample's bars in which anything sounds that repeat its prompt's last bar"
        " note for note."
    )
    blind_to: ClassVar[str] = (
        "Repetition in another key or with one note changed. People repeat a bar now and then:"
        " compare with the human row."
    )
    citation: ClassVar[str] = _OURS

    def prepare(self, reference: Reference) -> None:
        """Take the prompts."""
        self._bar = reference.bar
        ends = [
            prompt.slice(prompt.length - reference.bar, prompt.length)
            for prompt in reference.prompts
        ]
        self._prompts = [bar_contents(end, reference.bar) for end in ends]

    def score(self, samples: Sequence[Score]) -> Measurement:
        """The mean over the samples in which anything sounds."""
        if not len(samples):
            return Measurement(None, NO_SAMPLES)
        if not any(self._prompts):
            return Measurement(None, "there are no prompts in which anything sounds")
        shares = []
        for prompt, sample in zip(self._prompts, samples, strict=False):
            bars = bar_contents(sample, self._bar)
            there = bool(prompt and bars)
            shares.append(float(np.mean([bar in prompt for bar in bars])) if there else math.nan)
        shares += [math.nan] * (len(samples) - len(shares))
        return mean(shares, "nothing sounds in a whole bar")


class LengthProduced:
    """How far samples go on before they fall silent for good."""

    name: ClassVar[str] = "length_produced"
    version: ClassVar[int] = 1
    unit: ClassVar[str] = "share of steps"
    direction: ClassVar[Direction] = "none"
    headline: ClassVar[bool] = False
    measures: ClassVar[str] = (
        "The share of the steps asked for at which a piece's last note ends; 0 for silence."
    )
    blind_to: ClassVar[str] = "All that happens before. Real excerpts may end in a rest."
    citation: ClassVar[str] = _OURS

    def prepare(self, reference: Reference) -> None:
        """Nothing of the reference is needed."""

    def score(self, samples: Sequence[Score]) -> Measurement:
        """The mean over pieces."""
        shares = [p.end.max(initial=0) / p.length if p.length else math.nan for p in samples]
        return mean(shares, "no piece has a step")


class SilentShare:
    """How much of the samples is silence."""

    name: ClassVar[str] = "silent_share"
    version: ClassVar[int] = 1
    unit: ClassVar[str] = "share of steps"
    direction: ClassVar[Direction] = "none"
    headline: ClassVar[bool] = False
    measures: ClassVar[str] = (
        "The share of a piece's steps at which nothing sounds, its end included."
    )
    blind_to: ClassVar[str] = "What sounds otherwise. Neither more nor less is better."
    citation: ClassVar[str] = _OURS

    def prepare(self, reference: Reference) -> None:
        """Nothing of the reference is needed."""

    def score(self, samples: Sequence[Score]) -> Measurement:
        """The mean over pieces."""
        shares = [float((keys_per_step(p) == 0).mean()) if p.length else math.nan for p in samples]
        return mean(shares, "no piece has a step")
