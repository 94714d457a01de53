"""Parses Standard MIDI Files (RP-001) so that no content can crash it or give wrong notes.

C++ parsers that we tested read beyond a truncated track, wrapped long times to negative ones and
kept a tempo of zero; here every length is checked before it is used.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DRUMS = 9  # the percussion channel, counted from 0
MICROSECONDS = 500_000  # per quarter note until a file sets a tempo: 120 per minute

_DATA_BYTES = {0x80: 2, 0x90: 2, 0xA0: 2, 0xB0: 2, 0xC0: 1, 0xD0: 1, 0xE0: 2}
_NOTE_OFF, _NOTE_ON, _SYSEX, _ESCAPE, _META = 0x80, 0x90, 0xF0, 0xF7, 0xFF
_MARKER, _END, _TEMPO = 0x06, 0x2F, 0x51

Ticks = NDArray[np.int64]


class MidiError(ValueError):
    """A MIDI file that cannot be read or written: which one, why, and what to do."""


@dataclass(frozen=True)
class MidiFile:
    """The notes of a file, in ticks: `division` of them make a quarter note, or a second.

    Drums are counted, but not kept. A note that is never released is not kept either.
    """

    division: float
    in_seconds: bool  # SMPTE division: ticks per second, without beats
    onset: Ticks  # (notes,)
    end: Ticks  # (notes,)
    pitch: Ticks  # (notes,)
    velocity: Ticks  # (notes,)
    drums: int
    tempo_at: Ticks  # (tempi,) ascending
    tempo: Ticks  # (tempi,) microseconds per quarter from there on
    markers: tuple[str, ...]

    def seconds(self, ticks: Ticks) -> NDArray[np.float64]:
        """The times of the ticks in seconds, with every tempo change applied."""
        if self.in_seconds:
            return ticks / self.division
        starts = np.concatenate([[0], self.tempo_at])
        tempo = np.concatenate([[MICROSECONDS], self.tempo]) / 1e6 / self.division
        begins = np.concatenate([[0.0], np.cumsum(np.diff(starts) * tempo[:-1])])
        segment = np.searchsorted(starts, ticks, side="right") - 1
        return np.asarray(begins[segment] + (ticks - starts[segment]) * tempo[segment])


def parse(data: bytes) -> MidiFile:
    """The notes of a file of format 0 or 1; MidiError says what is wrong with any other file."""
    if not data:
        raise MidiError("the file is empty")
    if data[:4] != b"MThd":
        raise MidiError(f"this is no MIDI file: it begins with {data[:4]!r}, not with b'MThd'")
    if len(data) < 14:
        raise MidiError("the file is truncated: its header is incomplete")
    header, form, announced, division = (
        int.from_bytes(data[a:b], "big") for a, b in ((4, 8), (8, 10), (10, 12), (12, 14))
    )
    tracks = list(_chunks(data, 8 + header))
    if form > 2:
        raise MidiError(f"format {form} is unknown; only 0 and 1 can be read")
    if form == 2 and len(tracks) > 1:
        raise MidiError(f"format 2: it holds {len(tracks)} separate pieces; save each on its own")
    if len(tracks) < announced:
        raise MidiError(
            f"the file is truncated: it has {len(tracks)} of the {announced} tracks in its header"
        )
    ticks, in_seconds = float(division), division >= 0x8000
    if in_seconds:
        frames = 0x100 - (division >> 8)
        if frames not in (24, 25, 29, 30):
            raise MidiError(f"its division {division:#06x} means neither ticks nor film frames")
        ticks = (30 / 1.001 if frames == 29 else frames) * (division & 0xFF)
    if not ticks:
        raise MidiError("a quarter note has 0 ticks in this file")

    notes: list[tuple[int, int, int, int]] = []
    tempi: list[tuple[int, int]] = []
    markers: list[str] = []
    drums = 0
    for number, (start, stop) in enumerate(tracks, 1):
        try:
            drums += _read_track(data[start:stop], notes, tempi, markers)
        except IndexError:
            raise MidiError(f"track {number} breaks off in the middle of an event") from None
        except _BadByte as error:
            position = start + error.position
            raise MidiError(f"track {number}: {error.problem}, at byte {position}") from None
    tempi.sort(key=lambda tempo: tempo[0])
    onset, end, pitch, velocity = np.array(notes, dtype=np.int64).reshape(-1, 4).T
    tempo_at, tempo = np.array(tempi, dtype=np.int64).reshape(-1, 2).T
    return MidiFile(
        ticks, in_seconds, onset, end, pitch, velocity, drums, tempo_at, tempo, tuple(markers)
    )


class _BadByte(Exception):
    def __init__(self, problem: str, position: int) -> None:
        self.problem, self.position = problem, position


def _chunks(data: bytes, at: int) -> Iterator[tuple[int, int]]:
    """The first byte of each track chunk's content, and the end; other chunks are skipped."""
    while at + 8 <= len(data):
        kind, start = data[at : at + 4], at + 8
        at = start + int.from_bytes(data[at + 4 : start], "big")
        if kind == b"MTrk":
            if at > len(data):
                raise MidiError(f"the file is truncated: {at - len(data)} bytes are missing")
            yield start, at


def _read_track(
    track: bytes,
    notes: list[tuple[int, int, int, int]],
    tempi: list[tuple[int, int]],
    markers: list[str],
) -> int:
    """Append a track's events to the lists, and return the number of its drum notes.

    A release ends the oldest note that is held on its key and channel. Reading beyond the track
    raises IndexError.
    """
    held: dict[int, list[tuple[int, int]]] = defaultdict(list)  # by channel and key
    at = now = status = drums = 0
    size = len(track)

    def number() -> int:  # in variable-length form: 7 bits per byte, at most 4 bytes
        nonlocal at
        value = 0
        for _ in range(4):
            byte = track[at]
            at += 1
            value = value << 7 | byte & 0x7F
            if byte < 0x80:
                return value
        raise _BadByte("a number of more than 4 bytes", at)

    while at < size:
        now += number()
        event = track[at]
        if event >= _SYSEX:
            at += 1
            if event == _META:
                kind = track[at]
                at += 1
            elif event in (_SYSEX, _ESCAPE):
                kind = -1
            else:
                raise _BadByte(f"impossible event {event:#04x}", at - 1)
            length = number()
            at += length
            if at > size:
                raise IndexError
            if kind == _END:
                break
            content = track[at - length : at]
            if kind == _TEMPO and length == 3 and any(content):
                tempi.append((now, int.from_bytes(content, "big")))
            elif kind == _MARKER:
                markers.append(content.decode("latin-1"))
            continue
        if event >= 0x80:
            status = event
            at += 1
        elif not status:
            raise _BadByte(f"data byte {event:#04x} before any event", at)
        kind = status & 0xF0
        key = track[at]
        value = track[at + 1] if _DATA_BYTES[kind] == 2 else 0
        if key > 0x7F or value > 0x7F:
            raise _BadByte("a data byte above 0x7f", at)
        at += _DATA_BYTES[kind]
        if kind == _NOTE_ON and value:
            if status & 0x0F == DRUMS:
                drums += 1
            else:
                held[status << 7 & 0x780 | key].append((now, value))
        elif kind in (_NOTE_ON, _NOTE_OFF):
            pending = held[status << 7 & 0x780 | key]
            if pending:
                onset, velocity = pending.pop(0)
                notes.append((onset, now, key, velocity))
    return drums
