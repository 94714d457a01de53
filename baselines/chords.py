"""Random chords: frames drawn independently, as often as they occur (Huang & Wu 2016, 5.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from bench.contract import Budget, Floats, Likelihood, Log
from bench.encodings.chords import ChordVocabulary
from bench.encodings.escape import Spelling, likeliest_bias, mixture
from bench.encodings.frames import stack
from bench.music import Score
from bench.music.score import Roll
from bench.seeds import generators
from bench.training import saved
from bench.training.settings import Configured


class RandomChords(Configured):
    """At every step a random chord of the training pieces, independent of what came before.

    Likelihood: p(f) = (1 - e) count(f)/N + e spelled(f), which sums to 1 over all frames; e
    maximises the likelihood of the validation pieces. Samples consist of training chords only, as
    in the paper.
    """

    @dataclass(frozen=True)
    class Settings:
        """Of spelling a frame key by key."""

        smoothing: float = 0.5  # added to the counts of how often each key sounds and rests

    settings: Settings
    likelihood = Likelihood("exact", "frames")
    samples_differ = "the escape is never drawn"
    vocabulary: ChordVocabulary
    spelling: Spelling
    escape: float  # log(e / (1 - e))

    @property
    def token_counts(self) -> NDArray[np.int64]:
        """(vocabulary,) how often each of the chords occurs in the training pieces."""
        return self.vocabulary.counts

    def fit(
        self, train: Sequence[Score], valid: Sequence[Score], budget: Budget, seed: int, log: Log
    ) -> None:
        """Count the chords, then fit the escape on the validation pieces."""
        self.learn([score.sounding() for score in train], stack(valid))

    def learn(self, train: Sequence[Roll], valid: Roll) -> None:
        """As `fit`, from frames of any number of keys."""
        self.vocabulary = ChordVocabulary.of(train)
        self.spelling = Spelling.of(np.concatenate(list(train)), self.settings.smoothing)
        once, steps = int((self.vocabulary.counts == 1).sum()), int(self.vocabulary.counts.sum())
        # Without validation pieces: Good and Turing's estimate of the share of unseen chords.
        self.escape = float(np.log((once + 0.5) / (steps - once + 0.5)))
        named, spelled = self.named(valid), self.spelling.log_probability(valid)
        self.escape += likeliest_bias(np.full(len(valid), self.escape), named, spelled)

    def named(self, frames: Roll) -> Floats:
        """(...) log of the frames' share among the training frames; -inf for an unseen chord."""
        counts = np.append(self.vocabulary.counts, 0)
        with np.errstate(divide="ignore"):
            logs: Floats = np.log(counts / counts.sum())
        return logs[self.vocabulary.encode(frames)]

    def log_probability(self, frames: Roll) -> Floats:
        """(...) log p of frames (..., keys)."""
        return mixture(self.escape, self.named(frames), self.spelling.log_probability(frames))

    def sample(self, prompts: Sequence[Score], steps: int, seed: int) -> list[Score]:
        """Independent training chords, the same distribution for every prompt."""
        ends = np.cumsum(self.vocabulary.counts)
        continuations = []
        for prompt, rng in zip(prompts, generators(prompts, seed), strict=True):
            tokens = np.searchsorted(ends, rng.integers(ends[-1], size=steps), side="right")
            frames = self.vocabulary.decode(tokens)
            continuations.append(Score.from_rolls(frames, grid=prompt.grid))
        return continuations

    def log_likelihood(self, scores: Sequence[Score]) -> Floats:
        """(pieces,) log p of the pieces' frames in nats."""
        return np.array([self.log_probability(score.sounding()).sum() for score in scores])

    def save(self, folder: Path) -> None:
        """Write the vocabulary, the keys' rates and the escape."""
        chords = self.vocabulary
        saved.save(
            folder,
            asdict(self.settings) | {"escape": self.escape},
            {
                "chords": chords.chords,
                "counts": chords.counts,
                "pieces": chords.pieces,
                "rates": self.spelling.rates,
            },
        )

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The system as it was saved."""
        values, arrays = saved.load(folder)
        escape = values.pop("escape")
        system = cls(**values)
        system.escape = escape
        system.vocabulary = ChordVocabulary(arrays["chords"], arrays["counts"], arrays["pieces"])
        system.spelling = Spelling(arrays["rates"])
        return system
