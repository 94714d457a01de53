"""Scores as audio: rendered with a piano, and encoded as files."""

from __future__ import annotations

import io
import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bench.music.loudness import Samples
from bench.music.score import Score
from bench.music.soundfont import AudioError, Voice, piano, soundfont

__all__ = ["RATE", "TAIL", "AudioError", "Format", "encode", "render", "soundfont"]

RATE = 44100  # frames per second
TAIL = 0.5  # seconds after the piece in which the last notes fade away
LONGEST = 3600  # seconds

Format = Literal["wav", "flac", "mp3", "ogg"]

# libsndfile applies a bit-rate mode only together with a compression level: 0.5 is 160 kbit/s.
# Browsers seek wrongly in MP3 files of variable rate.
_ENCODINGS: dict[str, dict[str, str | float]] = {
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
_BLOCK = 8192  # frames; a minute of Vorbis written at once overflows libsndfile's stack
_ATTACK = 0.001  # seconds, so that no note begins with a click
_DAMPED = 80  # dB below its level at which a released note is cut off


def render(score: Score, qpm: float = 120) -> tuple[Samples, int]:
    """The piece on a piano as (frames, 2) float32, and the rate; the same bits every time.

    It lasts as long as the piece, silence at its end included, and half a second more. Velocities
    are ignored, as not all systems produce them: every note is played with the same loudness.
    """
    if not 0 < qpm < math.inf:
        raise AudioError(f"a tempo of {qpm} quarter notes a minute cannot be played; try 120")
    step = 60 / qpm / score.grid  # seconds
    seconds = score.length * step + TAIL
    if seconds > LONGEST:
        raise AudioError(f"{seconds:.0f} seconds of music are too long; render an excerpt")
    mono = np.zeros(round(seconds * RATE))
    begins, ends = (np.round(at * step * RATE).astype(int) for at in (score.onset, score.end))
    voices = piano(soundfont())
    for pitch in np.unique(score.pitch).tolist():
        notes = score.pitch == pitch
        lengths = ends[notes] - begins[notes]
        tone, damping = _tone(voices[pitch], int(lengths.max()))
        for start, length in zip(begins[notes].tolist(), lengths.tolist(), strict=True):
            sound = tone[: length + len(damping)].copy()
            sound[length:] *= damping
            stop = min(start + len(sound), len(mono))
            mono[start:stop] += sound[: stop - start]
    tail = round(TAIL * RATE)
    mono[-tail:] *= np.linspace(1, 0, tail)
    return np.repeat(mono.astype(np.float32)[:, None], 2, axis=1), RATE


def _tone(voice: Voice, frames: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A key held for some frames and longer, and the factors that damp it once it is released."""
    from scipy.signal import butter, sosfilt

    damping = _decibels(-voice.release * np.arange(round(_DAMPED / voice.release * RATE)) / RATE)
    time = np.arange(frames + len(damping)) / RATE
    position, (loop, loop_end) = time * voice.speed, voice.loop
    looped = loop + (position - loop) % (loop_end - loop)
    position = np.where(position < loop, position, looped)
    tone = np.interp(position, np.arange(len(voice.wave)), voice.wave) * voice.gain
    if voice.cutoff < RATE / 2:
        tone = sosfilt(butter(2, voice.cutoff, fs=RATE, output="sos"), tone)
    tone *= _decibels(-voice.fall * np.maximum(0, time - voice.hold))
    tone *= np.minimum(1, time / _ATTACK)
    return tone, damping


def _decibels(level: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(10 ** (level / 20))


def encode(samples: Samples, rate: int, format: Format) -> bytes:
    """The samples as an audio file; MP3 at a constant rate.

    The same bytes every time, except for OGG, whose streams contain a random number.
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
