"""A data set of four tunes, with a cache of its own, for tests of data sets and their verbs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench import registry
from bench.data.manifest import pin, write_manifest
from bench.data.source import Source
from bench.music import Score


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path / "cache"))


def tune(seed: int, notes: int = 24) -> Score:
    """A tune that shares nothing with that of another seed."""
    rng = np.random.default_rng(seed)
    return Score.from_notes(
        np.arange(notes) * 2, rng.integers(1, 3, notes), rng.integers(40, 90, notes)
    )


SPLITS = {"train": ["a", "b"], "valid": ["c"], "test": ["d"]}


class Tiny:
    """A data set of four tunes whose originals are `originals` and which counts its readings."""

    def __init__(self, folder: Path) -> None:
        self.originals = {name: tune(i) for i, name in enumerate("abcd")}
        self.here = True
        self.readings = 0
        self.source = Source(
            name="tiny",
            title="Four tunes",
            version=1,
            grid=4,
            bar=16,
            object="score",
            licence="none",
            citation="none",
            obtain="Put tunes.txt there.",
            find=lambda folder: folder / "tunes.txt" if self.here else None,
            read=self.read,
            manifest_path=folder / "tiny.json",
        )
        manifest = pin(
            self.originals, SPLITS, name="tiny", version=1, grid=4, bar=16, object="score"
        )
        write_manifest(self.source.manifest, manifest)

    def read(self, folder, ids):
        self.readings += 1
        return dict(self.originals)


@pytest.fixture
def tiny(tmp_path, monkeypatch, own_cache) -> Tiny:
    made = Tiny(tmp_path)
    monkeypatch.setenv("BENCH_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setattr(registry, "datasets", lambda: {"tiny": made.source})
    return made
