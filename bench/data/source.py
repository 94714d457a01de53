"""What a data set registers: its name, where it comes from, and how it is read."""

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
    """A file that can be downloaded: where it is stored, and how it is recognised."""

    path: str  # below the data folder
    sha256: str
    size: int
    urls: tuple[str, ...]  # tried in turn


@dataclass(frozen=True)
class Source:
    """A data set before it is loaded. Its manifest lists its pieces, and their splits.

    `find` gives the path of the originals, below the data folder or elsewhere. `read` makes pieces
    of the originals: all, or at least those with the given ids.
    """

    name: str
    title: str
    version: int
    grid: int  # steps per quarter note
    bar: int  # steps per bar
    object: Object
    licence: str
    citation: str
    obtain: str  # how to get it, as an instruction
    find: Callable[[Path], Path | None]
    read: Callable[[Path, Collection[str] | None], Mapping[str, Score]]
    downloads: tuple[Download, ...] = ()
    made_with: tuple[str, ...] = ()  # packages whose version may change how pieces are read
    in_c: bool = False  # its authors transposed the pieces to C
    standard: bool = False  # the ids begin with the split they belong to; no piece is removed
    manifest_path: Path | None = None  # of a manifest that does not come with musicbench

    @property
    def manifest(self) -> Path:
        """The file that pins the data set."""
        return self.manifest_path or MANIFESTS / f"{self.name}.json"

    def versions(self) -> dict[str, str]:
        """The installed versions of the packages in `made_with`."""
        return {package: importlib.metadata.version(package) for package in self.made_with}
