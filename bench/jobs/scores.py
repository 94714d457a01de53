"""The scores of a job's samples: every metric's value, and what to resample for its interval.

`scores.json` has a value and its version per metric; `scores.npz` the arrays. The first holds the
SHA-256 of the second, what the scores are of (`Binding`), and a hash over all of that: files that do
not fit each other, or scores of other samples, data or another protocol, count as no scores at all.
The hashes find damage and careless edits. They do not stop someone who computes them anew: only
scoring the samples again does, which is what `bench verify` is for.
"""

from __future__ import annotations

import hashlib
import io
import json
import time
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Any, Literal

import numpy as np
from numpy.lib import format as npy
from pydantic import BaseModel, ConfigDict, ValidationError

from bench import registry
from bench.contract import Floats, Measurement, Reference
from bench.errors import BenchError
from bench.files import read_json, write, write_json
from bench.jobs.job import Job
from bench.jobs.run_folder import JobFolder
from bench.music import Score
from bench.protocol.measuring import measure
from bench.protocol.statistics import RESAMPLES, mean_draws_of_each


class MetricScore(BaseModel):
    """One metric's answer about the samples of a job."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    version: int
    value: float | None
    reason: str = ""  # why there is no value
    pieces: int  # the samples that have a value
    detail: Mapping[str, float | None] = {}
    seconds: float = 0.0


class Binding(BaseModel):
    """What scores are of: they say nothing about anything else."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    samples: str  # SHA-256 over the hashes of the samples' contents, in their order
    dataset: str  # the fingerprint of the data set
    protocol: str  # SHA-256 of the protocol


class _File(BaseModel):
    metrics: dict[str, MetricScore]
    arrays: str
    binding: Binding | None = None  # none: a file of an older version
    digest: str = ""  # over all the rest


class Scores:
    """Every metric's score of a job; empty where there is none that can be trusted."""

    def __init__(
        self,
        metrics: Mapping[str, MetricScore] | None = None,
        packed: bytes = b"",
        bound: bool = False,
    ):
        self.metrics = dict(metrics or {})
        self.packed = packed  # the .npz file
        self.bound = bound  # whether the file says what the scores are of, and is right

    @cached_property
    def arrays(self) -> dict[str, Floats]:
        """METRIC.per_piece, and METRIC.draws of the metrics that gave draws of their own."""
        return _unpacked(self.packed)

    @cached_property
    def per_piece(self) -> dict[str, Floats]:
        """The value of each sample (NaN: none), for the metrics that have one per sample."""
        return {
            name: array for name, array in self._of_kind("per_piece").items() if array.ndim == 1
        }

    @cached_property
    def draws(self) -> dict[str, Floats]:
        """The value on each resample of the samples, for the metrics that have a value.

        Draws of another number than the resamples are those of a metric that breaks its contract.
        """
        given = self._of_kind("draws")
        wanted = {
            name: values
            for name, values in self.per_piece.items()
            if name not in given and self.metrics[name].value is not None
        }
        own = {name: array for name, array in given.items() if array.shape == (RESAMPLES,)}
        return own | mean_draws_of_each(wanted)  # not kept: they follow from the samples

    def _of_kind(self, kind: str) -> dict[str, Floats]:
        split = {name: name.rpartition(".") for name in self.arrays}
        return {
            metric: self.arrays[name]
            for name, (metric, _, of) in split.items()
            if of == kind and metric in self.metrics
        }

    @property
    def stale(self) -> list[str]:
        """The installed metrics that have no score of their present version here."""
        return [
            name
            for name, cls in registry.metrics().items()
            if name not in self.metrics or self.metrics[name].version != cls.version
        ]

    @property
    def outdated(self) -> list[str]:
        """The installed metrics to score again: the stale ones, or all where nothing is bound."""
        return self.stale if self.bound else list(registry.metrics())


def binding_of(job: Job, hashes: Sequence[str]) -> Binding:
    """What the scores of a job are of, by the hashes of its samples' contents."""
    return Binding(
        samples=_sha256("\n".join(hashes)),
        dataset=job.dataset_fingerprint,
        protocol=_sha256(json.dumps(job.protocol.model_dump(mode="json"), sort_keys=True)),
    )


def read_scores(folder: JobFolder, binding: Binding | None = None) -> Scores:
    """The folder's scores, if they are of what the binding says; each file is read once.

    Without a binding it is that of the folder's job and result. Files of an older version say
    nothing of what they are of: they can be read (`bound` is false) until the job runs again.
    """
    try:
        raw = read_json(folder.scores) or {}
        content = _File.model_validate(raw)
        packed = folder.score_arrays.read_bytes()
    except (ValidationError, OSError):
        return Scores()
    if hashlib.sha256(packed).hexdigest() != content.arrays:
        return Scores()
    if content.binding is None:
        return Scores(content.metrics, packed)
    if binding is None and (job := folder.read_job()) is not None:
        binding = binding_of(job, folder.read_result().sample_hashes)
    if content.binding != binding or content.digest != digest_of(raw):
        return Scores()
    return Scores(content.metrics, packed, bound=True)


def write_scores(
    folder: JobFolder,
    binding: Binding,
    metrics: Mapping[str, MetricScore],
    arrays: Mapping[str, Floats],
) -> None:
    """Keep scores and arrays, bound to what they are of."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    write(folder.score_arrays, buffer.getvalue())
    content: dict[str, Any] = {
        "metrics": {name: score.model_dump(mode="json") for name, score in metrics.items()},
        "arrays": hashlib.sha256(buffer.getvalue()).hexdigest(),
        "binding": binding.model_dump(),
    }
    write_json(folder.scores, content | {"digest": digest_of(content)})


def digest_of(content: Mapping[str, Any]) -> str:
    """SHA-256 of what `scores.json` holds, the digest itself left out."""
    rest = {name: value for name, value in content.items() if name != "digest"}
    return _sha256(json.dumps(rest, sort_keys=True))


def score_samples(
    folder: JobFolder, samples: Sequence[Score], reference: Callable[[], Reference]
) -> None:
    """Bring the folder's scores up to date: one value per metric, and what to resample.

    BenchError where the folder holds no job that this version can read.
    """
    job = folder.read_job()
    if job is None:
        raise BenchError(f"{folder.job} is no job description: its samples cannot be scored.")
    binding = binding_of(job, [score.content_hash for score in samples])
    scores = read_scores(folder, binding)
    outdated = scores.outdated
    if not outdated:
        return
    metrics, arrays = dict(scores.metrics), dict(scores.arrays)
    compared = reference()
    for name in outdated:
        begun = time.monotonic()
        metric = registry.metrics()[name]()
        measured = measure(metric, compared, samples)
        metrics[name] = score_of(metric.version, measured, len(samples), time.monotonic() - begun)
        for key in [key for key in arrays if key.rpartition(".")[0] == name]:
            del arrays[key]
        arrays |= arrays_of(name, measured)
    write_scores(folder, binding, metrics, arrays)


def score_of(version: int, measured: Measurement, samples: int, seconds: float) -> MetricScore:
    """A metric's answer as it is stored."""
    values = measured.per_piece
    return MetricScore(
        version=version,
        value=measured.value,
        reason=measured.reason,
        pieces=samples if values is None else int((~np.isnan(values)).sum()),
        detail=dict(measured.detail),
        seconds=seconds,
    )


def arrays_of(name: str, measured: Measurement) -> dict[str, Floats]:
    """The arrays of a metric's answer, by the names that they are stored under.

    They keep the 24 bits of a 32-bit number, a tenth of what may differ between machines: that
    halves what a board's archive weighs.
    """
    kinds = {"draws": measured.draws, "per_piece": measured.per_piece}
    return {
        f"{name}.{kind}": np.asarray(array, dtype=np.float32).astype(np.float64)
        for kind, array in kinds.items()
        if array is not None
    }


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _unpacked(packed: bytes) -> dict[str, Floats]:
    """The arrays of an .npz file, as np.load gives them in four times the time.

    It parses every array's header anew, though they hardly differ, and streams what is small.
    Empty where the bytes are no such file, or hold anything but numbers of 64 bits.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            return {
                member.filename.removesuffix(".npy"): _array(packed, member)
                for member in archive.infolist()
            }
    except Exception:  # noqa: BLE001 - bytes from elsewhere make the parsers raise anything
        return {}


def _array(packed: bytes, member: zipfile.ZipInfo) -> Floats:
    """The array in a member of the .npz file; ValueError and others where it is none of ours."""
    local = packed[member.header_offset : member.header_offset + 30]
    start = member.header_offset + 30 + sum(_lengths(local))
    content = packed[start : start + member.compress_size]
    if member.compress_type == zipfile.ZIP_DEFLATED:
        content = zlib.decompress(content, -zlib.MAX_WBITS)
    # An .npy file: a magic of 8 bytes, the header's length in 2, the header, the numbers.
    end = 10 + int.from_bytes(content[8:10], "little")
    shape, order = _header(content[:end])
    return np.frombuffer(content[end:], np.float64).reshape(shape, order=order)


def _lengths(local: bytes) -> tuple[int, int]:
    """The lengths of a ZIP member's name and extra field, which stand before its content."""
    return int.from_bytes(local[26:28], "little"), int.from_bytes(local[28:30], "little")


@lru_cache(maxsize=256)
def _header(content: bytes) -> tuple[tuple[int, ...], Literal["C", "F"]]:
    """The shape and the order of an array of floats, by the header of its .npy file."""
    file = io.BytesIO(content)
    version = npy.read_magic(file)
    shape, fortran, dtype = npy.read_array_header_1_0(file)
    if version != (1, 0) or dtype != np.float64:
        raise ValueError(f"version {version} with {dtype}")
    return shape, "F" if fortran else "C"
