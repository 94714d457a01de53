"""The data sets one can name: listing them, describing them, loading them."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import registry
from bench.contract import Object
from bench.data import folders, own
from bench.data.dataset import Dataset, Split
from bench.data.download import download
from bench.data.manifest import Manifest, read_manifest
from bench.data.pieces import read_pieces, write_pieces
from bench.data.source import Source
from bench.errors import BenchError, unknown
from bench.music import Score
from bench.music.midi import Clock


@dataclass(frozen=True)
class Info:
    """What there is to say about a data set without loading it."""

    name: str
    title: str
    version: int
    grid: int  # steps per quarter note
    bar: int  # steps per bar
    object: Object
    licence: str
    citation: str
    counts: Mapping[Split, int]  # pieces per split
    fingerprint: str
    where: Path | None  # its originals, or else the cache; none where neither is here
    obtain: str  # how to come by it

    @property
    def here(self) -> str:
        """Where it is, or how to get it, as a sentence."""
        return str(self.where) if self.where else f"not here: {self.obtain}"


_seals = 0


@contextmanager
def seal() -> Iterator[None]:
    """While the block runs nothing in this process may load data: a system sees what it is given."""
    global _seals
    _seals += 1
    try:
        yield
    finally:
        _seals -= 1


def sources(data_dir: Path | None = None) -> dict[str, Source]:
    """Every data set that can be named: the installed ones, then those added to the data folder."""
    installed: dict[str, Source] = registry.datasets()
    mine = own.sources(data_dir or folders.data_dir())
    return {**{name: mine[name] for name in mine if name not in installed}, **installed}


def names(data_dir: Path | None = None) -> list[str]:
    """The names of all data sets."""
    return sorted(sources(data_dir))


def source(name: str, data_dir: Path | None = None) -> Source:
    """The data set of that name; BenchError with the nearest names where there is none."""
    known = sources(data_dir)
    if name not in known:
        raise unknown("data set", name, known)
    return known[name]


def describe(name: str, data_dir: Path | None = None) -> Info:
    """What is known about a data set without loading its pieces."""
    it = source(name, data_dir)
    manifest = read_manifest(it.manifest)
    cache = _cache(it, manifest)
    originals = it.find(data_dir or folders.data_dir())
    return Info(
        name=it.name,
        title=it.title,
        version=it.version,
        grid=it.grid,
        bar=it.bar,
        object=it.object,
        licence=it.licence,
        citation=it.citation,
        counts=manifest.counts,
        fingerprint=manifest.fingerprint,
        where=originals or (cache if cache.is_file() else None),
        obtain=it.obtain,
    )


def load(name: str, data_dir: Path | None = None) -> Dataset:
    """The data set, every piece checked against its manifest.

    The first time it is read from its originals, afterwards from the cache folder.
    """
    it, manifest = _open(name, data_dir)
    cache = _cache(it, manifest)
    pieces = read_pieces(cache)
    if pieces is None or manifest.wrong(pieces) is not None:
        pieces = _read(it, manifest, data_dir)
        _keep(cache, pieces)
    return manifest.dataset(pieces)


def kept(name: str, data_dir: Path | None = None) -> Path:
    """Where the cache folder keeps the pieces of a data set that was loaded."""
    it, manifest = _open(name, data_dir)
    return _cache(it, manifest)


def fetch(name: str, data_dir: Path | None = None) -> Dataset:
    """The data set, downloaded if need be, read and checked: the next `load` takes no time."""
    it, _ = _open(name, data_dir)
    folder = data_dir or folders.data_dir()
    for file in it.downloads:
        if it.find(folder) in (None, folder / file.path):
            download(file, folder)
    return load(name, data_dir)


def add(
    name: str,
    folder: Path,
    data_dir: Path | None = None,
    *,
    clock: Clock = "beats",
    force: bool = False,
    seed: int = 0,
) -> own.Added:
    """Make a pinned data set of a folder of MIDI files, in the data folder."""
    where = data_dir or folders.data_dir()
    taken = registry.datasets()
    return own.add(name, folder, where, taken=taken, clock=clock, force=force, seed=seed)


def verify(name: str, data_dir: Path | None = None) -> Dataset:
    """The data set read from its originals whatever the cache holds, and checked."""
    it, manifest = _open(name, data_dir)
    pieces = _read(it, manifest, data_dir)
    _keep(_cache(it, manifest), pieces)
    return manifest.dataset(pieces)


def _open(name: str, data_dir: Path | None) -> tuple[Source, Manifest]:
    if _seals:
        raise BenchError(
            f"A system may not load data while it learns: it asked for '{name}'."
            " What it may see is passed to fit."
        )
    it = source(name, data_dir)
    return it, read_manifest(it.manifest)


def _cache(it: Source, manifest: Manifest) -> Path:
    return folders.cache_dir() / "pieces" / f"{it.name}-{manifest.fingerprint[:16]}.npz"


def _read(it: Source, manifest: Manifest, data_dir: Path | None) -> dict[str, Score]:
    folder = data_dir or folders.data_dir()
    if it.find(folder) is None:
        raise BenchError(f"The data set '{it.name}' is not in {folder}. {it.obtain}")
    found = it.read(folder, manifest.ids)
    piece = manifest.wrong(found)
    if piece is not None:
        what = "differs from the pinned piece" if piece in found else "is missing"
        raise BenchError(
            f"{it.name}: {piece} {what}, as read from {it.find(folder)}. {_advice(it, manifest)}"
        )
    return {piece: found[piece] for piece in manifest.ids}


def _advice(it: Source, manifest: Manifest) -> str:
    versions = it.versions()
    for package, pinned in manifest.made_with.items():
        if versions.get(package) != pinned:
            return (
                f"Your {package} {versions.get(package)} reads it differently from the pinned"
                f" version: pip install {package}=={pinned}"
            )
    return it.obtain


def _keep(path: Path, pieces: Mapping[str, Score]) -> None:
    try:
        write_pieces(path, pieces)
    except OSError as error:
        sys.stderr.write(
            f"The pieces cannot be kept in {path.parent} ({error.strerror}); they will be read"
            " again next time. Set BENCH_CACHE_DIR to a folder that can be written.\n"
        )
