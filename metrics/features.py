"""59 features that describe four bars of music, and the space in which metrics compare them.

Everything is counted in quarters and bars, so that a feature means the same on any grid. A share of
nothing (intervals where no two keys sound, pitches of silence) is NaN: in the space it lies as far
from music as possible, so that silence does not count as average music.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.contract import Floats, Reference
from bench.music import KEYS, LOWEST, Score
from bench.music.key import PROFILES
from metrics.shared import shared

BARS = 4  # per window
COMPONENTS = 16
FARTHEST = 5.0  # standard deviations: a single outlier must not decide a mean
RARE = 0.05  # a feature is usual when a smaller share of the training windows lacks it
CHUNK = 256  # windows at a time

Rolls = NDArray[np.bool_]  # (windows, steps, 88)

_SCALES = np.array([np.roll([1, 0, 1, 0, 1, 1, 0, 1, 0, 1, 0, 1], tonic) for tonic in range(12)])
_FITS = (PROFILES - PROFILES.mean(axis=1, keepdims=True)) / PROFILES.std(axis=1, keepdims=True)
_STEPS = (0, 1, 2, 4, 7)  # semitones: upper bounds of the classes of melodic intervals
_WAITS = (0.25, 0.5, 1.0, 2.0)  # quarters from attack to attack
FEATURES = (
    "onsets_per_beat",
    *(f"sounding_{n}" for n in ("0", "1", "2", "3", "4_or_more")),
    *(f"pitch_{n}" for n in ("mean", "sd", "range", "number")),
    "scale_consistency",
    "pitch_class_entropy",
    *(f"degree_{n}" for n in range(12)),
    *(f"onset_in_beat_{n}" for n in range(4)),
    *(f"onset_in_bar_{n}" for n in range(4)),
    *(f"interval_class_{n}" for n in range(1, 7)),
    *(f"skyline_{n}" for n in ("0", "1", "2", "3_4", "5_7", "8_or_more")),
    *(f"bass_{n}" for n in ("0", "1", "2", "3_4", "5_7", "8_or_more")),
    "sustain",
    *(f"wait_{n}" for n in ("sixteenth", "eighth", "quarter", "half", "longer")),
    "bars_alike",
    "rhythms_alike",
    "changes_per_beat",
)


@dataclass(frozen=True)
class Windows:
    """Windows of pieces: their features, and the piece that each is from."""

    features: Floats  # (windows, 59), NaN where a window has nothing to describe
    piece: NDArray[np.int64]  # (windows,) increasing
    pieces: int


def window_steps(reference: Reference) -> int:
    """The steps per window: four bars, or a whole sample where samples are shorter."""
    return max(1, min(BARS * reference.bar, reference.steps))


@shared
def windows(pieces: Sequence[Score], steps: int, bar: int, grid: int) -> Windows:
    """The windows of all pieces; the rest of a piece that is too short for a window is left out.

    A piece that is shorter than a window is one window, filled up with silence.
    """
    counts = np.array([max(1, piece.length // steps) for piece in pieces], dtype=np.int64)
    features = [np.zeros((0, len(FEATURES)))]
    for sounding, onsets in _rolls(pieces, steps):
        features.append(describe(sounding, onsets, bar, grid))
    return Windows(np.concatenate(features), np.repeat(np.arange(len(pieces)), counts), len(pieces))


def _rolls(pieces: Sequence[Score], steps: int) -> Iterator[tuple[Rolls, Rolls]]:
    """Rolls (windows, steps, 88) of what sounds and what is struck, in blocks of windows."""
    held: list[tuple[Rolls, Rolls]] = []
    count = 0
    for piece in pieces:
        whole = max(1, piece.length // steps)
        rolls = []
        for roll in (piece.sounding(), piece.onsets()):
            if piece.length < steps:
                roll = np.pad(roll, ((0, steps - piece.length), (0, 0)))
            rolls.append(roll[: whole * steps].reshape(whole, steps, KEYS))
        held.append((rolls[0], rolls[1]))
        count += whole
        if count >= CHUNK:
            yield np.concatenate([a for a, _ in held]), np.concatenate([b for _, b in held])
            held, count = [], 0
    if held:
        yield np.concatenate([a for a, _ in held]), np.concatenate([b for _, b in held])


def describe(sounding: Rolls, onsets: Rolls, bar: int, grid: int) -> Floats:
    """(windows, 59) the features of rolls (windows, steps, 88)."""
    count, steps, _ = sounding.shape
    quarters = steps / grid
    step = np.arange(steps)
    begun = onsets.sum(axis=2)  # (windows, steps)
    keys = sounding.sum(axis=2)
    held = sounding.sum(axis=1)  # (windows, 88)
    used = held > 0
    total = held.sum(axis=1)
    pitch = np.arange(LOWEST, LOWEST + KEYS)
    mean = _share(held @ pitch, total)
    spread = np.sqrt(np.maximum(_share(held @ pitch**2, total) - mean**2, 0))
    some = np.where(total > 0, 1.0, np.nan)
    first, last = used.argmax(axis=1), KEYS - 1 - used[:, ::-1].argmax(axis=1)
    classes = np.zeros((count, 12))
    for key in range(12):
        classes[:, (LOWEST + key) % 12] = held[:, key::12].sum(axis=1)
    share = _share(classes, total)
    tonic = (classes @ _FITS.T).argmax(axis=1) % 12
    degrees = np.take_along_axis(share, (np.arange(12) + tonic[:, None]) % 12, axis=1)
    entropy = (share * -np.log2(np.where(share > 0, share, 1))).sum(axis=1)  # NaN of silence
    struck = begun.sum(axis=1)
    in_beat = _by(begun, (step % grid) * 4 // grid, 4)
    in_bar = _by(begun, (step % bar) * 4 // bar, 4)
    change = (sounding[:, 1:] != sounding[:, :-1]).any(axis=2).sum(axis=1)
    columns = [
        struck / quarters,
        *(np.mean(keys == n, axis=1) for n in range(4)),
        np.mean(keys >= 4, axis=1),
        mean,
        spread,
        (last - first) * some,
        used.sum(axis=1) * some,
        _share((classes @ _SCALES.T).max(axis=1), total),
        entropy,
        *degrees.T,
        *_share(in_beat, struck).T,
        *_share(in_bar, struck).T,
        *_interval_classes(sounding).T,
        *_melody(sounding, onsets).T,
        *_melody(sounding[:, :, ::-1], onsets[:, :, ::-1]).T,
        _share(total, total > 0) / np.maximum(struck, 1) / grid,
        *_waits(begun > 0, grid).T,
        _alike(sounding, bar),
        _alike((begun > 0)[:, :, None], bar),
        change / quarters,
    ]
    return np.stack(columns, axis=1).astype(np.float64)


def _share(part: NDArray[Any], whole: NDArray[Any]) -> Floats:
    """Part over whole; NaN where the whole is 0."""
    whole = np.where(np.asarray(whole) > 0, whole, np.nan)
    return np.asarray(part / (whole[:, None] if np.ndim(part) > np.ndim(whole) else whole))


def _by(counts: NDArray[Any], place: NDArray[Any], places: int) -> Floats:
    """(windows, places) the counts at all steps, added up by the place of the step."""
    return np.asarray(counts @ np.eye(places)[place])


def _interval_classes(sounding: Rolls) -> Floats:
    """(windows, 6) shares of the interval classes 1-6 among the pairs of keys that sound."""
    count, steps, _ = sounding.shape
    padded = np.zeros((count, steps, 96), dtype=np.float32)
    padded[:, :, :KEYS] = sounding
    chroma = padded.reshape(count, steps, 8, 12).sum(axis=2)
    # (windows, 12, 12): how often two classes sound together
    pairs = np.matmul(chroma.transpose(0, 2, 1), chroma)
    classes = np.arange(12)
    counts = [pairs[:, classes, (classes + d) % 12].sum(axis=1) for d in range(1, 7)]
    counts[5] = counts[5] / 2  # a tritone is its own inversion
    table = np.stack(counts, axis=1)
    return _share(table, table.sum(axis=1))


def _melody(sounding: Rolls, onsets: Rolls) -> Floats:
    """(windows, 6) shares of melodic intervals between successive attacks of the highest key."""
    highest = KEYS - 1 - sounding[:, :, ::-1].argmax(axis=2)
    struck = np.take_along_axis(onsets, highest[:, :, None], axis=2)[:, :, 0]
    window, step = np.nonzero(struck)
    return _histogram(window, np.abs(np.diff(highest[window, step])), _STEPS, len(sounding))


def _waits(begun: NDArray[np.bool_], grid: int) -> Floats:
    """(windows, 5) shares of the waits from one attack to the next."""
    window, step = np.nonzero(begun)
    return _histogram(window, np.diff(step) / grid, _WAITS, len(begun))


def _histogram(
    window: NDArray[Any], differences: NDArray[Any], bounds: Sequence[float], count: int
) -> Floats:
    """(windows, classes) shares of the differences between neighbours in the same window."""
    same = window[1:] == window[:-1]
    classes = len(bounds) + 1
    place = np.searchsorted(bounds, differences[same], side="left")
    table = np.bincount(window[1:][same] * classes + place, minlength=count * classes)
    table = table.reshape(count, classes)
    return _share(table, table.sum(axis=1))


def _alike(rolls: NDArray[np.bool_], bar: int) -> Floats:
    """(windows,) what two bars share over what either has, over all pairs; NaN without a pair."""
    bars = rolls.shape[1] // bar
    if bars < 2:
        return np.full(len(rolls), np.nan)
    flat = rolls[:, : bars * bar].reshape(len(rolls), bars, -1).astype(np.float32)
    both = np.matmul(flat, flat.transpose(0, 2, 1))
    size = flat.sum(axis=2)
    either = size[:, :, None] + size[:, None, :] - both
    first, second = np.triu_indices(bars, 1)
    alike = both[:, first, second].sum(axis=1)
    return np.asarray(_share(alike, either[:, first, second].sum(axis=1)))


# -- the space -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Space:
    """Standardised features and their principal components, learnt from training windows."""

    steps: int  # of a window
    bar: int
    grid: int
    mean: Floats
    scale: Floats  # 0 where the feature never varies: it is left out
    usual: NDArray[np.bool_]  # (59,) whether nearly every training window has it
    components: Floats  # (components, 59)
    spread: Floats  # (components,) standard deviations of the training windows
    explained: Floats  # (components,) shares of the variance
    train: Floats  # (windows, components) the training windows themselves

    def windows(self, pieces: Sequence[Score]) -> Windows:
        """The pieces' windows."""
        return windows(pieces, self.steps, self.bar, self.grid)

    def standard(self, features: Floats) -> Floats:
        """(windows, 59) the features in standard deviations from the mean, at most FARTHEST.

        A feature that nearly every training window has and this one lacks is at -FARTHEST. One that
        many training windows lack (intervals, in tunes of one voice) counts as 0 if lacking.
        """
        varies = self.scale > 0
        filled = np.where(np.isnan(features) & ~self.usual, 0, features)
        scaled = np.where(varies, (filled - self.mean) / np.where(varies, self.scale, 1), 0)
        near = np.clip(np.nan_to_num(scaled, nan=-FARTHEST), -FARTHEST, FARTHEST)
        return np.asarray(near)

    def project(self, features: Floats) -> Floats:
        """(windows, components). A window without a note is FARTHEST away along all of them."""
        points = self.standard(features) @ self.components.T
        silent = features[:, FEATURES.index("sounding_0")] == 1
        return np.asarray(np.where(silent[:, None], -FARTHEST * self.spread, points))


@shared
def space(reference: Reference) -> Space | None:
    """The space of a reference's training windows; none where it has no two different ones."""
    steps = window_steps(reference)
    train = windows(list(reference.train), steps, reference.bar, reference.grid).features
    if len(train) < 2:
        return None
    usual = np.isnan(train).mean(axis=0) < RARE
    filled = np.where(usual, train, np.nan_to_num(train))
    mean, scale = np.nanmean(filled, axis=0), np.nanstd(filled, axis=0)
    scale[scale < 1e-9] = 0
    none = np.zeros((0, len(FEATURES)))
    grid = (steps, reference.bar, reference.grid)
    standard = Space(*grid, mean, scale, usual, none, none, none, none).standard(train)
    centred = standard - standard.mean(axis=0)
    values, vectors = np.linalg.eigh(centred.T @ centred / len(train))
    values, vectors = values[::-1], vectors[:, ::-1].T
    kept = min(COMPONENTS, int((values > 1e-9 * values[0]).sum()))
    if not kept:
        return None
    components = vectors[:kept]
    # The sign of a component is arbitrary: its largest weight is made positive.
    largest = np.abs(components).argmax(axis=1)
    components = components * np.sign(components[np.arange(kept), largest])[:, None]
    spread, explained = np.sqrt(values[:kept]), values[:kept] / values.sum()
    projected = standard @ components.T
    return Space(*grid, mean, scale, usual, components, spread, explained, projected)


@dataclass(frozen=True)
class Projection:
    """Windows on the first two principal components, for a picture."""

    reference: Floats  # (windows, 2) of the test excerpts
    samples: Floats  # (windows, 2)
    explained: tuple[float, float]  # the share of the variance that each axis shows


def project(reference: Reference, samples: Sequence[Score]) -> Projection | None:
    """Real and generated windows on the same two axes; none where the reference has no space."""
    where = space(reference)
    if where is None or len(where.components) < 2:
        return None
    real, made = (
        where.project(where.windows(list(pieces)).features)[:, :2]
        for pieces in (reference.test, samples)
    )
    return Projection(real, made, (float(where.explained[0]), float(where.explained[1])))
