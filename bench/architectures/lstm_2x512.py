"""Two stateful LSTM layers of 512 and a sigmoid per key (Sokolov et al. 2016, section 2.4.1).

    frame before -> LSTM 512 -> dropout 0.2 -> LSTM 512 -> 88 sigmoids

"Stateful": each window begins with the state in which the window before it ended. Corrected, the
next window continues the same piece. As published, it is a random window of any piece.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench import training
from bench.contract import Budget, Log
from bench.errors import BenchError
from bench.music import Score
from bench.music.score import Roll
from bench.training.frame_system import (
    FrameNetwork,
    FrameSystem,
    State,
    Windows,
    cut,
    independent,
    log_odds,
    starts,
)

EPSILON = 1e-7  # of Keras
STRIDE = 9  # of the original's windows


def scale_free(chances: Tensor, frames: Tensor) -> Tensor:
    """(...) Keras' categorical cross-entropy of chances (..., keys), as if they were a softmax.

    The chances are divided by their sum: k notes cost at least k ln k, silence costs nothing, and
    nothing keeps all chances from shrinking together.
    """
    shares = chances / chances.sum(dim=-1, keepdim=True)
    return -(frames * shares.clamp(EPSILON, 1 - EPSILON).log()).sum(dim=-1)


class StatefulNetwork(FrameNetwork):
    """Two layers with dropout between them. Remembers the state in which each lane ended."""

    left: Tensor  # (4, lanes, hidden)

    def __init__(self, keys: int, hidden: int, dropout: float, lanes: int) -> None:
        super().__init__()
        self.keys, self.hidden = keys, hidden
        self.lower = nn.LSTM(keys, hidden, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.upper = nn.LSTM(hidden, hidden, batch_first=True)
        self.out = nn.Linear(hidden, keys)
        for lstm in (self.lower, self.upper):
            # As Keras: Glorot, orthogonal, a forget bias of 1. Gates: input, forget, cell, output.
            inputs, recurrent, bias, second = lstm.all_weights[0]
            nn.init.xavier_uniform_(inputs)
            for gate in torch.split(recurrent.detach(), hidden):
                nn.init.orthogonal_(gate)
            nn.init.zeros_(bias)
            nn.init.zeros_(second)
            nn.init.ones_(bias.detach()[hidden : 2 * hidden])
        nn.init.xavier_uniform_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        self.register_buffer("left", torch.zeros(4, lanes, hidden))

    def start(self, steps: Tensor) -> State:
        """Zeros: hidden and cell state of the lower layer, then of the upper."""
        return tuple(self.out.weight.new_zeros(1, len(steps), self.hidden) for _ in range(4))

    def read(self, frames: Tensor, state: State) -> tuple[Tensor, State]:
        """(batch, time, keys) -> (batch, time, hidden)."""
        below, lower = self.lower(frames, state[:2])
        above, upper = self.upper(self.dropout(below), state[2:])
        return above, (*lower, *upper)

    def log_probability(self, context: Tensor, frames: Tensor) -> Tensor:
        """(batch, time) from contexts (batch, time, hidden)."""
        return independent(self.out(context), frames)

    def draw(self, context: Tensor, uniform: Tensor) -> Tensor:
        """(batch, keys), each key independently."""
        chance: Tensor = self.out(context).sigmoid()
        return (uniform < chance).to(context.dtype)

    def continue_lanes(self, windows: Windows, restart: bool) -> Tensor:
        """Mean -log p of windows, each of which continues its lane.

        The state is zero at the beginning of a piece, and in all lanes if `restart`.
        """
        lanes = len(windows.frames)
        state = self.left[:, :lanes] * (windows.steps > 0)[:, None] * (not restart)
        context, after = self.read(windows.before, tuple(part[None] for part in state))
        self.left[:, :lanes] = torch.cat(after).detach().to(self.left.dtype)
        surprise = -self.log_probability(context, windows.frames)
        return (surprise * windows.held).sum() / windows.held.sum()

    def last_only(self, windows: Windows) -> Tensor:
        """The original's loss: of each window's last frame, from the state its lane was left in."""
        lanes = len(windows.frames)
        zeros = self.start(windows.steps)
        state = tuple(part[None].clone() for part in self.left[:2, :lanes])
        context, after = self.read(windows.before, (*state, *zeros[2:]))
        self.left[:2, :lanes] = torch.cat(after[:2]).detach().to(self.left.dtype)
        chances = self.out(context[:, -1]).float().sigmoid()
        return scale_free(chances, windows.frames[:, -1]).mean()


def lane_order(
    pieces: Sequence[Roll], length: int, lanes: int, seed: int, turn: int
) -> list[NDArray[np.int64]]:
    """One pass over all windows: for each update the (lanes, 2) piece and start of its windows.

    The pieces are shuffled again in each pass and their windows put in one long row. Every lane
    reads its part of the row from left to right; the last lane's part may be shorter.
    """
    order = np.random.default_rng([seed, turn]).permutation(len(pieces))
    rows = starts([pieces[piece] for piece in order], length)
    rows[:, 0] = order[rows[:, 0]]
    updates = training.batches_per_pass(len(rows), lanes)
    return [rows[step::updates] for step in range(updates)]


class LSTM2x512(FrameSystem):
    """The paper's baseline, corrected or as published."""

    @dataclass(frozen=True)
    class Settings:
        """The paper's network."""

        hidden: int = 512  # units of an LSTM layer
        dropout: float = 0.2  # between the layers
        batch: int = 32  # windows of an update; the number of lanes
        sequence: int = 32  # steps of a window
        rate: float = 0.001  # learning rate of RMSprop
        rho: float = 0.9  # decay of RMSprop's mean of squares
        epsilon: float = 1e-6  # of RMSprop
        clip: float | None = 5.0  # largest norm of the gradient
        patience: int | None = 5  # validations without a gain after which training ends
        as_published: bool = False  # the original's windows, loss and initial biases

    settings: Settings
    network: StatefulNetwork

    def build(self) -> StatefulNetwork:
        """The network, newly initialised."""
        s = self.settings
        return StatefulNetwork(self.keys, s.hidden, s.dropout, s.batch)

    def begin(self, train: Sequence[Roll]) -> None:
        """Set the output biases to the keys' log-odds in the training pieces."""
        if not self.settings.as_published:
            self.network.out.bias.data.copy_(log_odds(train))

    def go_on(
        self, train: Sequence[Score], valid: Sequence[Score], budget: Budget, seed: int, log: Log
    ) -> None:
        """Continue to train the network, for training in stages."""
        held_out = [score.sounding() for score in valid if score.length]
        self.train([score.sounding() for score in train], held_out, budget, seed, log)

    def train(
        self, train: Sequence[Roll], valid: Sequence[Roll], budget: Budget, seed: int, log: Log
    ) -> None:
        """Train by RMSprop; an update reads the next window of every lane."""
        s = self.settings
        overlapping = starts(train, s.sequence, STRIDE)
        lengths = np.array([len(piece) for piece in train])
        overlapping = overlapping[overlapping[:, 1] + s.sequence <= lengths[overlapping[:, 0]]]
        if s.as_published and not len(overlapping):
            raise BenchError(
                f"No training piece has the {s.sequence} steps of a window; set sequence lower."
            )
        passes: dict[int, list[NDArray[np.int64]]] = {}
        rows = len(overlapping if s.as_published else starts(train, s.sequence))
        per_pass = training.batches_per_pass(rows, s.batch)

        def corrected(step: int) -> Tensor:
            turn, place = divmod(step, per_pass)
            if turn not in passes:
                passes.clear()
                passes[turn] = lane_order(train, s.sequence, s.batch, seed, turn)
            windows = cut(train, passes[turn][place], s.sequence)
            return self.network.continue_lanes(windows, restart=place == 0)

        def as_published(step: int) -> Tensor:
            chosen = overlapping[training.batch(rows, s.batch, seed, step)]
            return self.network.last_only(cut(train, chosen, s.sequence))

        self.minimise(
            as_published if s.as_published else corrected,
            [] if s.as_published else valid,
            torch.optim.RMSprop(self.network.parameters(), lr=s.rate, alpha=s.rho, eps=s.epsilon),
            budget,
            per_pass,
            seed,
            log,
            clip=s.clip,
            patience=s.patience,
            music_steps=s.batch * s.sequence,
            often=True,
        )
