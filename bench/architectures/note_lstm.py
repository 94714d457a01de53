"""An LSTM that regresses the next note on the three before it (Schaldenbrand et al. 2018, 2.2-2.4).

    3 notes x (pitch, velocity, wait), standardised -> LSTM 48 -> dense 24 -> dense 3

The loss of the pitch is low where the prediction is consonant with the true pitch (`bumps`; the
paper's own loss, a `polynomial`, is for the as-published variant). Velocity and wait add a fifth of
their mean squared error. The paper feeds the regression back as it is. Here the residuals on the
validation pieces turn it into a distribution, from which notes are drawn, and which gives every
score a probability.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench import training
from bench.contract import Budget, Floats, Likelihood, Log
from bench.encodings.note_deltas import Clock, Steps, notes, score_of
from bench.errors import BenchError
from bench.music import HIGHEST, KEYS, LOWEST, Score
from bench.seeds import generators
from bench.training import saved, token_model
from bench.training.settings import Configured

GOOD = (0, 4, 7)  # semitones from the true pitch, modulo 12, that are consonant (2.3)
WIDTH = 0.5  # of a bump, in semitones
DEGREE, REACH = 24, 12  # of the polynomial, and the semitones up and down that it is fitted on
NARROWEST = 0.1  # standard deviation, since constant velocities leave no residuals

Ints = NDArray[np.int64]


class NoteNetwork(nn.Module):
    """An LSTM as in Keras, with one bias, unrolled over the few notes that it reads.

    `hard` gates are those of Keras at the time: 0.2 x + 0.5, clipped to [0, 1].
    """

    def __init__(self, hidden: int, dense: int, hard: bool) -> None:
        super().__init__()
        self.hard = hard
        self.from_input = nn.Linear(3, 4 * hidden)  # gates: input, forget, cell, output
        self.from_state = nn.Linear(hidden, 4 * hidden, bias=False)
        self.dense = nn.Linear(hidden, dense)
        self.out = nn.Linear(dense, 3)
        nn.init.xavier_uniform_(self.from_input.weight)
        nn.init.orthogonal_(self.from_state.weight)
        nn.init.zeros_(self.from_input.bias)
        nn.init.ones_(self.from_input.bias[hidden : 2 * hidden])

    def gate(self, x: Tensor) -> Tensor:
        """A number between 0 and 1."""
        return (0.2 * x + 0.5).clamp(0, 1) if self.hard else torch.sigmoid(x)

    def forward(self, past: Tensor) -> Tensor:
        """(batch, notes, 3) -> (batch, 3) the next note."""
        state = past.new_zeros(len(past), self.dense.in_features)
        cell = torch.zeros_like(state)
        for note in past.unbind(dim=1):
            i, f, c, o = (self.from_input(note) + self.from_state(state)).chunk(4, dim=1)
            cell = self.gate(f) * cell + self.gate(i) * torch.tanh(c)
            state = self.gate(o) * torch.tanh(cell)
        predicted: Tensor = self.out(self.dense(state))
        return predicted


def bumps(distance: Tensor) -> Tensor:
    """(...) the cost of a distance (...) in semitones: lowest at 0, bounded, smooth."""
    cost = 1 + 0.05 * (torch.sqrt(1 + (distance / 12) ** 2) - 1)
    for good in GOOD:
        around = torch.remainder(distance - good + 6, 12) - 6
        cost = cost - torch.exp(-(around**2) / (2 * WIDTH**2))
    return cost


@lru_cache(maxsize=1)
def _coefficients() -> tuple[float, ...]:
    """The Chebyshev coefficients that best fit the corners of the paper's figure 3."""
    from numpy.polynomial import chebyshev

    corners = np.arange(-REACH, REACH + 1)
    heights = np.where(np.isin(corners % 12, GOOD), 0.0, 1.0) + 0.1 * (np.abs(corners) // 12)
    dense = np.linspace(-REACH, REACH, 2401)
    target = np.interp(dense, corners, heights)
    return tuple(chebyshev.chebfit(dense / REACH, target, DEGREE).tolist())


def polynomial(distance: Tensor) -> Tensor:
    """(...) the paper's cost, as far as it is described.

    It is a polynomial up to an octave, and beyond that rises by a tenth with every octave.
    """
    inside = distance.clamp(-REACH, REACH) / REACH
    next_sum, second_sum = torch.zeros_like(inside), torch.zeros_like(inside)
    first, *rest = _coefficients()
    for coefficient in reversed(rest):  # Clenshaw's recurrence
        next_sum, second_sum = coefficient + 2 * inside * next_sum - second_sum, next_sum
    outside = (distance.abs() - REACH).clamp(min=0) / REACH
    return first + inside * next_sum - second_sum + 0.1 * outside


LOSSES = {"bumps": bumps, "polynomial": polynomial}


class NoteLSTM(Configured):
    """The network, the scaling of its inputs, and the spread of its residuals."""

    @dataclass(frozen=True)
    class Settings:
        """The paper's network, with the corrected loss and feedback."""

        hidden: int = 48  # units of the LSTM
        dense: int = 24  # units of the layer after it
        look_back: int = 3  # notes that the network reads
        loss: Literal["bumps", "polynomial"] = "bumps"  # of the pitch; the paper's is a polynomial
        gates: Literal["sigmoid", "hard-sigmoid"] = "sigmoid"  # hard-sigmoid: as in old Keras
        # The next note: drawn from the distribution, or the regression itself, as in the paper.
        feedback: Literal["draw", "regression"] = "draw"
        share: float = 0.2  # weight of the squared errors of velocity and wait
        batch: int = 64  # notes of an update
        rate: float = 0.01  # learning rate of gradient descent
        patience: int | None = 5  # validations without a gain after which training ends

    settings: Settings
    network: NoteNetwork
    centre: Floats  # (3,) mean of pitch, velocity, and wait in quarters
    scale: Floats  # (3,) their standard deviations
    spread: Floats  # (3,) standard deviations of the residuals
    durations: Steps

    @property
    def likelihood(self) -> Likelihood:
        """A bound; none where the regression itself is fed back."""
        if self.settings.feedback == "draw":
            return Likelihood("upper", "score")
        return Likelihood("none", reason="it feeds its regression back: a point, no distribution")

    @property
    def parameter_count(self) -> int:
        """How many numbers the network has to learn."""
        return sum(parameter.numel() for parameter in self.network.parameters())

    # -- learning -----------------------------------------------------------------------------

    def build(self) -> NoteNetwork:
        """The network, newly initialised."""
        s = self.settings
        return NoteNetwork(s.hidden, s.dense, hard=s.gates == "hard-sigmoid")

    def fit(
        self, train: Sequence[Score], valid: Sequence[Score], budget: Budget, seed: int, log: Log
    ) -> None:
        """Scale the inputs, train the network, measure its residuals on the validation pieces."""
        s = self.settings
        together = np.concatenate([features(score) for score in train])
        self.centre, deviation = together.mean(axis=0), together.std(axis=0)
        self.scale = np.where(deviation < 1e-9, 1.0, deviation)  # as scikit-learn's scaler
        self.durations = Steps.of(np.concatenate([score.duration for score in train]))
        with training.seeded(seed):
            self.network = self.build().to(training.device())
        past, target = (token_model.tensor(part) for part in self._examples(train))
        held_out = tuple(token_model.tensor(part) for part in self._examples(valid))
        per_pass = training.batches_per_pass(len(target), s.batch)

        def loss(step: int) -> Tensor:
            rows = token_model.tensor(training.batch(len(target), s.batch, seed, step))
            return self.cost(self.network(past[rows]), target[rows])

        def validate() -> float:
            return float(self.cost(self.network(held_out[0]), held_out[1]))

        training.train(
            self.network,
            loss,
            torch.optim.SGD(self.network.parameters(), lr=s.rate),
            steps=training.updates(budget, per_pass),
            seed=seed,
            log=log,
            validate=validate if len(held_out[1]) else None,
            every=per_pass,
            patience=s.patience,
            music_steps=round(s.batch * sum(score.length for score in train) / max(1, len(target))),
        )
        inputs, true = held_out if len(held_out[1]) else (past, target)
        with torch.no_grad():
            residuals = (self.network(inputs) - true).cpu().double().numpy() * self.scale
        self.spread = np.maximum(np.sqrt((residuals**2).mean(axis=0)), NARROWEST)

    def cost(self, predicted: Tensor, target: Tensor) -> Tensor:
        """The loss of standardised notes (batch, 3)."""
        squares = ((predicted - target) ** 2).mean(dim=0)
        semitones = (predicted[:, 0] - target[:, 0]) * float(self.scale[0])
        pitch = LOSSES[self.settings.loss](semitones).mean()
        return pitch + self.settings.share * (squares[1] + squares[2])

    def _examples(self, scores: Sequence[Score]) -> tuple[NDArray[np.float32], ...]:
        """(notes, look_back, 3) the notes before, (notes, 3) each note, standardised.

        The first note of a piece comes after average notes.
        """
        look_back = self.settings.look_back
        past, target = [np.zeros((0, look_back, 3))], [np.zeros((0, 3))]
        for score in scores:
            rows = (features(score) - self.centre) / self.scale
            padded = np.concatenate([np.zeros((look_back, 3)), rows])
            past += [padded[start : start + look_back][None] for start in range(len(rows))]
            target.append(rows)
        return np.concatenate(past).astype(np.float32), np.concatenate(target).astype(np.float32)

    # -- likelihood ---------------------------------------------------------------------------

    def log_likelihood(self, scores: Sequence[Score]) -> Floats:
        """(pieces,) log p of the pieces in nats, velocities included."""
        if self.likelihood.kind == "none":
            raise BenchError(f"There is no likelihood: {self.likelihood.reason}.")
        network = token_model.precise(self.network)
        return np.array([self._piece(network, score) for score in scores])

    @torch.no_grad()
    def _piece(self, network: NoteNetwork, score: Score) -> float:
        if not score.length:
            return 0.0
        # One note more than the piece has: its predicted wait gives the end.
        rows, look_back = (
            np.concatenate([features(score), np.zeros((1, 3))]),
            self.settings.look_back,
        )
        scaled = np.concatenate([np.zeros((look_back, 3)), (rows - self.centre) / self.scale])
        windows = np.lib.stride_tricks.sliding_window_view(scaled, look_back, axis=0)
        past = token_model.tensor(windows[: len(rows)].transpose(0, 2, 1).copy())
        means = self._means(network, past, score.grid)
        clock, total = Clock(score.length), 0.0
        for (wait, key, duration, velocity), mean in zip(
            notes(score).tolist(), means, strict=False
        ):
            total += self._wait(mean[2], score.grid, wait, wait + 1, clock.least())
            total += self._key(mean[0], clock.keys(wait))[key]
            total += _between(velocity, velocity + 1, mean[1], self.spread[1]) - _between(
                1, 128, mean[1], self.spread[1]
            )
            left = score.length - clock.time - wait
            at_end = duration >= left  # cut by the end of the piece: it may have been longer
            chance = self.durations.at_least(left) if at_end else self.durations.chance(duration)
            total += np.log(chance / self.durations.at_least(1))
            clock.strike(wait, key, duration)
        least = clock.least()
        rest = max(score.length - clock.time, least)
        return float(total + self._wait(means[-1][2], score.grid, rest, np.inf, least))

    def _means(self, network: NoteNetwork, past: Tensor, grid: int) -> Floats:
        """(notes, 3) predicted pitch, velocity and wait in steps of the grid."""
        predicted = network(past).cpu().numpy() * self.scale + self.centre
        return np.asarray(predicted * [1, 1, grid])

    def _wait(self, mean: float, grid: int, first: float, end: float, least: int) -> float:
        """log p of a wait of first..end-1 steps, given that it is at least `least`."""
        spread = self.spread[2] * grid
        whole = _between(least, np.inf, mean, spread)
        return float(_between(first, end, mean, spread) - whole)

    def _key(self, mean: float, able: NDArray[np.bool_]) -> Floats:
        """(keys,) log p of each key, given that it is one that may be struck."""
        numbers = np.arange(LOWEST, HIGHEST + 1)
        logs = np.where(able, _between(numbers, numbers + 1, mean, self.spread[0]), -np.inf)
        return np.asarray(logs - np.logaddexp.reduce(logs))

    # -- generation ---------------------------------------------------------------------------

    @torch.no_grad()
    def sample(self, prompts: Sequence[Score], steps: int, seed: int) -> list[Score]:
        """Continue the prompts note by note, all pieces at once."""
        network, streams = token_model.precise(self.network), generators(prompts, seed)
        pieces = [
            _Piece(self, prompt, steps, rng) for prompt, rng in zip(prompts, streams, strict=True)
        ]
        alive = [piece for piece in pieces if steps]
        while alive:
            past = token_model.tensor(np.stack([piece.past for piece in alive]))
            predicted = network(past).cpu().numpy()
            alive = [
                piece
                for piece, numbers in zip(alive, predicted, strict=True)
                if piece.go_on(numbers)
            ]
        return [piece.score() for piece in pieces]

    # -- saving -------------------------------------------------------------------------------

    def save(self, folder: Path) -> None:
        """Write settings, weights, scales and counts."""
        arrays = token_model.weights(self.network)
        arrays |= {"centre": self.centre, "scale": self.scale, "spread": self.spread}
        arrays["durations"] = self.durations.counts
        saved.save(folder, {"settings": asdict(self.settings)}, arrays)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The system as it was saved."""
        values, arrays = saved.load(folder)
        system = cls(**values["settings"])
        system.centre, system.scale = arrays["centre"], arrays["scale"]
        system.spread, system.durations = arrays["spread"], Steps(arrays["durations"])
        system.network = system.build()
        token_model.restore(system.network, arrays)
        return system


class _Piece:
    """A piece that is being drawn."""

    def __init__(
        self, system: NoteLSTM, prompt: Score, steps: int, rng: np.random.Generator
    ) -> None:
        self.system, self.prompt, self.rng = system, prompt, rng
        self.clock = Clock(prompt.length + steps)
        self.rows: list[list[int]] = notes(prompt).tolist()
        for wait, key, duration, _ in self.rows:
            self.clock.strike(wait, key, duration)
        scaled = (features(prompt) - system.centre) / system.scale
        look_back = system.settings.look_back
        missing = max(0, look_back - len(scaled))
        # As in the paper, a regression that is fed back starts from random notes.
        self.draws = system.settings.feedback == "draw"
        seeds = rng.standard_normal((missing, 3)) * (not self.draws)
        self.past = np.concatenate([seeds, scaled])[-look_back:]  # (look_back, 3)

    def go_on(self, predicted: Floats) -> bool:
        """Add a note given its standardised prediction (3,); False when the piece is complete."""
        system, clock, grid = self.system, self.clock, self.prompt.grid
        mean = (predicted * system.scale + system.centre) * [1, 1, grid]
        least = max(clock.least(), self.prompt.length - clock.time)
        numbers = self.rng.random(4)
        if self.draws:
            wait = max(least, _draw(numbers[0], least, mean[2], system.spread[2] * grid))
            if clock.time + wait >= clock.length:
                return False
            ends = np.exp(system._key(mean[0], clock.keys(wait))).cumsum()
            key = int((ends <= numbers[1] * ends[-1]).sum())
            velocity = _draw(numbers[2], 1, mean[1], system.spread[1])
            duration = system.durations.draw(numbers[3], 1)
        else:
            wait = max(least, round(mean[2]))
            if clock.time + wait >= clock.length:
                return False
            key = int(np.clip(round(mean[0]) - LOWEST, 0, KEYS - 1))
            able = np.flatnonzero(clock.keys(wait))
            key = int(able[np.abs(able - key).argmin()])
            velocity, duration = round(mean[1]), 1  # `score` lets it last until the next onset
        velocity = int(np.clip(velocity, 1, 127))
        clock.strike(wait, key, duration)
        self.rows.append([wait, key, duration, velocity])
        note = predicted
        if self.draws:
            note = np.array([key + LOWEST, velocity, wait / grid])
            note = (note - system.centre) / system.scale
        self.past = np.concatenate([self.past[1:], note[None]])
        return True

    def score(self) -> Score:
        """The music after the prompt."""
        rows, own = np.array(self.rows, dtype=np.int64).reshape(-1, 4), len(self.prompt)
        if not self.draws:
            onset = np.append(np.unique(np.cumsum(rows[:, 0])), self.clock.length)
            place = np.searchsorted(onset, np.cumsum(rows[:, 0]))
            rows[own:, 2] = (onset[place + 1 if len(place) else place] - onset[place])[own:]
        whole = score_of(rows, self.clock.length, self.prompt.grid)
        return whole.slice(self.prompt.length, self.clock.length)


def features(score: Score) -> Floats:
    """(notes, 3) pitch, velocity, and the wait since the note before in quarters."""
    wait, key, _, velocity = notes(score).T
    return np.column_stack([key + LOWEST, velocity, wait / score.grid]).astype(np.float64)


def _between(first: Any, end: Any, mean: Any, spread: Any) -> Floats:
    """(...) log of the normal probability from first - 1/2 to end - 1/2, also far from the mean."""
    from scipy.special import log_ndtr

    low, high = (first - 0.5 - mean) / spread, (end - 0.5 - mean) / spread
    # Above the mean, the mirrored interval, where log_ndtr is precise.
    low, high = np.where(low > 0, -high, low), np.where(low > 0, -low, high)
    upper, lower = log_ndtr(high), log_ndtr(low)
    return np.asarray(upper + np.log1p(-np.exp(lower - upper)))


def _draw(number: float, least: int, mean: float, spread: float) -> int:
    """A number from the discretised normal distribution, given that it is at least `least`."""
    from scipy.special import ndtr, ndtri

    below = ndtr((least - 0.5 - mean) / spread)
    place = ndtri(below + number * (1 - below))
    if not np.isfinite(place):  # the probability above `least` is about 0
        return least
    return max(least, int(np.floor(mean + spread * place + 0.5)))
