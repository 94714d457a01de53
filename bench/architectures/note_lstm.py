"""An LSTM that regresses the next note on the three before it (Schaldenbrand et al. 2018, 2.2-2.4).

    3 notes x (pitch, velocity, wait), standardised -> LSTM 48 -> dense 24 -> dense 3

The cost of a pitch is low where the prediction is consonant with it (`bumps`; the paper's own cost,
a `polynomial`, is for the as-published variant). Velocity and wait add a fifth of their mean squared
error. The paper feeds the regression back as it is. Here the prediction is a distribution: a key is
the less likely the higher its cost, and velocity and wait are normal. Its negative log-likelihood is
what the network learns by; notes are drawn from it, and it gives every score a probability.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench import training
from bench.contract import Budget, Floats, Likelihood, Log
from bench.encodings.note_deltas import Clock, Steps, along, notes, score_of
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
Bools = NDArray[np.bool_]


class NoteNetwork(nn.Module):
    """An LSTM as in Keras, with one bias, unrolled over the few notes that it reads.

    `hard` gates are those of Keras at the time: 0.2 x + 0.5, clipped to [0, 1]. A network that
    `draws` also learns how sharp its distribution is.
    """

    def __init__(self, hidden: int, dense: int, hard: bool, draws: bool) -> None:
        super().__init__()
        self.hard = hard
        if draws:
            # Logs of the weights of consonance and of distance, of the spreads of velocity and wait.
            self.sharpness = nn.Parameter(torch.zeros(4))
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
    return dissonance(distance) + 0.05 * octaves(distance)


def dissonance(distance: Tensor) -> Tensor:
    """(...) about 0 where a distance (...) in semitones is consonant, 1 where it is not."""
    cost = torch.ones_like(distance)
    for good in GOOD:
        around = torch.remainder(distance - good + 6, 12) - 6
        cost = cost - torch.exp(-(around**2) / (2 * WIDTH**2))
    return cost


def octaves(distance: Tensor) -> Tensor:
    """(...) about how many octaves away; 0 and smooth where the distance is 0."""
    return torch.sqrt(1 + (distance / 12) ** 2) - 1


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
OPTIMISERS = {False: torch.optim.SGD, True: torch.optim.Adam}  # by whether notes are drawn


@dataclass(frozen=True, eq=False)
class Places:
    """The notes of some pieces, and the ends of the pieces, each given the notes before."""

    past: Floats  # (places, look_back, 3) the notes before, standardised
    scaled: Floats  # (places, 3) the note itself; 0 at an end
    note: Ints  # (places, 4) wait, key, duration, velocity; at an end the wait that reaches it
    able: Bools  # (places, keys) which keys may be struck
    least: Ints  # (places,) the shortest wait
    ends: Bools  # (places,) where a piece ends
    grid: Ints  # (places,) steps of a quarter

    def at(self, rows: Ints) -> Places:
        """Some of the places."""
        return Places(**{name: part[rows] for name, part in vars(self).items()})


class NoteLSTM(Configured):
    """The network, the scaling of its inputs, and how long notes last."""

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
        share: float = 0.2  # weight of squared errors of velocity and wait; of a distribution 1
        batch: int = 64  # notes of an update
        rate: float = 0.01  # learning rate: of Adam, or of gradient descent for a regression
        patience: int | None = 5  # validations without a gain after which training ends

    settings: Settings
    network: NoteNetwork
    centre: Floats  # (3,) mean of pitch, velocity, and wait in quarters
    scale: Floats  # (3,) their standard deviations
    durations: Steps

    @property
    def draws(self) -> bool:
        """Whether its prediction is a distribution from which notes are drawn."""
        return self.settings.feedback == "draw"

    @property
    def likelihood(self) -> Likelihood:
        """A bound; none where the regression itself is fed back."""
        if self.draws:
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
        return NoteNetwork(s.hidden, s.dense, hard=s.gates == "hard-sigmoid", draws=self.draws)

    def fit(
        self, train: Sequence[Score], valid: Sequence[Score], budget: Budget, seed: int, log: Log
    ) -> None:
        """Scale the inputs, count the durations, train the network."""
        s = self.settings
        together = np.concatenate([features(score) for score in train])
        self.centre, deviation = together.mean(axis=0), together.std(axis=0)
        self.scale = np.where(deviation < 1e-9, 1.0, deviation)  # as scikit-learn's scaler
        self.durations = Steps.of(np.concatenate([score.duration for score in train]))
        with training.seeded(seed):
            self.network = self.build().to(training.device())
        held_out = [score for score in valid if score.length]
        places, held_out_places = self.places(train), self.places(held_out)
        if not self.draws:  # a regression has no ends to learn
            places, held_out_places = (
                some.at(np.flatnonzero(~some.ends)) for some in (places, held_out_places)
            )
        per_pass = training.batches_per_pass(len(places.note), s.batch)
        per_step = token_model.tokens_per_step(train, len(places.note))

        def mean(places: Places) -> Tensor:
            predicted = self.network(token_model.tensor(places.past).float()).float()
            if self.draws:
                return self.surprises(self.network, predicted, places).mean()
            return self.cost(predicted, token_model.tensor(places.scaled).float())

        def loss(step: int) -> Tensor:
            return mean(places.at(training.batch(len(places.note), s.batch, seed, step)))

        def validate() -> float:
            if self.draws:
                return token_model.nats_per_step(self, held_out)
            return float(mean(held_out_places)) * per_step

        training.train(
            self.network,
            loss,
            OPTIMISERS[self.draws](self.network.parameters(), lr=s.rate),
            steps=training.updates(budget, per_pass),
            seed=seed,
            log=log,
            validate=validate if len(held_out_places.note) else None,
            every=per_pass,
            patience=s.patience,
            music_steps=round(s.batch / per_step),
            per_step=per_step,
        )

    def cost(self, predicted: Tensor, target: Tensor) -> Tensor:
        """The loss of standardised notes (batch, 3)."""
        squares = ((predicted - target) ** 2).mean(dim=0)
        semitones = (predicted[:, 0] - target[:, 0]) * float(self.scale[0])
        pitch = LOSSES[self.settings.loss](semitones).mean()
        return pitch + self.settings.share * (squares[1] + squares[2])

    def places(self, scores: Sequence[Score]) -> Places:
        """Every note of the scores, and every end. The first note comes after average notes."""
        parts = [self._places_of(score) for score in scores if score.length]
        empty = self._places_of(Score.silence(1)).at(np.zeros(0, dtype=np.int64))
        names = vars(empty)
        return Places(
            **{n: np.concatenate([vars(empty)[n], *(vars(p)[n] for p in parts)]) for n in names}
        )

    def _places_of(self, score: Score) -> Places:
        rows, look_back = notes(score), self.settings.look_back
        scaled = (features(score) - self.centre) / self.scale
        padded = np.concatenate([np.zeros((look_back, 3)), scaled, np.zeros((1, 3))])
        past = np.lib.stride_tricks.sliding_window_view(padded[:-1], look_back, axis=0)
        able, least = along(rows)
        time = int(rows[:, 0].sum())
        end = [max(score.length - time, int(least[-1])), 0, 0, 1]  # a wait that reaches the end
        count = len(rows) + 1
        return Places(
            past=past.transpose(0, 2, 1).copy(),
            scaled=padded[look_back:],
            note=np.concatenate([rows, [end]]),
            able=np.concatenate([able, np.ones((1, KEYS), dtype=bool)]),
            least=least,
            ends=np.arange(count) == count - 1,
            grid=np.full(count, score.grid),
        )

    # -- likelihood ---------------------------------------------------------------------------

    def surprises(self, network: NoteNetwork, predicted: Tensor, places: Places) -> Tensor:
        """(places,) -log p of each note's wait, key and velocity, or of the end, given (places, 3)."""
        kind = predicted.dtype
        pitch, velocity, wait = self.means(predicted).unbind(dim=1)
        note, least, grid, goes_on = (
            token_model.tensor(part).to(kind)
            for part in (places.note, places.least, places.grid, ~places.ends)
        )
        able, key = token_model.tensor(places.able), token_model.tensor(places.note[:, 1])
        loud, late = self.spreads(network)
        wait, late = wait * grid, late * grid
        exactly = between(note[:, 0], note[:, 0] + 1, wait, late)
        waits = torch.where(goes_on > 0, exactly, beyond(note[:, 0], wait, late))
        keys = self.key_chances(network, pitch, able).gather(1, key[:, None])[:, 0]
        velocities = between(note[:, 3], note[:, 3] + 1, velocity, loud)
        one, most = torch.ones_like(velocity), torch.full_like(velocity, 128)
        velocities = velocities - between(one, most, velocity, loud)
        return beyond(least, wait, late) - waits - goes_on * (keys + velocities)

    def means(self, predicted: Tensor) -> Tensor:
        """(..., 3) pitch, velocity, and wait in quarters, from what the network predicts."""
        scale, centre = (
            token_model.tensor(x).to(predicted.dtype) for x in (self.scale, self.centre)
        )
        return predicted * scale + centre

    def spreads(self, network: NoteNetwork) -> tuple[Tensor, Tensor]:
        """The standard deviations of velocity, and of the wait in quarters."""
        loud, late = network.sharpness[2:].exp()
        return loud * float(self.scale[1]) + NARROWEST, late * float(self.scale[2]) + NARROWEST

    def key_chances(self, network: NoteNetwork, pitch: Tensor, able: Tensor) -> Tensor:
        """(places, keys) log p of each key that may be struck, for predicted pitches (places,)."""
        distance = pitch[:, None] - torch.arange(LOWEST, HIGHEST + 1, device=pitch.device)
        consonant, near = network.sharpness[:2].exp()
        energy = consonant * dissonance(distance) + near * octaves(distance)
        chances: Tensor = (-energy).masked_fill(~able, -torch.inf).log_softmax(dim=1)
        return chances

    @torch.no_grad()
    def log_likelihood(self, scores: Sequence[Score]) -> Floats:
        """(pieces,) log p of the pieces in nats, velocities included."""
        if self.likelihood.kind == "none":
            raise BenchError(f"There is no likelihood: {self.likelihood.reason}.")
        network = token_model.precise(self.network)
        return np.array([self._piece(network, score) for score in scores])

    def _piece(self, network: NoteNetwork, score: Score) -> float:
        if not score.length:
            return 0.0
        places = self._places_of(score)
        nats = self.surprises(network, network(token_model.tensor(places.past)), places)
        total, whole = -float(nats.sum()), self.durations.at_least(1)
        left = score.length - score.onset.astype(np.int64)
        for duration, rest in zip(score.duration.tolist(), left.tolist(), strict=True):
            at_end = duration >= rest  # cut by the end of the piece: it may have been longer
            chance = self.durations.at_least(rest) if at_end else self.durations.chance(duration)
            total += np.log(chance / whole)
        return total

    # -- generation ---------------------------------------------------------------------------

    @torch.no_grad()
    def sample(self, prompts: Sequence[Score], steps: int, seed: int) -> list[Score]:
        """Continue the prompts note by note, all pieces at once."""
        network, streams = token_model.precise(self.network), generators(prompts, seed)
        pieces = [
            _Piece(self, network, prompt, steps, rng)
            for prompt, rng in zip(prompts, streams, strict=True)
        ]
        alive = [piece for piece in pieces if steps]
        while alive:
            past = token_model.tensor(np.stack([piece.past for piece in alive]))
            predicted = network(past)
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
        arrays |= {"centre": self.centre, "scale": self.scale}
        arrays["durations"] = self.durations.counts
        saved.save(folder, {"settings": asdict(self.settings)}, arrays)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The system as it was saved."""
        values, arrays = saved.load(folder)
        system = cls(**values["settings"])
        system.centre, system.scale = arrays["centre"], arrays["scale"]
        system.durations = Steps(arrays["durations"])
        system.network = system.build()
        token_model.restore(system.network, arrays)
        return system


class _Piece:
    """A piece that is being drawn."""

    def __init__(
        self,
        system: NoteLSTM,
        network: NoteNetwork,
        prompt: Score,
        steps: int,
        rng: np.random.Generator,
    ) -> None:
        self.system, self.network, self.prompt, self.rng = system, network, prompt, rng
        self.clock = Clock(prompt.length + steps)
        self.rows: list[list[int]] = notes(prompt).tolist()
        for wait, key, duration, _ in self.rows:
            self.clock.strike(wait, key, duration)
        scaled = (features(prompt) - system.centre) / system.scale
        look_back = system.settings.look_back
        missing = max(0, look_back - len(scaled))
        # As in the paper, a regression that is fed back starts from random notes.
        seeds = rng.standard_normal((missing, 3)) * (not system.draws)
        self.past = np.concatenate([seeds, scaled])[-look_back:]  # (look_back, 3)

    def go_on(self, predicted: Tensor) -> bool:
        """Add a note given its standardised prediction (3,); False when the piece is complete."""
        system, clock, grid = self.system, self.clock, self.prompt.grid
        means = system.means(predicted)
        mean = means.cpu().numpy() * [1, 1, grid]
        least = max(clock.least(), self.prompt.length - clock.time)
        numbers = self.rng.random(4)
        if system.draws:
            loud, late = map(float, system.spreads(self.network))
            wait = draw_number(numbers[0], mean[2], late * grid, least)
            if clock.time + wait >= clock.length:
                return False
            able = token_model.tensor(clock.keys(wait)[None])
            ends = system.key_chances(self.network, means[:1], able).exp().cpu().numpy()[0].cumsum()
            key = int((ends <= numbers[1] * ends[-1]).sum())
            velocity = draw_number(numbers[2], mean[1], loud, 1, 128)
            duration = system.durations.draw(numbers[3], 1)
        else:
            wait = max(least, round(mean[2]))
            if clock.time + wait >= clock.length:
                return False
            key = int(np.clip(round(mean[0]) - LOWEST, 0, KEYS - 1))
            free = np.flatnonzero(clock.keys(wait))
            key = int(free[np.abs(free - key).argmin()])
            velocity, duration = round(mean[1]), 1  # `score` lets it last until the next onset
        velocity = int(np.clip(velocity, 1, 127))
        clock.strike(wait, key, duration)
        self.rows.append([wait, key, duration, velocity])
        note = predicted.cpu().numpy()
        if system.draws:
            note = np.array([key + LOWEST, velocity, wait / grid])
            note = (note - system.centre) / system.scale
        self.past = np.concatenate([self.past[1:], note[None]])
        return True

    def score(self) -> Score:
        """The music after the prompt."""
        rows, own = np.array(self.rows, dtype=np.int64).reshape(-1, 4), len(self.prompt)
        if not self.system.draws:
            onset = np.append(np.unique(np.cumsum(rows[:, 0])), self.clock.length)
            place = np.searchsorted(onset, np.cumsum(rows[:, 0]))
            rows[own:, 2] = (onset[place + 1 if len(place) else place] - onset[place])[own:]
        whole = score_of(rows, self.clock.length, self.prompt.grid)
        return whole.slice(self.prompt.length, self.clock.length)


def features(score: Score) -> Floats:
    """(notes, 3) pitch, velocity, and the wait since the note before in quarters."""
    wait, key, _, velocity = notes(score).T
    return np.column_stack([key + LOWEST, velocity, wait / score.grid]).astype(np.float64)


def beyond(first: Tensor, mean: Tensor, spread: Tensor) -> Tensor:
    """(...) log of the normal probability from first - 1/2 on, also far from the mean."""
    tail: Tensor = torch.special.log_ndtr((mean - first + 0.5) / spread)
    return tail


def between(first: Tensor, end: Tensor, mean: Tensor, spread: Tensor) -> Tensor:
    """(...) log of the normal probability from first - 1/2 to end - 1/2, also far from the mean."""
    low, high = (first - 0.5 - mean) / spread, (end - 0.5 - mean) / spread
    # Above the mean, the mirrored interval, where log_ndtr is precise.
    low, high = torch.where(low > 0, -high, low), torch.where(low > 0, -low, high)
    upper, lower = torch.special.log_ndtr(high), torch.special.log_ndtr(low)
    inside: Tensor = upper + torch.log1p(-torch.exp(lower - upper))
    return inside


def draw_number(number: float, mean: float, spread: float, least: int, end: float = np.inf) -> int:
    """A number from least to end - 1 from the discretised normal distribution."""
    from scipy.special import ndtr, ndtri

    below, above = ndtr((least - 0.5 - mean) / spread), ndtr((end - 0.5 - mean) / spread)
    place = ndtri(below + number * (above - below))
    if not np.isfinite(place):  # the probability is about 0: all of it is at the nearer bound
        return least if mean < least else int(end) - 1
    return int(np.clip(np.floor(mean + spread * place + 0.5), least, end - 1))
