"""LSTMs over REMI tokens, a complex and a simple one (Rao & Xie 2022, V.A).

    complex: token -> embedding 512 -> LSTM 2 x 1024 -> layer norm -> 512, ReLU -> 218
    simple:  token -> embedding 128 -> LSTM 1 x 512 -> 218

The complex one has dropout of 30 % before and after the LSTM and of 50 % after the full layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench import training
from bench.contract import Budget, Floats, Likelihood, Log
from bench.encodings import remi
from bench.music import Score
from bench.training import remi_pieces, saved, token_model
from bench.training.settings import Configured
from bench.training.text import Examples

Ints = NDArray[np.int64]
State = tuple[Tensor, Tensor]  # (layers, batch, hidden) each


class RemiNetwork(nn.Module):
    """Shapes: tokens (batch, time), hidden vectors (batch, time, width)."""

    def __init__(
        self,
        embedding: int,
        hidden: int,
        layers: int,
        full: int,
        dropout: float,
        full_dropout: float,
    ) -> None:
        super().__init__()
        self.embed = nn.Embedding(remi.TOKENS, embedding)
        self.before = nn.Dropout(dropout)
        self.lstm = nn.LSTM(embedding, hidden, layers, batch_first=True)
        self.width = full or hidden
        self.after = (
            nn.Sequential(
                nn.LayerNorm(hidden),
                nn.Dropout(dropout),
                nn.Linear(hidden, full),
                nn.ReLU(),
                nn.Dropout(full_dropout),
            )
            if full
            else nn.Identity()
        )
        self.out = nn.Linear(self.width, remi.TOKENS)

    def forward(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """(batch, time) tokens -> (batch, time, width) and the state after them."""
        hidden, state = self.lstm(self.before(self.embed(tokens)), state)
        return self.after(hidden), state

    def loss(self, examples: Examples) -> Tensor:
        """Mean -log p of what follows, among the tokens that may follow."""
        hidden, _ = self(examples.inputs)
        return examples.surprise(self.out, hidden)

    def hidden(self, inputs: Sequence[Ints]) -> list[Tensor]:
        """(length, width) of every sequence."""
        lengths = [len(sequence) for sequence in inputs]
        rows = [token_model.tensor(sequence) for sequence in inputs]
        hidden, _ = self(nn.utils.rnn.pad_sequence(rows, batch_first=True))
        return [row[:length] for row, length in zip(hidden, lengths, strict=True)]

    def read(self, inputs: Sequence[Ints]) -> tuple[Tensor, State]:
        """(sequences, width) after the last token of each, and the state."""
        rows = [self.before(self.embed(token_model.tensor(sequence))) for sequence in inputs]
        packed = nn.utils.rnn.pack_sequence(rows, enforce_sorted=False)
        _, state = self.lstm(packed)
        return self.after(state[0][-1]), state

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """The same after one more token each."""
        hidden, state = self(tokens[:, None], state)
        return hidden[:, 0], state

    def keep(self, state: State, rows: Tensor) -> State:
        """The state of these sequences only."""
        return state[0][:, rows].contiguous(), state[1][:, rows].contiguous()


class RemiLSTM(Configured):
    """The network, trained by Adam on windows that follow each other."""

    @dataclass(frozen=True)
    class Settings:
        """The paper's simple network; `remi-lstm-complex` in the catalogue is the complex one."""

        embedding: int = 128  # size of a token's embedding
        hidden: int = 512  # units of an LSTM layer
        layers: int = 1  # LSTM layers
        full: int = 0  # size of the full layer after the LSTM; 0: none, and no layer norm
        dropout: float = 0.0  # before and after the LSTM
        full_dropout: float = 0.0  # after the full layer
        batch: int = 16  # windows of an update
        sequence: int = 256  # tokens of a window
        rate: float = 1e-3  # learning rate of Adam
        clip: float = 1.0  # largest norm of the gradient
        patience: int | None = 5  # validations without a gain after which training ends

    settings: Settings
    likelihood = Likelihood("upper", "score")
    network: RemiNetwork

    @property
    def parameter_count(self) -> int:
        """How many numbers the network has to learn."""
        return sum(parameter.numel() for parameter in self.network.parameters())

    # -- learning -----------------------------------------------------------------------------

    def build(self) -> RemiNetwork:
        """The network, newly initialised."""
        s = self.settings
        return RemiNetwork(s.embedding, s.hidden, s.layers, s.full, s.dropout, s.full_dropout)

    def fit(
        self, train: Sequence[Score], valid: Sequence[Score], budget: Budget, seed: int, log: Log
    ) -> None:
        """Train the network on windows of the pieces; keep the best weights by validation loss."""
        s = self.settings
        with training.seeded(seed):
            self.network = self.build().to(training.device())
        text = remi_pieces.text(train)
        windows = token_model.windows(text.pieces, 0, s.sequence)
        held_out = [score for score in valid if score.length]
        per_pass = training.batches_per_pass(len(windows), s.batch)

        def loss(step: int) -> Tensor:
            rows = windows[training.batch(len(windows), s.batch, seed, step)]
            return self.network.loss(text.examples(rows))

        def validate() -> float:
            return token_model.nats_per_step(self, held_out)

        per_step = token_model.tokens_per_step(train, text.size)
        steps = training.updates(budget, per_pass)
        training.train(
            self.network,
            loss,
            torch.optim.Adam(self.network.parameters(), lr=s.rate),
            steps=steps,
            seed=seed,
            log=log,
            clip=s.clip,
            validate=validate if held_out and steps >= per_pass else None,
            every=per_pass,
            patience=s.patience,
            music_steps=round(s.batch * s.sequence / per_step),
            per_step=per_step,
        )

    # -- likelihood ---------------------------------------------------------------------------

    def log_likelihood(self, scores: Sequence[Score]) -> Floats:
        """(pieces,) log p of the pieces' tokens in nats."""
        return remi_pieces.log_likelihood(self.network, scores)

    # -- generation ---------------------------------------------------------------------------

    def sample(self, prompts: Sequence[Score], steps: int, seed: int) -> list[Score]:
        """Continue the prompts token by token, many pieces at once."""
        return remi_pieces.sample(self.network, prompts, steps, seed)

    # -- saving -------------------------------------------------------------------------------

    def save(self, folder: Path) -> None:
        """Write settings and weights."""
        saved.save(folder, {"settings": asdict(self.settings)}, token_model.weights(self.network))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The system as it was saved."""
        values, arrays = saved.load(folder)
        system = cls(**values["settings"])
        system.network = system.build()
        token_model.restore(system.network, arrays)
        return system
