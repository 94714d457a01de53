"""The reference of frames: attention along time, autoregressive along notes.

    frame before -> a view of it from each of the 88 keys -> blocks of causal attention along time
    -> key by key from the bottom: the view of the keys already decided -> sounds or not

Every key has its own view of the frames and of the past, by weights that all keys share: a piece
looks the same in any key, and what is learnt of one interval holds everywhere. What is not so,
the absolute pitch, enters as one vector per key. The likelihood is exact: each key of a frame is
predicted from all frames before and from the keys below it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention

from bench import training
from bench.architectures.frame_system import (
    FrameNetwork,
    FrameSystem,
    State,
    cut,
    independent,
    starts,
)
from bench.contract import Budget, Log
from bench.music.score import Roll

PERIODS = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)  # steps: of beats and bars, on any grid


class View(nn.Module):
    """What keys see of a frame: every sounding key, by its distance."""

    def __init__(self, keys: int, size: int, below: bool) -> None:
        super().__init__()
        self.keys, self.below = keys, below
        self.weight = nn.Parameter(0.3 * torch.randn(2 * keys - 1, size))  # from -(keys - 1) up

    def table(self) -> Tensor:
        """(keys, keys, size) what the second key sees of the first."""
        keys = torch.arange(self.keys, device=self.weight.device)
        distance = keys[None, :] - keys[:, None]
        table = self.weight[distance + self.keys - 1]
        return table * (distance > 0)[..., None] if self.below else table

    def forward(self, frames: Tensor) -> Tensor:
        """(..., keys) -> (..., keys, size)."""
        table = self.table()
        return (frames @ table.flatten(1)).unflatten(-1, table.shape[1:])


class Dropout(nn.Module):
    """Drops features (..., size) of all keys of a step alike: the keys' weights are shared, too."""

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
    speed = torch.arange(half, device=x.device, dtype=x.dtype) / half
    angle = place[:, None, :, None] * torch.exp(-math.log(1000.0) * speed)  # (batch, 1, time, half)
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    a, b = x[..., :half], x[..., half:]
    return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)


class Block(nn.Module):
    """Causal attention along time within a key, then a feed-forward layer."""

    def __init__(self, size: int, heads: int, span: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.span = heads, span
        self.norm_1, self.norm_2 = nn.LayerNorm(size), nn.LayerNorm(size)
        self.qkv = nn.Linear(size, 3 * size, bias=False)
        self.mix = nn.Linear(size, size, bias=False)
        self.up, self.down = nn.Linear(size, 2 * size), nn.Linear(2 * size, size)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, place: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """x (batch, time, keys, size), past (keys, batch, heads, steps, 2 x size of a head)."""
        b, t, k, d = x.shape
        # (keys, batch, heads, time, size of a head) each
        q, key, value = (
            self.qkv(self.norm_1(x)).view(b, t, k, 3, self.heads, -1).permute(3, 2, 0, 4, 1, 5)
        )
        q, key = rotate(q, place), rotate(key, place)
        now = torch.cat([key, value], dim=-1)
        seen = torch.cat([past.to(now.dtype), now], dim=3)
        key, value = seen.chunk(2, dim=-1)
        steps = key.shape[3]
        if steps == t and t <= self.span:
            out = scaled_dot_product_attention(
                q.flatten(0, 1), key.flatten(0, 1), value.flatten(0, 1), is_causal=True
            )
        else:
            age = torch.arange(steps - t, steps, device=x.device)[:, None] - torch.arange(
                steps, device=x.device
            )
            out = scaled_dot_product_attention(
                q.flatten(0, 1),
                key.flatten(0, 1),
                value.flatten(0, 1),
                attn_mask=(age >= 0) & (age < self.span),
            )
        out = out.view(k, b, self.heads, t, -1).permute(1, 3, 0, 2, 4).flatten(3)
        x = x + self.dropout(self.mix(out))
        x = x + self.dropout(self.down(gelu(self.up(self.norm_2(x)))))
        return x, seen[:, :, :, max(0, steps - self.span + 1) :]


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
        self.register_buffer("periods", torch.tensor(PERIODS).float(), persistent=False)
        self.dropout = Dropout(dropout)
        self.blocks = nn.ModuleList(Block(size, heads, span, dropout) for _ in range(blocks))
        self.norm = nn.LayerNorm(size)
        self.below = View(keys, size, below=True)
        self.hidden = nn.Linear(size, 2 * size)
        self.out = nn.Linear(2 * size, 1)
        self.rate = nn.Parameter(torch.full((keys,), -3.0))

    def start(self, steps: Tensor) -> State:
        """The place in the piece, and for each block the keys and values of no step."""
        w = self.rate
        nothing = w.new_zeros(self.keys, len(steps), self.heads, 0, 2 * self.size // self.heads)
        return (steps[None].clone(), *(nothing for _ in self.blocks))

    def read(self, frames: Tensor, state: State) -> tuple[Tensor, State]:
        """(batch, time, keys) -> (batch, time, keys, size)."""
        place = state[0][0][:, None] + torch.arange(frames.shape[1], device=frames.device)
        angle = 2 * math.pi * place[..., None] / self.periods
        metre = torch.cat([angle.sin(), angle.cos()], dim=-1).to(self.rate.dtype)
        x = self.view(frames) + self.pitch + self.metre(metre)[:, :, None]
        x = self.dropout(x)
        place = place.to(self.rate.dtype)
        seen = []
        for block, past in zip(self.blocks, state[1:], strict=True):
            x, past = block(x, place, past)
            seen.append(past)
        return self.norm(x), (state[0] + frames.shape[1], *seen)

    def logits(self, context: Tensor, below: Tensor, keys: slice = slice(None)) -> Tensor:
        """(..., keys) from the contexts (..., keys, size) and the views of the keys below."""
        return self.out(gelu(self.hidden(self.dropout(context + below))))[..., 0] + self.rate[keys]

    def log_probability(self, context: Tensor, frames: Tensor) -> Tensor:
        """(batch, time) from contexts (batch, time, keys, size)."""
        return independent(self.logits(context, self.below(frames)), frames)

    def draw(self, context: Tensor, uniform: Tensor) -> Tensor:
        """(batch, keys), from the bottom up."""
        frame, table = torch.zeros_like(uniform), self.below.table()
        below = torch.zeros_like(context)
        for key in range(self.keys):
            one = slice(key, key + 1)
            chance = self.logits(context[:, one], below[:, one], one).sigmoid()[:, 0]
            frame[:, key] = (uniform[:, key] < chance).to(frame.dtype)
            below = below + frame[:, key, None, None] * table[key]
        return frame


@dataclass(frozen=True)
class Settings:
    """Chosen on the validation pieces of the chorales."""

    size: int = 64
    heads: int = 4
    blocks: int = 2
    span: int = 128
    dropout: float = 0.1
    batch: int = 8
    sequence: int = 64
    rate: float = 0.003
    decay: float = 0.05
    warm_up: int = 10
    clip: float = 1.0
    patience: int | None = 8


class AxialTransformer(FrameSystem[Settings]):
    """Causal over time, autoregressive over notes."""

    Settings = Settings
    PIECES = 16
    STEPS = 64
    PRECISION = torch.float32  # so large a network would take twice as long

    def build(self) -> AxialNetwork:
        """The network, freshly drawn."""
        s = self.settings
        return AxialNetwork(self.keys, s.size, s.heads, s.blocks, s.span, s.dropout)

    def train(
        self, train: Sequence[Roll], valid: Sequence[Roll], budget: Budget, seed: int, log: Log
    ) -> None:
        """Windows in any order, AdamW, the rate rising and then falling to nothing."""
        s = self.settings
        rows = starts(train, s.sequence)
        per_pass = training.batches_per_pass(len(rows), s.batch)
        steps = training.updates(budget, per_pass)

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
            torch.optim.AdamW(self.network.parameters(), lr=s.rate, weight_decay=s.decay, betas=(0.9, 0.98)),
            budget,
            per_pass,
            seed,
            log,
            schedule=schedule,
            clip=s.clip,
            patience=s.patience,
            music_steps=s.batch * s.sequence,
        )
