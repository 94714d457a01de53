"""Logistic regression of the next note on the ten before it (Schaldenbrand et al. 2018, 2.1).

The paper predicts pitches only. To make music of them, the wait before a note and its duration are
drawn independently, as often as they occur in the training pieces. Every score therefore has an
exact probability: that of wait, key and duration of each note, among those that may follow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from bench.contract import Budget, Floats, Likelihood, Log
from bench.encodings.note_deltas import Clock, Steps, notes, score_of
from bench.errors import BenchError
from bench.music import KEYS, LOWEST, Score
from bench.music.score import VELOCITY
from bench.seeds import generators
from bench.training import saved
from bench.training.settings import Configured

NONE = KEYS  # in place of notes before the first one

Ints = NDArray[np.int64]


class NoteLogistic(Configured):
    """The regression, and how often each wait and each duration occurs."""

    @dataclass(frozen=True)
    class Settings:
        """The corrected regression; the catalogue has the original's features."""

        look_back: int = 10  # notes from which the next one is predicted
        features: Literal["one-hot", "raw"] = "one-hot"  # of a note; raw: its number, scaled
        penalty: float = 1.0  # scikit-learn's C, the inverse of the L2 penalty

    settings: Settings
    likelihood = Likelihood("exact", "score")
    weights: Floats  # (features, classes)
    bias: Floats  # (classes,)
    classes: Ints  # (classes,) the keys that occur, from 0
    counts: Ints  # (keys,) how often each does
    centre: Floats  # (features,) mean of the raw features
    scale: Floats  # (features,) their standard deviation
    waits: Steps
    durations: Steps

    @property
    def parameter_count(self) -> int:
        """How many numbers the regression has to learn."""
        return int(self.weights.size + self.bias.size)

    def fit(
        self, train: Sequence[Score], valid: Sequence[Score], budget: Budget, seed: int, log: Log
    ) -> None:
        """Fit the regression with as many passes of L-BFGS as the budget has."""
        import warnings

        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression

        rows = [notes(score) for score in train]
        together = np.concatenate(rows)
        self.waits, self.durations = Steps.of(together[:, 0]), Steps.of(together[:, 2])
        self.counts = np.bincount(together[:, 1], minlength=KEYS)
        before = np.concatenate([self.before(row[:, 1]) for row in rows])
        raw = self._numbers(before)
        self.centre, self.scale = raw.mean(axis=0), np.maximum(raw.std(axis=0), 1e-9)
        self.classes = np.flatnonzero(self.counts)
        if len(self.classes) < 2:
            raise BenchError("The training pieces hold fewer than two keys; nothing to regress.")
        regression = LogisticRegression(C=self.settings.penalty, max_iter=max(1, budget.amount))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the budget limits the passes
            regression.fit(self._design(before), together[:, 1])
        self.weights, self.bias = regression.coef_.T.copy(), regression.intercept_.copy()
        if len(self.classes) == 2:  # scikit-learn then has weights for the second class only
            self.weights = np.column_stack([-self.weights, self.weights]) / 2
            self.bias = np.array([-self.bias[0], self.bias[0]]) / 2
        steps = sum(score.length for score in train)
        log.progress(1, 1, music_steps=steps * int(regression.n_iter_[0]))
        self._record_accuracy(valid, int(regression.n_iter_[0]), log)

    def _record_accuracy(self, scores: Sequence[Score], step: int, log: Log) -> None:
        """Record how many notes are predicted right, and how many by the most frequent key."""
        keys = [notes(score)[:, 1] for score in scores if len(score)]
        if not keys:
            return
        true = np.concatenate(keys)
        predicted = self.log_chances(np.concatenate([self.before(row) for row in keys])).argmax(1)
        log.record(
            step,
            valid_accuracy=float(np.mean(predicted == true)),
            majority_accuracy=float(np.mean(true == self.counts.argmax())),
        )

    # -- the regression -------------------------------------------------------------------------

    def before(self, keys: Ints) -> Ints:
        """(notes, look_back) the keys before each note, the nearest last."""
        look_back = self.settings.look_back
        padded = np.concatenate([np.full(look_back, NONE), keys[:-1]])
        if not len(keys):
            return np.zeros((0, look_back), dtype=np.int64)
        return np.lib.stride_tricks.sliding_window_view(padded, look_back).astype(np.int64)

    def _numbers(self, before: Ints) -> Floats:
        """(notes, look_back) MIDI numbers, 0 before the first note."""
        return np.where(before == NONE, 0.0, before + float(LOWEST))

    def _columns(self, before: Ints) -> Ints:
        """(notes, look_back) which of the one-hot features are 1."""
        offsets = np.arange(self.settings.look_back) * (KEYS + 1)
        return np.asarray(before + offsets, dtype=np.int64)

    def _design(self, before: Ints) -> Any:
        """(notes, features) the input of the regression."""
        from scipy.sparse import csr_matrix

        if self.settings.features == "raw":
            return (self._numbers(before) - self.centre) / self.scale
        look_back = self.settings.look_back
        columns, rows = self._columns(before).ravel(), np.arange(len(before) + 1)
        shape = (len(before), look_back * (KEYS + 1))
        return csr_matrix((np.ones(len(columns)), columns, rows * look_back), shape=shape)

    def log_chances(self, before: Ints) -> Floats:
        """(notes, keys) log p of the next key. A key that never occurs counts as 1/88 of a note."""
        if self.settings.features == "raw":
            logits = self._design(before) @ self.weights + self.bias
        else:
            logits = self.weights[self._columns(before)].sum(axis=1) + self.bias
        known = np.full((len(before), KEYS), -np.inf)
        known[:, self.classes] = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
        total = float(self.counts.sum())
        mixed: Floats = np.logaddexp(known + np.log(total), -np.log(KEYS)) - np.log(total + 1)
        return mixed

    # -- likelihood ---------------------------------------------------------------------------

    def log_likelihood(self, scores: Sequence[Score]) -> Floats:
        """(pieces,) log p of the pieces in nats."""
        return np.array([self._piece(score) for score in scores])

    def _piece(self, score: Score) -> float:
        if not score.length:
            return 0.0
        rows, clock, total = notes(score), Clock(score.length), 0.0
        chances = self.log_chances(self.before(rows[:, 1]))
        for (wait, key, duration, _), logs in zip(rows.tolist(), chances, strict=True):
            total += np.log(self.waits.chance(wait) / self.waits.at_least(clock.least()))
            total += logs[key] - np.logaddexp.reduce(logs[clock.keys(wait)])
            left = score.length - clock.time - wait
            # A note cut by the end of the piece may have been longer.
            at_end = duration >= left
            chance = self.durations.at_least(left) if at_end else self.durations.chance(duration)
            total += np.log(chance / self.durations.at_least(1))
            clock.strike(wait, key, duration)
        least = clock.least()
        rest = max(score.length - clock.time, least)
        return float(total + np.log(self.waits.at_least(rest) / self.waits.at_least(least)))

    # -- generation ---------------------------------------------------------------------------

    def sample(self, prompts: Sequence[Score], steps: int, seed: int) -> list[Score]:
        """Continue the prompts note by note, all pieces at once."""
        streams = generators(prompts, seed)
        clocks = [Clock(prompt.length + steps) for prompt in prompts]
        rows = [notes(prompt).tolist() for prompt in prompts]
        for clock, row in zip(clocks, rows, strict=True):
            for wait, key, duration, _ in row:
                clock.strike(wait, key, duration)
        alive = [
            place for place, clock in enumerate(clocks) if clock.length > prompts[place].length
        ]
        look_back = self.settings.look_back
        while alive:
            recent = [[row[1] for row in rows[place][-look_back:]] for place in alive]
            padded = [[NONE] * (look_back - len(row)) + row for row in recent]
            going = []
            for place, logs in zip(alive, self.log_chances(np.array(padded)), strict=True):
                clock, numbers = clocks[place], streams[place].random(3)
                least = max(clock.least(), prompts[place].length - clock.time)
                wait = self.waits.draw(numbers[0], least)
                if clock.time + wait >= clock.length:
                    continue
                ends = np.where(clock.keys(wait), np.exp(logs), 0.0).cumsum()
                key = int((ends <= numbers[1] * ends[-1]).sum())
                duration = self.durations.draw(numbers[2], 1)
                clock.strike(wait, key, duration)
                rows[place].append([wait, key, duration, VELOCITY])
                going.append(place)
            alive = going
        return [
            score_of(np.array(row, dtype=np.int64), prompt.length + steps, prompt.grid).slice(
                prompt.length, prompt.length + steps
            )
            for row, prompt in zip(rows, prompts, strict=True)
        ]

    # -- saving -------------------------------------------------------------------------------

    def save(self, folder: Path) -> None:
        """Write settings, weights and counts."""
        arrays = {
            "weights": self.weights,
            "bias": self.bias,
            "classes": self.classes,
            "counts": self.counts,
            "centre": self.centre,
            "scale": self.scale,
            "waits": self.waits.counts,
            "durations": self.durations.counts,
        }
        saved.save(folder, asdict(self.settings), arrays)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The system as it was saved."""
        settings, arrays = saved.load(folder)
        system = cls(**settings)
        system.waits, system.durations = Steps(arrays["waits"]), Steps(arrays["durations"])
        for name in ("weights", "bias", "classes", "counts", "centre", "scale"):
            setattr(system, name, arrays[name])
        return system
