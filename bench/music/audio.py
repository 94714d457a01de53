"""Scores made audible: rendered with a piano, and encoded as audio files."""

from __future__ import annotations

import io
import math
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np

from bench.music.loudness import Samples
from bench.music.score import VELOCITY, Score

RATE = 44100  # frames per second
TAIL = 0.5  # seconds after the piece in which the last notes die away
LONGEST = 3600  # seconds

Format = Literal["wav", "flac", "mp3", "ogg"]

# libsndfile heeds a bit-rate mode only beside a compression level: 0.5 is 160 kbit/s. Browsers
# seek wrongly in MP3 files of variable rate.
_ENCODINGS: dict[str, dict[str, Any]] = {
    "wav": {"format": "WAV", "subtype": "PCM_16"},
    "flac": {"format": "FLAC", "subtype": "PCM_16"},
    "ogg": {"format": "OGG", "subtype": "VORBIS"},
    "mp3": {
        "format": "MP3",
        "subtype": "MPEG_LAYER_III",
        "bitrate_mode": "CONSTANT",
        "compression_level": 0.5,
    },
}
_BLOCK = 8192  # frames; libsndfile overflows the stack on a minute of Vorbis written at once
_QUALITY = 4  # of the synthesiser: 5 and above give silence


class AudioError(RuntimeError):
    """Something that cannot be made audible: what, why, and what to do."""


def soundfont() -> Path:
    """The soundfont that pretty_midi brings along: TimGM6mb by Tim Brechbill, GPL-2."""
    from importlib.util import find_spec

    package = find_spec("pretty_midi")
    folder = Path(package.origin).parent if package and package.origin else None
    if folder is None or not (folder / "TimGM6mb.sf2").is_file():
        raise AudioError(
            "the soundfont TimGM6mb.sf2 of the package pretty_midi is missing; "
            "`pip install --force-reinstall pretty_midi` brings it back"
        )
    return folder / "TimGM6mb.sf2"


@cache
def _synthesizer(font: Path) -> Any:
    from symusic import core

    return core.Synthesizer(str(font), RATE, _QUALITY)


def render(score: Score, qpm: float = 120) -> tuple[Samples, int]:
    """The piece on a piano as (frames, 2) float32, and the rate; the same bits every time.

    It lasts as long as the piece, trailing silence included, and half a second more. Every note
    is equally loud: the velocities that some systems make and others do not are not heard.
    """
    from symusic import core

    if not 0 < qpm < math.inf:
        raise AudioError(f"a tempo of {qpm} quarter notes a minute cannot be played; try 120")
    step = 60 / qpm / score.grid  # seconds
    seconds = score.length * step + TAIL
    if seconds > LONGEST:
        raise AudioError(f"{seconds:.0f} seconds of music are too much; render an excerpt")
    samples = np.zeros((round(seconds * RATE), 2), dtype=np.float32)
    if not len(score):
        return samples, RATE
    # The synthesiser stops dead with the last note, so one more follows and is cut off again.
    beyond = math.ceil(seconds / step) + 1
    onset = np.append(score.onset, beyond).astype(np.int32)
    duration = np.append(score.duration, 1).astype(np.int32)
    pitch = np.append(score.pitch, 60).astype(np.int8)
    track = core.TrackTick("", 0, False)
    track.notes = core.NoteTickList.from_numpy(
        onset, duration, pitch, np.full_like(pitch, VELOCITY)
    )
    music = core.ScoreTick(score.grid)
    music.tempos.append(core.TempoTick(0, mspq=round(60e6 / qpm)))
    music.tracks.append(track)
    sound = _synthesizer(soundfont()).render(music, True).T[: len(samples)]
    samples[: len(sound)] = sound
    tail = round(TAIL * RATE)
    samples[-tail:] *= np.linspace(1, 0, tail, dtype=np.float32)[:, None]
    return samples, RATE


def encode(samples: Samples, rate: int, format: Format) -> bytes:
    """The samples as an audio file; MP3 at a constant rate.

    The same bytes every time, but for OGG, whose streams carry a random number.
    """
    import soundfile

    if format not in _ENCODINGS:
        raise AudioError(f"the audio format '{format}' is none of {', '.join(_ENCODINGS)}")
    buffer = io.BytesIO()
    settings = _ENCODINGS[format]
    with soundfile.SoundFile(buffer, "w", rate, samples.shape[1], **settings) as file:
        for start in range(0, len(samples), _BLOCK):
            file.write(samples[start : start + _BLOCK])
    return buffer.getvalue()
