"""RNN-RBM: a recurrent network sets the biases of an RBM at every step.

(Boulanger-Lewandowski et al. 2012, section 3; the sizes of the authors' own tutorial.)

    u(t) = tanh(b_u + v(t) W_vu + u(t-1) W_uu)
    b_v(t) = b_v + u(t-1) W_uv,  b_h(t) = b_h + u(t-1) W_uh
    p(v(t) | past) = exp(-F(v)) / Z(t),  F(v) = -v b_v(t) - sum softplus(b_h(t) + v W)

With more than some twenty hidden units Z(t) cannot be computed. The gradient of log Z(t) is taken
at a frame that the model itself has drawn, music is drawn by Gibbs sampling, and the likelihood is
an estimate by annealed importance sampling.
"""

from __future__ import annotations

import copy
import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from bench import training
from bench.contract import Budget, Floats, Likelihood, Log
from bench.music.score import Roll
from bench.training.frame_system import (
    FrameNetwork,
    FrameSystem,
    State,
    Windows,
    cut,
    log_odds,
    starts,
)

FRAMES = 512  # of a validation, estimated at a time: they fit into a processor's cache


def free_energy(frames: Tensor, w: Tensor, b_v: Tensor, b_h: Tensor) -> Tensor:
    """(...) F(v) of frames (..., keys), with w (keys, hidden) and biases (..., keys), (..., hidden)."""
    return -(frames * b_v).sum(dim=-1) - softplus(b_h + frames @ w).sum(dim=-1)


def gibbs(frames: Tensor, w: Tensor, b_v: Tensor, b_h: Tensor, u_h: Tensor, u_v: Tensor) -> Tensor:
    """(..., keys) the frames after one Gibbs step, with uniform numbers u_h and u_v."""
    hidden = (u_h < (b_h + frames @ w).sigmoid()).to(frames.dtype)
    return (u_v < (b_v + hidden @ w.T).sigmoid()).to(frames.dtype)


def annealed(w: Tensor, b_v: Tensor, b_h: Tensor, steps: int) -> Tensor:
    """(..., keys) a frame near the RBM's distribution, for each pair of biases.

    A chain from the RBM with the same biases and no weights, which rise evenly to those of the RBM
    and stay there for the last quarter of the steps. Unlike a chain that begins at the data it
    also gets to frames that are far from them.
    """
    frames = (torch.rand_like(b_v) < b_v.sigmoid()).to(b_v.dtype)
    rising = steps - steps // 4
    for step in range(1, steps + 1):
        weights = min(1.0, step / rising) * w
        frames = gibbs(frames, weights, b_v, b_h, torch.rand_like(b_h), torch.rand_like(b_v))
    return frames


def log_partition(
    w: Tensor, b_v: Tensor, b_h: Tensor, betas: int, chains: int, random: torch.Generator
) -> Tensor:
    """(frames,) an estimate of log Z for biases (frames, keys), (frames, hidden).

    Annealed importance sampling (Neal 2001; Salakhutdinov & Murray 2008): from the RBM with the
    same biases and no weights, whose Z is known, in `betas` even steps to the RBM itself. The mean
    weight of `chains` chains has the expectation Z; its log underestimates log Z on average.
    """
    shape = (chains, *b_v.shape)
    log_z = softplus(b_v).sum(dim=-1) + softplus(b_h).sum(dim=-1)  # where the weights are 0

    def draw(odds: Tensor) -> Tensor:
        uniform = torch.empty_like(odds).uniform_(generator=random)
        return (uniform < odds.sigmoid()).to(odds.dtype)

    a = draw(b_v.expand(shape)) @ w
    energy = softplus(b_h).sum(dim=-1)  # of the hidden units, at the beta before
    weight = torch.zeros(shape[:-1], device=w.device, dtype=w.dtype)
    for step in range(1, betas + 1):
        beta = step / betas
        weight += softplus(b_h + beta * a).sum(dim=-1) - energy
        if step < betas:
            a = draw(b_v + beta * (draw(b_h + beta * a) @ w.T)) @ w
            energy = softplus(b_h + beta * a).sum(dim=-1)
    mean: Tensor = weight.logsumexp(dim=0) - np.log(chains)
    return log_z + mean


class RnnRbmNetwork(FrameNetwork):
    """A plain recurrent network, and an RBM whose biases follow it."""

    def __init__(
        self,
        keys: int,
        recurrent: int,
        hidden: int,
        *,
        learning: int,
        generating: int,
        betas: int,
        chains: int,
        from_data: bool = True,
        dropout: float = 0.0,
        input_dropout: float = 0.0,
        scale: float = 0.01,
    ) -> None:
        super().__init__()
        self.keys, self.recurrent, self.hidden = keys, recurrent, hidden
        self.from_data = from_data
        self.dropout, self.input_dropout = nn.Dropout(dropout), nn.Dropout(input_dropout)
        self.learning, self.generating = learning, generating
        self.betas, self.chains = betas, chains
        self.rnn = nn.RNN(keys, recurrent, batch_first=True)
        self.biases = nn.Linear(recurrent, keys + hidden)  # W_uv, W_uh; b_v, b_h
        self.w = nn.Parameter(scale * torch.randn(keys, hidden))
        *weights, bias_i, bias_h = self.rnn.all_weights[0]
        for weight in (*weights, self.biases.weight):
            nn.init.normal_(weight, std=0.0001)
        for bias in (bias_i, bias_h, self.biases.bias):
            nn.init.zeros_(bias)

    @property
    def draws(self) -> int:
        """One for each hidden and visible unit in each step of the chain."""
        return self.generating * (self.hidden + self.keys)

    def start(self, steps: Tensor) -> State:
        """u(0) = 0."""
        return (self.w.new_zeros(1, len(steps), self.recurrent),)

    def read(self, frames: Tensor, state: State) -> tuple[Tensor, State]:
        """(batch, time, keys) -> (batch, time, keys + hidden): the biases b_v and b_h."""
        u, last = self.rnn(self.input_dropout(frames), state[0])
        return self.biases(self.dropout(u)), (last,)

    def log_probability(self, context: Tensor, frames: Tensor) -> Tensor:
        """(batch, time) estimates; equal biases and frames give equal estimates."""
        b_v, b_h = torch.split(context.flatten(0, -2), [self.keys, self.hidden], dim=-1)
        content = hashlib.sha256(np.packbits(frames.cpu().numpy() > 0).tobytes()).digest()
        random = torch.Generator(self.w.device).manual_seed(int.from_bytes(content[:7], "little"))
        log_z = log_partition(self.w, b_v, b_h, self.betas, self.chains, random)
        logs: Tensor = -free_energy(frames.flatten(0, -2), self.w, b_v, b_h) - log_z
        return logs.view(frames.shape[:-1])

    def draw(self, context: Tensor, uniform: Tensor) -> Tensor:
        """(batch, keys) the end of a Gibbs chain that begins in silence."""
        b_v, b_h = torch.split(context, [self.keys, self.hidden], dim=-1)
        frame = torch.zeros_like(b_v)
        for u in torch.split(uniform, self.hidden + self.keys, dim=-1):
            frame = gibbs(frame, self.w, b_v, b_h, u[:, : self.hidden], u[:, self.hidden :])
        return frame

    def loss(self, windows: Windows) -> Tensor:
        """A difference of free energies: only its gradient has a meaning, near that of -log p."""
        context, _ = self.read(windows.before, self.start(windows.steps))
        held = windows.held > 0
        b_v, b_h = torch.split(context[held].to(self.w.dtype), [self.keys, self.hidden], dim=-1)
        data = windows.frames[held]
        with torch.no_grad():
            if self.from_data:
                frames = data
                for _ in range(self.learning):
                    u_h, u_v = torch.rand_like(b_h), torch.rand_like(b_v)
                    frames = gibbs(frames, self.w, b_v, b_h, u_h, u_v)
            else:
                frames = annealed(self.w, b_v, b_h, self.learning)
        energies = (free_energy(x, self.w, b_v, b_h) for x in (data, frames))
        return (next(energies) - next(energies)).mean()


class RnnRbm(FrameSystem):
    """The recurrent RBM."""

    @dataclass(frozen=True)
    class Settings:
        """The authors' tutorial has some of them; the catalogue gives reasons for the others."""

        hidden: int = 150  # hidden units of the RBM
        recurrent: int = 150  # units of the recurrent network
        learning: int = 11  # Gibbs steps of the model's frame in the gradient
        chain: Literal["annealed", "data"] = (
            "annealed"  # how it begins; data: contrastive divergence
        )
        generating: int = 25  # Gibbs steps for a frame of a sample
        betas: int = 1000  # steps of annealed importance sampling
        chains: int = 1  # chains of annealed importance sampling
        dropout: float = 0.5  # of the recurrent units that set the biases
        input_dropout: float = 0.2  # of the keys that the recurrent network reads
        scale: float = 0.03  # deviation of the RBM's first weights
        batch: int = 12  # windows of an update
        sequence: int = 100  # steps of a window
        rate: float = 0.006  # learning rate of AdamW
        decay: float = 0.0  # weight decay of AdamW
        clip: float | None = 5.0  # largest norm of the gradient
        patience: int | None = 10  # validations without a gain after which training ends

    settings: Settings
    likelihood = Likelihood("estimate", "frames")
    PRECISION = torch.float32
    WATCHED = 1024  # frames of a validation, at most: estimating all would take as long as training
    WATCHED_BETAS = 300  # of a validation, at most
    EVERY = 250  # updates between validations, at least
    network: RnnRbmNetwork

    def build(self) -> RnnRbmNetwork:
        """The network, newly initialised."""
        s = self.settings
        return RnnRbmNetwork(
            self.keys,
            s.recurrent,
            s.hidden,
            learning=s.learning,
            generating=s.generating,
            betas=s.betas,
            chains=s.chains,
            from_data=s.chain == "data",
            dropout=s.dropout,
            input_dropout=s.input_dropout,
            scale=s.scale,
        )

    def train(
        self, train: Sequence[Roll], valid: Sequence[Roll], budget: Budget, seed: int, log: Log
    ) -> None:
        """Train on windows in random order, by AdamW; the rate falls to 0."""
        s = self.settings
        rows = starts(train, s.sequence)
        self.network.biases.bias.data[: self.keys] = log_odds(train)
        per_pass = training.batches_per_pass(len(rows), s.batch)
        steps = training.updates(budget, per_pass)

        def loss(step: int) -> Tensor:
            chosen = rows[training.batch(len(rows), s.batch, seed, step)]
            return self.network.loss(cut(train, chosen, s.sequence))

        self.minimise(
            loss,
            valid,
            torch.optim.AdamW(self.network.parameters(), lr=s.rate, weight_decay=s.decay),
            budget,
            per_pass,
            seed,
            log,
            every=self.EVERY,
            schedule=lambda step: 0.5 + 0.5 * math.cos(math.pi * step / steps),
            clip=s.clip,
            patience=s.patience,
            music_steps=s.batch * s.sequence,
        )

    def surprise(self, pieces: Sequence[Roll]) -> float:
        """Minus the log-likelihood per frame, estimated on at most `WATCHED` of the frames.

        The frames are evenly spaced, and their random numbers are the same at every call, so that
        two networks are compared on equal terms.
        """
        network, contexts, frames = copy.copy(self.network), [], []
        network.betas = min(network.betas, self.WATCHED_BETAS)
        for piece in pieces:
            windows = cut([piece], np.array([[0, 0]]), len(piece))
            context, _ = network.read(windows.before, network.start(windows.steps))
            contexts.append(context[0])
            frames.append(windows.frames[0])
        every = -(-sum(map(len, frames)) // self.WATCHED)
        logs = [
            network.log_probability(context[None], frame[None])
            for context, frame in zip(
                torch.split(torch.cat(contexts)[::every], FRAMES),
                torch.split(torch.cat(frames)[::every], FRAMES),
                strict=True,
            )
        ]
        return -torch.cat(logs, dim=1).mean().item()

    @torch.no_grad()
    def log_probabilities(self, pieces: Sequence[Roll]) -> list[Floats]:
        """Estimates, one piece at a time, so that no piece's random numbers depend on another's."""
        network = self.precise(self.PRECISION)
        return [self._log_probabilities(network, [piece])[0] for piece in pieces]
