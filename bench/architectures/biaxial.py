"""The biaxial LSTM as a contestant: Deep Jammer (Svegliato & Witty 2017), and Sokolov et al. 2016.

The probability of a score is exact. Step by step, and in each step key by key upwards, the
network says whether the key sounds and, if it did so before too, whether it is struck again; a
sound that begins is struck for certain. The first step follows from a mark: the piece begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from bench import saved, training
from bench.architectures.biaxial_network import BiaxialNetwork, NoteFeatures, Player, surprise
from bench.contract import Budget, Floats, Likelihood, Log
from bench.encodings import note_states
from bench.errors import BenchError
from bench.music import HIGHEST, KEYS, LOWEST, Score
from bench.music.score import Roll
from bench.seeds import generators

STEPS, PIECES = 256, 128  # of one forward pass, of one group that is composed together
VALID = 20  # segments of the validation pieces that are looked at


@dataclass(frozen=True)
class Batch:
    """Segments side by side; what is beyond the end of a piece does not count."""

    states: Tensor  # (batch, time, keys, 2) one step before those that follow
    following: Tensor  # (batch, time, keys, 2)
    step: Tensor  # (batch, time) of `states`, -1 before the piece
    bar: Tensor  # (batch, 1)
    counts: Tensor  # (batch, time) 1 inside the piece


class Biaxial:
    """The network, trained on segments of pieces, and what composes with it.

    `lowest` and `highest`: MIDI numbers of the keys it knows. `opening`: it learns how pieces
    begin, too. `certain`: an articulation that cannot be otherwise is neither learnt nor drawn.
    `clip_each`: every array's gradient is cut to the clip, not all of them together. `adaptive`:
    notes become likelier while fewer than two sound, as hexahedria's second sampler does.
    The others belong to the features (`NoteFeatures`) and to the LSTM's cell.
    """

    network: BiaxialNetwork
    restrikes: bool  # whether keys are ever struck again while they sound

    def __init__(
        self,
        *,
        time_layers: Sequence[int] = (300, 300),
        note_layers: Sequence[int] = (100, 50),
        dropout: float = 0.0,
        batch: int = 5,
        segment: int = 128,
        rate: float = 1.0,
        clip: float = 5.0,
        every: int = 100,
        patience: int | None = 10,
        lowest: int = LOWEST,
        highest: int = HIGHEST,
        opening: bool = True,
        certain: bool = True,
        scaled: bool = True,
        wraps: bool = False,
        linear_candidate: bool = False,
        clip_each: bool = False,
        adaptive: bool = False,
    ) -> None:
        self.settings: dict[str, Any] = {
            "time_layers": list(time_layers),
            "note_layers": list(note_layers),
            "dropout": dropout,
            "batch": batch,
            "segment": segment,
            "rate": rate,
            "clip": clip,
            "every": every,
            "patience": patience,
            "lowest": lowest,
            "highest": highest,
            "opening": opening,
            "certain": certain,
            "scaled": scaled,
            "wraps": wraps,
            "linear_candidate": linear_candidate,
            "clip_each": clip_each,
            "adaptive": adaptive,
        }
        self.batch, self.segment, self.rate, self.clip = batch, segment, rate, clip
        self.every, self.patience = every, patience
        self.lowest, self.keys = lowest, highest - lowest + 1
        self.opening, self.certain = opening, certain
        self.clip_each, self.adaptive = clip_each, adaptive
        self.restrikes = True

    @property
    def likelihood(self) -> Likelihood:
        """Of scores; of their frames where the training pieces are no more than that."""
        if self.keys < KEYS:
            return Likelihood("none", reason=f"it knows {self.keys} of {KEYS} keys")
        if not (self.opening and self.certain):
            return Likelihood("none", reason="it does not learn how pieces begin")
        return Likelihood("exact", "score" if self.restrikes else "frames")

    @property
    def parameter_count(self) -> int:
        """How many numbers the network has to learn."""
        return sum(parameter.numel() for parameter in self.network.parameters())

    # -- learning -----------------------------------------------------------------------------

    def fit(
        self, train: Sequence[Score], valid: Sequence[Score], budget: Budget, seed: int, log: Log
    ) -> None:
        """A new network, trained on segments that begin at bar lines."""
        pieces = [self._states(score) for score in train]
        self.restrikes = any(note_states.restruck(piece).any() for piece in pieces)
        with training.seeded(seed):
            self.network = self._network().to(training.device())
            self._begin_at_the_rates(pieces)
        self.go_on(train, valid, budget, seed, log)

    def go_on(
        self, train: Sequence[Score], valid: Sequence[Score], budget: Budget, seed: int, log: Log
    ) -> None:
        """Train the network that there is; of several fits the later ones go on from the first."""
        batches = Segments(self, train, self.segment)
        held_out = Segments(self, valid, self.segment).spread(VALID)

        def loss(step: int) -> Tensor:
            chosen = batches.batch(training.batch(len(batches), self.batch, seed, step))
            return self._loss(chosen)

        def validate() -> float:
            nats = [
                (float(self._nats(one).sum()), float(one.counts.sum()))
                for one in (held_out.batch([place]) for place in range(len(held_out)))
            ]
            return sum(total for total, _ in nats) / sum(steps for _, steps in nats)

        hooks = [
            parameter.register_hook(self._clipped)
            for parameter in self.network.parameters()
            if self.clip_each
        ]
        steps = training.updates(budget, training.batches_per_pass(len(batches), self.batch))
        training.train(
            self.network,
            loss,
            torch.optim.Adadelta(self.network.parameters(), lr=self.rate, rho=0.95, eps=1e-6),
            steps=steps,
            seed=seed,
            log=log,
            clip=None if self.clip_each else self.clip,
            # A run too short for a second look has nothing to choose from.
            validate=validate if len(held_out) and steps > self.every else None,
            every=self.every,
            patience=self.patience,
            music_steps=self.batch * self.segment,
        )
        for hook in hooks:
            hook.remove()

    def reset_head(self, seed: int) -> None:
        """Draw the dense layer anew."""
        with training.seeded(seed):
            fresh = self._network().dense
        self.network.dense.load_state_dict(fresh.state_dict())

    def _network(self) -> BiaxialNetwork:
        chosen = self.settings
        features = NoteFeatures(
            self.lowest,
            self.keys,
            scaled=chosen["scaled"],
            wraps=chosen["wraps"],
            marks_beginning=self.opening,
        )
        sizes = chosen["time_layers"], chosen["note_layers"], chosen["dropout"]
        return BiaxialNetwork(features, *sizes, chosen["linear_candidate"])

    def _begin_at_the_rates(self, pieces: Sequence[Roll]) -> None:
        pass

    def _clipped(self, gradient: Tensor) -> Tensor:
        return gradient * (self.clip / gradient.norm().clamp(min=self.clip))

    def _states(self, score: Score) -> Roll:
        return note_states.encode(score, self.lowest, self.keys)

    def _loss(self, batch: Batch) -> Tensor:
        nats = self._nats(batch)
        return nats.sum() / batch.counts.sum()

    def _nats(self, batch: Batch, carried: Any = None) -> Tensor:
        """(batch, time) nats of the steps that follow."""
        where = training.device()
        states, following = batch.states.to(where), batch.following.to(where)
        logits, _ = self.network(states, following, batch.step.to(where), batch.bar.to(where))
        return surprise(logits, following, self._free(states, following)) * batch.counts.to(where)

    def _free(self, states: Tensor, following: Tensor) -> Tensor:
        """(batch, time, keys) where an articulation is a choice."""
        sounds = following[..., 0]
        if not self.certain:
            return sounds
        return sounds * states[..., 0] * float(self.restrikes)


class Segments:
    """All segments of some pieces that begin at a bar line, each padded to the same length."""

    def __init__(self, system: Biaxial, scores: Sequence[Score], length: int) -> None:
        self.opening, self.length = system.opening, length
        self.pieces = [system._states(score) for score in scores]
        self.bars = [4 * score.grid for score in scores]
        self.places = [
            (piece, start)
            for piece, (states, bar) in enumerate(zip(self.pieces, self.bars, strict=True))
            for start in range(0, max(len(states) - length + bar, min(1, len(states))), bar)
        ]

    def __len__(self) -> int:
        return len(self.places)

    def spread(self, most: int) -> Segments:
        """These, or so many of them as evenly chosen as can be."""
        step = max(1, -(-len(self.places) // most))
        self.places = self.places[::step]
        return self

    def batch(self, chosen: Sequence[int]) -> Batch:
        keys = self.pieces[0].shape[1]
        rolls = np.zeros((len(chosen), self.length + 1, keys, 2), dtype=np.float32)
        counts = np.zeros((len(chosen), self.length + 1), dtype=np.float32)
        first = np.zeros(len(chosen), dtype=np.int64)
        for row, place in enumerate(chosen):
            piece, start = self.places[place]
            first[row] = start - self.opening  # the step before the first that is predicted
            part = self.pieces[piece][max(0, first[row]) : first[row] + self.length + 1]
            at = int(first[row] < 0)
            rolls[row, at : at + len(part)] = part
            counts[row, at : at + len(part)] = 1
        step = first[:, None] + np.arange(self.length)
        bars = np.array([[self.bars[self.places[place][0]]] for place in chosen])
        tensors = [rolls[:, :-1], rolls[:, 1:], step, bars, counts[:, 1:]]
        return Batch(*(torch.from_numpy(np.ascontiguousarray(a)) for a in tensors))
