"""Real music made worse in known ways, step by step: what metrics are tested on.

A ladder takes real excerpts and a level, and gives as many pieces of the same length. The same
random numbers give the same pieces.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.music import HIGHEST, LOWEST, Score, concatenate

Pieces = Sequence[Score]


@dataclass(frozen=True)
class Material:
    """The music from which corrupted pieces are made."""

    real: Pieces  # excerpts to corrupt, in an order without meaning
    train: Pieces  # whole training pieces
    copies: Pieces  # training excerpts as long as the real ones
    bar: int


Corruption = Callable[[Material, float, np.random.Generator], list[Score]]


@dataclass(frozen=True)
class Ladder:
    """A corruption and its levels, from the weakest to the strongest."""

    name: str
    levels: tuple[float, ...]
    corrupt: Corruption


def each(change: Callable[[Score, float, np.random.Generator], Score]) -> Corruption:
    """The corruption that makes this change to each piece by itself."""
    return lambda material, level, rng: [change(piece, level, rng) for piece in material.real]


def pitch_jitter(score: Score, share: float, rng: np.random.Generator) -> Score:
    """That share of the notes moved by one to six semitones, up or down."""
    hit = rng.random(len(score)) < share
    moved = score.pitch + rng.integers(1, 7, len(score)) * rng.choice([-1, 1], len(score))
    pitch = np.where(hit, np.clip(moved, LOWEST, HIGHEST), score.pitch)
    return rebuilt(score, pitch=pitch)


def onset_jitter(score: Score, share: float, rng: np.random.Generator) -> Score:
    """That share of the notes moved by one or two steps, earlier or later."""
    hit = rng.random(len(score)) < share
    moved = score.onset + rng.integers(1, 3, len(score)) * rng.choice([-1, 1], len(score))
    onset = np.where(hit, np.clip(moved, 0, score.length - 1), score.onset)
    return rebuilt(score, onset=onset)


def dropped_notes(score: Score, share: float, rng: np.random.Generator) -> Score:
    """That share of the notes left out."""
    keep = rng.random(len(score)) >= share
    return Score.from_notes(
        score.onset[keep],
        score.duration[keep],
        score.pitch[keep],
        score.velocity[keep],
        length=score.length,
        grid=score.grid,
    )


def added_notes(score: Score, share: float, rng: np.random.Generator) -> Score:
    """That share of notes added: at any step, within the piece's range, as long as others."""
    count = int(rng.binomial(len(score), share)) if len(score) else 0
    if not count:
        return score
    like = rng.integers(len(score), size=count)
    low, high = int(score.pitch.min()), int(score.pitch.max())
    return Score.from_notes(
        np.append(score.onset, rng.integers(score.length, size=count)),
        np.append(score.duration, score.duration[like]),
        np.append(score.pitch, rng.integers(low, high + 1, size=count)),
        np.append(score.velocity, score.velocity[like]),
        length=score.length,
        grid=score.grid,
    )


def shortened_notes(score: Score, share: float, rng: np.random.Generator) -> Score:
    """That share of the notes cut to a single step."""
    hit = rng.random(len(score)) < share
    return rebuilt(score, duration=np.where(hit, 1, score.duration))


def transposition(score: Score, semitones: float, rng: np.random.Generator) -> Score:
    """All notes moved up by that many semitones; those that leave the keyboard are lost."""
    return rebuilt(score, pitch=score.pitch + int(semitones))


def rebuilt(score: Score, **changed: NDArray[Any]) -> Score:
    """The piece with some of its arrays replaced."""
    arrays = {name: getattr(score, name) for name in ("onset", "duration", "pitch", "velocity")}
    return Score.from_notes(**(arrays | changed), length=score.length, grid=score.grid)


def bar_shuffle(material: Material, share: float, rng: np.random.Generator) -> list[Score]:
    """That share of the bars exchanged with each other, across pieces."""
    bar = material.bar
    bars = [
        [piece.slice(start, start + bar) for start in range(0, piece.length, bar)]
        for piece in material.real
    ]
    places = [
        (i, k) for i, parts in enumerate(bars) for k, part in enumerate(parts) if part.length == bar
    ]
    chosen = [place for place in places if rng.random() < share]
    source = [chosen[i] for i in rng.permutation(len(chosen))]
    moved = [bars[i][k] for i, k in source]
    for (i, k), part in zip(chosen, moved, strict=True):
        bars[i][k] = part
    return [concatenate(parts) for parts in bars]


def collapse(material: Material, share: float, rng: np.random.Generator) -> list[Score]:
    """The pieces with that share of them replaced by repetitions of the others."""
    count = len(material.real)
    left = max(1, round(count * (1 - share)))
    return [material.real[i % left] for i in range(count)]


def training_copies(material: Material, share: float, rng: np.random.Generator) -> list[Score]:
    """The pieces with that share of them replaced by training music, note for note."""
    count = len(material.real)
    copied = round(count * share)
    chosen = rng.permutation(len(material.copies))[:copied]
    copies = [material.copies[int(i)] for i in np.resize(chosen, copied)] if copied else []
    return [*copies, *material.real[copied:]]


# -- what ladders do not have: relations to the prompt, to the key, to the direction of time --------------


def swapped(pieces: Sequence[Score], sources: Sequence[str]) -> list[Score]:
    """Each prompt gets the continuation of another piece's."""
    count = len(pieces)
    shift = next(
        (
            k
            for k in range(count // 2, count)
            if all(sources[i] != sources[(i + k) % count] for i in range(count))
        ),
        count // 2,
    )
    return [pieces[(i + shift) % count] for i in range(count)]


def halves_exchanged(pieces: Sequence[Score], sources: Sequence[str]) -> list[Score]:
    """The second half from the continuation of another prompt."""
    others = swapped(pieces, sources)
    return [
        concatenate([mine.slice(0, middle), other.slice(middle, mine.length)])
        for mine, other in zip(pieces, others, strict=True)
        for middle in [mine.length // 2]
    ]


def bars_shuffled(piece: Score, bar: int, rng: np.random.Generator) -> Score:
    """The piece's own bars in a random order."""
    bars = [piece.slice(start, start + bar) for start in range(0, piece.length, bar)]
    return concatenate([bars[i] for i in rng.permutation(len(bars))])


def backwards(piece: Score) -> Score:
    """From the end to the beginning."""
    return rebuilt(piece, onset=piece.length - piece.end)


def upside_down(piece: Score) -> Score:
    """Intervals up become intervals down, around the piece's middle pitch."""
    if not len(piece):
        return piece
    turned = int(piece.pitch.min()) + int(piece.pitch.max()) - piece.pitch
    return rebuilt(piece, pitch=turned)


def random_key(piece: Score, rng: np.random.Generator) -> Score:
    """Moved by 1 to 6 semitones up or down."""
    moved = piece.pitch + int(rng.integers(1, 7)) * int(rng.choice([-1, 1]))
    return rebuilt(piece, pitch=np.clip(moved, LOWEST, HIGHEST))


def random_octaves(piece: Score, rng: np.random.Generator) -> Score:
    """Every note in an octave of its own."""
    moved = piece.pitch + 12 * rng.integers(-2, 3, len(piece))
    return rebuilt(piece, pitch=np.where((moved < LOWEST) | (moved > HIGHEST), piece.pitch, moved))


def first_half_twice(piece: Score) -> Score:
    """The first half, and again."""
    half = piece.slice(0, piece.length // 2)
    return concatenate([half, half]).pad(piece.length)


SHARES = (0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)
LADDERS = (
    Ladder("pitch jitter", SHARES, each(pitch_jitter)),
    Ladder("onset jitter", SHARES, each(onset_jitter)),
    Ladder("dropped notes", (*SHARES[1:], 0.95), each(dropped_notes)),
    Ladder("added notes", SHARES, each(added_notes)),
    Ladder("bar shuffle", (*SHARES[2:], 1.0), bar_shuffle),
    Ladder("transposition", (1, 2, 3, 4, 5, 6), each(transposition)),
    Ladder("shortened notes", SHARES[1:], each(shortened_notes)),
    Ladder("collapse", (0.25, 0.5, 0.75, 0.9, 0.95, 1.0), collapse),
    Ladder("training copies", (0.1, 0.25, 0.5, 0.75, 1.0), training_copies),
)


# -- whole sets -----------------------------------------------------------------------------------


def sets(material: Material, seed: int) -> dict[str, list[Score]]:
    """Sets of pieces by name: real music, and several kinds of pieces that are not."""
    rng = np.random.default_rng(seed)
    real, steps, grid = material.real, material.real[0].length, material.real[0].grid
    chord = Score.from_notes([0] * 4, [steps] * 4, [48, 55, 64, 72], length=steps, grid=grid)
    return {
        "human": list(real),
        "markov": markov(material, rng),
        "jitter": [pitch_jitter(piece, 0.6, rng) for piece in real],
        "noise": noise(material, rng),
        "silence": [Score.silence(steps, grid)] * len(real),
        "chord": [chord] * len(real),
        "one_piece": [real[0]] * len(real),
        "copy": training_copies(material, 1.0, rng),
    }


def noise(material: Material, rng: np.random.Generator) -> list[Score]:
    """At every step each key sounds independently, as often as in training."""
    rolls = [piece.sounding() for piece in material.train]
    rates = sum(roll.sum(axis=0) for roll in rolls) / max(1, sum(len(roll) for roll in rolls))
    return [
        Score.from_rolls(rng.random((piece.length, len(rates))) < rates, grid=piece.grid)
        for piece in material.real
    ]


def markov(material: Material, rng: np.random.Generator) -> list[Score]:
    """Chord after chord, as often as in training one follows the other at that step of the bar."""
    rolls = [(piece.sounding(), piece.onsets()) for piece in material.train]
    follows: dict[tuple[int, bytes], list[tuple[int, int]]] = {}
    anywhere: list[list[tuple[int, int]]] = [[] for _ in range(material.bar)]
    for number, (sounding, _) in enumerate(rolls):
        for step, chord in enumerate(sounding):
            anywhere[step % material.bar].append((number, step))
            if step + 1 < len(sounding):
                key = (step % material.bar, chord.tobytes())
                follows.setdefault(key, []).append((number, step + 1))
    pieces = []
    for piece in material.real:
        path = []
        options = anywhere[0]
        for step in range(piece.length):
            number, source = options[int(rng.integers(len(options)))]
            path.append((rolls[number][0][source], rolls[number][1][source]))
            key = (step % material.bar, rolls[number][0][source].tobytes())
            options = follows.get(key) or anywhere[(step + 1) % material.bar]
        sounding, onsets = (np.array(part) for part in zip(*path, strict=True))
        pieces.append(Score.from_rolls(sounding, onsets, grid=piece.grid))
    return pieces
