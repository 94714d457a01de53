"""The biaxial LSTM as a contestant: Deep Jammer (Svegliato & Witty 2017), and Sokolov et al. 2016.

The probability of a score is exact. Step by step, and in each step key by key upwards, the network
predicts whether the key sounds and, if it sounded at the step before, whether it is struck again.
A sound that begins is always struck. The first step is predicted from a mark of the beginning.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Literal, Self

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
from bench.training.settings import Configured

Ints = NDArray[np.int64]
STEPS, PIECES = 256, 128  # of one forward pass, of one group that is drawn together
AT_ONCE = 5  # segments of one forward and backward pass on a CPU: bounds the memory
WARM_UP = 10  # updates until the full learning rate, where it falls
LEARNING = 3  # learning from a step takes as long as reading so many


class Biaxial(Configured):
    """The network, trained on segments of pieces that begin at bar lines."""

    @dataclass(frozen=True)
    class Settings:
        """The large network of Deep Jammer, corrected."""

        time_layers: tuple[int, ...] = (300, 300)  # units of the LSTM layers along time
        note_layers: tuple[int, ...] = (100, 50)  # units of the LSTM layers along notes
        dropout: float = 0.0  # after every LSTM layer
        batch: int = 5  # segments of an update
        segment: int = 128  # steps of a segment
        optimiser: Literal["adadelta", "adam"] = "adadelta"
        rate: float = 1.0  # learning rate of the optimiser
        falls: bool = False  # the learning rate falls to 0 by the end of the budget
        clip: float = 5.0  # largest norm of the gradient
        every: int = 100  # updates from validation to validation; 0: none
        patience: int | None = 10  # validations without a gain after which training ends
        lowest: int = LOWEST  # MIDI number of the lowest key that it knows
        highest: int = HIGHEST  # and of the highest
        opening: bool = True  # it learns how pieces begin
        certain: bool = True  # an articulation that is certain is neither learnt nor drawn
        scaled: bool = True  # the feature for a note's position is in 0..1, not 0..keys
        wraps: bool = False  # below the lowest note a note sees the highest ones
        linear_candidate: bool = False  # the LSTM's candidate has no tanh, as in theano_lstm
        summed: bool = False  # the loss is the sum over the batch, not the mean
        clip_each: bool = False  # the gradient of each array is clipped on its own
        adaptive: bool = False  # notes become likelier while fewer than two sound

    settings: Settings
    network: BiaxialNetwork
    restrikes: bool = True  # whether keys are ever struck again while they sound

    @property
    def keys(self) -> int:
        """How many keys it knows."""
        return self.settings.highest - self.settings.lowest + 1

    @property
    def likelihood(self) -> Likelihood:
        """Of scores; of frames if the training pieces never strike a key while it sounds."""
        if self.keys < KEYS:
            return Likelihood("none", reason=f"it knows {self.keys} of {KEYS} keys")
        if not (self.settings.opening and self.settings.certain):
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
        """Train a new network."""
        self.restrikes = True
        pieces = [self._states(score) for score in train]
        self.restrikes = any(note_states.restruck(piece).any() for piece in pieces)
        with training.seeded(seed):
            self.network = self.build().to(training.device())
        self._set_biases(pieces)
        self.go_on(train, valid, budget, seed, log)

    def go_on(
        self, train: Sequence[Score], valid: Sequence[Score], budget: Budget, seed: int, log: Log
    ) -> None:
        """Continue to train the network, for training in stages."""
        s = self.settings
        segments = self._segments(train, s.segment)
        at_once = AT_ONCE if training.device().type == "cpu" else s.batch
        # Reading them takes at most a tenth of the updates' time.
        most = s.every * s.batch * s.segment * LEARNING // 10
        held_out = beginnings([score for score in valid if score.length], most)

        def loss(step: int) -> Tensor:
            chosen = training.batch(len(segments), s.batch, seed, step)
            return self._loss([segments.batch(part) for part in parts(chosen, at_once)])

        def validate() -> float:
            return sum(map(self._nats_of, held_out)) / sum(score.length for score in held_out)

        weights = self.network.parameters()
        optimiser: torch.optim.Optimizer
        if s.optimiser == "adam":
            optimiser = torch.optim.Adam(weights, lr=s.rate, betas=(0.9, 0.99))
        else:
            optimiser = torch.optim.Adadelta(weights, lr=s.rate, rho=0.95, eps=1e-6)
        if s.clip_each:
            optimiser.register_step_pre_hook(lambda *_: self._clip_each())
        steps = training.updates(budget, training.batches_per_pass(len(segments), s.batch))
        training.train(
            self.network,
            loss,
            optimiser,
            steps=steps,
            seed=seed,
            log=log,
            schedule=lambda step: rise_and_fall(step, steps) if s.falls else 1.0,
            clip=None if s.clip_each else s.clip,
            # With a single validation, at the end, there are no weights to choose from.
            validate=validate if held_out and 0 < s.every < steps else None,
            every=max(1, s.every),
            patience=s.patience,
            music_steps=s.batch * s.segment,
        )

    def reset_head(self, train: Sequence[Score], seed: int) -> None:
        """Initialise the dense layer again, with biases for these pieces."""
        with training.seeded(seed):
            self.network.dense = self.build().dense.to(training.device())
        self._set_biases([self._states(score) for score in train])

    def build(self) -> BiaxialNetwork:
        """The network, newly initialised."""
        s = self.settings
        features = NoteFeatures(
            s.lowest, self.keys, scaled=s.scaled, wraps=s.wraps, marks_beginning=s.opening
        )
        return BiaxialNetwork(features, s.time_layers, s.note_layers, s.dropout, s.linear_candidate)

    def _set_biases(self, pieces: Sequence[Roll]) -> None:
        """Set the dense layer's biases to how often a key sounds, and is struck again."""
        if self.settings.linear_candidate:
            return  # the original's are random
        cells = sum(piece[..., 0].size for piece in pieces)
        sounds = sum(int(piece[..., 0].sum()) for piece in pieces)
        again = sum(int(note_states.restruck(piece).sum()) for piece in pieces)
        held = sum(int((piece[1:, :, 0] & piece[:-1, :, 0]).sum()) for piece in pieces)
        rates = [(sounds + 0.5) / (cells + 1), (again + 0.5) / (held + 1)]
        with torch.no_grad():
            self.network.dense.bias.copy_(torch.tensor(rates).logit())

    def _clip_each(self) -> None:
        for parameter in self.network.parameters():
            nn.utils.clip_grad_norm_(parameter, self.settings.clip)

    def _states(self, score: Score) -> Roll:
        states = note_states.encode(score, self.settings.lowest, self.keys)
        return states if self.restrikes else note_states.held(states)

    def _segments(self, scores: Sequence[Score], length: int) -> Segments:
        pieces = [self._states(score) for score in scores]
        return Segments(pieces, [score.grid for score in scores], length, self.settings.opening)

    def _loss(self, batches: Sequence[Batch]) -> Tensor:
        """The loss of all segments; the gradients of all batches but the last are added here."""
        steps = sum(float(batch.counts.sum()) for batch in batches)
        scale = 1.0 if self.settings.summed else 1 / steps
        total = torch.zeros((), device=training.device())
        for batch in batches[:-1]:
            part = self._nats(batch).sum() * scale
            part.backward()  # type: ignore[no-untyped-call]
            total += part.detach()
        return total + self._nats(batches[-1]).sum() * scale

    def _nats(self, batch: Batch) -> Tensor:
        """(batch, time) -log p of the states that follow, in nats; 0 beyond the end of a piece."""
        states, following, step, bar, counts = (x.to(training.device()) for x in batch)
        logits, _ = self.network(states, following, step, bar)
        return surprise(logits, following, self._free(states, following)) * counts

    def _free(self, states: Tensor, following: Tensor) -> Tensor:
        """(batch, time, keys) where an articulation is not certain."""
        sounds: Tensor = following[..., 0]
        if not self.settings.certain:
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

    def _nats_of(self, score: Score) -> float:
        return -float(self._log_likelihood([score])[0])

    @torch.no_grad()
    def _log_likelihood(self, scores: Sequence[Score]) -> Floats:
        """(pieces,) log p of pieces of one length, read together."""
        pieces, carried = self._segments(scores, STEPS), None
        nats = np.zeros(len(scores))
        for start in range(0, scores[0].length, STEPS):
            places = [(piece, start) for piece in range(len(scores))]
            batch = Batch(*(x.to(training.device()) for x in pieces.cut(places)))
            states, following, step, bar, _ = batch
            logits, carried = self.network(states, following, step, bar, carried)
            surprises = surprise(logits, following, self._free(states, following))
            nats -= surprises.double().sum(dim=1).cpu().numpy()
        return nats

    # -- generation ---------------------------------------------------------------------------

    def sample(self, prompts: Sequence[Score], steps: int, seed: int) -> list[Score]:
        """Continue the prompts step by step, many pieces at once."""
        streams, player = generators(prompts, seed), Player(self.network)
        continuations: dict[int, Score] = {}
        for length, grid in sorted({(prompt.length, prompt.grid) for prompt in prompts}):
            alike = [
                place
                for place, prompt in enumerate(prompts)
                if (prompt.length, prompt.grid) == (length, grid)
            ]
            for start in range(0, len(alike), PIECES):
                group = alike[start : start + PIECES]
                draws = np.stack([streams[place].random((steps, self.keys, 2)) for place in group])
                beginnings = np.stack([self._states(prompts[place]) for place in group])
                drawn = self._continue(player, beginnings, draws, 4 * grid)
                for place, states in zip(group, drawn, strict=True):
                    continuations[place] = note_states.decode(states, grid, self.settings.lowest)
        return [continuations[place] for place in range(len(prompts))]

    @torch.no_grad()
    def _continue(self, player: Player, beginnings: Roll, draws: Floats, bar: int) -> Roll:
        """(pieces, steps, keys, 2) the states after the beginnings (pieces, time, keys, 2)."""
        device = training.device()
        pieces, length = beginnings.shape[:2]
        prompt = torch.from_numpy(beginnings).to(device, torch.double)
        uniform = torch.from_numpy(draws).to(device)
        bars = torch.full((pieces,), bar, device=device)
        carried, play = player.begin(pieces, self.keys), Recorded(partial(self._play, player))
        now = torch.zeros(pieces, self.keys, 2, dtype=torch.double, device=device)
        exponent = torch.ones(pieces, dtype=torch.double, device=device)
        drawn = np.zeros(draws.shape, dtype=bool)
        first = 0
        if length and not self.settings.opening:
            first, now = 1, prompt[:, 0]  # such a network was not trained on the mark
        for step in range(first, length + draws.shape[1]):
            before = torch.full((pieces,), step - 1, device=device)
            past = player.read(now, before, bars, carried)
            if step < length:
                now = prompt[:, step]
                continue
            now, exponent = play(past, now, uniform[:, step - length], exponent)
            drawn[:, step - length] = now.cpu().numpy() > 0
        return drawn

    @torch.no_grad()
    def next_frames(
        self, scores: Sequence[Score], places: Sequence[Ints], seed: int
    ) -> list[NDArray[np.bool_]]:
        """(places, 88) frames of each piece, each drawn given the piece's true past."""
        s, device, first = self.settings, training.device(), int(not self.settings.opening)
        player, streams = Player(self.network), generators(scores, seed)
        frames = [np.zeros((len(steps), KEYS), dtype=bool) for steps in places]
        order = np.argsort([score.length for score in scores], kind="stable")
        for group in parts(order, PIECES):
            heard = [torch.from_numpy(self._states(scores[piece])) for piece in group]
            true = nn.utils.rnn.pad_sequence(heard, batch_first=True).to(device, torch.double)
            bars = torch.tensor([4 * scores[piece].grid for piece in group], device=device)
            even = torch.ones(len(group), dtype=torch.double, device=device)
            carried = player.begin(len(group), self.keys)
            now = true[:, 0] if first else torch.zeros_like(true[:, 0])
            for step in range(first, true.shape[1]):
                before = torch.full((len(group),), step - 1, device=device)
                past = player.read(now, before, bars, carried)
                rows = [row for row, piece in enumerate(group) if step in places[piece]]
                if rows:
                    draws = np.stack([streams[group[row]].random((self.keys, 2)) for row in rows])
                    uniform = torch.from_numpy(draws).to(device)
                    states, _ = self._play(player, past[:, rows], now[rows], uniform, even[rows])
                    for row, frame in zip(rows, states[..., 0].cpu().numpy() > 0, strict=True):
                        place = np.searchsorted(places[group[row]], step)
                        frames[group[row]][place, s.lowest - LOWEST :][: self.keys] = frame
                now = true[:, step]
        return frames

    def _play(
        self, player: Player, past: Tensor, before: Tensor, uniform: Tensor, exponent: Tensor
    ) -> tuple[Tensor, Tensor]:
        """(pieces, keys, 2) the states of one step, and the exponents (pieces,) of the next."""
        adaptive, certain = self.settings.adaptive, self.settings.certain
        chances = Chances(
            uniform, exponent if adaptive else None, certain=certain, restrikes=self.restrikes
        )
        states = player.play(past, before, chances.choose)
        return states, adapted(exponent, states[..., 0].sum(dim=1)) if adaptive else exponent

    # -- saving -------------------------------------------------------------------------------

    def save(self, folder: Path) -> None:
        """Write settings and weights."""
        arrays = {name: value.cpu().numpy() for name, value in self.network.state_dict().items()}
        values = {"settings": asdict(self.settings), "restrikes": self.restrikes}
        saved.save(folder, values, arrays)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The system as it was saved."""
        values, arrays = saved.load(folder)
        system = cls(**values["settings"])
        system.restrikes = values["restrikes"]
        with training.seeded(0):
            system.network = system.build()
        system.network.load_state_dict({k: torch.from_numpy(v) for k, v in arrays.items()})
        system.network.to(training.device()).eval()
        return system


def rise_and_fall(step: int, steps: int) -> float:
    """The factor of the learning rate: a short rise, then half a cosine, to 0 after `steps`."""
    return min(1.0, (step + 1) / WARM_UP) * (0.5 + 0.5 * math.cos(math.pi * step / steps))


def beginnings(scores: Sequence[Score], most: int) -> list[Score]:
    """Evenly spaced pieces of about `most` steps together, or all; long ones only in part."""
    cut = [score.slice(0, min(score.length, max(1, most // 8))) for score in scores]
    every = max(1, -(-sum(score.length for score in cut) // max(1, most)))
    return cut[::every]


def parts(items: Ints, size: int) -> Iterator[Ints]:
    """The items, `size` at a time."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
