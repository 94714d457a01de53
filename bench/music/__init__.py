"""Pieces of music: the Score, MIDI in and out, keys, audio. Imports nothing else of ours.

Importing it loads numpy only; the libraries for audio and MusPy come with the first call.
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
