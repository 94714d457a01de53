"""Post-processing with a windowed RBM (Sokolov et al. 2016, section 2.4.3).

    16 steps x keys x (play, articulate) visible, 1500 hidden

A restricted Boltzmann machine learns windows of the training pieces. Then a window slides over
every sample step by step, and the RBM corrects the newest step in it, or the whole window.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Self

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
PIECES = 32  # that are corrected together
WINDOWS = 2000  # of validation pieces, by which it is chosen when the RBM is certain


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

    def odds(self, v: Tensor) -> Tensor:
        """(windows, keys, 3) log odds of silent, held and struck against silent.

        For every key of the newest step, given all other cells of the window; exact: the hidden
        units are summed out. A key that was silent a step before cannot be held.
        """
        new = v.view(len(v), STEPS, -1, 2)[:, -1]  # (windows, keys, 2)
        keys = new.shape[1]
        play, struck = self.weight.view(STEPS, keys, 2, -1)[-1].unbind(1)  # (keys, hidden)
        b_play, b_struck = self.visible.view(STEPS, keys, 2)[-1].unbind(1)
        both = v @ self.weight + self.hidden  # (windows, hidden)
        place, key = new.any(-1).nonzero(as_tuple=True)  # keys that are on now
        alone = both[place] - new[place, key, :1] * play[key] - new[place, key, 1:] * struck[key]
        odds = v.new_zeros(len(v), keys, 3)
        for state, more, bias in ((1, play, b_play), (2, play + struck, b_play + b_struck)):
            # softplus(a + w) - softplus(a) = log(1 + sigmoid(a) (exp(w) - 1))
            grown = more.expm1()
            gain = (both.sigmoid()[:, None] * grown).log1p().sum(-1)
            gain[place, key] = (alone.sigmoid() * grown[key]).log1p().sum(-1)
            odds[..., state] = gain + bias
        before = v.view(len(v), STEPS, keys, 2)[:, -2, :, 0] > 0
        odds[..., 1][~before] = -torch.inf
        return odds

    def contrast(self, v: Tensor) -> Tensor:
        """A loss whose gradient is that of contrastive divergence (CD-1)."""
        after = self.gibbs(v, torch.rand(len(v), len(self.hidden)).to(v), torch.rand_like(v))
        return (self.free_energy(v) - self.free_energy(after)).mean()


class RBMWindow(Treatment):
    """Trains the wrapped system and the RBM; the RBM corrects the system's samples.

    `change` says what it does to a window:

    - `step` and `window` are the paper's two ways: the newest step, or the whole window, is drawn
      by `gibbs` Gibbs steps, and the next window continues from what was drawn.
    - `unlikely` changes a key of the newest step only where another state of it (silent, held,
      struck) is much likelier, given the rest of the window. How much is chosen on the validation
      pieces: in their music, of all notes that begin, the share `keeps` would stay as it is.
    """

    @dataclass(frozen=True)
    class Settings(Treatment.Settings):
        """The paper's RBM, and how it corrects."""

        hidden: int = 1500  # hidden units
        batch: int = 64  # windows of an update
        rate: float = 0.01  # learning rate of gradient descent
        per_update: int = 25  # updates of the RBM for each update of the wrapped system
        change: Literal["unlikely", "step", "window"] = "unlikely"  # what of a window may change
        keeps: float = 0.99  # share of real notes that `unlikely` leaves as they are
        gibbs: int = 1  # Gibbs steps for each window; not for `unlikely`
        lowest: int = LOWEST  # MIDI number of the lowest key that it sees
        highest: int = HIGHEST  # and of the highest

    settings: Settings
    rbm: RBM
    certain: float = np.inf  # log odds above which `unlikely` changes a key

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        if getattr(self.inner, "direction", "forward") == "backward":
            raise BenchError(
                "The RBM corrects music from its prompt on: wrap a system that does not run backward."
            )

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
        self.certain = np.inf
        if s.change == "unlikely":
            held_out = [self.states(score) for score in valid]
            held_out = [states for states in held_out if len(states) >= STEPS]
            self.certain = self.certainty(held_out or pieces, rbm_seed)

    @torch.no_grad()
    def certainty(self, pieces: Sequence[Roll], seed: int) -> float:
        """The log odds that only the share 1 - `keeps` of the notes that begin have against them."""
        ends = [(piece, end) for piece in pieces for end in range(STEPS, len(piece) + 1)]
        chosen = np.random.default_rng(seed).permutation(len(ends))[:WINDOWS]
        rbm = token_model.precise(self.rbm)
        against = []
        for start in range(0, len(chosen), PIECES):
            some = [ends[place] for place in chosen[start : start + PIECES]]
            windows = np.stack([piece[end - STEPS : end] for piece, end in some])
            odds = rbm.odds(torch.from_numpy(windows.reshape(len(some), -1)).to(rbm.weight))
            begun = torch.from_numpy(windows[:, -1, :, 1]).to(odds.device)
            against.append((odds[..., :2].amax(-1) - odds[..., 2])[begun].cpu().numpy())
        all_of_them = np.concatenate(against)
        if not len(all_of_them):
            return np.inf
        return max(0.0, float(np.quantile(all_of_them, self.settings.keeps)))

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
            if self.settings.change == "unlikely":
                self._settle(rbm, window)
            else:
                for _ in range(self.settings.gibbs):
                    v = torch.from_numpy(window.reshape(pieces, -1)).to(rbm.weight)
                    v = rbm.gibbs(v, _draws(streams, rbm.hidden), _draws(streams, rbm.visible))
                    drawn = v.cpu().numpy().reshape(window.shape) > 0
                    first_drawn = STEPS - 1 if self.settings.change == "step" else 0
                    window[:, first_drawn:] = drawn[:, first_drawn:]
            corrected[:, step] = window[:, -1]
            window = np.roll(window, -1, axis=1)
        return corrected

    def _settle(self, rbm: Any, window: Roll) -> None:
        """Change unlikely keys of the newest step, the least likely first, until none is left.

        Every change makes the window likelier, so that this ends.
        """
        new = window[:, -1]
        # A note ends with its beginning: what is held from a key that is silent now is silent too.
        new[..., 0] &= window[:, -2, :, 0] | new[..., 1]
        new[..., 1] &= new[..., 0]
        busy = np.arange(len(window))
        while len(busy):
            v = torch.from_numpy(window[busy].reshape(len(busy), -1)).to(rbm.weight)
            odds = rbm.odds(v).cpu().numpy()
            now = new[busy].sum(-1)[..., None]  # the present states
            gain = odds - np.take_along_axis(odds, now, axis=-1)
            key, state = np.unravel_index(gain.reshape(len(busy), -1).argmax(1), gain.shape[1:])
            unlikely = gain[np.arange(len(busy)), key, state] > self.certain
            busy, key, state = busy[unlikely], key[unlikely], state[unlikely]
            new[busy, key, 0], new[busy, key, 1] = state > 0, state > 1

    # -- saving -------------------------------------------------------------------------------

    def log_likelihood(self, scores: Sequence[Score]) -> Floats:
        """Refused: see `likelihood`."""
        raise BenchError(f"There is no likelihood: {self.likelihood.reason}.")

    def save(self, folder: Path) -> None:
        """Write the settings, the wrapped system, and the RBM."""
        super().save(folder)
        arrays: dict[str, NDArray[Any]] = {
            name: value.cpu().numpy() for name, value in self.rbm.state_dict().items()
        } | {"certain": np.array(self.certain)}
        saved.save(folder, asdict(self.settings), arrays)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The system as it was saved."""
        system = super().load(folder)
        _, arrays = saved.load(folder)
        system.certain = float(arrays.pop("certain").item())
        with training.seeded(0):
            system.rbm = RBM(*arrays["weight"].shape)
        system.rbm.load_state_dict({k: torch.from_numpy(v) for k, v in arrays.items()})
        system.rbm.to(training.device())
        return system


def _draws(streams: Sequence[np.random.Generator], like: Tensor) -> Tensor:
    """(pieces, units) uniform numbers, from the stream of each piece."""
    return torch.from_numpy(np.stack([rng.random(len(like)) for rng in streams])).to(like)
