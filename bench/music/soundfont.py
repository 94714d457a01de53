"""Reads the piano of a SoundFont 2 file: the part of the format that is needed to play it in tune.

symusic's synthesiser plays this file at wrong pitches: it ignores the root keys and tunings of
instrument zones (generators 51, 52 and 58 of the SoundFont 2.04 specification).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.music.score import HIGHEST, LOWEST, VELOCITY

_FILE = "TimGM6mb.sf2"
_TABLES = {
    "phdr": [("name", "S20"), ("program", "<u2"), ("bank", "<u2"), ("bag", "<u2"), ("", "V12")],
    "pbag": [("gen", "<u2"), ("", "<u2")],
    "pgen": [("kind", "<u2"), ("amount", "<i2")],
    "inst": [("name", "S20"), ("bag", "<u2")],
    "ibag": [("gen", "<u2"), ("", "<u2")],
    "igen": [("kind", "<u2"), ("amount", "<i2")],
    "shdr": [
        *[("name", "S20"), ("start", "<u4"), ("end", "<u4"), ("loop", "<u4"), ("loop_end", "<u4")],
        *[("rate", "<u4"), ("key", "u1"), ("correction", "i1"), ("link", "<u2"), ("type", "<u2")],
    ],
}
# Generators, section 8.1.2; those that a zone does not set are 0, or as in _DEFAULTS.
_FILTER, _ENV_TO_FILTER, _INSTRUMENT, _KEYS, _VELOCITIES, _SAMPLE = 8, 11, 41, 43, 44, 53
_HOLD, _DECAY, _SUSTAIN, _RELEASE = 35, 36, 37, 38  # of the volume's envelope
_ATTENUATION, _COARSE, _FINE, _ROOT = 48, 51, 52, 58
_DEFAULTS = {_FILTER: 13500, _HOLD: -12000, _DECAY: -12000, _RELEASE: -12000, _ROOT: -1}


Records = NDArray[np.void]  # rows of a table


class AudioError(RuntimeError):
    """Something that cannot be rendered or encoded: what, why, and what to do."""


@dataclass(frozen=True)
class Voice:
    """How a key sounds: a recording, played in a loop at some speed, filtered and faded."""

    wave: NDArray[np.float64]
    loop: tuple[int, int]  # frames of `wave`
    speed: float  # frames of `wave` per second
    gain: float
    cutoff: float  # Hz
    hold: float  # seconds at full level
    fall: float  # dB per second after that
    release: float  # dB per second once released


def soundfont() -> Path:
    """The soundfont that comes with pretty_midi: TimGM6mb by Tim Brechbill, GPL-2."""
    from importlib.util import find_spec

    package = find_spec("pretty_midi")
    file = Path(package.origin).with_name(_FILE) if package and package.origin else None
    if file is None or not file.is_file():
        raise AudioError(
            f"the soundfont {_FILE} of the package pretty_midi is missing; "
            "`pip install --force-reinstall pretty_midi` restores it"
        )
    return file


@cache
def piano(file: Path) -> dict[int, Voice]:
    """The voices of the file's first program, by key."""
    try:
        return dict(_voices(file.read_bytes()))
    except (OSError, KeyError, IndexError, ValueError, RuntimeError) as error:
        raise AudioError(
            f"{file} cannot be played: {type(error).__name__} {error}; is it SoundFont 2?"
        ) from error


def _voices(data: bytes) -> Iterator[tuple[int, Voice]]:
    chunks = dict(_chunks(data))
    recorded = np.frombuffer(chunks["smpl"], dtype="<i2")
    table = {name: np.frombuffer(chunks[name], dtype=dtype) for name, dtype in _TABLES.items()}
    presets = table["phdr"]
    first = int(np.nonzero((presets["program"] == 0) & (presets["bank"] == 0))[0][0])
    preset = next(zone for zone in _zones(table, "p", presets, first) if _INSTRUMENT in zone)
    zones = [
        zone for zone in _zones(table, "i", table["inst"], preset[_INSTRUMENT]) if _SAMPLE in zone
    ]
    for key in range(LOWEST, HIGHEST + 1):
        zone = next(
            zone
            for zone in zones
            if _within(key, zone.get(_KEYS)) and _within(VELOCITY, zone.get(_VELOCITIES))
        )
        yield key, _voice(key, zone, table["shdr"][zone[_SAMPLE]], recorded)


def _chunks(data: bytes) -> Iterator[tuple[str, bytes]]:
    if data[:4] != b"RIFF" or data[8:12] != b"sfbk":
        raise ValueError("no RIFF sfbk")
    at = 12
    while at + 8 <= len(data):
        name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if name == b"LIST":
            at += 12  # its chunks follow
        else:
            yield name.decode("latin-1"), data[at + 8 : at + 8 + size]
            at += 8 + size + size % 2


def _zones(
    table: dict[str, Records], level: str, owners: Records, index: int
) -> Iterator[dict[int, int]]:
    """The generators of each zone of a preset (p) or instrument (i)."""
    bags, generators = table[f"{level}bag"]["gen"], table[f"{level}gen"]
    for bag in range(owners["bag"][index], owners["bag"][index + 1]):
        zone = generators[bags[bag] : bags[bag + 1]]
        yield dict(zip(zone["kind"].tolist(), zone["amount"].tolist(), strict=True))


def _within(value: int, span: int | None) -> bool:
    return span is None or span & 0xFF <= value <= span >> 8 & 0xFF


def _voice(key: int, zone: dict[int, int], sample: np.void, recorded: NDArray[np.int16]) -> Voice:
    def seconds(kind: int) -> float:  # from time cents
        return float(2 ** (_amount(zone, kind) / 1200))

    start, loop, loop_end = (int(sample[name]) for name in ("start", "loop", "loop_end"))
    root = _amount(zone, _ROOT)
    root = root if root >= 0 else int(sample["key"])
    cents = 100 * (key - root + _amount(zone, _COARSE)) + _amount(zone, _FINE)
    cents += int(sample["correction"])
    # The filter's envelope starts open and closes within seconds; here it stays open.
    cutoff = 8.176 * 2 ** ((_amount(zone, _FILTER) + _amount(zone, _ENV_TO_FILTER)) / 1200)
    return Voice(
        wave=recorded[start : loop_end + 1] / 2**15,
        loop=(loop - start, loop_end - start),
        speed=float(sample["rate"]) * 2 ** (cents / 1200),
        gain=10 ** (-_amount(zone, _ATTENUATION) / 200),
        cutoff=cutoff,
        hold=seconds(_HOLD),
        fall=_amount(zone, _SUSTAIN) / 10 / seconds(_DECAY),
        release=100 / seconds(_RELEASE),
    )


def _amount(zone: dict[int, int], kind: int) -> int:
    return zone.get(kind, _DEFAULTS.get(kind, 0))
