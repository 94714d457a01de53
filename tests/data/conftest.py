from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from tiny_data import SPLITS, Tiny, own_cache, tiny  # noqa: F401 - fixtures

from bench.data.manifest import pin, write_manifest
from bench.data.source import Source


@pytest.fixture(scope="session")
def real_data() -> Path:
    folder = os.environ.get("BENCH_DATA_DIR")
    if not folder or not Path(folder).is_dir():
        pytest.skip("BENCH_DATA_DIR names no folder with the original data")
    return Path(folder)


@pytest.fixture
def pinned_with():
    """Makes a source whose manifest says it was read with these packages."""

    def change(made: Tiny, **made_with: str) -> Source:
        manifest = pin(
            made.originals,
            SPLITS,
            name="tiny",
            version=1,
            grid=4,
            bar=16,
            object="score",
            made_with=made_with,
        )
        write_manifest(made.source.manifest, manifest)
        return replace(made.source, made_with=tuple(made_with))

    return change


@pytest.fixture(autouse=True)
def _always_an_own_cache(own_cache):  # noqa: F811 - the fixture
    pass
