"""What a data set offers the registry: what it is called, where it comes from, how it is read."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.contract import Object
from bench.music import Score

MANIFESTS = Path(__file__).parent / "manifests"


@dataclass(frozen=True)
class Download:
    """One file that can be fetched: where it goes below the data folder, and how to know it."""

    path: str  # below the data folder
    sha256: str
    size: int
    urls: tuple[str, ...]  # tried in turn


@dataclass(frozen=True)
class Source:
    """A data set before it is loaded. Its manifest says which pieces it has, and their splits.

    `find` tells where below a data folder (or elsewhere) the originals lie. `read` makes pieces
    of them: of all, or at least of the ids it is given.
    """

    name: str
    title: str
    version: int
    grid: int  # steps per quarter note
    bar: int  # steps per bar
    object: Object
    licence: str
    citation: str
    obtain: str  # how to come by it, as an instruction
    find: Callable[[Path], Path | None]
    read: Callable[[Path, Collection[str] | None], Mapping[str, Score]]
    downloads: tuple[Download, ...] = ()
    made_with: tuple[str, ...] = ()  # packages whose version may change how pieces are read
    standard: bool = False  # the ids begin with the split they belong to; nothing is removed
    manifest_path: Path | None = None  # where not in musicbench itself

    @property
    def manifest(self) -> Path:
        """The file that pins the data set."""
        return self.manifest_path or MANIFESTS / f"{self.name}.json"

    def versions(self) -> dict[str, str]:
        """The installed versions of the packages that read it."""
        return {package: importlib.metadata.version(package) for package in self.made_with}
