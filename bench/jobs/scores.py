"""The scores of a job's samples: every metric's value, and what to resample for its interval.

`scores.json` has a value and its version per metric; `scores.npz` the arrays. The first holds the
SHA-256 of the second: arrays that are not the ones that were written count as no scores at all.
"""

from __future__ import annotations

import hashlib
import io
import time
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Literal

import numpy as np
from numpy.lib import format as npy
from pydantic import BaseModel, ConfigDict, ValidationError

from bench import registry
from bench.contract import Floats, Reference
from bench.files import read_json, write, write_json
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


class _File(BaseModel):
    metrics: dict[str, MetricScore]
    arrays: str


class Scores:
    """Every metric's score of a job; empty where there is none that can be trusted."""

    def __init__(
        self,
        metrics: Mapping[str, MetricScore] | None = None,
        packed: bytes = b"",
    ):
        self.metrics = dict(metrics or {})
        self.packed = packed  # the .npz file

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


def read_scores(folder: JobFolder) -> Scores:
    """The folder's scores. Each of the two files is read once."""
    try:
        content = _File.model_validate(read_json(folder.scores) or {})
        packed = folder.score_arrays.read_bytes()
    except (ValidationError, OSError):
        return Scores()
    if hashlib.sha256(packed).hexdigest() != content.arrays:
        return Scores()
    return Scores(content.metrics, packed)


def score_samples(
    folder: JobFolder, samples: Sequence[Score], reference: Callable[[], Reference]
) -> None:
    """Bring the folder's scores up to date: one value per metric, and what to resample."""
    scores = read_scores(folder)
    if not scores.stale:
        return
    metrics, arrays = dict(scores.metrics), dict(scores.arrays)
    compared = reference()
    for name in scores.stale:
        begun = time.monotonic()
        metric = registry.metrics()[name]()
        measured = measure(metric, compared, samples)
        values = measured.per_piece
        metrics[name] = MetricScore(
            version=metric.version,
            value=measured.value,
            reason=measured.reason,
            pieces=len(samples) if values is None else int((~np.isnan(values)).sum()),
            detail=dict(measured.detail),
            seconds=time.monotonic() - begun,
        )
        for kind, array in (("draws", measured.draws), ("per_piece", values)):
            arrays.pop(f"{name}.{kind}", None)
            if array is not None:
                arrays[f"{name}.{kind}"] = np.asarray(array, dtype=np.float64)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    write(folder.score_arrays, buffer.getvalue())
    digest = hashlib.sha256(buffer.getvalue()).hexdigest()
    content = {name: score.model_dump(mode="json") for name, score in metrics.items()}
    write_json(folder.scores, {"metrics": content, "arrays": digest})


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
