"""Makes manifests: removes duplicates, splits, writes down every hash.

For those who change a data set: `python -m bench.data.pin NAME ...` makes its manifest anew. Raise
the version when you do, for results on the old one cannot be compared with results on the new.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping

from bench.data import folders
from bench.data.library import source
from bench.data.manifest import Manifest, pin, write_manifest
from bench.data.source import Source
from bench.data.splits import distinct, equal_across, seeded, standard
from bench.errors import BenchError
from bench.music import Score


def make(it: Source, pieces: Mapping[str, Score]) -> Manifest:
    """The manifest of a source whose pieces these are."""
    if not it.standard:
        pieces = distinct(pieces)
    splits = standard(pieces) if it.standard else seeded(pieces)
    known = equal_across(pieces, splits) if it.standard else []
    return pin(
        pieces,
        splits,
        name=it.name,
        version=it.version,
        grid=it.grid,
        bar=it.bar,
        object=it.object,
        made_with=it.versions(),
        known_duplicates=tuple(known),
    )


def main() -> None:
    """Make the manifests of the data sets named on the command line."""
    for name in sys.argv[1:]:
        it = source(name)
        if it.find(folders.data_dir()) is None:
            raise BenchError(f"{name} is not in {folders.data_dir()}. {it.obtain}")
        manifest = make(it, it.read(folders.data_dir(), None))
        write_manifest(it.manifest, manifest)
        sys.stdout.write(f"{it.manifest}: {manifest.counts}\n")


if __name__ == "__main__":
    main()
