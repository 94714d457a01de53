"""Makes manifests: removes duplicates, splits, and records every hash.

For developers who change a data set: `python -m bench.data.pin NAME ...` makes its manifest again.
Raise the version when you do: results on different versions cannot be compared.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping

from bench.data import folders
from bench.data.library import source_of
from bench.data.manifest import Manifest, pin, write_manifest
from bench.data.source import Source
from bench.data.splits import distinct, equal_across, seeded, standard
from bench.errors import BenchError
from bench.music import Score


def make(source: Source, pieces: Mapping[str, Score]) -> Manifest:
    """The manifest of the source, which has these pieces."""
    if not source.standard:
        pieces = distinct(pieces)
    splits = standard(pieces) if source.standard else seeded(pieces)
    known = equal_across(pieces, splits) if source.standard else []
    return pin(
        pieces,
        splits,
        name=source.name,
        version=source.version,
        grid=source.grid,
        bar=source.bar,
        object=source.object,
        made_with=source.versions(),
        known_duplicates=tuple(known),
    )


def main() -> None:
    """Make the manifests of the data sets named on the command line."""
    for name in sys.argv[1:]:
        source = source_of(name)
        if source.find(folders.data_dir()) is None:
            raise BenchError(f"{name} is not in {folders.data_dir()}. {source.obtain}")
        manifest = make(source, source.read(folders.data_dir(), None))
        write_manifest(source.manifest, manifest)
        sys.stdout.write(f"{source.manifest}: {manifest.counts}\n")


if __name__ == "__main__":
    main()
