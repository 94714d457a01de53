"""Note states: for each step and key, whether it sounds (play) and is struck (articulate).

A key that begins to sound is always struck; one that sounded before may be held or struck again.
States with that property and scores at the default velocity correspond one to one. If only a part
of the keyboard is encoded, notes outside it are lost.
"""

from __future__ import annotations

import numpy as np

from bench.music.score import KEYS, LOWEST, Roll, Score


def encode(score: Score, lowest: int = LOWEST, keys: int = KEYS) -> Roll:
    """(steps, keys, 2) play and articulate of the keys from `lowest` up."""
    part = slice(lowest - LOWEST, lowest - LOWEST + keys)
    return np.stack([score.sounding()[:, part], score.onsets()[:, part]], axis=-1)


def decode(states: Roll, grid: int, lowest: int = LOWEST) -> Score:
    """The piece of states (steps, keys, 2); articulations of silent keys do not count."""
    steps, keys, _ = states.shape
    rolls = np.zeros((2, steps, KEYS), dtype=bool)
    rolls[:, :, lowest - LOWEST : lowest - LOWEST + keys] = np.moveaxis(states, -1, 0)
    return Score.from_rolls(rolls[0], rolls[1], grid=grid)


def restruck(states: Roll) -> Roll:
    """(steps, keys) where a key is struck again that sounded one step before."""
    again = np.zeros(states.shape[:2], dtype=bool)
    again[1:] = states[1:, :, 1] & states[:-1, :, 0]
    return again


def held(states: Roll) -> Roll:
    """(steps, keys, 2) the same frames, but keys that go on sounding are held, not struck again."""
    states = states.copy()
    states[..., 1] &= ~restruck(states)
    return states
