"""Pieces as the pages show and play them: what the player gets, and how music is distributed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.contract import Floats
from bench.data import cache_dir
from bench.files import write
from bench.music import Score, concatenate, encode, normalise, render
from bench.protocol.sampling import Prompt

QPM = 120.0  # quarter notes per minute: pieces keep no tempo
RECIPE = "1 mono"  # raise it when the sound of a cached file would change
LONGEST = 60.0  # seconds of a piece that are played at a time
CACHE_MB = 500  # of audio kept on the disk


@dataclass(frozen=True)
class Clip:
    """What one player shows and plays."""

    label: str
    score: Score
    prompt: int = 0  # steps that were given: at the beginning, or, below 0, at the end


def continued(label: str, prompt: Prompt | None, sample: Score) -> Clip:
    """A sample behind the prompt that it continues, or before the ending that it leads up to."""
    if prompt is None or not prompt.score.length or prompt.score.grid != sample.grid:
        return Clip(label, sample)
    if prompt.backward:
        return Clip(label, concatenate([sample, prompt.score]), -prompt.score.length)
    return Clip(label, concatenate([prompt.score, sample]), prompt.score.length)


def seconds_per_step(score: Score) -> float:
    """How long a step lasts."""
    return 60 / QPM / score.grid


def audio(score: Score) -> bytes:
    """The piece as MP3, at the loudness all pieces have; made once and kept on the disk."""
    recipe = f"{RECIPE} {QPM} {score.content_hash}"
    path = cache_dir() / "audio" / f"{hashlib.sha256(recipe.encode()).hexdigest()[:40]}.mp3"
    try:
        kept = path.read_bytes()
        if kept:
            return kept
    except OSError:
        pass
    samples, rate = render(score, QPM)
    made = encode(normalise(samples, rate=rate)[:, :1], rate, "mp3")
    try:
        write(path, made)
        make_room(CACHE_MB * 2**20)
    except OSError:
        pass  # a cache that cannot be written only costs time
    return made


def make_room(limit: int) -> None:
    """Remove the oldest audio files beyond `limit` bytes."""
    files = sorted(
        (cache_dir() / "audio").glob("*.mp3"), key=lambda f: f.stat().st_mtime, reverse=True
    )
    total = 0
    for file in files:
        total += file.stat().st_size
        if total > limit:
            file.unlink(missing_ok=True)


def pitch_range(scores: Sequence[Score]) -> tuple[int, int]:
    """Keys that hold all notes, at least two octaves, so that pieces side by side compare."""
    notes = [score.pitch for score in scores if len(score)]
    if not notes:
        return 48, 72
    low, high = min(int(n.min()) for n in notes), max(int(n.max()) for n in notes)
    missing = max(0, 24 - (high - low))
    return max(21, low - 1 - missing // 2), min(108, high + 1 + (missing + 1) // 2)


def payload(clip: Clip, keys: tuple[int, int]) -> bytes:
    """What the player gets: the length of a description, the description, the audio."""
    score = clip.score
    about = {
        "label": clip.label,
        "notes": np.stack([score.onset, score.duration, score.pitch], axis=1).tolist(),
        "steps": score.length,
        "grid": score.grid,
        "prompt": clip.prompt,
        "step": seconds_per_step(score),
        "low": keys[0],
        "high": keys[1],
    }
    text = json.dumps(about).encode()
    return len(text).to_bytes(4, "big") + text + audio(score)


# -- distributions ---------------------------------------------------------------------------------

PITCH_CLASSES = ("C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B")
DURATIONS = (1, 2, 3, 4, 6, 8, 12, 16)  # upper ends of the bins, in sixteenths of a whole
CHORD = 7  # keys: so many or more share a bin
LEAP = 12  # semitones: so many or more share a bin

Shares = dict[str, Floats]


def shares(counts: Any) -> Floats:
    """Counts as shares of their sum; all zero where there is nothing to count."""
    counts = np.asarray(counts, dtype=np.float64)
    return np.asarray(counts / counts.sum()) if counts.sum() else counts


def pitch_classes(pieces: Sequence[Score]) -> Floats:
    """(12,) share of the notes by pitch class."""
    pitch = np.concatenate([p.pitch for p in pieces]) if pieces else np.zeros(0, dtype=int)
    return shares(np.bincount(pitch % 12, minlength=12))


def durations(pieces: Sequence[Score]) -> Floats:
    """(9,) share of the notes by duration, in sixteenths; the last bin holds what is longer."""
    lengths = [p.duration * 4 / p.grid for p in pieces]
    bins = np.searchsorted(DURATIONS, np.concatenate(lengths)) if lengths else np.zeros(0, int)
    return shares(np.bincount(bins, minlength=len(DURATIONS) + 1))


def polyphony(pieces: Sequence[Score]) -> Floats:
    """(8,) share of the steps by the number of sounding keys; the last bin holds more."""
    keys = [p.sounding().sum(axis=1) for p in pieces]
    bins = np.minimum(np.concatenate(keys), CHORD) if keys else np.zeros(0, dtype=int)
    return shares(np.bincount(bins, minlength=CHORD + 1))


def top_voice(piece: Score) -> Any:
    """The highest note of every onset, in order."""
    if not len(piece):
        return piece.pitch
    last = np.append(piece.onset[1:] != piece.onset[:-1], True)  # notes are sorted by pitch
    return piece.pitch[last]


def intervals(pieces: Sequence[Score]) -> Floats:
    """(25,) share of the steps of the top voice by semitones, down to up; the ends hold leaps."""
    moves = [np.diff(top_voice(p)) for p in pieces]
    bins = np.clip(np.concatenate(moves), -LEAP, LEAP) if moves else np.zeros(0, dtype=int)
    return shares(np.bincount(bins + LEAP, minlength=2 * LEAP + 1))


DISTRIBUTIONS: Mapping[str, tuple[Any, tuple[str, ...], str]] = {
    "Pitch classes": (pitch_classes, PITCH_CLASSES, "share of notes"),
    "Durations, in sixteenths": (
        durations,
        ("1", "2", "3", "4", "5–6", "7–8", "9–12", "13–16", "more"),
        "share of notes",
    ),
    "Keys sounding together": (
        polyphony,
        (*map(str, range(CHORD)), f"{CHORD}+"),
        "share of steps",
    ),
    "Moves of the top voice, in semitones": (
        intervals,
        (f"≤−{LEAP}", *(f"{i:+d}" if i else "0" for i in range(1 - LEAP, LEAP)), f"≥+{LEAP}"),
        "share of moves",
    ),
}
