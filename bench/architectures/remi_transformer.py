"""Transformer encoders over REMI tokens (Rao & Xie 2022, V.B).

    token + sinusoidal position -> N x (attention, feed-forward; norm after each) -> 218

simple: 2 layers of 512, 4 heads. complex: 12 layers of 1024, 8 heads, segments of 512 tokens.

The paper's encoder has no mask: at every place but the last it sees the token it should predict.
Here attention is causal. `causal = False` keeps the paper's version, which does not model how music
continues and has no likelihood. How much it leaks is measured after training (`leak_ratio`) and
shown in place of the likelihood.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench import training
from bench.contract import Budget, Floats, Likelihood, Log
from bench.encodings import remi
from bench.errors import BenchError
from bench.music import Score
from bench.seeds import generators
from bench.training import distributed, remi_pieces, saved, token_model
from bench.training.attention import Cache, ContextNetwork, attend
from bench.training.settings import Configured
from bench.training.text import Examples, Text

LEAK_WINDOWS, LEAK_TOKENS, COPY_TOKENS = 4, 128, 32  # over which the leak is measured

Ints = NDArray[np.int64]


class Layer(nn.Module):
    """Attention, then a feed-forward network, each added to its input and normalised."""

    def __init__(self, width: int, heads: int, full: int, dropout: float, causal: bool) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.project = nn.Linear(width, 3 * width)
        self.join = nn.Linear(width, width)
        self.first_norm, self.second_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, full), nn.Linear(full, width)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor, cache: Cache | None, number: int) -> Tensor:
        """(batch, time, width) -> (batch, time, width)."""
        q, k, v = (
            part.unflatten(-1, (self.heads, -1)) for part in self.project(x).chunk(3, dim=-1)
        )
        mixed = attend(q, k, v, self.causal, cache, number).flatten(-2)
        x = self.first_norm(x + self.drop(self.join(mixed)))
        inner = self.drop(torch.relu(self.up(x)))
        normed: Tensor = self.second_norm(x + self.drop(self.down(inner)))
        return normed


class TransformerNetwork(ContextNetwork):
    """Shapes: tokens (batch, time), hidden vectors (batch, time, width)."""

    def __init__(
        self,
        layers: int,
        width: int,
        heads: int,
        full: int,
        dropout: float,
        context: int,
        causal: bool = True,
        vocabulary: int = remi.TOKENS,
    ) -> None:
        super().__init__()
        self.layers, self.width, self.heads, self.context = layers, width, heads, context
        self.embed = nn.Embedding(vocabulary, width)
        nn.init.normal_(self.embed.weight, std=width**-0.5)
        self.drop = nn.Dropout(dropout)
        self.stack = nn.ModuleList(
            Layer(width, heads, full, dropout, causal) for _ in range(layers)
        )
        self.out = nn.Linear(width, vocabulary)

    def forward(self, tokens: Tensor, cache: Cache | None = None) -> Tensor:
        """(batch, time) tokens, after those in the cache -> (batch, time, width)."""
        places = torch.arange(tokens.shape[1], device=tokens.device)
        if cache is not None:
            places = places + cache.length[:, None]
        x = self.embed(tokens) * math.sqrt(self.width)
        x = self.drop(x + sinusoids(places, self.width).to(x.dtype))
        for number, layer in enumerate(self.stack):
            x = layer(x, cache, number)
        return torch.as_tensor(x)

    def loss(self, examples: Examples) -> Tensor:
        """Mean -log p of what follows, among the tokens that may follow."""
        return examples.surprise(self.out, self(examples.inputs))


def sinusoids(places: Tensor, width: int) -> Tensor:
    """(..., width) sines and cosines of the positions (...)."""
    rates = torch.exp(
        torch.arange(0, width, 2, device=places.device, dtype=torch.double)
        * (-math.log(10000.0) / width)
    )
    angles = places[..., None] * rates
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(-2)


class RemiTransformer(Configured):
    """The network, trained by Adam on segments at random places.

    Without a causal mask the window slides as in the paper (VI.A).
    """

    @dataclass(frozen=True)
    class Settings:
        """The paper's simple network in size; the catalogue has the settings of each."""

        layers: int = 2  # of attention and feed-forward network
        width: int = 512  # of the hidden vectors
        heads: int = 4  # of attention
        full: int = 2048  # size of the feed-forward network
        dropout: float = 0.1  # in every layer, and of embeddings
        context: int = 512  # tokens that the network sees; tokens of a segment
        causal: bool = True  # whether attention has a causal mask
        last: int = 0  # tokens at the end of a segment that count in the loss; 0: all
        padded: bool = False  # learns whole songs, padded to the longest; the padding is learnt too
        # What a sliding window adds to the music: its prediction of the window's second token, as
        # the paper did, or of the token after the last, as the paper proposed.
        stores: Literal["second", "last"] = "last"
        batch: int = 4  # segments of an update
        rate: float = 1e-4  # learning rate of Adam
        warm_up: int = 1000  # updates until the full learning rate
        clip: float = 1.0  # largest norm of the gradient
        patience: int | None = 10  # validations without a gain after which training ends

    settings: Settings
    network: TransformerNetwork
    leak_ratio: float | None = None  # loss when the tokens that follow are hidden, over the loss
    copy_rate: float | None = None  # share of the stored tokens that repeat the prompt's
    density: float  # tokens of a step of music

    @property
    def likelihood(self) -> Likelihood:
        """A bound; without a mask none, and the reason includes what was measured of the leak."""
        if self.settings.causal:
            return Likelihood("upper", "score")
        figures = {"leak ratio": self.leak_ratio, "prompt-copy rate": self.copy_rate}
        measured = [f"{name} {value:.2f}" for name, value in figures.items() if value is not None]
        reason = "without a mask it is no model of p(token | past)"
        return Likelihood(
            "none", reason=f"{reason} ({', '.join(measured)})" if measured else reason
        )

    @property
    def parameter_count(self) -> int:
        """How many numbers the network has to learn."""
        return sum(parameter.numel() for parameter in self.network.parameters())

    # -- learning -----------------------------------------------------------------------------

    def build(self) -> TransformerNetwork:
        """The network, newly initialised."""
        s = self.settings
        return TransformerNetwork(
            s.layers, s.width, s.heads, s.full, s.dropout, s.context, s.causal
        )

    def fit(
        self, train: Sequence[Score], valid: Sequence[Score], budget: Budget, seed: int, log: Log
    ) -> None:
        """Train the network on segments of the pieces, then measure how much it leaks."""
        s = self.settings
        with training.seeded(seed):
            self.network = self.build().to(training.device())
        text = remi_pieces.text(train, grammar=s.causal and not s.padded)
        held_out = [score for score in valid if score.length]
        unmasked = remi_pieces.text(held_out, grammar=False)
        windows = token_model.windows(unmasked.pieces, 0, s.context)
        self.density = per_step = token_model.tokens_per_step(train, text.size)

        longest = min(s.context, max(map(len, text.pieces)))
        segments = sum(-(-len(places) // s.context) for places in text.pieces)
        per_pass = training.batches_per_pass(len(train) if s.padded else segments, s.batch)
        seen = float(s.context)  # tokens of music in a row of a batch
        if s.padded:
            seen = float(np.mean([min(s.context, len(places)) for places in text.pieces]))

        def loss(step: int) -> Tensor:
            if s.padded:
                chosen = training.batch(len(train), s.batch, seed, step)
                return self.network.loss(padded_songs(text, chosen, longest))
            rng = np.random.default_rng([seed, step])
            rows = token_model.random_windows(text.pieces, 0, s.context, s.batch, rng)
            return self.network.loss(text.examples(distributed.part(rows), last=s.last))

        steps = training.updates(budget, per_pass)
        warm_up = min(s.warm_up, 1 + steps // 10)

        def validate() -> float:
            if s.causal:
                return token_model.nats_per_step(self, held_out)
            # Without a mask there is no likelihood: the mean over windows, as in training.
            total = 0.0
            for start in range(0, len(windows), s.batch):
                rows = windows[start : start + s.batch]
                total += (
                    float(self.network.loss(unmasked.examples(rows))) * (rows[:, 1:] >= 0).sum()
                )
            return total / unmasked.size * per_step

        training.train(
            self.network,
            loss,
            torch.optim.Adam(self.network.parameters(), lr=s.rate),
            steps=steps,
            seed=seed,
            log=log,
            schedule=lambda step: min(1.0, (step + 1) / warm_up),
            clip=s.clip,
            validate=validate if held_out and steps >= per_pass else None,
            every=per_pass,
            patience=s.patience,
            music_steps=round(s.batch * seen / per_step),
            per_step=per_step,
        )
        self.network.eval()
        self.leak_ratio = leak_ratio(self.network, unmasked.tokens_at(windows[:LEAK_WINDOWS]))
        if self.leak_ratio is not None:
            log.record(steps, leak_ratio=self.leak_ratio)
        self.copy_rate = None if s.causal else self._copy_rate(valid, seed)
        if self.copy_rate is not None:
            log.record(steps, prompt_copy_rate=self.copy_rate)

    def _copy_rate(self, valid: Sequence[Score], seed: int) -> float | None:
        """The share of stored tokens that repeat the prompt; prompts are from validation pieces."""
        beginnings = [remi.encode(score)[:COPY_TOKENS] for score in valid[:LEAK_WINDOWS]]
        beginnings = [tokens for tokens in beginnings if len(tokens) == COPY_TOKENS]
        if not beginnings:
            return None
        streams = [np.random.default_rng([seed, number]) for number in range(len(beginnings))]
        stored = self._slide(
            token_model.precise(self.network), np.stack(beginnings), streams, COPY_TOKENS
        )
        return float(np.mean(stored[:, :-1] == np.stack(beginnings)[:, 1:]))

    # -- likelihood ---------------------------------------------------------------------------

    def log_likelihood(self, scores: Sequence[Score]) -> Floats:
        """(pieces,) log p of the pieces' tokens in nats."""
        if not self.settings.causal:
            raise BenchError(f"There is no likelihood: {self.likelihood.reason}.")
        return remi_pieces.log_likelihood(self.network, scores)

    # -- generation ---------------------------------------------------------------------------

    def sample(self, prompts: Sequence[Score], steps: int, seed: int) -> list[Score]:
        """Continue the prompts token by token; without a mask by a sliding window."""
        if self.settings.causal:
            return remi_pieces.sample(self.network, prompts, steps, seed)
        network, streams = token_model.precise(self.network), generators(prompts, seed)
        count = math.ceil(steps * self.density)  # tokens, as many as the training pieces have
        windows = [remi.encode(prompt)[-self.settings.context :] for prompt in prompts]
        windows = [w if len(w) else np.array([remi.BEGINNING]) for w in windows]
        pieces: dict[int, Score] = {}
        for size in sorted({len(window) for window in windows}):
            alike = [place for place, window in enumerate(windows) if len(window) == size]
            stored = self._slide(
                network,
                np.stack([windows[place] for place in alike]),
                [streams[place] for place in alike],
                count,
            )
            for place, tokens in zip(alike, stored, strict=True):
                music = np.append(remi.BAR, tokens)  # the window's first token is never stored
                pieces[place] = remi.decode(music, steps, prompts[place].grid)
        return [pieces[place] for place in range(len(prompts))]

    @torch.no_grad()
    def _slide(
        self,
        network: TransformerNetwork,
        windows: Ints,
        streams: Sequence[np.random.Generator],
        count: int,
    ) -> Ints:
        """(pieces, count) the tokens stored while the window moves on, one token at a time."""
        stored = np.zeros((len(windows), count), dtype=np.int64)
        for place in range(count):
            numbers = np.stack([rng.random((2, 2)) for rng in streams])
            hidden = network(token_model.tensor(windows))[:, [0, -1]]
            chances = network.out(hidden).softmax(dim=-1).cpu().numpy()  # (pieces, 2, tokens)
            second = token_model.softmax(chances[:, 0], numbers[:, 0])
            last = token_model.softmax(chances[:, 1], numbers[:, 1])
            windows = np.column_stack([windows[:, 1:], last])
            stored[:, place] = second if self.settings.stores == "second" else last
        return stored

    # -- saving -------------------------------------------------------------------------------

    def save(self, folder: Path) -> None:
        """Write settings, weights and what was measured of the leak."""
        values = {
            "settings": asdict(self.settings),
            "density": self.density,
            "leak_ratio": self.leak_ratio,
            "copy_rate": self.copy_rate,
        }
        saved.save(folder, values, token_model.weights(self.network))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The system as it was saved."""
        values, arrays = saved.load(folder)
        system = cls(**values["settings"])
        system.density = values["density"]
        system.leak_ratio, system.copy_rate = values["leak_ratio"], values["copy_rate"]
        system.network = system.build()
        token_model.restore(system.network, arrays)
        return system


def padded_songs(text: Text, songs: Ints, length: int) -> Examples:
    """Whole songs, cut or padded to so many tokens. The padding is a token like any other (V.B)."""
    tokens = np.full((len(songs), 1 + length), remi.BEGINNING)
    for row, song in zip(tokens, songs, strict=True):
        own = text.tokens[text.pieces[song][:length]]
        row[1 : 1 + len(own)] = own
    held = np.ones((len(songs), length), dtype=bool)
    return Examples(*map(token_model.tensor, (tokens[:, :-1], held, tokens[:, 1:].ravel())))


@torch.no_grad()
def leak_ratio(network: TransformerNetwork, windows: Ints) -> float | None:
    """The loss of tokens with the later tokens hidden, over the loss with them visible; 1: no leak.

    Both are of the same tokens, spread over the beginnings of the windows.
    """
    rows = windows[(windows[:, :LEAK_TOKENS] >= 0).all(axis=1), :LEAK_TOKENS]
    if not len(rows):
        return None
    tokens = token_model.tensor(rows)
    visible = network.out(network(tokens[:, :-1]))  # (windows, time, vocabulary)
    losses = np.zeros(2)
    for place in range(8, rows.shape[1] - 2, 10):
        hidden = network.out(network(tokens[:, : place + 1]))[:, -1]
        target = tokens[:, place + 1]
        for which, logits in enumerate((hidden, visible[:, place])):
            losses[which] += float(nn.functional.cross_entropy(logits, target))
    return float(losses[0] / losses[1])
