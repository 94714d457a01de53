"""A two-layer LSTM over summed note embeddings, a sigmoid per key (Huang & Wu 2016, poster).

    frame before -> sum of its notes' embeddings 128 -> LSTM 2 x 128 -> 88 sigmoids

The poster: "we first represent each note with its own embedding vector. For each time step the
input vector would be a sum of these vectors. The output of the LSTM is projected back into the
input space and fed into a sigmoid layer. The objective function is standard cross-entropy."
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bench import training
from bench.contract import Budget, Floats, Log
from bench.music.key import note_name
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


class SigmoidNetwork(FrameNetwork):
    """Reads frames and predicts each key of the next one independently."""

    def __init__(self, keys: int, embedding: int, hidden: int, layers: int) -> None:
        super().__init__()
        self.keys = keys
        self.embed = nn.Linear(keys, embedding, bias=False)  # column k: the embedding of note k
        self.lstm = nn.LSTM(embedding, hidden, layers, batch_first=True)
        self.out = nn.Linear(hidden, keys)
        nn.init.normal_(self.embed.weight)  # as nn.Embedding is initialised
        for layer in range(layers):
            # A forget bias of 1, as TensorFlow's BasicLSTMCell. Gates: input, forget, cell, output.
            for name, value in (("bias_ih", 1.0), ("bias_hh", 0.0)):
                bias = getattr(self.lstm, f"{name}_l{layer}")
                nn.init.constant_(bias[hidden : 2 * hidden], value)

    def start(self, steps: Tensor) -> State:
        """Zeros."""
        zeros = self.out.weight.new_zeros(self.lstm.num_layers, len(steps), self.lstm.hidden_size)
        return zeros, zeros

    def read(self, frames: Tensor, state: State) -> tuple[Tensor, State]:
        """(batch, time, keys) -> (batch, time, hidden)."""
        return self.lstm(self.embed(frames), state)  # type: ignore[no-any-return]

    def log_probability(self, context: Tensor, frames: Tensor) -> Tensor:
        """(batch, time) from contexts (batch, time, hidden)."""
        return independent(self.out(context), frames)

    def draw(self, context: Tensor, uniform: Tensor) -> Tensor:
        """(batch, keys), each key independently."""
        chance: Tensor = self.out(context).sigmoid()
        return (uniform < chance).to(context.dtype)


class SigmoidLSTM(FrameSystem):
    """The piano-roll sigmoid model of the poster."""

    @dataclass(frozen=True)
    class Settings:
        """The poster's network; how it is trained was chosen on validation pieces."""

        embedding: int = 128  # size of a note's embedding
        hidden: int = 128  # units of an LSTM layer
        layers: int = 2  # LSTM layers
        batch: int = 16  # windows of an update
        sequence: int = 50  # steps of a window
        rate: float = 0.004  # learning rate of Adam
        factor: float = 0.5  # of the learning rate, where the training error slows
        window: int = 50  # updates whose mean loss is compared with that of as many before
        slow: float = 0.03  # a smaller fall of the loss, as a share of it, is slow
        clip: float = 5.0  # largest norm of the gradient
        patience: int | None = 5  # validations without a gain after which training ends

    settings: Settings

    def note_embedding(self) -> tuple[list[str], Floats]:
        """The names of the keys, and (keys, size) their embeddings."""
        weights = self.network.embed.weight.detach().double().cpu().numpy()
        return [note_name(key) for key in range(self.keys)], weights.T

    def build(self) -> SigmoidNetwork:
        """The network, newly initialised."""
        s = self.settings
        return SigmoidNetwork(self.keys, s.embedding, s.hidden, s.layers)

    def train(
        self, train: Sequence[Roll], valid: Sequence[Roll], budget: Budget, seed: int, log: Log
    ) -> None:
        """Train on windows in random order, by Adam; the rate falls where the training error slows."""
        s = self.settings
        rows = starts(train, s.sequence)
        self.network.out.bias.data.copy_(log_odds(train))

        def loss(step: int) -> Tensor:
            chosen = training.batch(len(rows), s.batch, seed, step)
            windows: Tensor = self.network.loss(cut(train, rows[chosen], s.sequence))
            return windows

        self.minimise(
            loss,
            valid,
            torch.optim.Adam(self.network.parameters(), lr=s.rate),
            budget,
            training.batches_per_pass(len(rows), s.batch),
            seed,
            log,
            anneal=training.Anneal(s.factor, s.window, s.slow),
            clip=s.clip,
            patience=s.patience,
            music_steps=s.batch * s.sequence,
            often=True,
        )
