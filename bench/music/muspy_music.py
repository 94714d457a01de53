"""Converts scores to objects of the MusPy library and back, without a file in between."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bench.music.score import VELOCITY, Score

if TYPE_CHECKING:
    import muspy


def to_muspy(score: Score) -> muspy.Music:
    """The piece as a Music of one piano track; a Music cannot hold silence at the end."""
    import muspy

    notes = [
        muspy.Note(time=onset, pitch=pitch, duration=duration, velocity=velocity)
        for onset, duration, pitch, velocity in zip(
            score.onset.tolist(),
            score.duration.tolist(),
            score.pitch.tolist(),
            score.velocity.tolist(),
            strict=True,
        )
    ]
    return muspy.Music(resolution=score.grid, tracks=[muspy.Track(notes=notes)])


def from_muspy(music: muspy.Music, *, length: int | None = None) -> Score:
    """The piece of a Music at its resolution, without drums; it ends with its last note."""
    notes = [
        (note.time, note.duration, note.pitch, VELOCITY if note.velocity is None else note.velocity)
        for track in music.tracks
        if not track.is_drum
        for note in track.notes
    ]
    columns = np.array(notes, dtype=np.int64).reshape(-1, 4).T
    return Score.from_notes(*columns, length=length, grid=music.resolution)
