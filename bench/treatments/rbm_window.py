"""Post-processing with a windowed RBM (Sokolov et al. 2016, section 2.4.3).

    16 steps x keys x (play, articulate) visible, 1500 hidden

A restricted Boltzmann machine learns windows of the training pieces. Then a window slides over
every sample step by step, and the RBM corrects the newest step in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench import training
from bench.contract import Budget, Floats, Likelihood, Log
from bench.encodings import note_states
from bench.errors import BenchError
from bench.music import HIGHEST, LOWEST, Score
from bench.music.score import Roll
from bench.seeds import generators, step_seed
from bench.training import saved, token_model
from bench.treatments.stages import Onward
from bench.treatments.treatment import Treatment

STEPS = 16  # of a window
PIECES = 128  # that are corrected together


class RBM(nn.Module):
    """E(v, h) = -v b - h c - v W h, all units binary."""

    def __init__(self, visible: int, hidden: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(0.01 * torch.randn(visible, hidden))
        self.visible = nn.Parameter(torch.zeros(visible))
        self.hidden = nn.Parameter(torch.zeros(hidden))

    def up(self, v: Tensor) -> Tensor:
        """(..., hidden) P(h = 1 | v)."""
        return (v @ self.weight + self.hidden).sigmoid()

    def down(self, h: Tensor) -> Tensor:
        """(..., visible) P(v = 1 | h)."""
        return (h @ self.weight.t() + self.visible).sigmoid()

    def free_energy(self, v: Tensor) -> Tensor:
        """(...) -log of the sum over h of exp(-E(v, h))."""
        return -(v @ self.visible) - nn.functional.softplus(v @ self.weight + self.hidden).sum(-1)

    @torch.no_grad()
    def gibbs(self, v: Tensor, hidden: Tensor, visible: Tensor) -> Tensor:
        """A Gibbs step, with uniform numbers for the hidden and the visible units."""
        h = (hidden < self.up(v)).to(v.dtype)
        return (visible < self.down(h)).to(v.dtype)

    def contrast(self, v: Tensor) -> Tensor:
        """A loss whose gradient is that of contrastive divergence (CD-1)."""
        after = self.gibbs(v, torch.rand(len(v), len(self.hidden)).to(v), torch.rand_like(v))
        return (self.free_energy(v) - self.free_energy(after)).mean()


class RBMWindow(Treatment):
    """Trains the wrapped system and the RBM; the RBM corrects the system's samples.

    Without `gibbs` the 15 older steps of a window stay as they are. A cell of the newest step is on
    if one mean-field step gives it a probability of at least 1/2. With `gibbs` the whole window is
    drawn by that many Gibbs steps, and the next window continues from what was drawn.
    """

    @dataclass(frozen=True)
    class Settings(Treatment.Settings):
        """The paper's RBM, and how it corrects."""

        hidden: int = 1500  # hidden units
        batch: int = 64  # windows of an update
        rate: float = 0.01  # learning rate of gradient descent
        per_update: int = 25  # updates of the RBM for each update of the wrapped system
        gibbs: int | None = None  # Gibbs steps for each window; none: one mean-field step
        lowest: int = LOWEST  # MIDI number of the lowest key that it sees
        highest: int = HIGHEST  # and of the highest

    settings: Settings
    rbm: RBM

    @property
    def keys(self) -> int:
        """How many keys the RBM sees."""
        return self.settings.highest - self.settings.lowest + 1

    @property
    def likelihood(self) -> Likelihood:
        """None."""
        return Likelihood("none", reason="nobody knows how likely a corrected sample is")

    @property
    def parameter_count(self) -> int:
        """How many numbers the wrapped system and the RBM have to learn."""
        inner = getattr(self.inner, "parameter_count", 0) or 0
        return inner + sum(parameter.numel() for parameter in self.rbm.parameters())

    # -- learning -----------------------------------------------------------------------------

    def fit(
        self, train: Sequence[Score], valid: Sequence[Score], budget: Budget, seed: int, log: Log
    ) -> None:
        """Train the wrapped system, then the RBM."""
        s = self.settings
        self.inner.fit(train, valid, budget, seed, log)
        pieces = [self.states(score) for score in train]
        with training.seeded(seed):
            self.rbm = RBM(STEPS * self.keys * 2, s.hidden)
        rates = (sum(piece.sum(0) for piece in pieces) + 0.5) / (sum(map(len, pieces)) + 1)
        with torch.no_grad():
            self.rbm.visible.copy_(torch.from_numpy(np.tile(rates.ravel(), STEPS)).logit())
        self.rbm.to(training.device())
        places = [
            (piece, start)
            for piece, states in enumerate(pieces)
            for start in range(len(states) - STEPS + 1)
        ]
        if not places:
            raise BenchError(f"No training piece has {STEPS} steps: the RBM has nothing to learn.")
        rbm_seed = step_seed(seed, 0)

        def loss(step: int) -> Tensor:
            chosen = training.batch(len(places), s.batch, rbm_seed, step)
            windows = [
                pieces[piece][start : start + STEPS]
                for piece, start in (places[number] for number in chosen)
            ]
            v = torch.from_numpy(np.stack(windows).reshape(len(chosen), -1))
            # Half precision is too coarse for the difference of two large free energies.
            with torch.autocast(training.device().type, enabled=False):
                return self.rbm.contrast(v.to(training.device(), torch.float))

        training.train(
            self.rbm,
            loss,
            torch.optim.SGD(self.rbm.parameters(), lr=s.rate),
            steps=s.per_update * budget.amount,
            seed=rbm_seed,
            log=Onward(log, budget.amount),
        )

    def states(self, score: Score) -> Roll:
        """(steps, keys, 2) what the RBM sees of a piece."""
        return note_states.encode(score, self.settings.lowest, self.keys)

    # -- generation ---------------------------------------------------------------------------

    def sample(self, prompts: Sequence[Score], steps: int, seed: int) -> list[Score]:
        """The wrapped system's samples, corrected; prints how much was changed."""
        drawn = self.inner.sample(prompts, steps, seed)
        streams = generators(prompts, seed)
        corrected, changed = [], 0
        for start in range(0, len(drawn), PIECES):
            group = range(start, min(start + PIECES, len(drawn)))
            before = np.stack([self.states(drawn[place]) for place in group])
            first = np.stack([self.beginning(prompts[place]) for place in group])
            after = self.correct(first, before, [streams[place] for place in group])
            changed += int((before != after).sum())
            corrected += [
                note_states.decode(states, prompts[place].grid, self.settings.lowest)
                for place, states in zip(group, after, strict=True)
            ]
        total = max(1, steps * len(drawn))
        print(f"The RBM changed {changed / total:.2f} of {2 * self.keys} cells per step.")
        return corrected

    def beginning(self, prompt: Score) -> Roll:
        """(15, keys, 2) the end of the prompt, with silence before a short one."""
        states = np.zeros((STEPS - 1, self.keys, 2), dtype=bool)
        last = self.states(prompt)[-(STEPS - 1) :]
        states[len(states) - len(last) :] = last
        return states

    @torch.no_grad()
    def correct(self, first: Roll, samples: Roll, streams: Sequence[np.random.Generator]) -> Roll:
        """(pieces, steps, keys, 2) the samples corrected, given the 15 steps before each."""
        pieces, steps = samples.shape[:2]
        rbm = token_model.precise(self.rbm)
        window = np.concatenate([first, np.zeros_like(first[:, :1])], axis=1)
        corrected = np.zeros_like(samples)
        for step in range(steps):
            window[:, -1] = samples[:, step]
            v = torch.from_numpy(window.reshape(pieces, -1)).to(rbm.weight)
            if self.settings.gibbs is None:
                v = rbm.down(rbm.up(v)) >= 0.5
                window[:, -1] = v.cpu().numpy().reshape(window.shape)[:, -1]
            else:
                for _ in range(self.settings.gibbs):
                    v = rbm.gibbs(v, _draws(streams, rbm.hidden), _draws(streams, rbm.visible))
                window = v.cpu().numpy().reshape(window.shape) > 0
            corrected[:, step] = window[:, -1]
            window = np.roll(window, -1, axis=1)
        return corrected

    # -- saving -------------------------------------------------------------------------------

    def log_likelihood(self, scores: Sequence[Score]) -> Floats:
        """Refused: see `likelihood`."""
        raise BenchError(f"There is no likelihood: {self.likelihood.reason}.")

    def save(self, folder: Path) -> None:
        """Write the settings, the wrapped system, and the RBM."""
        super().save(folder)
        arrays: dict[str, NDArray[Any]] = {
            name: value.cpu().numpy() for name, value in self.rbm.state_dict().items()
        }
        saved.save(folder, asdict(self.settings), arrays)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The system as it was saved."""
        system = super().load(folder)
        _, arrays = saved.load(folder)
        with training.seeded(0):
            system.rbm = RBM(*arrays["weight"].shape)
        system.rbm.load_state_dict({k: torch.from_numpy(v) for k, v in arrays.items()})
        system.rbm.to(training.device())
        return system


def _draws(streams: Sequence[np.random.Generator], like: Tensor) -> Tensor:
    """(pieces, units) uniform numbers, from the stream of each piece."""
    return torch.from_numpy(np.stack([rng.random(len(like)) for rng in streams])).to(like)
