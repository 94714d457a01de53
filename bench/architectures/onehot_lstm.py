"""LSTMs over frames with two logits per key (Rao & Xie 2022, sections III.A and V.A).

    complex: frame -> linear 512 -> dropout .3 -> LSTM 2 x 1024 -> layer norm -> dropout .3
             -> linear 512, ReLU -> dropout .5 -> linear 88
    simple:  frame -> linear 128 -> LSTM 512 -> linear 88

"We stack another vector on top and compute the second vector as one minus the output vector.
Then we obtained a matrix with shape (2, 88)": a softmax over (l, 1 - l). The second class is that
the key sounds, so that p(sounds) = sigmoid(1 - 2 l).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from bench import training
from bench.contract import Budget, Log
from bench.music.score import Roll
from bench.seeds import step_seed
from bench.training.frame_system import (
    FrameNetwork,
    FrameSystem,
    State,
    cut,
    independent,
    log_odds,
    starts,
)


class OneHotNetwork(FrameNetwork):
    """The complex network if it has a second linear layer (`between` > 0), else the simple one."""

    def __init__(
        self,
        keys: int,
        embedding: int,
        hidden: int,
        layers: int,
        between: int,
        dropout: tuple[float, float, float],
        always_drops: bool,
    ) -> None:
        super().__init__()
        self.keys, self.hidden, self.layers, self.between = keys, hidden, layers, between
        self.dropout, self.always_drops = dropout, always_drops
        self.embed = nn.Linear(keys, embedding)
        self.lstm = nn.LSTM(embedding, hidden, layers, batch_first=True)
        if between:
            self.norm = nn.LayerNorm(hidden)
            self.first = nn.Linear(hidden, between)
        self.out = nn.Linear(between or hidden, keys)

    def start(self, steps: Tensor) -> State:
        """Zeros, and the step at which each piece begins."""
        zeros = self.out.weight.new_zeros(self.layers, len(steps), self.hidden)
        return zeros, zeros, steps[None]

    def read(self, frames: Tensor, state: State) -> tuple[Tensor, State]:
        """(batch, time, keys) -> (batch, time, between or hidden)."""
        time = frames.shape[1]
        # Read from the GPU only where it is needed, since that waits for it.
        step = int(state[2].max()) if self.always_drops and not self.training else 0
        x = self._drop(self.embed(frames), 0, step)
        x, (hidden, cell) = self.lstm(x, (state[0], state[1]))
        if self.between:
            x = self._drop(self.norm(x), 1, step)
            x = self._drop(self.first(x).relu(), 2, step)
        return x, (hidden, cell, state[2] + time)

    def _drop(self, x: Tensor, place: int, step: int) -> Tensor:
        """Dropout; in evaluation, with `always_drops`, the mask depends on step and place alone."""
        share = self.dropout[place]
        if self.training or not (share and self.always_drops):
            return nn.functional.dropout(x, share, self.training)
        masks = []
        for number in range(step, step + x.shape[1]):
            chance = torch.Generator().manual_seed(step_seed(place, number))
            masks.append(torch.rand(x.shape[2], generator=chance) >= share)
        return x * torch.stack(masks).to(x) / (1 - share)

    def log_probability(self, context: Tensor, frames: Tensor) -> Tensor:
        """(batch, time): the two-class cross-entropy over (l, 1 - l)."""
        return independent(1 - 2 * self.out(context), frames)

    def draw(self, context: Tensor, uniform: Tensor) -> Tensor:
        """(batch, keys), each key independently."""
        chance: Tensor = (1 - 2 * self.out(context)).sigmoid()
        return (uniform < chance).to(context.dtype)


class OneHotLSTM(FrameSystem):
    """The paper's one-hot networks, by their settings."""

    @dataclass(frozen=True)
    class Settings:
        """The paper's complex network; `onehot-lstm-simple` in the catalogue is the simple one."""

        embedding: int = 512  # size of the first linear layer
        hidden: int = 1024  # units of an LSTM layer
        layers: int = 2  # LSTM layers
        between: int = 512  # size of the linear layer after the LSTM; 0: none, and no layer norm
        dropout: tuple[float, float, float] = (0.3, 0.3, 0.5)  # before and after the LSTM, between
        batch: int = 4  # windows of an update
        sequence: int = 333  # steps of a window
        stride: int | None = None  # steps from window to window; none: a window's length
        rate: float = 0.001  # learning rate of Adam
        clip: float = 1.0  # largest norm of the gradient
        patience: int | None = 5  # validations without a gain after which training ends
        always_drops: bool = False  # dropout in evaluation too, as published
        scores_padding: bool = False  # the loss counts padding as silence, as published

    settings: Settings
    STEPS = 32
    PRECISION = torch.float32  # double precision takes twice as long in a network of this size
    network: OneHotNetwork

    def build(self) -> OneHotNetwork:
        """The network, newly initialised."""
        s = self.settings
        return OneHotNetwork(
            self.keys, s.embedding, s.hidden, s.layers, s.between, s.dropout, s.always_drops
        )

    def train(
        self, train: Sequence[Roll], valid: Sequence[Roll], budget: Budget, seed: int, log: Log
    ) -> None:
        """Train on windows in random order, by Adam."""
        s = self.settings
        rows = starts(train, s.sequence, s.stride)
        self.network.out.bias.data.copy_((1 - log_odds(train)) / 2)

        def loss(step: int) -> Tensor:
            chosen = rows[training.batch(len(rows), s.batch, seed, step)]
            windows = cut(train, chosen, s.sequence, whole=s.scores_padding)
            if s.scores_padding:
                windows = replace(windows, held=torch.ones_like(windows.held))
            mean: Tensor = self.network.loss(windows)
            return mean

        self.minimise(
            loss,
            valid,
            torch.optim.Adam(self.network.parameters(), lr=s.rate),
            budget,
            training.batches_per_pass(len(rows), s.batch),
            seed,
            log,
            clip=s.clip,
            patience=s.patience,
            music_steps=s.batch * s.sequence,
        )
