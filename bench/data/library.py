"""The data sets by name: listing, describing, loading and adding them."""

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
    """What is known about a data set without loading it."""

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
    where: Path | None  # its originals, or else the cache; none where there is neither
    obtain: str  # how to get it
    in_c: bool = False  # its authors transposed the pieces to C

    @property
    def here(self) -> str:
        """Where it is, or how to get it, as a sentence."""
        return str(self.where) if self.where else f"not here: {self.obtain}"


_seals = 0


@contextmanager
def seal() -> Iterator[None]:
    """In the block nothing in this process can load data: a system sees only what it is given."""
    global _seals
    _seals += 1
    try:
        yield
    finally:
        _seals -= 1


def sources(data_dir: Path | None = None) -> dict[str, Source]:
    """All data sets by name: the installed ones, and those added to the data folder.

    An installed one takes precedence over an added one of the same name.
    """
    installed: dict[str, Source] = registry.datasets()
    return own.sources(data_dir or folders.data_dir()) | installed


def names(data_dir: Path | None = None) -> list[str]:
    """The names of all data sets."""
    return sorted(sources(data_dir))


def source_of(name: str, data_dir: Path | None = None) -> Source:
    """The data set of that name; BenchError with similar names where there is none."""
    known = sources(data_dir)
    if name not in known:
        raise unknown("data set", name, known)
    return known[name]


def describe(name: str, data_dir: Path | None = None) -> Info:
    """What is known about a data set without loading its pieces."""
    source = source_of(name, data_dir)
    manifest = read_manifest(source.manifest)
    cache = _cache(source, manifest)
    originals = source.find(data_dir or folders.data_dir())
    return Info(
        name=source.name,
        title=source.title,
        version=source.version,
        grid=source.grid,
        bar=source.bar,
        object=source.object,
        licence=source.licence,
        citation=source.citation,
        counts=manifest.counts,
        fingerprint=manifest.fingerprint,
        where=originals or (cache if cache.is_file() else None),
        obtain=source.obtain,
        in_c=source.in_c,
    )


def load(name: str, data_dir: Path | None = None) -> Dataset:
    """The data set, every piece checked against its manifest.

    It is read from its originals the first time, and from the cache folder after that.
    """
    source, manifest = _open(name, data_dir)
    cache = _cache(source, manifest)
    pieces = read_pieces(cache)
    if pieces is None or manifest.wrong(pieces) is not None:
        pieces = _read(source, manifest, data_dir)
        _keep(cache, pieces)
    return manifest.dataset(pieces)


def kept(name: str, data_dir: Path | None = None) -> Path:
    """The file in the cache folder with the pieces of a data set that was loaded."""
    source, manifest = _open(name, data_dir)
    return _cache(source, manifest)


def fetch(name: str, data_dir: Path | None = None) -> Dataset:
    """The data set, downloaded if needed, read and checked; after that, `load` is fast."""
    source, _ = _open(name, data_dir)
    folder = data_dir or folders.data_dir()
    for file in source.downloads:
        if source.find(folder) in (None, folder / file.path):
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
    """Make a folder of MIDI files a pinned data set in the data folder; see `own.add`."""
    data_dir = data_dir or folders.data_dir()
    taken = registry.datasets()
    return own.add(name, folder, data_dir, taken=taken, clock=clock, force=force, seed=seed)


def verify(name: str, data_dir: Path | None = None) -> Dataset:
    """The data set, read from its originals even if it is in the cache, and checked."""
    source, manifest = _open(name, data_dir)
    pieces = _read(source, manifest, data_dir)
    _keep(_cache(source, manifest), pieces)
    return manifest.dataset(pieces)


def _open(name: str, data_dir: Path | None) -> tuple[Source, Manifest]:
    if _seals:
        raise BenchError(
            f"A system may not load data while it learns: it asked for '{name}'."
            " Use the pieces that fit() is given."
        )
    source = source_of(name, data_dir)
    return source, read_manifest(source.manifest)


def _cache(source: Source, manifest: Manifest) -> Path:
    return folders.cache_dir() / "pieces" / f"{source.name}-{manifest.fingerprint[:16]}.npz"


def _read(source: Source, manifest: Manifest, data_dir: Path | None) -> dict[str, Score]:
    folder = data_dir or folders.data_dir()
    if source.find(folder) is None:
        raise BenchError(f"The data set '{source.name}' is not in {folder}. {source.obtain}")
    pieces = source.read(folder, manifest.ids)
    wrong = manifest.wrong(pieces)
    if wrong is not None:
        problem = "differs from the pinned piece" if wrong in pieces else "is missing"
        raise BenchError(
            f"{source.name}: {wrong} {problem}, as read from {source.find(folder)}."
            f" {_advice(source, manifest)}"
        )
    return {piece: pieces[piece] for piece in manifest.ids}


def _advice(source: Source, manifest: Manifest) -> str:
    versions = source.versions()
    for package, pinned in manifest.made_with.items():
        if versions.get(package) != pinned:
            return (
                f"Your {package} {versions.get(package)} reads it differently from the pinned"
                f" version: pip install {package}=={pinned}"
            )
    return source.obtain


def _keep(path: Path, pieces: Mapping[str, Score]) -> None:
    try:
        write_pieces(path, pieces)
    except OSError as error:
        sys.stderr.write(
            f"The pieces cannot be cached in {path.parent} ({error.strerror}) and will be read"
            " again next time. Set BENCH_CACHE_DIR to a folder that can be written.\n"
        )
