"""The reference model of frames: attention along time, autoregressive along notes.

    frame before -> a view of it from each of the 88 keys -> blocks of causal attention along time
    -> key by key from the bottom: the view of the keys already decided -> sounds or not

Every key sees the frames relative to itself, through weights that all keys share: a transposed
piece looks the same, and what is learnt of an interval holds at every pitch. Absolute pitch enters
as one vector per key. The likelihood is exact: each key of a frame is predicted from all frames
before it and from the keys below it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention

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

PERIODS = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)  # in steps: beats and bars on any grid


class View(nn.Module):
    """What each key sees of a frame: the sounding keys, each by its distance."""

    def __init__(self, keys: int, size: int, below: bool) -> None:
        super().__init__()
        self.keys, self.below = keys, below
        self.weight = nn.Parameter(0.3 * torch.randn(2 * keys - 1, size))  # from -(keys - 1) up

    def table(self, keys: int) -> Tensor:
        """(keys, keys, size) what the second key sees of the first."""
        places = torch.arange(keys, device=self.weight.device)
        distance = places[None, :] - places[:, None]
        table = self.weight[distance + self.keys - 1]
        return table * (distance > 0)[..., None] if self.below else table

    def forward(self, frames: Tensor) -> Tensor:
        """(..., keys) -> (..., keys, size)."""
        keys = frames.shape[-1]
        seen = frames @ self.table(keys).flatten(1)
        return seen.view(*frames.shape, -1)


class Dropout(nn.Module):
    """Dropout with one mask for all keys of a step, since the keys share their weights too."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        """(batch, time, keys, size) -> the same."""
        if not self.training or not self.share:
            return x
        mask = torch.empty_like(x[..., :1, :]).bernoulli_(1 - self.share)
        return x * mask.div_(1 - self.share)


def rotate(x: Tensor, place: Tensor) -> Tensor:
    """Rotary positions: x (keys, batch, heads, time, size) at places (batch, time)."""
    half = x.shape[-1] // 2
    # In the precision of `place`: bfloat16 would round the angles of later steps too much.
    speed = torch.arange(half, device=x.device, dtype=place.dtype) / half
    angle = place[:, None, :, None] * torch.exp(-math.log(1000.0) * speed)  # (batch, 1, time, half)
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    a, b = x[..., :half], x[..., half:]
    return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)


class Block(nn.Module):
    """Causal attention along time within a key, then a feed-forward layer.

    The heads share keys and values, which keeps the state of generation small.
    """

    def __init__(self, size: int, heads: int, span: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.span = heads, span
        self.norm_1, self.norm_2 = nn.LayerNorm(size), nn.LayerNorm(size)
        self.q = nn.Linear(size, size, bias=False)
        self.kv = nn.Linear(size, 2 * size // heads, bias=False)
        self.mix = nn.Linear(size, size, bias=False)
        self.up, self.down = nn.Linear(size, 2 * size), nn.Linear(2 * size, size)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, place: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """x (batch, time, keys, size); past (keys, batch, steps, key and value of a head)."""
        b, t, k, _ = x.shape
        y = self.norm_1(x)
        q = self.q(y).view(b, t, k, self.heads, -1).permute(2, 0, 3, 1, 4)
        now, value = self.kv(y).permute(2, 0, 1, 3)[:, :, None].chunk(2, dim=-1)
        q, now = rotate(q, place), rotate(now, place)  # (keys, batch, heads or 1, time, size)
        seen = torch.cat([past.to(now.dtype), torch.cat([now, value], dim=-1)[:, :, 0]], dim=2)
        steps = seen.shape[2]
        key, value = (part.flatten(0, 1)[:, None] for part in seen.chunk(2, dim=-1))
        q = q.flatten(0, 1)
        if t == 1:  # no mask is needed and the products are small: faster by hand
            odds = q[:, :, 0] @ key[:, 0].transpose(1, 2) / math.sqrt(q.shape[-1])
            out = (odds.softmax(dim=-1) @ value[:, 0])[:, :, None]  # (.., heads, 1, size)
        else:
            key, value = (part.expand(-1, self.heads, -1, -1) for part in (key, value))
            steps_ago = torch.arange(steps, device=x.device)
            age = steps_ago[steps - t :, None] - steps_ago
            causal = steps == t <= self.span
            mask = None if causal else (age >= 0) & (age < self.span)
            out = scaled_dot_product_attention(q, key, value, attn_mask=mask, is_causal=causal)
        out = out.reshape(k, b, *out.shape[1:]).permute(1, 3, 0, 2, 4).flatten(3)
        x = x + self.dropout(self.mix(out))
        x = x + self.dropout(self.down(gelu(self.up(self.norm_2(x)))))
        return x, seen[:, :, max(0, steps - self.span + 1) :]


class AxialNetwork(FrameNetwork):
    """Reads along time, predicts along notes."""

    def __init__(
        self, keys: int, size: int, heads: int, blocks: int, span: int, dropout: float
    ) -> None:
        super().__init__()
        self.keys, self.size, self.heads = keys, size, heads
        self.view = View(keys, size, below=False)
        self.pitch = nn.Parameter(0.1 * torch.randn(keys, size))
        self.metre = nn.Linear(2 * len(PERIODS), size)
        self.periods: Tensor
        self.register_buffer("periods", torch.tensor(PERIODS).float(), persistent=False)
        self.dropout = Dropout(dropout)
        self.blocks = nn.ModuleList(Block(size, heads, span, dropout) for _ in range(blocks))
        self.norm = nn.LayerNorm(size)
        self.below = View(keys, size, below=True)
        self.hidden = nn.Linear(size, 2 * size)
        self.out = nn.Linear(2 * size, 1)
        self.rate = nn.Parameter(torch.full((keys,), -3.0))
        self.inside = slice(0, keys)  # predicted keys; the others sound at a fixed rate

    def get_extra_state(self) -> Tensor:
        """(2,) the range of predicted keys; no buffer, since reading it would wait for the GPU."""
        return torch.tensor([self.inside.start, self.inside.stop])

    def set_extra_state(self, state: Tensor) -> None:
        """Restore the range of predicted keys."""
        self.inside = slice(*state.tolist())

    def start(self, steps: Tensor) -> State:
        """The step, and for each block empty keys and values."""
        keys = self.inside.stop - self.inside.start
        nothing = self.rate.new_zeros(keys, len(steps), 0, 2 * self.size // self.heads)
        return (steps[None].clone(), *(nothing for _ in self.blocks))

    def read(self, frames: Tensor, state: State) -> tuple[Tensor, State]:
        """(batch, time, keys) -> (batch, time, keys inside, size)."""
        place = state[0][0][:, None] + torch.arange(frames.shape[1], device=frames.device)
        angle = 2 * math.pi * place[..., None] / self.periods
        metre = torch.cat([angle.sin(), angle.cos()], dim=-1).to(self.rate.dtype)
        x = self.view(frames[..., self.inside]) + self.pitch[self.inside]
        x = self.dropout(x + self.metre(metre)[:, :, None])
        place = place.to(self.rate.dtype)
        seen = []
        for block, past in zip(self.blocks, state[1:], strict=True):
            x, past = block(x, place, past)
            seen.append(past)
        return self.norm(x), (state[0] + frames.shape[1], *seen)

    def log_probability(self, context: Tensor, frames: Tensor) -> Tensor:
        """(batch, time) from contexts (batch, time, keys inside, size)."""
        inside = self.inside
        x = self.dropout(context + self.below(frames[..., inside]))
        predicted = self.out(gelu(self.hidden(x)))[..., 0]
        logits = self.rate.expand(frames.shape).clone()
        logits[..., inside] += predicted
        return independent(logits, frames)

    def draw(self, context: Tensor, uniform: Tensor) -> Tensor:
        """(batch, keys), from the bottom up."""
        frame = (uniform < self.rate.sigmoid()).to(context.dtype)
        inside = range(self.keys)[self.inside]
        table, context = self.below.table(len(inside)), context.clone()
        for place, key in enumerate(inside):
            logit = self.out(gelu(self.hidden(context[:, place])))[:, 0] + self.rate[key]
            frame[:, key] = (uniform[:, key] < logit.sigmoid()).to(frame.dtype)
            context[:, place + 1 :] += frame[:, key, None, None] * table[place, place + 1 :]
        return frame


class AxialTransformer(FrameSystem):
    """Causal over time, autoregressive over notes."""

    @dataclass(frozen=True)
    class Settings:
        """Chosen on the validation pieces of jsb."""

        size: int = 64  # width of a key's features
        heads: int = 4  # of attention
        blocks: int = 2  # of attention and feed-forward layers
        span: int = 128  # steps that attention reaches back
        dropout: float = 0.15  # of features
        batch: int = 2  # windows of an update
        sequence: int = 128  # steps of a window
        rate: float = 0.003  # learning rate of AdamW
        decay: float = 0.05  # weight decay of AdamW
        warm_up: int = 10  # updates until the full learning rate
        clip: float = 1.0  # largest norm of the gradient
        passes: int = 40  # over the data at most, whatever the budget: small sets are overfit
        patience: int | None = 10  # validations without a gain after which training ends

    settings: Settings
    PIECES = 64
    STEPS = 16
    network: AxialNetwork
    PRECISION = torch.float32  # double precision takes twice as long in a network of this size

    def build(self) -> AxialNetwork:
        """The network, newly initialised."""
        s = self.settings
        return AxialNetwork(self.keys, s.size, s.heads, s.blocks, s.span, s.dropout)

    def train(
        self, train: Sequence[Roll], valid: Sequence[Roll], budget: Budget, seed: int, log: Log
    ) -> None:
        """Train on windows in random order, by AdamW; the rate rises, then falls to 0."""
        s = self.settings
        rows = starts(train, s.sequence)
        self.network.rate.data.copy_(log_odds(train))
        sounding = np.flatnonzero(np.concatenate(list(train)).any(axis=0))
        if len(sounding):
            self.network.inside = slice(int(sounding[0]), int(sounding[-1]) + 1)
        per_pass = training.batches_per_pass(len(rows), s.batch)
        steps = min(training.updates(budget, per_pass), s.passes * per_pass)

        def loss(step: int) -> Tensor:
            chosen = training.batch(len(rows), s.batch, seed, step)
            windows: Tensor = self.network.loss(cut(train, rows[chosen], s.sequence))
            return windows

        def schedule(step: int) -> float:
            fall = 0.5 + 0.5 * math.cos(math.pi * min(1.0, step / steps))
            return min(1.0, (step + 1) / s.warm_up) * fall

        self.minimise(
            loss,
            valid,
            torch.optim.AdamW(
                self.network.parameters(), lr=s.rate, weight_decay=s.decay, betas=(0.9, 0.98)
            ),
            Budget(steps),
            per_pass,
            seed,
            log,
            schedule=schedule,
            clip=s.clip,
            patience=s.patience,
            music_steps=s.batch * s.sequence,
        )
