"""How often each token occurs in training pieces (Huang & Wu 2016, figures 1 and 2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bench.encodings.frames import pack
from bench.encodings.midi_messages import messages
from bench.music import Score

if TYPE_CHECKING:
    import pandas as pd

RARE = 10  # a token that occurs less often is rare
POINTS = 200  # of a curve


@dataclass(frozen=True, eq=False)
class Frequencies:
    """How often each token of one kind occurs, the most frequent first."""

    name: str
    counts: NDArray[np.int64]  # (vocabulary,)

    @property
    def sentence(self) -> str:
        """The vocabulary in words."""
        name = self.name[0].upper() + self.name[1:]
        if not len(self.counts):
            return f"{name}: none."
        rare = float((self.counts < RARE).mean())
        return (
            f"{name}: {self.counts.sum():,}, of which {len(self.counts):,} are"
            f" different; {rare:.0%} of these occur less than {RARE} times."
        )


def frequencies(pieces: Sequence[Score]) -> tuple[Frequencies, ...]:
    """The chords (the keys that sound at a step) and the MIDI messages of the pieces."""
    frames = [score.sounding() for score in pieces if score.length]
    chords = pack(np.concatenate(frames)) if frames else np.zeros(0)
    words = np.concatenate([np.zeros((0, 3), np.int64), *map(messages, pieces)])
    return _counted("chords", chords), _counted("MIDI messages", words)


def _counted(name: str, tokens: NDArray[np.generic]) -> Frequencies:
    axis = 0 if tokens.ndim > 1 else None
    _, counts = np.unique(tokens, axis=axis, return_counts=True)
    return Frequencies(name, np.sort(counts)[::-1].astype(np.int64))


def by_rank(kinds: Sequence[Frequencies]) -> pd.DataFrame:
    """The curves, at ranks that are evenly spaced on a logarithmic axis: tokens, rank, count."""
    import pandas as pd

    tables = []
    for kind in kinds:
        if not len(kind.counts):
            continue
        ranks = np.unique(np.geomspace(1, len(kind.counts), POINTS).round().astype(int))
        tables.append(
            pd.DataFrame({"tokens": kind.name, "rank": ranks, "count": kind.counts[ranks - 1]})
        )
    return pd.concat(tables) if tables else pd.DataFrame(columns=["tokens", "rank", "count"])
