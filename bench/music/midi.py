"""Writes scores as MIDI files, and reads MIDI files and whole folders of them."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench.music.score import GRID, HIGHEST, LOWEST, Score
from bench.music.smf import MidiError, MidiFile, parse

__all__ = ["LeftOut", "MidiError", "from_midi", "import_folder", "to_midi"]

LONGEST = 1_000_000  # steps; a longer piece means a broken file, and its roll would fill the memory

Clock = Literal["beats", "seconds"]

_QUARTER = 480  # ticks, if the grid divides it
_MARKER = re.compile(r"musicbench grid=(\d{1,9}) length=(\d{1,9})")


def to_midi(score: Score, qpm: float = 120) -> bytes:
    """The piece as the bytes of a MIDI file, of which `from_midi` makes an equal piece.

    A marker holds what MIDI has no place for: the grid, and the length with silence at the end.
    """
    step = max(1, _QUARTER // score.grid)  # ticks
    tempo = round(60e6 / qpm) if qpm >= 1 else 0
    if not 0 < tempo < 1 << 24:
        raise MidiError(f"a tempo of {qpm} quarter notes a minute cannot be written; try 120")
    if step * score.grid >= 1 << 15:
        raise MidiError(f"a grid of {score.grid} steps per quarter cannot be written as MIDI")
    if score.length > LONGEST:
        raise MidiError(f"{score.length} steps are too long: a piece may have at most {LONGEST}")
    notes = len(score)
    tick = np.concatenate([score.end, score.onset]).astype(np.int64) * step
    starts = np.repeat([False, True], notes)  # a key is released before it is struck again
    pitch, velocity = np.tile(score.pitch, 2), np.tile(score.velocity, 2)
    order = np.lexsort((pitch, starts, tick))
    marker = f"musicbench grid={score.grid} length={score.length}".encode()
    track = [
        b"\x00\xff\x51\x03" + tempo.to_bytes(3, "big"),
        b"\x00\xff\x06" + _variable(len(marker)) + marker,
    ]
    now = 0
    for time, on, key, loud in zip(
        tick[order].tolist(),
        starts[order].tolist(),
        pitch[order].tolist(),
        velocity[order].tolist(),
        strict=True,
    ):
        track.append(_variable(time - now) + bytes((0x90, key, loud) if on else (0x80, key, 64)))
        now = time
    track.append(_variable(score.length * step - now) + b"\xff\x2f\x00")
    body = b"".join(track)
    header = struct.pack(">4sIHHH", b"MThd", 6, 0, 1, step * score.grid)
    return header + struct.pack(">4sI", b"MTrk", len(body)) + body


def _variable(number: int) -> bytes:
    """The number in MIDI's variable-length form: 7 bits per byte, the most significant first."""
    out = [number & 0x7F]
    while number := number >> 7:
        out.append(number & 0x7F | 0x80)
    return bytes(reversed(out))


def from_midi(
    source: Path | bytes,
    *,
    grid: int | None = None,
    clock: Clock = "beats",
    seconds_per_step: float = 0.125,
    beats: ArrayLike | None = None,
    name: str | None = None,
) -> Score:
    """The piece of a MIDI file of format 0 or 1; MidiError names the file and what is wrong.

    Drums and keys outside the piano are dropped, and tracks are merged. Onsets and ends are moved
    to the nearest step; a note has at least one step. A file that `to_midi` wrote gives an equal
    piece. Any other piece ends with its last note, rounded up to a whole quarter; a file without
    notes is an error.

    `grid` is in steps per quarter (by default 4, or that of a file written by `to_midi`). In music
    played without a metronome the file's quarters mean nothing: give the times of its `beats` in
    seconds, the first of which becomes step 0 (what comes before it is dropped), or let the `clock`
    count steps of `seconds_per_step`.
    """
    label = name or ("MIDI data" if isinstance(source, bytes) else str(source))
    if beats is not None:
        beats = _checked_beats(beats)
    if grid is not None and grid < 1:
        raise ValueError(f"grid: {grid} steps per quarter are too few; give at least 1")
    if not seconds_per_step > 0:
        raise ValueError(f"seconds_per_step: {seconds_per_step} must be more than 0")
    if clock not in ("beats", "seconds"):
        raise ValueError(f"clock: '{clock}' is neither 'beats' nor 'seconds'")
    try:
        return _read(_content(source), grid, clock, seconds_per_step, beats)
    except MidiError as error:
        raise MidiError(f"{label}: {error}") from None


def _content(source: Path | bytes) -> bytes:
    if isinstance(source, bytes):
        return source
    try:
        return source.read_bytes()
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise MidiError(f"it cannot be read: {reason}") from None


def _checked_beats(beats: ArrayLike) -> NDArray[np.float64]:
    times = np.asarray(beats, dtype=np.float64)
    if times.ndim != 1 or len(times) < 2 or not (np.diff(times) > 0).all():
        raise ValueError("beats: give at least two times in seconds, ascending")
    return times


def _read(
    content: bytes,
    given_grid: int | None,
    clock: Clock,
    seconds_per_step: float,
    beats: NDArray[np.float64] | None,
) -> Score:
    file = parse(content)
    grid, length = given_grid or GRID, 0
    marker = next(filter(None, map(_MARKER.fullmatch, file.markers)), None)
    if clock == "seconds" or beats is not None:
        marker = None
    if marker:
        grid = given_grid or int(marker[1]) or GRID
        length = -(-int(marker[2]) * grid // max(1, int(marker[1])))
    onset, end = (
        _steps(file, ticks, grid, clock, seconds_per_step, beats)
        for ticks in (file.onset, file.end)
    )
    length = max(length, int(end.max(initial=0)))
    if length > LONGEST:
        raise MidiError(f"it is {length} steps long; a piece may have at most {LONGEST}")
    keep = (file.pitch >= LOWEST) & (file.pitch <= HIGHEST) & (onset >= 0)
    if not marker and not keep.any():
        raise MidiError(
            f"it has no notes for the piano: {file.drums} drum notes and {len(keep)} others, "
            f"none of which is on keys {LOWEST} to {HIGHEST} and begins at step 0 or later"
        )
    score = Score.from_notes(
        onset[keep], (end - onset)[keep], file.pitch[keep], file.velocity[keep], grid=grid
    )
    return score.pad(length if marker else -(-score.length // grid) * grid)


def _steps(
    file: MidiFile,
    ticks: NDArray[np.int64],
    grid: int,
    clock: Clock,
    seconds_per_step: float,
    beats: NDArray[np.float64] | None,
) -> NDArray[np.int64]:
    """The nearest step to each tick; halves are rounded up."""
    if clock == "beats" and beats is None:
        if file.in_seconds:
            raise MidiError(
                "its times are film frames (SMPTE), not beats; read it with clock='seconds'"
            )
        quarter = int(file.division)
        return (2 * ticks * grid + quarter) // (2 * quarter)
    seconds = file.seconds(ticks)
    if beats is None:
        return np.floor(seconds / seconds_per_step + 0.5).astype(np.int64)
    # The tempo is constant between two beats, and beyond the outer ones that of the nearest two.
    beat = np.clip(np.searchsorted(beats, seconds, side="right") - 1, 0, len(beats) - 2)
    position = beat + (seconds - beats[beat]) / (beats[beat + 1] - beats[beat])
    return np.floor(position * grid + 0.5).astype(np.int64)


@dataclass(frozen=True)
class LeftOut:
    """A file that gave no piece, and why."""

    file: Path
    reason: str


def import_folder(
    folder: Path, *, progress: Callable[[int, int], None] | None = None, **options: Any
) -> tuple[dict[str, Score], list[LeftOut]]:
    """The pieces of a folder and all folders below it, sorted by id: the path without its suffix.

    Files that cannot be read are left out, with the reason. `progress` is called with the number of
    files done and of all files; `options` are those of `from_midi`.
    """
    if not folder.is_dir():
        raise MidiError(f"{folder} is no folder; give one with .mid or .midi files")
    files = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in (".mid", ".midi") and not path.is_dir()
    )
    pieces: dict[str, Score] = {}
    left_out = []
    for done, file in enumerate(files, 1):
        piece = file.relative_to(folder).with_suffix("").as_posix()
        name = file.relative_to(folder).as_posix()
        try:
            if piece in pieces:
                raise MidiError(f"{name}: another file already gave the piece '{piece}'")
            pieces[piece] = from_midi(file, name=name, **options)
        except MidiError as error:
            left_out.append(LeftOut(file, str(error)))
        if progress:
            progress(done, len(files))
    return pieces, left_out
