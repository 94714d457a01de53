"""Pieces of music: the Score, reading and writing MIDI, keys, audio.

It imports no other part of musicbench, and of other libraries only numpy; those for audio and MusPy
are loaded by the first call that needs them.
"""

from bench.music.audio import encode, render
from bench.music.loudness import normalise
from bench.music.midi import LeftOut, from_midi, import_folder, to_midi
from bench.music.score import GRID, HIGHEST, KEYS, LOWEST, Score, concatenate
from bench.music.smf import MidiError
from bench.music.soundfont import AudioError, soundfont

__all__ = [
    "GRID",
    "HIGHEST",
    "KEYS",
    "LOWEST",
    "AudioError",
    "LeftOut",
    "MidiError",
    "Score",
    "concatenate",
    "encode",
    "from_midi",
    "import_folder",
    "normalise",
    "render",
    "soundfont",
    "to_midi",
]
