"""RNN-NADE: a recurrent network sets the biases of a NADE at every step.

(Boulanger-Lewandowski et al. 2012, section 4; NADE: Larochelle & Murray 2011.)

    frames before -> LSTM 2 x 128 -> b(t), c(t)
    h_i = sigmoid(c(t) + sum over j < i of v_j W_j),  p(v_i | v_<i, past) = sigmoid(b_i(t) + V_i h_i)

The keys of a frame are decided one after the other, from the lowest up. The likelihood of a frame
is therefore exact, and a higher note depends on the notes below it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bench import training
from bench.contract import Budget, Log
from bench.music.score import Roll
from bench.training.frame_system import (
    FrameNetwork,
    FrameSystem,
    State,
    cut,
    independent,
    log_odds,
    starts,
)

FRAMES = 4096  # computed at a time: bounds the memory


class SteadyDropout(nn.Module):
    """Dropout with one mask for all steps of a window (Gal & Ghahramani 2016)."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        """(batch, time, size) -> the same."""
        if not self.training or not self.share:
            return x
        mask = torch.empty_like(x[:, :1]).bernoulli_(1 - self.share)
        return x * mask.div_(1 - self.share)


class RnnNadeNetwork(FrameNetwork):
    """An LSTM, and a NADE whose biases follow it."""

    def __init__(
        self,
        keys: int,
        hidden: int,
        layers: int,
        units: int,
        dropout: float,
        input_dropout: float = 0.0,
        steady: bool = False,
    ) -> None:
        super().__init__()
        self.keys, self.units = keys, units
        self.lstm = nn.LSTM(keys, hidden, batch_first=True)
        upper = (nn.LSTM(hidden, hidden, batch_first=True) for _ in range(layers - 1))
        self.upper = nn.ModuleList(upper)
        kind = SteadyDropout if steady else nn.Dropout
        self.dropout, self.input_dropout = kind(dropout), kind(input_dropout)
        self.biases = nn.Linear(hidden, keys + units)
        self.w = nn.Parameter(0.01 * torch.randn(keys, units))  # from decided keys
        self.v = nn.Parameter(0.01 * torch.randn(keys, units))  # to the key to decide

    def start(self, steps: Tensor) -> State:
        """Zeros: an output and a memory for each layer."""
        zeros = self.w.new_zeros(1, len(steps), self.lstm.hidden_size)
        return (zeros,) * (2 + 2 * len(self.upper))

    def read(self, frames: Tensor, state: State) -> tuple[Tensor, State]:
        """(batch, time, keys) -> (batch, time, keys + units): the biases b and c."""
        x = self.input_dropout(frames)
        carried: list[Tensor] = []
        for number, lstm in enumerate([self.lstm, *self.upper]):
            x, after = lstm(x, (state[2 * number], state[2 * number + 1]))
            carried += after
            x = self.dropout(x)
        return self.biases(x), tuple(carried)

    def log_probability(self, context: Tensor, frames: Tensor) -> Tensor:
        """(batch, time) from the biases (batch, time, keys + units)."""
        c = torch.split(context.flatten(0, -2), FRAMES)
        f = torch.split(frames.flatten(0, -2), FRAMES)
        logs = [self._logs(*parts) for parts in zip(c, f, strict=True)]
        return torch.cat(logs).view(frames.shape[:-1])

    def _logs(self, biases: Tensor, frames: Tensor) -> Tensor:
        """(frames,) log p, all keys of a frame at once.

        The hidden units change only after a key that sounds: for a frame of n notes they take
        n + 1 values, not one per key.
        """
        b, c = torch.split(biases, [self.keys, self.units], dim=-1)
        below = frames.cumsum(dim=1).long() - frames.long()  # (frames, keys) notes below each key
        notes = int(frames.sum(dim=1).max())
        # (frames, notes) the sounding keys from the bottom up, then padding
        sounding = torch.where(frames > 0, torch.arange(self.keys, device=b.device), self.keys)
        sounding = sounding.sort(dim=1).values[:, :notes]
        after = nn.functional.pad(self.w, (0, 0, 0, 1))[sounding].cumsum(dim=1)
        a = c[:, None] + nn.functional.pad(after, (0, 0, 1, 0))  # (frames, notes + 1, units)
        logits = a.sigmoid() @ self.v.T  # (frames, notes + 1, keys)
        return independent(b + logits.gather(1, below[:, None])[:, 0], frames)

    def draw(self, context: Tensor, uniform: Tensor) -> Tensor:
        """(batch, keys), from the bottom up."""
        b, a = torch.split(context, [self.keys, self.units], dim=-1)
        frame = torch.zeros_like(uniform)
        for key in range(self.keys):
            chance = (b[:, key] + a.sigmoid() @ self.v[key]).sigmoid()
            frame[:, key] = (uniform[:, key] < chance).to(frame.dtype)
            a = a + frame[:, key, None] * self.w[key]
        return frame


class RnnNade(FrameSystem):
    """The recurrent NADE."""

    @dataclass(frozen=True)
    class Settings:
        """Between the paper's RNN-RBM and Magenta's RNN-NADE; the catalogue gives the reasons."""

        hidden: int = 128  # units of an LSTM layer
        layers: int = 2  # LSTM layers
        units: int = 150  # hidden units of the NADE
        dropout: float = 0.5  # after each LSTM layer
        input_dropout: float = 0.0  # of the keys that the first layer reads
        steady: bool = False  # dropout leaves out the same units in all steps of a window
        batch: int = 16  # windows of an update
        sequence: int = 64  # steps of a window
        rate: float = 0.002  # learning rate of AdamW; it falls to 0
        decay: float = 0.0  # weight decay of AdamW
        passes: int = 150  # over the data at most, whatever the budget: small sets are overfit
        clip: float = 5.0  # largest norm of the gradient
        patience: int | None = 10  # validations without a gain after which training ends

    settings: Settings
    network: RnnNadeNetwork

    def build(self) -> RnnNadeNetwork:
        """The network, newly initialised."""
        s = self.settings
        return RnnNadeNetwork(
            self.keys, s.hidden, s.layers, s.units, s.dropout, s.input_dropout, s.steady
        )

    def train(
        self, train: Sequence[Roll], valid: Sequence[Roll], budget: Budget, seed: int, log: Log
    ) -> None:
        """Train on windows in random order, by AdamW; the rate falls to 0."""
        s = self.settings
        rows = starts(train, s.sequence)
        self.network.biases.bias.data[: self.keys] = log_odds(train)
        per_pass = training.batches_per_pass(len(rows), s.batch)
        steps = min(training.updates(budget, per_pass), s.passes * per_pass)

        def loss(step: int) -> Tensor:
            chosen = rows[training.batch(len(rows), s.batch, seed, step)]
            mean: Tensor = self.network.loss(cut(train, chosen, s.sequence))
            return mean

        self.minimise(
            loss,
            valid,
            torch.optim.AdamW(self.network.parameters(), lr=s.rate, weight_decay=s.decay),
            Budget(steps),
            per_pass,
            seed,
            log,
            schedule=lambda step: 0.5 + 0.5 * math.cos(math.pi * min(1.0, step / steps)),
            clip=s.clip,
            patience=s.patience,
            music_steps=s.batch * s.sequence,
        )
