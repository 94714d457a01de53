"""Judges of frames: two of the suite's networks, small, with settings of their own.

`AttentionJudge` hears what sounds on every beat, `RecurrentJudge` what sounds at every step. Both
likelihoods are exact; a note that is struck again while it sounds is one long note to them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.architectures.axial import AxialTransformer
from bench.architectures.rnn_nade import RnnNade
from bench.contract import Budget, Floats, Log
from bench.judges.judge import (
    BARS,
    Arrays,
    Quiet,
    apart,
    bars_of,
    beginnings,
    rise_and_fall,
    updates_of,
)
from bench.music import KEYS, Score
from bench.music.score import Roll
from bench.registry import Family
from bench.training import loop
from bench.training.frame_system import Windows, cut, log_odds

WIDEST = 6  # semitones, either way, by which excerpts are transposed where a network needs it


class Axial(AxialTransformer):
    """The axial Transformer, trained on excerpts."""

    bar: int  # frames
    outcome: loop.Outcome

    def train(
        self, train: Sequence[Roll], valid: Sequence[Roll], budget: Budget, seed: int, log: Log
    ) -> None:
        """AdamW, the rate rising and then falling to nothing."""
        s = self.settings
        sounding = np.flatnonzero(np.concatenate(list(train)).any(axis=0))
        self.network.rate.data.copy_(log_odds(train))
        self.network.inside = slice(int(sounding[0]), int(sounding[-1]) + 1)
        optimiser = torch.optim.AdamW(
            self.network.parameters(), lr=s.rate, weight_decay=s.decay, betas=(0.9, 0.98)
        )
        self.outcome = on_excerpts(self, train, valid, optimiser, budget, seed, log, widest=0)


class Nade(RnnNade):
    """The recurrent NADE, trained on excerpts in all keys: unlike the other, it must learn each."""

    bar: int  # frames
    outcome: loop.Outcome

    def train(
        self, train: Sequence[Roll], valid: Sequence[Roll], budget: Budget, seed: int, log: Log
    ) -> None:
        """Adam, the rate rising and then falling to nothing."""
        self.network.biases.bias.data[: self.keys] = log_odds(train)
        optimiser = torch.optim.Adam(self.network.parameters(), lr=self.settings.rate)
        self.outcome = on_excerpts(self, train, valid, optimiser, budget, seed, log, widest=WIDEST)


def on_excerpts(
    system: Any,
    train: Sequence[Roll],
    valid: Sequence[Roll],
    optimiser: torch.optim.Optimizer,
    budget: Budget,
    seed: int,
    log: Log,
    widest: int,
) -> loop.Outcome:
    """Train the system's network on excerpts that begin at any bar line, as if pieces began there."""
    s, bar = system.settings, system.bar
    rows = beginnings([len(piece) for piece in train], bar, s.sequence)
    # What an excerpt in another key is a view of: silent keys below and above the keyboard.
    wide = [np.pad(piece, ((0, 0), (widest, widest))) for piece in train]
    held_out = [
        valid[number][start : start + s.sequence]
        for number, start in apart([len(piece) for piece in valid], bar, s.sequence)
    ]

    def loss(step: int) -> Tensor:
        rng = np.random.default_rng([seed, step])
        chosen = rows[rng.integers(len(rows), size=s.batch)]
        shifts = rng.integers(-widest, widest + 1, size=s.batch)
        parts = [
            within(wide[number][start : start + s.sequence], int(shift), widest)
            for (number, start), shift in zip(chosen.tolist(), shifts, strict=True)
        ]
        mean: Tensor = system.network.loss(windows(parts))
        return mean

    return loop.train(
        system.network,
        loss,
        optimiser,
        steps=budget.amount,
        seed=seed,
        log=log,
        schedule=rise_and_fall(budget.amount),
        clip=s.clip,
        validate=(lambda: system.surprise(held_out)) if held_out else None,
        every=50,
        patience=s.patience,
    )


def within(wide: Roll, shift: int, widest: int) -> Roll:
    """A wide roll's excerpt, so many semitones higher; as it is where that would lose a key."""
    moved = wide[:, widest - shift : widest - shift + KEYS]
    if shift and moved.sum() != wide.sum():
        moved = wide[:, widest : widest + KEYS]
    return moved


def windows(parts: Sequence[Roll]) -> Windows:
    """Excerpts side by side, each the beginning of a piece."""
    rows = np.array([(number, 0) for number in range(len(parts))])
    return cut(parts, rows, max(len(part) for part in parts))


class FrameJudge:
    """A network of frames as a judge."""

    family: ClassVar[Family]
    version: ClassVar[int] = 1
    network: ClassVar[type[Axial | Nade]]
    usual: ClassVar[Mapping[str, Any]]  # settings of the network
    updates: ClassVar[int]  # at most
    passes: ClassVar[int]  # over the music, at most
    chunk: ClassVar[int]  # pieces at a time: what fits into a processor's cache
    frame: int  # steps

    def __init__(self, grid: int, bar: int, **settings: Any) -> None:
        self.bar = bar
        self.frame = self.steps_of_a_frame(grid, bar)
        length = BARS * bar // self.frame
        self.settings: dict[str, Any] = {**self.usual, "sequence": length, **settings}
        self.system = self.network(**self.settings)

    @classmethod
    def steps_of_a_frame(cls, grid: int, bar: int) -> int:
        """How many steps one frame stands for."""
        return 1

    def rolls(self, scores: Sequence[Score]) -> list[Roll]:
        """What sounds at the first step of every frame."""
        return [score.sounding()[:: self.frame] for score in scores]

    def fit(self, learn: Sequence[Score], held_out: Sequence[Score], seed: int) -> loop.Outcome:
        """Train the network on the pieces' frames."""
        train = self.rolls(learn)
        s = self.system.settings
        steps = sum(len(piece) for piece in train)
        budget = updates_of(self.updates, self.passes, steps, s.batch * s.sequence)
        self.system.bar = self.bar // self.frame
        self.system.learn(train, self.rolls(held_out), Budget(budget), seed, Quiet())
        return self.system.outcome

    def nats(self, prompts: Sequence[Score], continuations: Sequence[Score]) -> Floats:
        """(pieces,) -log p of each continuation's frames, given its prompt's."""
        return np.asarray(self.bar_nats(prompts, continuations).sum(axis=1))

    @torch.no_grad()
    def bar_nats(self, prompts: Sequence[Score], continuations: Sequence[Score]) -> Floats:
        """(pieces, bars) the same for each bar's frames."""
        before, after = self.rolls(prompts), self.rolls(continuations)
        network = self.system.network.eval()
        bars = bars_of(continuations, self.bar)
        nats = np.zeros((len(after), bars))
        for first in range(0, len(after), self.chunk):
            rows = range(first, min(len(after), first + self.chunk))
            parts = [np.concatenate([before[row], after[row]]) for row in rows]
            if not any(len(part) for part in parts):
                continue
            excerpt = windows(parts)
            context, _ = network.read(
                excerpt.before, network.start(torch.zeros(len(parts), dtype=torch.long))
            )
            logs = network.log_probability(context, excerpt.frames).double().numpy()
            for row, part, each in zip(rows, parts, logs, strict=True):
                of_frames = -each[len(before[row]) : len(part)]
                bar = np.arange(len(of_frames)) * self.frame // self.bar
                nats[row] = np.bincount(bar, of_frames, minlength=bars)
        return nats

    def arrays(self) -> Arrays:
        """The weights."""
        return {name: value.numpy() for name, value in self.system.network.state_dict().items()}

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Build the network, and give it the weights."""
        self.system.keys = KEYS
        with loop.seeded(0):
            self.system.network = self.system.build()
        weights = {name: torch.from_numpy(value) for name, value in arrays.items()}
        self.system.network.load_state_dict(weights)
        self.system.network.eval()


class AttentionJudge(FrameJudge):
    """A small axial Transformer over the frames on the beats."""

    family: ClassVar[Family] = "attention"
    network: ClassVar[type[Axial]] = Axial
    usual: ClassVar[Mapping[str, Any]] = {
        "size": 32,
        "heads": 4,
        "blocks": 1,
        "dropout": 0.1,
        "batch": 8,
        "rate": 0.006,
    }
    updates: ClassVar[int] = 400
    passes: ClassVar[int] = 20
    chunk: ClassVar[int] = 4

    @classmethod
    def steps_of_a_frame(cls, grid: int, bar: int) -> int:
        """A beat; less where bars are no whole number of beats."""
        return math.gcd(grid, bar)


class RecurrentJudge(FrameJudge):
    """A small LSTM with a NADE over the frames of all steps."""

    family: ClassVar[Family] = "recurrent"
    network: ClassVar[type[Nade]] = Nade
    usual: ClassVar[Mapping[str, Any]] = {
        "hidden": 96,
        "layers": 1,
        "units": 64,
        "dropout": 0.3,
        "batch": 16,
        "rate": 0.004,
    }
    updates: ClassVar[int] = 2400
    passes: ClassVar[int] = 150
    chunk: ClassVar[int] = 64
