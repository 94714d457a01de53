"""The results of a job's phases: `result.json` as one typed object."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class FitResult(_Part):
    """How the system was trained, and what its saved files are."""

    files: dict[str, str] = {}  # SHA-256 of each saved file, by its path in the system's folder
    seconds: float | None = None  # none: trained elsewhere
    music_steps: int | None = None
    parameters: int | None = None
    vocabulary: int | None = None  # different tokens of the training pieces
    tokens: int | None = None  # all of them
    versions: dict[str, str] = {}
    commit: str = ""
    hardware: str = ""
    threads: int | None = None
    processes: int = 1
    peak_memory_mb: int = 0  # of the process that trained it


class SampleResult(_Part):
    """The samples that were drawn, each bound to its file by the hash of its content."""

    hashes: tuple[str, ...] = ()
    seconds: float | None = None


class LikelihoodResult(_Part):
    """Log probabilities of the test pieces, in nats."""

    kind: str = "none"
    object: str = ""
    reason: str = ""  # why there is none, or what to know about it
    nats: tuple[float, ...] = ()  # by piece
    steps: tuple[int, ...] = ()
    notes: tuple[int, ...] = ()
    seconds: float | None = None

    @property
    def nats_per_step(self) -> float | None:
        """The loss over the whole test split."""
        steps = sum(self.steps)
        return -sum(self.nats) / steps if self.nats and steps else None


class AccuracyResult(_Part):
    """Counts of keys per test piece in predicted frames; empty where the system predicts none."""

    right: tuple[int, ...] = ()  # keys that were predicted and sound
    all: tuple[int, ...] = ()  # keys that were predicted or sound
    seconds: float | None = None


class SnapshotPoint(_Part):
    """The system as it was after so many updates."""

    update: int
    nats_per_step: float | None = None
    metrics: dict[str, float | None] = {}


class SnapshotResult(_Part):
    """The points through training that were looked at, of as many as were asked for."""

    asked: int = 0
    points: tuple[SnapshotPoint, ...] = ()


class JobResult(_Part):
    """The results of the finished phases; none of a phase that is still to be done."""

    fit: FitResult | None = None
    sample: SampleResult | None = None
    likelihood: LikelihoodResult | None = None
    accuracy: AccuracyResult | None = None
    snapshots: SnapshotResult | None = None
    peak_memory_mb: int = 0

    @property
    def complete(self) -> bool:
        """Whether every phase is done that each job has; jobs of older versions have no accuracy."""
        return None not in (self.fit, self.sample, self.likelihood)

    @property
    def sample_hashes(self) -> tuple[str, ...]:
        """The hash of each sample's content, in their order."""
        return self.sample.hashes if self.sample else ()

    @property
    def snapshots_asked(self) -> int:
        """How many snapshots the finished run was asked for."""
        return self.snapshots.asked if self.snapshots else 0

    def having(self, **parts: BaseModel | int | None) -> JobResult:
        """The same with these parts replaced; none: that phase is to be done again."""
        return self.model_copy(update=parts)
