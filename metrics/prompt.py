"""Whether a continuation belongs to its own prompt rather than to another piece's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from bench.contract import Direction, Floats, Measurement, Reference
from bench.music import KEYS, LOWEST, Score
from bench.protocol.corruptions import backwards
from metrics.per_piece import NO_SAMPLES, distance_draws, half_shares, mean, wasserstein
from metrics.shared import shared
from metrics.structure import bars_of

PAIRS = 96  # of prompt and continuation, from as many training pieces
LEAST = 4
SHRINK = 0.1  # of the differences' covariance towards independence
NO_PROMPT = "nothing sounds in its prompt, or all prompts are from one piece"
TRAITS = ("keys", "classes", "height", "density", "bars", "join")


def traits(prompts: Sequence[Score], pieces: Sequence[Score], bar: int) -> Floats:
    """(traits, prompts, pieces) how well each piece fits each prompt; more is better.

    keys, classes: the share that their keys, or pitch classes, have in common by time.
    height: how near their mean pitches are, density: their notes per quarter.
    bars: what the prompt's last bar has in common with the bar of the piece that is most like it.
    join: how near the piece's first chord is to the prompt's last.
    To silence everything fits alike.
    """
    ours, theirs = [_summary(p) for p in prompts], [_summary(p) for p in pieces]

    def array(of: list[dict[str, Floats]], name: str) -> Floats:
        return np.array([summary[name] for summary in of])

    def common(name: str) -> Floats:
        return np.array([np.minimum(p[name], array(theirs, name)).sum(axis=1) for p in ours])

    def near(name: str) -> Floats:
        return -np.abs(array(ours, name)[:, None] - array(theirs, name))

    fits = np.array(
        [
            common("keys"),
            common("classes"),
            near("height"),
            near("density"),
            _best_bar(prompts, pieces, bar),
            [[_join(p["last"], q["first"]) for q in theirs] for p in ours],
        ]
    )
    fits[:, :, [not len(piece) for piece in pieces]] = 0
    return fits


def _summary(piece: Score) -> dict[str, Floats]:
    roll = piece.sounding()
    time = roll.sum(axis=0).astype(np.float64)
    classes = np.bincount((np.arange(KEYS) + LOWEST) % 12, time, minlength=12)
    used = np.flatnonzero(roll.any(axis=1))
    ends = [np.flatnonzero(roll[used[end]]) if len(used) else used for end in (0, -1)]
    quarters = max(piece.length / piece.grid, 1e-9)
    return {
        "keys": time / max(time.sum(), 1),
        "classes": classes / max(time.sum(), 1),
        "height": np.asarray(piece.pitch.mean() / 12 if len(piece) else 0.0),
        "density": np.asarray(np.log(len(piece) / quarters + 0.1)),
        "first": ends[0],
        "last": ends[1],
    }


def _join(last: Floats, first: Floats) -> float:
    """Minus the mean distance, in octaves, of each key of either chord from the other's nearest."""
    if not len(last) or not len(first):
        return 0.0
    distances = np.abs(last[:, None] - first)
    return -float(distances.min(axis=0).mean() + distances.min(axis=1).mean()) / 24


def _best_bar(prompts: Sequence[Score], pieces: Sequence[Score], bar: int) -> Floats:
    """(prompts, pieces) the most that a bar has in common with the prompt's last, over either's."""
    ends = [p.slice(max(0, p.length - bar), p.length).pad(bar) for p in prompts]
    own = np.array([bars_of(end, bar)[0][0] for end in ends], dtype=np.float32)
    most = np.zeros((len(prompts), len(pieces)))
    for number, piece in enumerate(pieces):
        bars = bars_of(piece, bar)[0].astype(np.float32)
        if len(bars):
            both = own @ bars.T
            either = own.sum(axis=1)[:, None] + bars.sum(axis=1) - both
            most[:, number] = (both / np.maximum(either, 1)).max(axis=1)
    return most


def strangers(pieces: Sequence[str]) -> NDArray[np.bool_]:
    """(prompts, prompts) which are from different pieces."""
    names = np.array(pieces)
    return np.asarray(names[:, None] != names)


@shared
def weights_of(reference: Reference) -> Floats:
    """(traits,) what best tells own prompts from others in the training pieces (Fisher 1936).

    Empty where too few training pieces are long enough.
    """
    bar, steps = reference.bar, reference.steps
    long = [piece for piece in reference.train if piece.length >= bar + steps]
    prompts, after = [], []
    for index in np.linspace(0, len(long) - 1, min(PAIRS, len(long))).astype(int):
        piece = long[index]
        start = (piece.length - bar - steps) // bar // 2 * bar
        piece = backwards(piece) if reference.backward else piece
        prompt = piece.slice(start, start + bar)
        if len(prompt):
            prompts.append(prompt)
            after.append(piece.slice(start + bar, start + bar + steps))
    if len(prompts) < LEAST:
        return np.zeros(0)
    fits = traits(prompts, after, bar)
    others = ~np.eye(len(prompts), dtype=bool)
    more = (np.diagonal(fits, axis1=1, axis2=2)[:, None, :] - fits)[:, others]  # (traits, pairs)
    unit = more.std(axis=1) + 1e-9
    more = more / unit[:, None]
    spread = np.cov(more) + SHRINK * np.eye(len(more))
    return np.asarray(np.linalg.solve(spread, more.mean(axis=1)) / unit)


@shared
def rates(reference: Reference, pieces: Sequence[Score]) -> Floats:
    """(pieces,) the share of other pieces' prompts that each fits less well than its own.

    Equally well counts half. NaN where nothing sounds in the prompt. Where the prompts are endings,
    everything is turned round in time, so that the piece follows its prompt.
    """
    prompts = reference.prompts[: len(pieces)]
    if reference.backward:
        prompts, pieces = [*map(backwards, prompts)], [*map(backwards, pieces)]
    names = reference.prompt_pieces or [str(number) for number in range(len(prompts))]
    sounds = np.array([len(prompt) > 0 for prompt in prompts])
    fits = np.tensordot(weights_of(reference), traits(prompts, pieces, reference.bar), 1)
    more = np.diagonal(fits) - fits  # (prompts, pieces)
    better = np.where(np.abs(more) < 1e-9, 0.5, (more > 0).astype(float))
    compared = strangers(names[: len(prompts)]) & sounds[:, None]
    total = compared.sum(axis=0)
    share = (better * compared).sum(axis=0) / np.maximum(total, 1)
    return np.where(sounds & (total > 0), share, math.nan)


def missing(reference: Reference, samples: Sequence[Score]) -> str:
    """Why no sample has a rate; "" where some have."""
    if not len(samples):
        return NO_SAMPLES
    if len(samples) > len(reference.prompts):
        return f"there are {len(reference.prompts)} prompts for {len(samples)} samples"
    if not any(len(prompt) for prompt in reference.prompts):
        return "there are no prompts in which anything sounds"
    if not len(weights_of(reference)):
        return f"fewer than {LEAST} training pieces are as long as a prompt and its continuation"
    return ""


class PromptFit:
    """How often a sample fits its own prompt better than another piece's."""

    name: ClassVar[str] = "prompt_fit"
    version: ClassVar[int] = 1
    unit: ClassVar[str] = "share of prompts"
    direction: ClassVar[Direction] = "none"
    headline: ClassVar[bool] = False
    measures: ClassVar[str] = (
        "The share of other pieces' prompts that a sample fits less well than its own; equally well"
        " counts half, so that 0.5 is chance, also for silence. Fit is a weighted sum of six"
        " traits: keys and pitch classes in common, nearness of mean pitch, of notes per quarter"
        " and of the chords where they join, and the bar most like the prompt. The weights are"
        " those that best tell own prompts from others in the training pieces."
    )
    blind_to: ClassVar[str] = (
        "Everything but the relation to the prompt: a prompt repeated over and over fits best of"
        " all. Compare with the human row, or see prompt_fit_gap."
    )
    citation: ClassVar[str] = "ours; weights: Fisher 1936, linear discriminant"

    def prepare(self, reference: Reference) -> None:
        """Keep the reference."""
        self._reference = reference

    def score(self, samples: Sequence[Score]) -> Measurement:
        """The mean over the samples whose prompt sounds."""
        if reason := missing(self._reference, samples):
            return Measurement(None, reason)
        return mean(rates(self._reference, list(samples)).tolist(), NO_PROMPT)


class PromptFitGap:
    """How far samples are from fitting their prompts as often as true continuations do."""

    name: ClassVar[str] = "prompt_fit_gap"
    version: ClassVar[int] = 1
    unit: ClassVar[str] = "share of prompts"
    direction: ClassVar[Direction] = "lower"
    headline: ClassVar[bool] = True
    question: ClassVar[str] = "prompt"
    required: ClassVar[tuple[str, ...]] = ("human < one_piece", "human < noise", "human < copy")
    measures: ClassVar[str] = (
        "The 1-Wasserstein distance between the distributions of prompt_fit over the samples and"
        " over the music that really follows their prompts."
    )
    blind_to: ClassVar[str] = "Everything but the relation to the prompt."
    citation: ClassVar[str] = PromptFit.citation

    def prepare(self, reference: Reference) -> None:
        """Keep the reference."""
        self._reference = reference

    def score(self, samples: Sequence[Score]) -> Measurement:
        """The distance; draws from halves of the samples."""
        reference = self._reference
        if reason := missing(reference, samples):
            return Measurement(None, reason)
        if not reference.continuations:
            return Measurement(None, "there are no true continuations to compare with")
        made = rates(reference, list(samples))
        real = rates(reference, list(reference.continuations))
        made, real = made[~np.isnan(made)], real[~np.isnan(real)]
        if not len(made) or not len(real):
            return Measurement(None, f"no piece has a value: {NO_PROMPT}")
        count = len(made)
        value = float(wasserstein(made, np.full((1, count), 1 / count), real)[0])
        drawn = wasserstein(made, half_shares(count), real)
        return Measurement(value, draws=distance_draws(value, drawn, count))
