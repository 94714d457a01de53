"""Tied parallel networks: an LSTM along time for every key, all with the same weights.

(Johnson: Generating Polyphonic Music Using Tied Parallel Networks. EvoMUSART 2017.)

    frame before, seen from each key -> LSTMs along time, one per key, tied -> h(t, key)
    TP-LSTM-NADE: h sets the biases of a NADE whose weights depend on the distance of two keys
    BALSTM: LSTMs along the keys, from the lowest up, read h and whether the key below sounds

Every key sees the others by their distance alone, so a piece and its transpositions are equally
likely, apart from what happens at the ends of the keyboard. Each key is predicted from all frames
before and from the keys below it: the likelihood is exact.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from bench import training
from bench.architectures.axial import Dropout
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

BITS = 4  # of the position: it counts to 16, then begins again


class TiedNetwork(FrameNetwork):
    """Reads along time with one LSTM per key; a subclass predicts a frame from their outputs."""

    classes: Tensor
    turned: Tensor
    rate: Tensor

    def __init__(
        self, keys: int, window: int, hidden: int, layers: int, dropout: float, input_dropout: float
    ) -> None:
        super().__init__()
        self.keys, self.window, self.hidden = keys, window, hidden
        inputs = 2 * window + 1 + 12 + BITS
        sizes = zip([inputs, *[hidden] * (layers - 1)], [hidden] * layers, strict=True)
        self.time = nn.ModuleList(nn.LSTM(size, out) for size, out in sizes)
        self.dropout, self.input_dropout = Dropout(dropout), Dropout(input_dropout)
        own = torch.arange(keys) % 12
        self.register_buffer("classes", nn.functional.one_hot(own, 12).float(), persistent=False)
        turned = (own[:, None] + torch.arange(12)) % 12
        self.register_buffer("turned", turned, persistent=False)
        self.register_buffer("rate", torch.zeros(keys))  # log-odds of the keys outside
        self.inside = slice(0, keys)  # predicted keys; the others sound at a fixed rate

    def get_extra_state(self) -> Tensor:
        """(2,) the range of predicted keys; no buffer, since reading it would wait for the GPU."""
        return torch.tensor([self.inside.start, self.inside.stop])

    def set_extra_state(self, state: Tensor) -> None:
        """Restore the range of predicted keys."""
        self.inside = slice(*state.tolist())

    @abstractmethod
    def begin(self, odds: Tensor) -> None:
        """Start at the keys' mean log-odds."""

    @abstractmethod
    def predict(self, context: Tensor, frames: Tensor) -> Tensor:
        """(batch, time, keys inside) logits from outputs (batch, time, keys inside, hidden)."""

    def start(self, steps: Tensor) -> State:
        """The step, and for each layer an output and a memory of zeros."""
        keys = self.inside.stop - self.inside.start
        zeros = self.rate.new_zeros(1, len(steps), keys, self.hidden)
        return (steps[None].clone(), *(zeros for _ in self.time for _ in range(2)))

    def features(self, frames: Tensor, place: Tensor) -> Tensor:
        """(batch, time, keys inside, inputs) what each key sees of frames at steps (batch, time).

        The keys around it; how many keys of each pitch class sound, beginning with its own; the
        step in bits, as -1 and 1.
        """
        around = pad(frames, (self.window, self.window)).unfold(-1, 2 * self.window + 1, 1)
        bins = (frames @ self.classes.to(frames.dtype))[..., self.turned[self.inside]]
        bits = place[..., None, None] >> torch.arange(BITS, device=place.device) & 1
        bits = (2 * bits - 1).to(frames.dtype).expand(*bins.shape[:-1], BITS)
        return torch.cat([around[..., self.inside, :], bins, bits], dim=-1)

    def read(self, frames: Tensor, state: State) -> tuple[Tensor, State]:
        """(batch, time, keys) -> (batch, time, keys inside, hidden)."""
        batch, time, _ = frames.shape
        place = state[0][0][:, None] + torch.arange(time, device=frames.device)
        x = self.input_dropout(self.features(frames.to(self.rate.dtype), place))
        carried: list[Tensor] = [state[0] + time]
        for number, lstm in enumerate(self.time):
            rows = x.transpose(0, 1).flatten(1, 2)  # (time, batch * keys, ...)
            before = tuple(part.flatten(1, 2) for part in state[1 + 2 * number : 3 + 2 * number])
            y, after = lstm(rows, before)
            carried += [part.view(1, batch, -1, self.hidden) for part in after]
            x = self.dropout(y.view(time, batch, -1, self.hidden).transpose(0, 1))
        return x, tuple(carried)

    def log_probability(self, context: Tensor, frames: Tensor) -> Tensor:
        """(batch, time) from contexts (batch, time, keys inside, hidden)."""
        predicted = self.predict(context, frames)
        logits = self.rate.to(predicted.dtype).expand(frames.shape).clone()
        logits[..., self.inside] = predicted
        return independent(logits, frames)


class TiedNadeNetwork(TiedNetwork):
    """TP-LSTM-NADE: each key's LSTM sets its biases in a NADE with weights by distance.

    h_i = sigmoid(c(t, i) + sum over d of v_(i-d) W_d),  p(v_i) = sigmoid(b(t, i) + V h_i)
    """

    def __init__(
        self,
        keys: int,
        window: int,
        hidden: int,
        layers: int,
        dropout: float,
        input_dropout: float,
        units: int,
        reach: int,
    ) -> None:
        super().__init__(keys, window, hidden, layers, dropout, input_dropout)
        self.units, self.reach = units, reach
        self.biases = nn.Linear(hidden, 1 + units)  # b, c
        self.w = nn.Parameter(0.1 * torch.randn(reach, units))  # from keys below, farthest first
        self.v = nn.Parameter(0.1 * torch.randn(units))

    def begin(self, odds: Tensor) -> None:
        """The NADE's visible bias."""
        self.biases.bias.data[0] = odds.mean()

    def predict(self, context: Tensor, frames: Tensor) -> Tensor:
        """All keys of a frame at once, each from the `reach` keys below it."""
        b, c = torch.split(self.biases(context), [1, self.units], dim=-1)
        below = pad(frames, (self.reach, 0))[..., :-1].unfold(-1, self.reach, 1)
        a = c + below[..., self.inside, :] @ self.w.to(below.dtype)
        return b[..., 0] + a.sigmoid() @ self.v

    def draw(self, context: Tensor, uniform: Tensor) -> Tensor:
        """(batch, keys), from the bottom up."""
        frame = pad((uniform < self.rate.sigmoid()).to(context.dtype), (self.reach, 0))
        b, c = torch.split(self.biases(context), [1, self.units], dim=-1)
        for place, key in enumerate(range(self.keys)[self.inside]):
            a = c[:, place] + frame[:, key : key + self.reach] @ self.w
            logit = b[:, place, 0] + a.sigmoid() @ self.v
            frame[:, key + self.reach] = (uniform[:, key] < logit.sigmoid()).to(frame.dtype)
        return frame[:, self.reach :]


class BiaxialFramesNetwork(TiedNetwork):
    """BALSTM: LSTMs along the keys read each key's output and whether the key below sounds."""

    def __init__(
        self,
        keys: int,
        window: int,
        hidden: int,
        layers: int,
        dropout: float,
        input_dropout: float,
        note_layers: Sequence[int],
    ) -> None:
        super().__init__(keys, window, hidden, layers, dropout, input_dropout)
        sizes = zip([hidden + 1, *note_layers], note_layers, strict=False)
        self.note = nn.ModuleList(nn.LSTM(size, out) for size, out in sizes)
        self.out = nn.Linear(note_layers[-1], 1)

    def begin(self, odds: Tensor) -> None:
        """The bias of the output."""
        self.out.bias.data[0] = odds.mean()

    def predict(self, context: Tensor, frames: Tensor) -> Tensor:
        """All keys of a frame at once."""
        below = pad(frames, (1, 0))[..., :-1, None][..., self.inside, :]
        x = torch.cat([context, below.to(context.dtype)], dim=-1)
        x = x.flatten(0, 1).transpose(0, 1)  # (keys, batch * time, hidden + 1)
        for lstm in self.note:
            x, _ = lstm(x)
            x = self.dropout(x.transpose(0, 1)[None])[0].transpose(0, 1)
        logits: Tensor = self.out(x)[..., 0].t().reshape(context.shape[:-1])
        return logits

    def draw(self, context: Tensor, uniform: Tensor) -> Tensor:
        """(batch, keys), from the bottom up."""
        frame = (uniform < self.rate.sigmoid()).to(context.dtype)
        states: list[tuple[Tensor, Tensor] | None] = [None] * len(self.note)
        for place, key in enumerate(range(self.keys)[self.inside]):
            below = frame[:, key - 1, None] if key else torch.zeros_like(frame[:, :1])
            x = torch.cat([context[:, place], below], dim=-1)[None]
            for number, lstm in enumerate(self.note):
                x, states[number] = lstm(x, states[number])
            logit = self.out(x[0])[:, 0]
            frame[:, key] = (uniform[:, key] < logit.sigmoid()).to(frame.dtype)
        return frame


class TiedParallel(FrameSystem):
    """What both systems share: the order of the windows, and AdamW whose rate rises, then falls."""

    PIECES = 64
    STEPS = 16
    PRECISION = torch.float32  # double precision takes twice as long in a network of this size
    settings: TiedNade.Settings | BiaxialFrames.Settings
    network: TiedNetwork

    def train(
        self, train: Sequence[Roll], valid: Sequence[Roll], budget: Budget, seed: int, log: Log
    ) -> None:
        """Train on windows in random order; the rate ends at 0."""
        s = self.settings
        rows = starts(train, s.sequence)
        odds = log_odds(train)
        sounding = np.flatnonzero(np.concatenate(list(train)).any(axis=0))
        if len(sounding):
            self.network.inside = slice(int(sounding[0]), int(sounding[-1]) + 1)
        self.network.rate.copy_(odds)
        self.network.begin(odds[self.network.inside])
        per_pass = training.batches_per_pass(len(rows), s.batch)
        steps = min(training.updates(budget, per_pass), s.passes * per_pass)

        def loss(step: int) -> Tensor:
            chosen = training.batch(len(rows), s.batch, seed, step)
            mean: Tensor = self.network.loss(cut(train, rows[chosen], s.sequence))
            return mean

        def schedule(step: int) -> float:
            fall = 0.5 + 0.5 * math.cos(math.pi * min(1.0, step / steps))
            return min(1.0, (step + 1) / s.warm_up) * fall

        self.minimise(
            loss,
            valid,
            torch.optim.AdamW(self.network.parameters(), lr=s.rate, weight_decay=s.decay),
            Budget(steps),
            per_pass,
            seed,
            log,
            schedule=schedule,
            clip=s.clip,
            patience=s.patience,
            music_steps=s.batch * s.sequence,
        )


class TiedNade(TiedParallel):
    """TP-LSTM-NADE."""

    @dataclass(frozen=True)
    class Settings:
        """Chosen on the validation pieces of jsb; the catalogue gives the reasons."""

        window: int = 24  # keys to either side that a key sees of the frame before
        hidden: int = 96  # units of an LSTM along time
        layers: int = 1  # LSTMs along time
        units: int = 64  # hidden units of the NADE
        reach: int = 48  # keys below that a key of the NADE sees
        dropout: float = 0.2  # after each LSTM
        input_dropout: float = 0.0  # of what a key sees
        batch: int = 4  # windows of an update
        sequence: int = 64  # steps of a window
        rate: float = 0.003  # learning rate of AdamW
        decay: float = 0.05  # weight decay of AdamW
        warm_up: int = 20  # updates until the full learning rate
        clip: float = 1.0  # largest norm of the gradient
        passes: int = 60  # over the data at most, whatever the budget: small sets are overfit
        patience: int | None = 10  # validations without a gain after which training ends

    settings: Settings
    network: TiedNadeNetwork

    def build(self) -> TiedNadeNetwork:
        """The network, newly initialised."""
        s = self.settings
        return TiedNadeNetwork(
            self.keys, s.window, s.hidden, s.layers, s.dropout, s.input_dropout, s.units, s.reach
        )


class BiaxialFrames(TiedParallel):
    """BALSTM."""

    @dataclass(frozen=True)
    class Settings:
        """Chosen on the validation pieces of jsb; the catalogue gives the reasons."""

        window: int = 24  # keys to either side that a key sees of the frame before
        hidden: int = 96  # units of an LSTM along time
        layers: int = 1  # LSTMs along time
        note_layers: tuple[int, ...] = (48,)  # units of the LSTMs along the keys
        dropout: float = 0.2  # after each LSTM
        input_dropout: float = 0.0  # of what a key sees
        batch: int = 4  # windows of an update
        sequence: int = 64  # steps of a window
        rate: float = 0.003  # learning rate of AdamW
        decay: float = 0.05  # weight decay of AdamW
        warm_up: int = 20  # updates until the full learning rate
        clip: float = 1.0  # largest norm of the gradient
        passes: int = 60  # over the data at most, whatever the budget: small sets are overfit
        patience: int | None = 10  # validations without a gain after which training ends

    settings: Settings
    network: BiaxialFramesNetwork

    def build(self) -> BiaxialFramesNetwork:
        """The network, newly initialised."""
        s = self.settings
        return BiaxialFramesNetwork(
            self.keys, s.window, s.hidden, s.layers, s.dropout, s.input_dropout, s.note_layers
        )
