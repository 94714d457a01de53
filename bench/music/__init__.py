"""Pieces of music: the Score, MIDI in and out, keys, audio. Imports nothing else of ours."""

from bench.music.score import GRID, HIGHEST, KEYS, LOWEST, Score, concatenate

__all__ = ["GRID", "HIGHEST", "KEYS", "LOWEST", "Score", "concatenate"]
