"""The interface of a system and of a metric; what else they do is up to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from bench.music import Score

Floats = NDArray[np.float64]

# The object that a likelihood describes: the score (onsets and durations), or frames (which keys
# sound at each step). Likelihoods of different objects cannot be compared.
Object = Literal["score", "frames"]
Kind = Literal["exact", "upper", "estimate", "none"]


@dataclass(frozen=True)
class Likelihood:
    """Which object a system's `log_likelihood` describes, and what kind of number it is.

    `exact`: the probabilities of all objects sum to 1. `upper`: its negative is an upper bound (some
    probability is assigned to invalid pieces, or it is a variational bound). `estimate`: neither.
    `none`: the system has no likelihood, and `reason` says why.
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
        """This budget as a share of the paper's; none where the paper names no budget."""
        return self.amount / self.paper if self.paper else None


class Log(Protocol):
    """Records curves, progress and checkpoints while a system learns."""

    def record(self, step: int, **values: float) -> None:
        """Add a point to the curves: `log.record(120, train_loss=2.1)`.

        Losses are in nats per step of music. `valid_loss` is minus the likelihood per step of the
        validation pieces: what the board reports of the test pieces.
        """

    def progress(self, done: int, total: int, music_steps: int = 0) -> None:
        """Report how far training is, and how many steps of music it has processed so far."""

    def checkpoint(self, state: Callable[[], Mapping[str, Any]]) -> None:
        """Offer the state to resume from; `state` is called only when a checkpoint is due.

        A state is a tree of dictionaries and lists with torch tensors, numpy arrays, numbers,
        strings and booleans as leaves.
        """

    def resume(self) -> Mapping[str, Any] | None:
        """The state of this job's last checkpoint, or none to start from the beginning.

        If the state has an additional key `stop` that is true, training should end right there.
        """


class NoLog:
    """A Log that keeps nothing."""

    def record(self, step: int, **values: float) -> None:
        """Ignore the point."""

    def progress(self, done: int, total: int, music_steps: int = 0) -> None:
        """Ignore the progress."""

    def checkpoint(self, state: Callable[[], Mapping[str, Any]]) -> None:
        """Keep no checkpoint."""

    def resume(self) -> Mapping[str, Any] | None:
        """Nothing to resume from."""
        return None


@runtime_checkable
class System(Protocol):
    """A system that generates music.

    Its constructor takes plain, serialisable settings as keywords and does no work; everything else
    is learnt in `fit`. It never sees the test split. Its results may depend on nothing but its
    settings, its data and the seed.

    A system may also have: `parameter_count`, an int once it is fitted;
    `token_counts`, how often each token of its vocabulary occurs in the training pieces;
    `note_embedding()`, labels and vectors of what it learnt of notes or chords, for reports, or
    several such pairs in `note_embeddings()`, by what they are of;
    `next_frames(scores, places, seed)`, for each piece a frame drawn at each of these steps given
    the true frames before it, as a boolean array (places, keys), for the frame accuracy;
    `provide(others: Mapping[str, Sequence[Score]])`, called before `fit` with the training pieces
    of the other data sets that its catalogue names in `also`;
    `samples_differ`, why its samples are not drawn from the distribution of its likelihood (for
    example, because it takes the most probable token); `direction = "backward"`, for a system
    whose samples lead up to their prompts: it is given endings of pieces as prompts (see
    docs/protocol.md), and a catalogue that lists it says `direction = "backward"` too; and, for a
    ceiling alone, `reveal(continuations)`, called before `sample` with what truly follows each
    prompt.
    """

    likelihood: Likelihood

    def fit(
        self, train: Sequence[Score], valid: Sequence[Score], budget: Budget, seed: int, log: Log
    ) -> None:
        """Learn from the training pieces; the validation pieces are for early stopping only."""

    def sample(self, prompts: Sequence[Score], steps: int, seed: int) -> list[Score]:
        """Continue every prompt by exactly `steps` steps; the prompt itself is not returned.

        A prompt of length 0 asks for a piece without a prompt. The same seed gives the same pieces,
        and a piece does not depend on the other prompts.
        """

    def log_likelihood(self, scores: Sequence[Score]) -> Floats:
        """(pieces,) log p of each piece in nats, every step counted, the first included."""

    def save(self, folder: Path) -> None:
        """Write everything that `load` needs into the folder, which exists."""

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The system as it was saved."""


Direction = Literal["higher", "lower", "none"]


@dataclass(frozen=True)
class Measurement:
    """The result of a metric: a value, or the reason why there is none; never NaN.

    If the value is a mean over pieces, give `per_piece`, and the pieces are resampled. Any other
    metric gives `draws`: its value on each row of `bench.protocol.statistics.resamples(n)`.
    """

    value: float | None
    reason: str = ""
    per_piece: Floats | None = None  # (pieces,), NaN where a piece has no value
    draws: Floats | None = None  # (resamples,)
    detail: Mapping[str, float] = field(default_factory=dict)  # further figures to keep

    def __post_init__(self) -> None:
        if self.value is None and not self.reason:
            raise ValueError("a measurement without a value must give the reason")
        if self.value is not None and not np.isfinite(self.value):
            raise ValueError(f"a measurement must be finite or absent with a reason: {self.value}")


@dataclass(frozen=True)
class Reference:
    """The music that metrics compare samples with. Excerpts are as long as the samples.

    `train` are whole pieces; `tuning` are excerpts of validation pieces that give no prompt, for
    everything that a metric fits; `test` are excerpts of the test split; `prompts` are the prompts
    that the samples continue. `test_pieces` and `prompt_pieces` name the piece that each is from:
    those of the same piece are similar. Without them, each counts as from a piece of its own.
    `continuations` are what follows each prompt in its piece; systems never see them. With
    `backward`, prompts are endings, and `continuations` are what precedes them.
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
    continuations: Sequence[Score] = ()
    backward: bool = False


@runtime_checkable
class Metric(Protocol):
    """A measure of samples. Only headline metrics enter the skill, each by its direction.

    A headline metric may name the `question` that it helps to answer (likely, notes, form, prompt;
    without one: other): each question has a skill of its own, too.
    A metric may also have `tolerance`, a float: by how much its values may differ between machines,
    relative to their size, where that is more than the 1e-6 which `bench verify` allows.
    """

    name: ClassVar[str]
    version: ClassVar[int]  # raise it when any value changes: old scores are then computed again
    unit: ClassVar[str]
    direction: ClassVar[Direction]
    headline: ClassVar[bool]
    measures: ClassVar[str]  # one sentence
    blind_to: ClassVar[str]
    citation: ClassVar[str]

    def prepare(self, reference: Reference) -> None:
        """Compute what is needed from the reference; called once, before `score`."""

    def score(self, samples: Sequence[Score]) -> Measurement:
        """Measure the samples; sample i continues prompt i."""
