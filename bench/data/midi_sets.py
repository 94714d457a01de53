"""Data sets from folders of MIDI files: two of the sets of 2012 with real onsets, pop, and jazz.

The manifest names the pieces: a folder may hold more files than the data set.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.contract import Floats
from bench.data.progress_bar import progress_bar
from bench.data.source import Source
from bench.errors import BenchError
from bench.music import MidiError, Score, from_midi

GRID = 4
SECONDS_PER_STEP = 0.125  # of music played without a metronome: sixteenths at 120 per minute


@dataclass(frozen=True)
class _Folder:
    """A folder of MIDI files: where it may be, and how its pieces are found and read."""

    title: str
    places: tuple[str, ...]  # below the data folder
    example: str  # a file that it must hold
    files: Callable[[Path], dict[str, Path]]  # every piece's file, by id
    score: Callable[[Path], Score]

    def find(self, folder: Path) -> Path | None:
        for place in self.places:
            if (folder / place / self.example).is_file():
                return folder / place
        return None

    def read(self, folder: Path, ids: Collection[str] | None) -> dict[str, Score]:
        place = self.find(folder)
        files = self.files(place) if place else {}
        wanted = {piece: path for piece, path in files.items() if ids is None or piece in ids}
        pieces: dict[str, Score] = {}
        with progress_bar(f"Reading {self.title} (once)", len(wanted)) as show:
            for piece, path in sorted(wanted.items()):
                try:
                    pieces[piece] = self.score(path)
                except MidiError as error:
                    raise BenchError(f"{piece} cannot be read: {error}") from None
                show(len(pieces))
        return pieces


def on_grid(path: Path) -> Score:
    """A piece whose beats in the MIDI file are those of the music."""
    return from_midi(path, grid=GRID)


def in_time(path: Path) -> Score:
    """A piece played without a metronome: its steps are eighths of a second."""
    return from_midi(path, clock="seconds", grid=GRID, seconds_per_step=SECONDS_PER_STEP)


def by_beats(path: Path) -> Score:
    """A piece of POP909, on the beats in the file beside it; bars begin on its downbeats."""
    try:
        return from_midi(path, grid=GRID, beats=_beats(path.with_name("beat_midi.txt")))
    except (OSError, ValueError) as error:
        raise MidiError(f"{path.with_name('beat_midi.txt')}: {error}") from None


def _beats(path: Path) -> Floats:
    """The times of the beats, with beats added before them so that the first is a downbeat."""
    rows = np.loadtxt(path, ndmin=2)
    if rows.shape[0] < 2 or rows.shape[1] != 3:
        raise ValueError("it must have at least two rows, and three numbers in every row")
    times, downbeat = rows[:, 0], rows[:, 2] > 0
    missing = -int(downbeat.argmax()) % 4
    lead = times[0] - (times[1] - times[0]) * np.arange(missing, 0, -1)
    return np.concatenate([lead, times])


def _nottingham(folder: Path) -> dict[str, Path]:
    return {
        f"{split}/{path.stem}": path
        for split in ("train", "valid", "test")
        for path in (folder / split).glob("*.mid")
    }


def _piano_midi(folder: Path) -> dict[str, Path]:
    """The files under every split that they may belong to: only the manifest knows which."""
    table = folder.parent / "mat_to_midi.csv"
    if table.is_file():
        with table.open(newline="") as rows:
            return {
                f"{row['split']}/{row['midi_file'].removesuffix('.mid')}": folder / row["midi_file"]
                for row in csv.DictReader(rows)
            }
    return {
        f"{split}/{path.parent.name}/{path.stem}": path
        for split in ("train", "valid", "test")
        for path in folder.glob("*/*.mid")
    }


def _pop909(folder: Path) -> dict[str, Path]:
    return {path.stem: path for path in folder.glob("[0-9][0-9][0-9]/[0-9][0-9][0-9].mid")}


def _jazz(folder: Path) -> dict[str, Path]:
    listing = folder / "solo_piano_all.txt"
    solo = set(listing.read_text(encoding="utf-8").splitlines()) if listing.is_file() else None
    return {
        path.stem: path
        for path in folder.iterdir()
        if path.suffix.lower() == ".mid" and (solo is None or path.name in solo)
    }


def _source(
    name: str,
    title: str,
    folder: _Folder,
    repository: str,
    *,
    licence: str,
    citation: str,
    standard: bool = False,
) -> Source:
    owner_and_name, commit = repository.split("@")
    return Source(
        name=name,
        title=title,
        version=1,
        grid=GRID,
        bar=4 * GRID,
        object="score",
        licence=licence,
        citation=citation,
        obtain=f"In the data folder run `git clone https://github.com/{owner_and_name}` and there"
        f" `git checkout {commit}`; or put its MIDI files into {folder.places[0]}/ so that"
        f" {folder.places[0]}/{folder.example} is one of them.",
        find=folder.find,
        read=folder.read,
        standard=standard,
    )


NOTTINGHAM_SCORE = _source(
    "nottingham-score",
    "Nottingham folk tunes with chords, with onsets, in the splits of 2012",
    _Folder(
        "the Nottingham tunes",
        ("nottingham_midi", "nottingham_match/python/data/nottingham_montreal"),
        "train/ashover_simple_chords_1.mid",
        _nottingham,
        on_grid,
    ),
    "stefan-balke/nottingham_match@b0c13dcfa9e3b25656dba1a52b379e62f3c452ef",
    licence="GPL-3 (that of the repository it comes from)",
    citation="Foxley. Nottingham Database; split by Boulanger-Lewandowski et al., ICML 2012",
    standard=True,
)
PIANO_MIDI_SCORE = _source(
    "piano-midi-score",
    "Piano-midi.de classical piano, with onsets: the pieces and splits of 2012",
    _Folder(
        "the pieces of Piano-midi.de",
        ("piano_midi_de/midis", "ClassicalPianoMIDI-dataset/midis"),
        "Albeniz/alb_esp1.mid",
        _piano_midi,
        on_grid,
    ),
    "cheriell/ClassicalPianoMIDI-dataset@505aef5e7539ac56cdb4cbc72d08a98bfaf7a208",
    licence="for study and research only; the files carry (c) Bernd Krueger",
    citation="Krueger. Classical Piano Midi Page, piano-midi.de; split by Boulanger-Lewandowski"
    " et al., ICML 2012",
    standard=True,
)
POP909 = _source(
    "pop909",
    "POP909: piano arrangements of Chinese pop songs, on their annotated beats",
    _Folder("POP909", ("pop909", "POP909-Dataset/POP909"), "001/001.mid", _pop909, by_beats),
    "music-x-lab/POP909-Dataset@d83e6edba6872a704f5d3b8b32f5cb540088dae6",
    licence="MIT (the collection; the songs are protected)",
    citation="Wang et al. POP909: A Pop-Song Dataset for Music Arrangement Generation. ISMIR 2020",
)
JAZZ = _source(
    "jazz",
    "Solo jazz piano by Doug McKenzie, in steps of an eighth of a second and bars of two seconds",
    _Folder(
        "the jazz pieces",
        ("jazz_piano", "Jazz-Piano-Generative-LSTM/LSTM/jazz"),
        "AutumnLeaves.mid",
        _jazz,
        in_time,
    ),
    "grunet01/Jazz-Piano-Generative-LSTM@1d587506653bc8c987220b0325d825193dff36ef",
    licence="none stated; the standards are protected: for local use only",
    citation="McKenzie. bushgrafts.com",
)
