"""Bach's four-part chorales, from the installed music21 corpus.

Every file `bach/bwv*` of the corpus that has four parts, in its original key; a system may
transpose the pieces itself. Repeats are not played, fermatas are ignored, grace notes are left out,
triplets are moved to the nearest sixteenth. A chorale in 3/4 keeps its bars of 12 steps; `bar` is
that of 4/4, the metre of most. An upbeat is preceded by silence up to a whole bar.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from bench.data.corpus import corpus_dir, read_files
from bench.data.source import Source
from bench.music import Score

PARTS = 4


def find(_: Path) -> Path | None:
    """Bach's folder in the corpus; none where music21 is not installed or has no corpus."""
    corpus = corpus_dir()
    return corpus / "bach" if corpus and (corpus / "bach").is_dir() else None


def read(folder: Path, ids: Collection[str] | None) -> dict[str, Score]:
    """The chorales with these numbers, or all of them, in the order of the catalogue."""
    corpus = find(folder)
    files = [
        path
        for path in (corpus.glob("bwv*") if corpus else [])
        if path.suffix in {".mxl", ".xml", ".musicxml"} and (ids is None or path.stem in ids)
    ]
    files.sort(key=lambda path: catalogue_order(path.stem))
    return {
        piece.id: piece.score
        for piece in read_files("Reading Bach's chorales (once)", files)
        if piece.parts == PARTS
    }


def catalogue_order(name: str) -> list[tuple[int, str]]:
    """A sort key by which bwv20.7 comes before bwv20.11, and that before bwv110.7."""
    return [(int(number or 0), text) for number, text in re.findall(r"(\d+)|(\D+)", name)]


CHORALES = Source(
    name="chorales",
    title="Bach's four-part chorales (music21 corpus), sixteenth notes",
    version=1,
    grid=4,
    bar=16,
    object="score",
    licence="the music is in the public domain; the encodings come with music21 by permission of"
    " their encoders",
    citation="Cuthbert, Ariza. music21: A Toolkit for Computer-Aided Musicology. ISMIR 2010",
    obtain="Nothing needs to be fetched: they come with music21 (pip install music21==10.5.1).",
    find=find,
    read=read,
    made_with=("music21",),
)
