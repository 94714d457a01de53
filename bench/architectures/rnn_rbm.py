"""RNN-RBM: a recurrent network sets the biases of an RBM at every step.

(Boulanger-Lewandowski et al. 2012, section 3; the sizes of the authors' own tutorial.)

    u(t) = tanh(b_u + v(t) W_vu + u(t-1) W_uu)
    b_v(t) = b_v + u(t-1) W_uv,  b_h(t) = b_h + u(t-1) W_uh
    p(v(t) | past) = exp(-F(v)) / Z(t),  F(v) = -v b_v(t) - sum softplus(b_h(t) + v W)

With more than some twenty hidden units Z(t) cannot be computed. The network is trained by
contrastive divergence, music is drawn by Gibbs sampling, and the likelihood is an estimate by
annealed importance sampling.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

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


def free_energy(frames: Tensor, w: Tensor, b_v: Tensor, b_h: Tensor) -> Tensor:
    """(...) F(v) of frames (..., keys), with w (keys, hidden) and biases (..., keys), (..., hidden)."""
    return -(frames * b_v).sum(dim=-1) - softplus(b_h + frames @ w).sum(dim=-1)


def gibbs(frames: Tensor, w: Tensor, b_v: Tensor, b_h: Tensor, u_h: Tensor, u_v: Tensor) -> Tensor:
    """(..., keys) the frames after one Gibbs step, with uniform numbers u_h and u_v."""
    hidden = (u_h < (b_h + frames @ w).sigmoid()).to(frames.dtype)
    return (u_v < (b_v + hidden @ w.T).sigmoid()).to(frames.dtype)


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
    ) -> None:
        super().__init__()
        self.keys, self.recurrent, self.hidden = keys, recurrent, hidden
        self.learning, self.generating = learning, generating
        self.betas, self.chains = betas, chains
        self.rnn = nn.RNN(keys, recurrent, batch_first=True)
        self.biases = nn.Linear(recurrent, keys + hidden)  # W_uv, W_uh; b_v, b_h
        self.w = nn.Parameter(0.01 * torch.randn(keys, hidden))
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
        u, last = self.rnn(frames, state[0])
        return self.biases(u), (last,)

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
        """Contrastive divergence: only its gradient has a meaning, near that of the likelihood."""
        context, _ = self.read(windows.before, self.start(windows.steps))
        b_v, b_h = torch.split(context.float(), [self.keys, self.hidden], dim=-1)
        frames = windows.frames
        with torch.no_grad():
            for _ in range(self.learning):
                u_h, u_v = torch.rand_like(b_h), torch.rand_like(b_v)
                frames = gibbs(frames, self.w, b_v, b_h, u_h, u_v)
        data = free_energy(windows.frames, self.w, b_v, b_h)
        model = free_energy(frames, self.w, b_v, b_h)
        return ((data - model) * windows.held).sum() / windows.held.sum()

    def pseudo_likelihood(self, context: Tensor, frames: Tensor) -> Tensor:
        """(...) sum over the keys of log p(key | all other keys of the frame, past)."""
        b_v, b_h = torch.split(context, [self.keys, self.hidden], dim=-1)
        change = 1 - 2 * frames  # (..., keys) of each key, were it turned over
        a = b_h + frames @ self.w
        turned = a[..., None, :] + change[..., None] * self.w  # (..., keys, hidden)
        more = change * b_v + (softplus(turned) - softplus(a)[..., None, :]).sum(dim=-1)
        return -softplus(more).sum(dim=-1)  # log sigmoid(F(turned) - F(frame))


class RnnRbm(FrameSystem):
    """The recurrent RBM."""

    @dataclass(frozen=True)
    class Settings:
        """The sizes and chains of the authors' tutorial."""

        hidden: int = 150  # hidden units of the RBM
        recurrent: int = 100  # units of the recurrent network
        learning: int = 15  # Gibbs steps of contrastive divergence
        generating: int = 25  # Gibbs steps for a frame of a sample
        betas: int = 300  # steps of annealed importance sampling
        chains: int = 1  # chains of annealed importance sampling
        batch: int = 16  # windows of an update
        sequence: int = 100  # steps of a window
        rate: float = 0.003  # learning rate of Adam
        clip: float | None = 5.0  # largest norm of the gradient
        patience: int | None = 10  # validations without a gain after which training ends

    settings: Settings
    likelihood = Likelihood("estimate", "frames")
    PRECISION = torch.float32
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
        )

    def train(
        self, train: Sequence[Roll], valid: Sequence[Roll], budget: Budget, seed: int, log: Log
    ) -> None:
        """Train on windows in random order, by Adam."""
        s = self.settings
        rows = starts(train, s.sequence)
        self.network.biases.bias.data[: self.keys] = log_odds(train)

        def loss(step: int) -> Tensor:
            chosen = rows[training.batch(len(rows), s.batch, seed, step)]
            return self.network.loss(cut(train, chosen, s.sequence))

        self.minimise(
            loss,
            valid,
            torch.optim.Adam(self.network.parameters(), lr=s.rate),
            budget,
            training.batches_per_pass(len(rows), s.batch),
            seed,
            log,
            clip=s.clip,
            patience=s.patience,
            music_steps=s.batch * s.sequence,
        )

    def surprise(self, pieces: Sequence[Roll]) -> float:
        """The mean negative log pseudo-likelihood; the estimate would take too long."""
        total = 0.0
        for piece in pieces:
            for start in range(0, len(piece), 1024):
                windows = cut([piece], np.array([[0, start]]), 1024)
                context, _ = self.network.read(windows.before, self.network.start(windows.steps))
                total -= float(self.network.pseudo_likelihood(context, windows.frames).sum())
        return total / sum(map(len, pieces))

    @torch.no_grad()
    def log_probabilities(self, pieces: Sequence[Roll]) -> list[Floats]:
        """Estimates, one piece at a time, so that no piece's random numbers depend on another's."""
        network = self.precise(self.PRECISION)
        return [self._log_probabilities(network, [piece])[0] for piece in pieces]
