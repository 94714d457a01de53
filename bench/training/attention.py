"""Attention over a bounded context: the cache of keys and values, and the windows it covers.

A network sees at most `context` tokens. When the context is full, it reads the last half of it
again and goes on from there. It does so both in drawing and in scoring, so that both use the same
distribution.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from bench.training import token_model
from bench.training.cuda_graph import Recorded

AT_ONCE = 2**13  # tokens of one forward pass
REACH = 128  # on a GPU attention covers a multiple of this: one CUDA graph for each multiple

Ints = NDArray[np.int64]


@dataclass
class Cache:
    """The keys and values of the tokens read so far, of sequences of different lengths."""

    tokens: Tensor  # (sequences, context)
    length: Tensor  # (sequences,) how many tokens are read
    keys: list[Tensor]  # of each layer (sequences, context, heads, size)
    values: list[Tensor]
    longest: int = 0  # the largest length, kept apart so that nothing waits for the GPU

    @property
    def reach(self) -> int:
        """How many places attention covers; a mask hides those that are not filled yet."""
        if self.tokens.device.type != "cuda":
            return self.longest + 1
        return min(self.tokens.shape[1], -(-(self.longest + 1) // REACH) * REACH)


@dataclass
class Reading:
    """The state of generation: the cache, and for each reach a recorded step that uses it."""

    cache: Cache
    steps: dict[int, Recorded] = field(default_factory=dict)


def attend(
    query: Tensor, key: Tensor, value: Tensor, causal: bool, cache: Cache | None, layer: int
) -> Tensor:
    """Attention; all tensors (batch, time, heads, size). A cache holds the tokens before these."""
    if cache is not None:
        time = query.shape[1]
        rows = torch.arange(len(query), device=query.device)[:, None]
        places = cache.length[:, None] + torch.arange(time, device=query.device)
        cache.keys[layer][rows, places] = key
        cache.values[layer][rows, places] = value
        if time == 1:
            reach = cache.reach
            seen = torch.arange(reach, device=query.device) <= cache.length[:, None]
            mixed = scaled_dot_product_attention(
                query.transpose(1, 2),
                cache.keys[layer][:, :reach].transpose(1, 2),
                cache.values[layer][:, :reach].transpose(1, 2),
                attn_mask=seen[:, None, None],
            )
            return mixed.transpose(1, 2)
        # Several tokens at once are only ever read into an empty cache.
    mixed = scaled_dot_product_attention(
        query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2), is_causal=causal
    )
    return mixed.transpose(1, 2)


def spans(length: int, context: int) -> Iterator[tuple[int, int, int]]:
    """The windows of a sequence: where each begins, where its new tokens begin, where it ends."""
    start, new = 0, 0
    while True:
        stop = min(length, start + context)
        yield start, new, stop
        if stop >= length:
            return
        start, new = start + context // 2, stop


class ContextNetwork(nn.Module):
    """A causal network with attention, in the form that `bench.training.token_model` needs.

    A subclass defines `forward(tokens, cache)`, which gives (batch, time, width) and writes keys
    and values into the cache, if any. The cache's lengths are updated here.
    """

    width: int
    context: int  # even
    heads: int
    layers: int

    @property
    def carried(self) -> int:
        """How many numbers the cache holds for one sequence."""
        return 2 * self.layers * self.context * self.width

    def cache(self, sequences: int, like: Tensor) -> Cache:
        """An empty cache."""
        shape = (sequences, self.context, self.heads, self.width // self.heads)
        return Cache(
            torch.zeros(sequences, self.context, dtype=torch.long, device=like.device),
            torch.zeros(sequences, dtype=torch.long, device=like.device),
            [like.new_zeros(shape) for _ in range(self.layers)],
            [like.new_zeros(shape) for _ in range(self.layers)],
        )

    def hidden(self, inputs: Sequence[Ints]) -> list[Tensor]:
        """(length, width) of every sequence."""
        parts = [
            (number, *span)
            for number, sequence in enumerate(inputs)
            for span in spans(len(sequence), self.context)
        ]
        parts.sort(key=lambda part: part[1] - part[3])
        like = next(self.parameters())
        held = [like.new_zeros(len(sequence), self.width) for sequence in inputs]
        while parts:
            longest = max(1, parts[0][3] - parts[0][1])
            group, parts = parts[: max(1, AT_ONCE // longest)], parts[max(1, AT_ONCE // longest) :]
            rows = [token_model.tensor(inputs[n][start:stop]) for n, start, _, stop in group]
            hidden = self(nn.utils.rnn.pad_sequence(rows, batch_first=True))
            for row, (number, start, new, stop) in zip(hidden, group, strict=True):
                held[number][new:stop] = row[new - start : stop - start]
        return held

    def read(self, inputs: Sequence[Ints]) -> tuple[Tensor, Reading]:
        """(sequences, width) after the last token of each, and what to go on from."""
        like = next(self.parameters())
        cache = self.cache(len(inputs), like)
        starts = [list(spans(len(sequence), self.context))[-1][0] for sequence in inputs]
        rows = [token_model.tensor(s[start:]) for s, start in zip(inputs, starts, strict=True)]
        padded = nn.utils.rnn.pad_sequence(rows, batch_first=True)
        cache.tokens[:, : padded.shape[1]] = padded
        hidden = self(padded, cache)
        cache.length = torch.tensor([len(row) for row in rows], device=like.device)
        cache.longest = padded.shape[1]
        last = hidden[torch.arange(len(rows), device=like.device), cache.length - 1]
        return last, Reading(cache)

    def step(self, tokens: Tensor, reading: Reading) -> tuple[Tensor, Reading]:
        """The same after one more token each."""
        cache = reading.cache
        if cache.longest == self.context:
            self._halve(cache)
        step = reading.steps.setdefault(cache.reach, Recorded(partial(self._next, cache)))
        (hidden,) = step(tokens)
        cache.length += 1
        cache.longest += 1
        return hidden, reading

    def _next(self, cache: Cache, tokens: Tensor) -> tuple[Tensor]:
        """(sequences, width) after one more token each, which is added to the cache."""
        cache.tokens[torch.arange(len(tokens), device=tokens.device), cache.length] = tokens
        return (self(tokens[:, None], cache)[:, 0],)

    def _halve(self, cache: Cache) -> None:
        """Where the cache is full, replace it by its last half, read again from scratch."""
        full = torch.nonzero(cache.length == self.context)[:, 0]
        half = cache.tokens[full, self.context // 2 :]
        fresh = self.cache(len(full), next(self.parameters()))
        self(half, fresh)
        cache.tokens[full, : half.shape[1]] = half
        cache.length[full] = half.shape[1]
        for layer in range(self.layers):
            cache.keys[layer][full] = fresh.keys[layer]
            cache.values[layer][full] = fresh.values[layer]
        cache.longest = int(cache.length.max())

    def keep(self, reading: Reading, rows: Tensor) -> Reading:
        """The reading of these sequences only."""
        cache = reading.cache
        return Reading(
            Cache(
                cache.tokens[rows],
                cache.length[rows],
                [key[rows] for key in cache.keys],
                [value[rows] for value in cache.values],
                int(cache.length[rows].max()),
            )
        )
