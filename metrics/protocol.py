"""Whether samples do what the protocol asks: continue the prompt, and continue to the end."""

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
        "Of a sample's bars in which anything sounds, the share that repeat its prompt's last bar"
        " note for note."
    )
    blind_to: ClassVar[str] = (
        "Repetition in another key or with one note changed. Human music sometimes repeats a bar:"
        " compare with the human row."
    )
    citation: ClassVar[str] = _OURS

    def prepare(self, reference: Reference) -> None:
        """Keep the last bar of every prompt."""
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
            defined = bool(prompt and bars)
            shares.append(float(np.mean([bar in prompt for bar in bars])) if defined else math.nan)
        shares += [math.nan] * (len(samples) - len(shares))
        return mean(shares, "nothing sounds in a whole bar")


class LengthProduced:
    """How far samples go before they fall silent to the end."""

    name: ClassVar[str] = "length_produced"
    version: ClassVar[int] = 1
    unit: ClassVar[str] = "share of steps"
    direction: ClassVar[Direction] = "none"
    headline: ClassVar[bool] = False
    measures: ClassVar[str] = (
        "The step at which a piece's last note ends, as a share of the steps asked for; 0 for"
        " silence."
    )
    blind_to: ClassVar[str] = "Everything before the end. Real excerpts may end with a rest."
    citation: ClassVar[str] = _OURS

    def prepare(self, reference: Reference) -> None:
        """The reference is not needed."""

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
        "The share of a piece's steps at which nothing sounds, including those at its end."
    )
    blind_to: ClassVar[str] = "What sounds at the other steps. Neither more nor less is better."
    citation: ClassVar[str] = _OURS

    def prepare(self, reference: Reference) -> None:
        """The reference is not needed."""

    def score(self, samples: Sequence[Score]) -> Measurement:
        """The mean over pieces."""
        shares = [float((keys_per_step(p) == 0).mean()) if p.length else math.nan for p in samples]
        return mean(shares, "no piece has a step")
