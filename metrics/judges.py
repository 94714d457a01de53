"""How surprising samples are to frozen networks, compared with how their prompts really went on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from bench.contract import Direction, Floats, Measurement, Reference
from bench.judges import store
from bench.judges.families import BACKWARD
from bench.music import Score
from bench.registry import Family
from metrics.per_piece import NO_SAMPLES, distance_draws, half_shares, wasserstein
from metrics.shared import shared

if TYPE_CHECKING:
    from bench.judges.judge import Judge

SPLITS = 50  # of the true continuations into halves, for what chance does


@shared
def judge_for(reference: Reference, family: Family) -> Judge | str:
    """The judge trained on the reference's training pieces; a sentence where there is none."""
    return store.judge_of(family, reference.train, reference.grid, reference.bar)


def surprise(judge: Judge, prompts: Sequence[Score], pieces: Sequence[Score], bar: int) -> Floats:
    """(pieces, bars) nats per step of each bar, given the prompt and the bars before it."""
    from bench.training import loop

    with loop.on_one_core():  # the same numbers whatever device and threads the job has
        nats = judge.bar_nats(prompts, pieces)
    length = max(piece.length for piece in pieces)
    steps = np.minimum(bar, length - bar * np.arange(nats.shape[1]))
    return np.asarray(np.maximum(nats / np.maximum(steps, 1), 0))


def scaled(nats: Floats, middle: float) -> Floats:
    """Nats on a scale from -1 (none) over 0 (as many as `middle`) to 1 (infinitely many).

    It is the hyperbolic tangent of half the logarithm of their ratio: twice as many are as far away
    as half as many, and no value counts for more than 1.
    """
    return np.asarray((nats - middle) / (nats + middle))


class JudgeGap:
    """The distance of a judge's surprise at the samples' bars from that at the true continuations'.

    Bars are compared rather than whole pieces, so that a bar that is too likely does not make up
    for one that is too unlikely: silence is a surprise first and none later.
    """

    judge: ClassVar[Family]
    version: ClassVar[int] = 1
    unit: ClassVar[str] = "share of the scale"
    direction: ClassVar[Direction] = "lower"
    headline: ClassVar[bool] = True
    question: ClassVar[str] = "likely"
    tolerance: ClassVar[float] = 1e-3  # networks in float32, whose last bits differ by processor
    citation: ClassVar[str] = (
        "Theis et al. 2016, A note on the evaluation of generative models (likelihood under another"
        " model); the comparison with true continuations, bar by bar, is ours"
    )

    def prepare(self, reference: Reference) -> None:
        """Open the judge, and let it hear the true continuations."""
        self._reference = reference
        self._judge = judge_for(reference, self.judge)
        self._real = np.zeros((0, 0))
        forward = not reference.backward
        if forward and not isinstance(self._judge, str) and reference.continuations:
            judge, pieces = self._judge, reference.continuations
            self._real = store.remembered(
                judge,
                reference.prompts,
                pieces,
                lambda: surprise(judge, reference.prompts, pieces, reference.bar),
            )

    def score(self, samples: Sequence[Score]) -> Measurement:
        """The distance; draws from halves of the samples."""
        if not len(samples):
            return Measurement(None, NO_SAMPLES)
        if self._reference.backward:
            return Measurement(None, BACKWARD)
        if isinstance(self._judge, str):
            return Measurement(None, self._judge)
        if not len(self._real):
            return Measurement(None, "there are no true continuations to compare with")
        prompts = self._reference.prompts
        if len(samples) > len(prompts):
            return Measurement(None, f"there are {len(prompts)} prompts for {len(samples)} samples")
        made = surprise(self._judge, prompts[: len(samples)], samples, self._reference.bar)
        middle = float(np.median(self._real)) or 1e-9
        ours, real = scaled(made, middle), scaled(self._real, middle)
        count = len(samples)
        value = float(apart(ours, real, np.full((1, count), 1 / count))[0])
        drawn = apart(ours, real, half_shares(count))
        return Measurement(
            value,
            draws=distance_draws(value, drawn, count),
            detail={
                "nats_per_step": float(made.mean()),
                "human_nats_per_step": float(self._real.mean()),
                "lean": float(ours.mean() - real.mean()),  # below 0: too likely
                "chance": chance(real),
            },
        )


def apart(ours: Floats, real: Floats, share: Floats) -> Floats:
    """(rows,) the 1-Wasserstein distance of all bars' values, for shares of the pieces in rows."""
    bars = ours.shape[1]
    return wasserstein(ours.ravel(), np.repeat(share / bars, bars, axis=1), real.ravel())


def chance(real: Floats) -> float:
    """The distance to expect of as many other pieces by the same composers.

    From halves of the true continuations, whose distance is larger by the square root of 2.
    """
    if len(real) < 4:
        return 0.0
    rng = np.random.default_rng(len(real))
    orders = [rng.permutation(len(real)) for _ in range(SPLITS)]
    half = len(real) // 2
    equal = np.full((1, half), 1 / half)
    distances = [apart(real[o[:half]], real[o[half : 2 * half]], equal)[0] for o in orders]
    return float(np.mean(distances) / np.sqrt(2))


_MEASURES = (
    "Nats per step of every bar of the samples under {judge}, trained on the training pieces alone,"
    " given the prompt and the bars before; the same of the bars that really follow the prompts."
    " The value is the 1-Wasserstein distance of the two distributions, on a scale on which 0 nats"
    " are -1, the median real bar is 0 and infinitely many nats are 1: too likely counts as much as"
    " too unlikely. `lean` in the details is below 0 where the samples are likelier; `chance` is"
    " the distance to expect of as many other real pieces."
)
_BLIND = (
    "Copied training music, and one real piece given for every prompt, are hardly seen. It favours"
    " systems of its own family (`bench.judges.families`)."
)


class JudgeAttention(JudgeGap):
    """The gap by the judge that attends."""

    name: ClassVar[str] = "judge_attention"
    judge: ClassVar[Family] = "attention"
    required: ClassVar[tuple[str, ...]] = ("human < jitter", "human < markov", "human < noise")
    measures: ClassVar[str] = _MEASURES.format(
        judge="a small axial Transformer over what sounds on every beat"
    )
    blind_to: ClassVar[str] = "What happens between the beats, and notes struck again. " + _BLIND


class JudgeRecurrent(JudgeGap):
    """The gap by the judge that is recurrent."""

    name: ClassVar[str] = "judge_recurrent"
    judge: ClassVar[Family] = "recurrent"
    required: ClassVar[tuple[str, ...]] = JudgeAttention.required
    measures: ClassVar[str] = _MEASURES.format(
        judge="a small LSTM with a NADE over what sounds at every step"
    )
    blind_to: ClassVar[str] = "Notes struck again while they sound. " + _BLIND


class JudgeNotes(JudgeGap):
    """The gap by the judge that sees the last notes, relative to each other."""

    name: ClassVar[str] = "judge_notes"
    judge: ClassVar[Family] = "feed-forward"
    required: ClassVar[tuple[str, ...]] = JudgeAttention.required
    measures: ClassVar[str] = _MEASURES.format(
        judge="a small feed-forward network over the last 16 notes, relative to each other"
    )
    blind_to: ClassVar[str] = (
        "Most of what lies more than 16 notes back. Where pieces strike a key again while it"
        " sounds, systems of frames, which cannot, are farther away. " + _BLIND
    )
