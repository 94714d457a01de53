"""One system on one data set with one seed under one preset."""

from __future__ import annotations

import hashlib
import json
import time
from typing import Literal

from pydantic import BaseModel, ConfigDict

from bench.contract import Budget
from bench.protocol.sampling import Protocol
from bench.registry import Kind, PresetName, Settings, Size, Variant

Device = Literal["cpu", "cuda"]


class Card(BaseModel):
    """What a row says of a system beside its results; it changes no result and is not hashed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    kind: Kind
    paper: str = ""
    citation: str = ""
    anchor: Literal[0, 1] | None = None  # the row that is skill 0, or skill 1
    size: Size = "full"  # of its networks: the paper's, or what the preset affords
    seconds: float = 60.0  # expected
    memory_mb: int = 700
    disk_mb: int = 5


class Job(BaseModel):
    """Everything that decides a result. Its id is the hash of just that."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    system: str
    variant: Variant
    class_path: str
    source: str  # the version of the system's code
    settings: Settings
    budget: Budget
    dataset: str
    dataset_version: int
    dataset_fingerprint: str
    also: dict[str, str] = {}  # other data sets whose training pieces it gets, by fingerprint
    preset: PresetName
    protocol: Protocol
    seed: int
    device: Device
    snapshots: int = 0  # points through training at which it also samples; changes no result
    tensorboard: bool = False  # its curves are also written for TensorBoard; changes no result
    card: Card

    @property
    def digest(self) -> str:
        """SHA-256 of all that changes the result, and of nothing else.

        Never kept: a copy with another seed would take it along.
        """
        content = self.model_dump(mode="json", exclude={"card", "snapshots", "tensorboard"})
        content["class_path"] = self.class_path.rpartition("/")[2]  # wherever a user's file lies
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def clock(self) -> float:
        """Seconds that work is measured by: the processor's, or where a GPU works, the wall's.

        A job on a CPU has one thread, and a machine that is busy with other things is not its fault.
        """
        return time.process_time() if self.device == "cpu" else time.monotonic()

    @property
    def id(self) -> str:
        """The job's name, and its folder's: readable, and unique by the digest at its end."""
        published = "-as-published" if self.variant == "as-published" else ""
        return (
            f"{self.system}{published}.{self.dataset}.{self.preset}.s{self.seed}.{self.digest[:10]}"
        )
