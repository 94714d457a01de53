"""A present-day decoder-only Transformer over the REMI tokens of Rao & Xie 2022.

    token -> 8 x (norm, causal attention with rotary positions; norm, feed-forward) -> norm -> 218

Only the tokens are from the paper. During training, pieces are transposed at random, by at most
half an octave up or down.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench import training
from bench.contract import Budget, Floats, Likelihood, Log
from bench.encodings import remi
from bench.music import KEYS, Score
from bench.training import distributed, remi_pieces, saved, token_model
from bench.training.attention import Cache, ContextNetwork, attend
from bench.training.settings import Configured
from bench.training.text import Examples, Text

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


class Layer(nn.Module):
    """Attention, then a feed-forward network; each normalises its input and is added to it."""

    def __init__(self, width: int, heads: int, full: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.first_norm, self.second_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.project = nn.Linear(width, 3 * width, bias=False)
        self.join = nn.Linear(width, width, bias=False)
        self.up, self.down = nn.Linear(width, full), nn.Linear(full, width)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor, turn: Tensor, cache: Cache | None, number: int) -> Tensor:
        """(batch, time, width) -> (batch, time, width); `turn`: angles (..., time, size / 2)."""
        q, k, v = (
            part.unflatten(-1, (self.heads, -1))
            for part in self.project(self.first_norm(x)).chunk(3, dim=-1)
        )
        mixed = attend(rotate(q, turn), rotate(k, turn), v, True, cache, number)
        x = x + self.drop(self.join(mixed.flatten(-2)))
        inner = nn.functional.gelu(self.up(self.second_norm(x)))
        summed: Tensor = x + self.drop(self.down(inner))
        return summed


class GPTNetwork(ContextNetwork):
    """Shapes: tokens (batch, time), hidden vectors (batch, time, width)."""

    def __init__(
        self,
        layers: int,
        width: int,
        heads: int,
        full: int,
        dropout: float,
        context: int,
        vocabulary: int = remi.TOKENS,
    ) -> None:
        super().__init__()
        self.layers, self.width, self.heads, self.context = layers, width, heads, context
        self.embed = nn.Embedding(vocabulary, width)
        self.drop = nn.Dropout(dropout)
        self.stack = nn.ModuleList(Layer(width, heads, full, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, vocabulary, bias=False)
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                # As GPT-2: residual branches are scaled down, or their sum would grow with depth.
                residual = name.endswith(("join.weight", "down.weight"))
                nn.init.normal_(weight, std=0.02 / (math.sqrt(2 * layers) if residual else 1.0))

    def forward(self, tokens: Tensor, cache: Cache | None = None, shift: int = 0) -> Tensor:
        """(batch, time) tokens, after those in the cache -> (batch, time, width).

        `shift` moves all positions; it changes only the rounding.
        """
        places = torch.arange(tokens.shape[1], device=tokens.device) + shift
        if cache is not None:
            places = places + cache.length[:, None]
        turn = angles(places, self.width // self.heads)
        x = self.drop(self.embed(tokens))
        for number, layer in enumerate(self.stack):
            x = layer(x, turn, cache, number)
        normed: Tensor = self.norm(x)
        return normed

    def loss(self, examples: Examples) -> Tensor:
        """Mean -log p of what follows, among the tokens that may follow."""
        return examples.surprise(self.out, self(examples.inputs))


def angles(places: Tensor, size: int) -> Tensor:
    """(..., size / 2) the rotation of each pair of numbers at the positions (...)."""
    half = torch.arange(0, size, 2, device=places.device, dtype=torch.double)
    return places[..., None] * 10000.0 ** (-half / size)


def rotate(x: Tensor, turn: Tensor) -> Tensor:
    """(batch, time, heads, size) with its pairs rotated by the angles (..., time, size / 2)."""
    cos, sin = turn.cos().to(x.dtype)[..., None, :], turn.sin().to(x.dtype)[..., None, :]
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, first * sin + second * cos], dim=-1)


class GPTRemi(Configured):
    """The network, trained by AdamW with a cosine schedule on segments at random places."""

    @dataclass(frozen=True)
    class Settings:
        """Chosen here; no paper prescribes them."""

        layers: int = 8  # of attention and feed-forward network
        width: int = 512  # of the hidden vectors
        heads: int = 8  # of attention
        full: int = 2048  # size of the feed-forward network
        dropout: float = 0.2  # of embeddings and of what each layer adds
        context: int = 512  # tokens that the network sees; tokens of a segment
        batch: int = 8  # segments of an update
        rate: float = 6e-4  # highest learning rate of AdamW
        decay: float = 0.1  # weight decay of AdamW
        warm_up: int = 100  # updates until the highest learning rate
        clip: float = 1.0  # largest norm of the gradient
        transpose: int = 6  # semitones by which segments are shifted at most
        patience: int | None = 10  # validations without a gain after which training ends

    settings: Settings
    likelihood = Likelihood("upper", "score")
    network: GPTNetwork

    @property
    def parameter_count(self) -> int:
        """How many numbers the network has to learn."""
        return sum(parameter.numel() for parameter in self.network.parameters())

    # -- learning -----------------------------------------------------------------------------

    def build(self) -> GPTNetwork:
        """The network, newly initialised."""
        s = self.settings
        return GPTNetwork(s.layers, s.width, s.heads, s.full, s.dropout, s.context)

    def fit(
        self, train: Sequence[Score], valid: Sequence[Score], budget: Budget, seed: int, log: Log
    ) -> None:
        """Train the network on transposed segments; keep the best weights by validation loss."""
        s = self.settings
        with training.seeded(seed):
            self.network = self.build().to(training.device())
        text = remi_pieces.text(train)
        held_out = [score for score in valid if score.length]
        per_step = token_model.tokens_per_step(train, text.size)

        def loss(step: int) -> Tensor:
            rng = np.random.default_rng([seed, step])
            rows = token_model.random_windows(text.pieces, 0, s.context, s.batch, rng)
            shifts = rng.integers(-s.transpose, s.transpose + 1, s.batch)
            return self.network.loss(transposed(text, *map(distributed.part, (rows, shifts))))

        def validate() -> float:
            return token_model.nats_per_step(self, held_out)

        segments = sum(-(-len(places) // s.context) for places in text.pieces)
        per_pass = training.batches_per_pass(segments, s.batch)
        steps = training.updates(budget, per_pass)
        weights = [w for w in self.network.parameters() if w.dim() == 2]
        others = [w for w in self.network.parameters() if w.dim() != 2]
        training.train(
            self.network,
            loss,
            torch.optim.AdamW(
                [
                    {"params": weights, "weight_decay": s.decay},
                    {"params": others, "weight_decay": 0.0},
                ],
                lr=s.rate,
                betas=(0.9, 0.95),
            ),
            steps=steps,
            seed=seed,
            log=log,
            schedule=lambda step: cosine(step, steps, s.warm_up),
            clip=s.clip,
            validate=validate if held_out and steps >= per_pass else None,
            every=per_pass,
            patience=s.patience,
            music_steps=round(s.batch * s.context / per_step),
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


def transposed(text: Text, rows: Ints, shifts: Ints) -> Examples:
    """Windows of places (windows, time + 1), each shifted by some semitones.

    A window stays as it is where a pitch would leave the keyboard.
    """
    tokens = text.tokens_at(rows)
    pitches = remi.KINDS[np.maximum(tokens, 0)] == remi.IS_PITCH
    shifted = np.where(pitches, tokens + shifts[:, None], remi.PITCH)
    inside = ((shifted >= remi.PITCH) & (shifted < remi.VELOCITY)).all(axis=1)
    shifts = np.where(inside, shifts, 0)
    tokens = tokens + shifts[:, None] * pitches
    examples = text.examples(rows, tokens)
    if examples.legal is None:
        return examples
    held = rows[:, 1:] >= 0
    legal = shifted_rules(
        examples.legal.cpu().numpy(),
        remi.KINDS[tokens[:, :-1][held]],
        np.broadcast_to(shifts[:, None], held.shape)[held],
    )
    return replace(examples, legal=token_model.tensor(legal))


def shifted_rules(legal: Bools, before: Ints, shifts: Ints) -> Bools:
    """(places, tokens) which tokens may follow if the piece is shifted by some semitones.

    `before` are the kinds of the tokens before. Keys that come from beyond the keyboard are silent:
    from above they may be struck in any chord, from below only as its first note.
    """
    key = np.arange(KEYS) - shifts[:, None]  # where each key was before
    known = np.take_along_axis(legal[:, remi.PITCH : remi.VELOCITY], key.clip(0, KEYS - 1), axis=1)
    first, more = before == remi.IS_POSITION, before == remi.IS_DURATION
    shifted = legal.copy()
    shifted[:, remi.PITCH : remi.VELOCITY] = np.where(
        key < 0, first[:, None], np.where(key >= KEYS, (first | more)[:, None], known)
    )
    return shifted


def cosine(step: int, steps: int, warm_up: int) -> float:
    """The factor of the learning rate: rises to 1 over `warm_up` steps, then falls to a tenth."""
    warm_up = min(warm_up, 1 + steps // 10)
    if step < warm_up:
        return (step + 1) / warm_up
    done = (step - warm_up) / max(1, steps - warm_up)
    return 0.1 + 0.45 * (1 + math.cos(math.pi * done))
