"""The biaxial LSTM as a contestant: Deep Jammer (Svegliato & Witty 2017), and Sokolov et al. 2016.

The probability of a score is exact. Step by step, and in each step key by key upwards, the
network says whether the key sounds and, if it did so before too, whether it is struck again; a
sound that begins is struck for certain. The first step follows from a mark: the piece begins.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench import training
from bench.architectures.biaxial.network import BiaxialNetwork, NoteFeatures, surprise
from bench.architectures.biaxial.player import Chances, Player, adapted
from bench.architectures.biaxial.segments import Batch, Segments
from bench.contract import Budget, Floats, Likelihood, Log
from bench.encodings import note_states
from bench.errors import BenchError
from bench.music import HIGHEST, KEYS, LOWEST, Score
from bench.music.score import Roll
from bench.seeds import generators
from bench.training import saved
from bench.training.cuda_graph import Recorded

Ints = NDArray[np.int64]
STEPS, PIECES = 256, 128  # of one forward pass, of one group that is composed together
AT_ONCE = 5  # segments of one forward and backward pass on a CPU: bounds the memory
VALID = 20  # segments of the validation pieces that are looked at


class Biaxial:
    """The network, trained on segments of pieces, and what composes with it.

    `lowest` and `highest`: MIDI numbers of the keys it knows. `opening`: it learns how pieces
    begin, too. `certain`: an articulation that cannot be otherwise is neither learnt nor drawn.
    `every`: updates between looks at the validation pieces; 0: none. `summed`: the loss is no
    mean. `clip_each`: every array's gradient is cut to the clip, not all of them together.
    `adaptive`: notes become likelier while fewer than two sound, as in hexahedria's sampler.
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
        summed: bool = False,
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
            "summed": summed,
            "clip_each": clip_each,
            "adaptive": adaptive,
        }
        self.batch, self.segment, self.rate, self.clip = batch, segment, rate, clip
        self.every, self.patience = every, patience
        self.lowest, self.keys = lowest, highest - lowest + 1
        self.opening, self.certain = opening, certain
        self.summed, self.clip_each, self.adaptive = summed, clip_each, adaptive
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
        self.restrikes = True
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
        batches = self._segments(train, self.segment)
        at_once = AT_ONCE if training.device().type == "cpu" else self.batch
        held_out = self._segments(valid, self.segment).spread(VALID)

        def loss(step: int) -> Tensor:
            chosen = training.batch(len(batches), self.batch, seed, step)
            return self._loss([batches.batch(part) for part in parts(chosen, at_once)])

        def validate() -> float:
            nats = [
                (float(self._nats(one).sum()), float(one.counts.sum()))
                for one in (held_out.batch([place]) for place in range(len(held_out)))
            ]
            return sum(total for total, _ in nats) / sum(steps for _, steps in nats)

        optimiser = torch.optim.Adadelta(
            self.network.parameters(), lr=self.rate, rho=0.95, eps=1e-6
        )
        if self.clip_each:
            optimiser.register_step_pre_hook(lambda *_: self._clip_each())
        steps = training.updates(budget, training.batches_per_pass(len(batches), self.batch))
        training.train(
            self.network,
            loss,
            optimiser,
            steps=steps,
            seed=seed,
            log=log,
            clip=None if self.clip_each else self.clip,
            # A run too short for a second look has nothing to choose from.
            validate=validate if len(held_out) and 0 < self.every < steps else None,
            every=max(1, self.every),
            patience=self.patience,
            music_steps=self.batch * self.segment,
        )

    def reset_head(self, train: Sequence[Score], seed: int) -> None:
        """Draw the dense layer anew, for these pieces."""
        with training.seeded(seed):
            self.network.dense = self._network().dense.to(training.device())
        self._begin_at_the_rates([self._states(score) for score in train])

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
        """Let the dense layer's biases say how often a key sounds, and is struck again."""
        if self.settings["linear_candidate"]:
            return  # the original's begin anywhere
        cells = sum(piece[..., 0].size for piece in pieces)
        sounds = sum(int(piece[..., 0].sum()) for piece in pieces)
        again = sum(int(note_states.restruck(piece).sum()) for piece in pieces)
        held = sum(int((piece[1:, :, 0] & piece[:-1, :, 0]).sum()) for piece in pieces)
        rates = [(sounds + 0.5) / (cells + 1), (again + 0.5) / (held + 1)]
        with torch.no_grad():
            self.network.dense.bias.copy_(torch.tensor(rates).logit())

    def _clip_each(self) -> None:
        for parameter in self.network.parameters():
            nn.utils.clip_grad_norm_(parameter, self.clip)

    def _states(self, score: Score) -> Roll:
        states = note_states.encode(score, self.lowest, self.keys)
        return states if self.restrikes else note_states.held(states)

    def _segments(self, scores: Sequence[Score], length: int) -> Segments:
        pieces = [self._states(score) for score in scores]
        return Segments(pieces, [score.grid for score in scores], length, self.opening)

    def _loss(self, batches: Sequence[Batch]) -> Tensor:
        """The loss of all the segments. Of all but the last batch the gradient is added here."""
        scale = 1.0 if self.summed else 1 / sum(float(one.counts.sum()) for one in batches)
        total = torch.zeros((), device=training.device())
        for one in batches[:-1]:
            part = self._nats(one).sum() * scale
            part.backward()  # type: ignore[no-untyped-call]
            total += part.detach()
        return total + self._nats(batches[-1]).sum() * scale

    def _nats(self, batch: Batch) -> Tensor:
        """(batch, time) nats of the steps that follow."""
        states, following, step, bar, counts = (x.to(training.device()) for x in batch)
        logits, _ = self.network(states, following, step, bar)
        return surprise(logits, following, self._free(states, following)) * counts

    def _free(self, states: Tensor, following: Tensor) -> Tensor:
        """(batch, time, keys) where an articulation is a choice."""
        sounds: Tensor = following[..., 0]
        if not self.certain:
            return sounds
        held: Tensor = sounds * states[..., 0] * float(self.restrikes)
        return held

    # -- likelihood ---------------------------------------------------------------------------

    def log_likelihood(self, scores: Sequence[Score]) -> Floats:
        """(pieces,) log p of the pieces in nats; short ones of one length are read together."""
        if self.likelihood.kind == "none":
            raise BenchError(f"This network has no likelihood: {self.likelihood.reason}.")
        nats = np.zeros(len(scores))
        for length in sorted({score.length for score in scores}):
            alike = [place for place, score in enumerate(scores) if score.length == length]
            size = max(1, STEPS // max(1, length))
            for start in range(0, len(alike), size):
                group = alike[start : start + size]
                nats[group] = self._log_likelihood([scores[place] for place in group])
        return nats

    @torch.no_grad()
    def _log_likelihood(self, scores: Sequence[Score]) -> Floats:
        """(pieces,) the same for pieces of one length."""
        pieces, carried = self._segments(scores, STEPS), None
        nats = np.zeros(len(scores))
        for start in range(0, scores[0].length, STEPS):
            places = [(piece, start) for piece in range(len(scores))]
            batch = Batch(*(x.to(training.device()) for x in pieces.cut(places)))
            states, following, step, bar, _ = batch
            logits, carried = self.network(states, following, step, bar, carried)
            found = surprise(logits, following, self._free(states, following))
            nats -= found.double().sum(dim=1).cpu().numpy()
        return nats

    # -- generation ---------------------------------------------------------------------------

    def sample(self, prompts: Sequence[Score], steps: int, seed: int) -> list[Score]:
        """Step after step, many pieces at once."""
        streams, player = generators(prompts, seed), Player(self.network)
        continuations: dict[int, Score] = {}
        for kind in sorted({(prompt.length, prompt.grid) for prompt in prompts}):
            alike = [place for place, p in enumerate(prompts) if (p.length, p.grid) == kind]
            for start in range(0, len(alike), PIECES):
                group = alike[start : start + PIECES]
                draws = np.stack([streams[place].random((steps, self.keys, 2)) for place in group])
                begun = np.stack([self._states(prompts[place]) for place in group])
                made = self._continue(player, begun, draws, 4 * kind[1])
                for place, states in zip(group, made, strict=True):
                    continuations[place] = note_states.decode(states, kind[1], self.lowest)
        return [continuations[place] for place in range(len(prompts))]

    @torch.no_grad()
    def _continue(self, player: Player, begun: Roll, draws: Floats, bar: int) -> Roll:
        """(pieces, steps, keys, 2) the states after the beginnings (pieces, time, keys, 2)."""
        where = training.device()
        pieces, length = begun.shape[:2]
        heard_before = torch.from_numpy(begun).to(where, torch.double)
        uniform = torch.from_numpy(draws).to(where)
        bars = torch.full((pieces,), bar, device=where)
        carried, play = player.begin(pieces, self.keys), Recorded(partial(self._play, player))
        now = torch.zeros(pieces, self.keys, 2, dtype=torch.double, device=where)
        zeal = torch.ones(pieces, dtype=torch.double, device=where)
        made = np.zeros(draws.shape, dtype=bool)
        first = 0
        if length and not self.opening:
            first, now = 1, heard_before[:, 0]  # such a network never reads the beginning's mark
        for step in range(first, length + draws.shape[1]):
            at = torch.full((pieces,), step - 1, device=where)
            heard = player.listen(now, at, bars, carried)
            if step < length:
                now = heard_before[:, step]
                continue
            now, zeal = play(heard, now, uniform[:, step - length], zeal)
            made[:, step - length] = now.cpu().numpy() > 0
        return made

    def _play(
        self, player: Player, heard: Tensor, before: Tensor, uniform: Tensor, zeal: Tensor
    ) -> tuple[Tensor, Tensor]:
        """(pieces, keys, 2) the states of one step, and with which zeal (pieces,) the next goes."""
        chances = Chances(uniform, zeal, certain=self.certain, restrikes=self.restrikes)
        states = player.play(heard, before, chances.choose)
        return states, adapted(zeal, states[..., 0].sum(dim=1)) if self.adaptive else zeal

    # -- keeping ------------------------------------------------------------------------------

    def save(self, folder: Path) -> None:
        """Write settings and weights."""
        arrays = {name: value.cpu().numpy() for name, value in self.network.state_dict().items()}
        saved.save(folder, {"settings": self.settings, "restrikes": self.restrikes}, arrays)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The system as it was saved."""
        values, arrays = saved.load(folder)
        system = cls(**values["settings"])
        system.restrikes = values["restrikes"]
        with training.seeded(0):
            system.network = system._network()
        system.network.load_state_dict({k: torch.from_numpy(v) for k, v in arrays.items()})
        system.network.to(training.device()).eval()
        return system


def parts(items: Ints, size: int) -> Iterator[Ints]:
    """The items, `size` at a time."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
