"""Where data are looked for and where parsed pieces are kept."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def cache_dir() -> Path:
    """The user's cache folder for musicbench; BENCH_CACHE_DIR overrides it."""
    if given := os.environ.get("BENCH_CACHE_DIR"):
        return Path(given).expanduser()
    if given := os.environ.get("XDG_CACHE_HOME"):
        return Path(given) / "musicbench"
    base = Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache")
    return base / "musicbench"


def data_dir() -> Path:
    """The folder in which data sets are looked for: BENCH_DATA_DIR, or one in the cache folder."""
    if given := os.environ.get("BENCH_DATA_DIR"):
        return Path(given).expanduser()
    return cache_dir() / "data"
