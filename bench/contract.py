"""What a contestant and a metric offer. Everything else about them is their own business."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from bench.music import Score

Floats = NDArray[np.float64]

# What a likelihood is a likelihood of: the score (S: onsets and durations), or only which keys
# sound at each step (H). The same number about different objects cannot be compared.
Object = Literal["score", "frames"]
Kind = Literal["exact", "upper", "estimate", "none"]


@dataclass(frozen=True)
class Likelihood:
    """Which object a system's `log_likelihood` describes, and how tightly.

    `exact`: it sums to 1 over all objects. `upper`: its negative is an upper bound (probability
    is wasted on what is no piece, or it is a variational bound). `estimate`: neither.
    `none`: the system has none, and `reason` says why.
    """

    kind: Kind
    object: Object = "score"
    reason: str = ""


@dataclass(frozen=True)
class Budget:
    """How much training may cost, in the system's own unit (updates, or passes over the data)."""

    amount: int
    unit: Literal["updates", "passes"] = "updates"
    paper: int | None = None  # what the paper spent, in the same unit

    @property
    def share(self) -> float | None:
        """The part of the paper's budget that this is; none where the paper names no budget."""
        return self.amount / self.paper if self.paper else None


class Log(Protocol):
    """Takes curves, progress and checkpoints while a system learns; keeps them for the harness."""

    def record(self, step: int, **values: float) -> None:
        """Add a point to the curves: `log.record(120, train_loss=2.1)`."""

    def progress(self, done: int, total: int, music_steps: int = 0) -> None:
        """Say how far training is, and how many steps of music it has seen so far."""

    def checkpoint(self, state: Callable[[], Mapping[str, Any]]) -> None:
        """Offer the state to resume from. It is asked for only when a checkpoint is due.

        A state is a tree of dictionaries and lists with torch tensors, numpy arrays, numbers,
        strings and booleans as leaves.
        """

    def resume(self) -> Mapping[str, Any] | None:
        """The state of the last checkpoint of this very job, or none to begin anew.

        A state with a true `stop` beside what was saved asks to end training right there.
        """


@runtime_checkable
class System(Protocol):
    """A contestant.

    Its constructor takes plain, serialisable settings as keywords and does no work; whatever
    else it needs it learns in `fit`. It never sees the test split. Nothing it does may depend
    on anything but its settings, its data and the seed.

    Four things a system may have beside: `parameter_count`, an int once it is fitted;
    `note_embedding()`, labels and vectors of what it learnt of notes or chords, for reports;
    `provide(others: Mapping[str, Sequence[Score]])`, called before `fit` with the training pieces
    of the other data sets that its catalogue names in `also`; and, for a ceiling alone,
    `reveal(continuations)`, called before `sample` with what truly follows each prompt.
    """

    likelihood: Likelihood

    def fit(
        self, train: Sequence[Score], valid: Sequence[Score], budget: Budget, seed: int, log: Log
    ) -> None:
        """Learn from the training pieces; stop early, if at all, by the validation pieces."""

    def sample(self, prompts: Sequence[Score], steps: int, seed: int) -> list[Score]:
        """Continue every prompt by exactly `steps` steps; the prompt itself is not returned.

        A prompt of length 0 asks for a piece from nothing. The same seed gives the same pieces,
        and a piece does not depend on which others are asked for beside it.
        """

    def log_likelihood(self, scores: Sequence[Score]) -> Floats:
        """(pieces,) log p of each piece in nats, every step counted, the first included."""

    def save(self, folder: Path) -> None:
        """Write everything `load` needs into the (existing) folder."""

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The system as it was saved."""


Direction = Literal["higher", "lower", "none"]


@dataclass(frozen=True)
class Measurement:
    """What a metric found: a value, or the reason why there is none. Never NaN.

    `per_piece` lets the harness resample pieces when the value is their mean; a metric that is
    no mean gives `draws` itself: its value on each row of `bench.protocol.statistics.resamples(n)`.
    """

    value: float | None
    reason: str = ""
    per_piece: Floats | None = None  # (pieces,), NaN where a piece has no value
    draws: Floats | None = None  # (resamples,)
    detail: Mapping[str, float] = field(default_factory=dict)  # further figures worth keeping

    def __post_init__(self) -> None:
        if self.value is None and not self.reason:
            raise ValueError("a measurement without a value must give the reason")
        if self.value is not None and not np.isfinite(self.value):
            raise ValueError(f"a measurement must be finite or absent with a reason: {self.value}")


@dataclass(frozen=True)
class Reference:
    """What metrics compare with. Excerpts have the samples' length, so that like meets like.

    `train` is whole pieces; `tuning` excerpts of validation pieces that give no prompt, for
    whatever a metric fits; `test` excerpts of the test split; `prompts` what was continued.
    `test_pieces` and `prompt_pieces` name the piece that each is from: several may share one, and
    are alike. Where they are left out, each is from a piece of its own.
    """

    grid: int  # steps per quarter
    bar: int  # steps per bar
    steps: int  # steps per sample
    train: Sequence[Score]
    tuning: Sequence[Score]
    test: Sequence[Score]
    prompts: Sequence[Score]
    test_pieces: Sequence[str] = ()
    prompt_pieces: Sequence[str] = ()


@runtime_checkable
class Metric(Protocol):
    """A measure of samples. Only a headline metric enters the skill, by its direction."""

    name: ClassVar[str]
    version: ClassVar[int]  # raise it when any value changes: old scores are then made anew
    unit: ClassVar[str]
    direction: ClassVar[Direction]
    headline: ClassVar[bool]
    measures: ClassVar[str]  # one sentence
    blind_to: ClassVar[str]
    citation: ClassVar[str]

    def prepare(self, reference: Reference) -> None:
        """Learn whatever is needed of the reference; once."""

    def score(self, samples: Sequence[Score]) -> Measurement:
        """Measure the samples; sample i continues prompt i."""
