"""Fiddle tunes and airs of one voice, from the installed music21 corpus: for curricula.

Ryan's Mammoth Collection (1883) and James Aird's Airs (1782-1803). Of a double stop the highest
note is kept. Repeats are not played, an upbeat is preceded by silence up to a whole bar. A tune
that loses more than a twentieth of its notes on the grid of sixteenths is left out. Metres differ
from tune to tune; `bar` is that of 4/4. `bench.data.grades` measures how hard a tune is.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np

from bench.data.corpus import corpus_dir, read_files
from bench.data.source import Source
from bench.music import Score

COLLECTIONS = ("airdsAirs", "ryansMammoth")
LOST = 1 / 20  # of a tune's notes, at most


def find(_: Path) -> Path | None:
    """The corpus; none where music21 is not installed or lacks the collections."""
    corpus = corpus_dir()
    return corpus if corpus and all((corpus / name).is_dir() for name in COLLECTIONS) else None


def read(folder: Path, ids: Collection[str] | None) -> dict[str, Score]:
    """The tunes with these names, or all that fit the grid."""
    corpus = find(folder)
    files = [
        path
        for name in COLLECTIONS
        for path in (sorted((corpus / name).glob("*.abc")) if corpus else [])
        if ids is None or any(piece.startswith(f"{name}/{path.stem}") for piece in ids)
    ]
    pieces = {}
    for tune in read_files("Reading folk tunes (once)", files):
        name = f"{tune.collection}/{tune.id}"
        fits = tune.parts == 1 and tune.lost <= LOST * len(tune.score)
        if fits if ids is None else name in ids:
            pieces[name] = one_voice(tune.score)
    return pieces


def one_voice(score: Score) -> Score:
    """The highest note of every onset; a note ends where the next begins, at the latest."""
    highest = np.append(np.diff(score.onset) > 0, True)[: len(score)]
    onset, velocity = score.onset[highest], score.velocity[highest]
    room = np.diff(onset, append=score.length)
    duration = np.minimum(score.duration[highest], room)
    return Score(onset, duration, score.pitch[highest], velocity, score.length, score.grid)


FOLK = Source(
    name="folk",
    title="Fiddle tunes and airs, one voice (music21 corpus), sixteenth notes",
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
