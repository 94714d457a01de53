"""Reads the piano-roll files of 2012: the MATLAB files, and the original pickles safely."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from bench.data.dataset import SPLITS, Split
from bench.errors import BenchError
from bench.music import HIGHEST, KEYS, LOWEST
from bench.music.score import Roll


def read_rolls(path: Path) -> dict[Split, list[Roll]]:
    """The piano-rolls of each split, in the file's order."""
    try:
        return _read_mat(path) if path.suffix == ".mat" else _read_pickle(path.read_bytes())
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError, KeyError) as error:
        raise BenchError(
            f"{path} is no piano-roll file of 2012 ({error}). Delete it, and download it again with"
            " `bench data fetch`."
        ) from None


def _read_mat(path: Path) -> dict[Split, list[Roll]]:
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        content = loadmat(str(path))
    except (MatReadError, NotImplementedError, OSError, IndexError) as error:
        raise ValueError(str(error)) from None
    rolls: dict[Split, list[Roll]] = {}
    for split in SPLITS:
        rolls[split] = [np.asarray(roll, dtype=bool) for roll in content[f"{split}data"].ravel()]
        for i, roll in enumerate(rolls[split]):
            if roll.ndim != 2 or roll.shape[1] != KEYS:
                raise ValueError(f"{split} piece {i} has shape {roll.shape}, not steps x {KEYS}")
    return rolls


class _Plain(pickle.Unpickler):
    """Reads lists, tuples, dictionaries, numbers and strings; refuses every class and function."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"it wants to run {module}.{name}")

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError("it refers to objects outside itself")


def _read_pickle(content: bytes) -> dict[Split, list[Roll]]:
    pieces = _Plain(io.BytesIO(content), encoding="latin1").load()
    return {split: [_roll(piece) for piece in pieces[split]] for split in SPLITS}


def _roll(piece: Any) -> Roll:
    roll = np.zeros((len(piece), KEYS), dtype=bool)
    for step, chord in enumerate(piece):
        for pitch in chord:
            if not isinstance(pitch, int) or not LOWEST <= pitch <= HIGHEST:
                raise ValueError(f"pitch {pitch!r} is none of {LOWEST}..{HIGHEST}")
            roll[step, pitch - LOWEST] = True
    return roll
