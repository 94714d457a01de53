"""The folders of the original data and of parsed pieces."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def cache_dir() -> Path:
    """The user's cache folder for musicbench; BENCH_CACHE_DIR overrides it."""
    if folder := os.environ.get("BENCH_CACHE_DIR"):
        return Path(folder).expanduser()
    if folder := os.environ.get("XDG_CACHE_HOME"):
        return Path(folder) / "musicbench"
    base = Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache")
    return base / "musicbench"


def data_dir() -> Path:
    """The folder of the original data: BENCH_DATA_DIR, or `data` in the cache folder."""
    if folder := os.environ.get("BENCH_DATA_DIR"):
        return Path(folder).expanduser()
    return cache_dir() / "data"
