"""Data sets with pinned splits: `load(name)` gives pieces that are checked against a manifest."""

from bench.data.dataset import SPLITS, Dataset, Split
from bench.data.folders import cache_dir, data_dir
from bench.data.library import Info, add, describe, fetch, load, names, seal, verify
from bench.data.source import Download, Source

__all__ = [
    "SPLITS",
    "Dataset",
    "Download",
    "Info",
    "Source",
    "Split",
    "add",
    "cache_dir",
    "data_dir",
    "describe",
    "fetch",
    "load",
    "names",
    "seal",
    "verify",
]
