"""Pieces of other data sets, put on the grid of the data set to learn."""

from __future__ import annotations

from collections.abc import Iterable

from bench.errors import BenchError
from bench.music import Score


def on_grid(pieces: Iterable[Score], grid: int) -> list[Score]:
    """The pieces at `grid` steps per quarter: a finer grid keeps every second, third, ... step.

    A note that lies between two of these steps is lost; an onset between them moves to the next.
    """
    return [_on_grid(piece, grid) for piece in pieces]


def _on_grid(piece: Score, grid: int) -> Score:
    if piece.grid == grid:
        return piece
    if piece.grid % grid:
        raise BenchError(
            f"pieces with {piece.grid} steps per quarter cannot be put on a grid of {grid};"
            " name another data set in `also`."
        )
    every = piece.grid // grid
    length = -(-piece.length // every)
    first, after = -(-piece.onset // every), -(-piece.end // every)
    lasts = after > first
    return Score.from_notes(
        first[lasts],
        (after - first)[lasts],
        piece.pitch[lasts],
        piece.velocity[lasts],
        length=length,
        grid=grid,
    )
