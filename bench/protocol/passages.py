"""The passages of some pieces that occur in others: in any key, at any time, with notes changed.

A *placement* lays a piece over another one, so many steps later and so many semitones higher. It
explains the notes for which the other piece begins a note of the same pitch at the same step. A
copy is explained whole by one placement, a copy with a quarter of its notes changed by three
quarters, and a splice of several pieces part by part. So the best placement is sought for each
stretch of 1, 2 and 4 bars, and for the whole.

Candidates come from an index: a note together with three of the next ones gives a number that does
not depend on key or time. Where the same number occurs in both pieces, it votes for the placement
that lays one note on the other. The notes that a candidate explains are then counted exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from bench.contract import Floats
from bench.music import KEYS, LOWEST, Score

STRETCHES = (1, 2, 4, 0)  # in bars; 0: the whole piece
STRETCH_NAMES = ("1 bar", "2 bars", "4 bars", "whole")
SHIFT = 24  # semitones of a transposition, up or down, at most

PATTERNS = tuple(combinations(range(1, 6), 3))  # which of the next notes go into a number
VOTES = 1200  # per bar at most, those of the rarest numbers first
CANDIDATES = 8  # placements per bar
WIDTH = KEYS + 2 * SHIFT  # of a roll that has room for every placement
DENSE = 600  # a piece with more notes is searched for repetitions in the same key only
BATCH = 2_000_000  # pairs of a placement and a note that are in memory together

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Matches:
    """The share of each piece that the best placements explain, by length of stretch.

    `share`: each note counts with the share of the best explained stretch that contains it; the
    mean over the piece's notes, 0 without notes. The other arrays describe the stretch with the
    largest share.
    """

    share: Floats  # (pieces, stretches)
    peak: Floats  # (pieces, stretches) the largest share of a stretch, see `Library.match`
    bar: Ints  # (pieces, stretches) the first bar of the stretch, from 0
    shift: Ints  # (pieces, stretches) from the piece's step to that of the source
    semitones: Ints  # (pieces, stretches) by which the piece is higher than the source
    matched: (
        Ints  # (pieces, stretches) explained notes of the stretch; 0: the other arrays mean nothing
    )
    notes: Ints  # (pieces, stretches) notes of the stretch

    @classmethod
    def none(cls, pieces: int) -> Matches:
        """No note explained."""
        shape = (pieces, len(STRETCHES))
        empty = (np.zeros(shape, dtype=np.int64) for _ in range(5))
        return cls(np.zeros(shape), np.zeros(shape), *empty)


def bars_of(piece: Score, bar: int) -> int:
    """How many bars a piece has, the last one perhaps not whole."""
    return max(1, -(-piece.length // bar))


def notes_per_stretch(pieces: Sequence[Score], bar: int) -> Floats:
    """(stretches,) the median number of notes in the stretches of these pieces that have some."""
    medians = []
    for stretch in STRETCHES:
        counts = [0]
        for piece in pieces:
            size = bar * (stretch or bars_of(piece, bar))
            counts += np.bincount(struck(piece)[0] // size).tolist()
        some = [count for count in counts if count]
        medians.append(float(np.median(some)) if some else 0.0)
    return np.array(medians)


def struck(piece: Score) -> tuple[Ints, Ints]:
    """(notes,) onsets and pitches; a key that is struck again at once counts as held.

    So neither splitting nor repeating notes hides a copy.
    """
    order = np.lexsort((piece.onset, piece.pitch))
    onset, end, pitch = (
        np.asarray(array, dtype=np.int64)[order] for array in (piece.onset, piece.end, piece.pitch)
    )
    first = np.ones(len(onset), dtype=bool)
    first[1:] = (pitch[1:] != pitch[:-1]) | (onset[1:] > end[:-1])
    onset, pitch = onset[first], pitch[first]
    order = np.lexsort((pitch, onset))
    return onset[order], pitch[order]


def melody(piece: Score) -> Score:
    """The notes above which nothing sounds when they begin."""
    roll = piece.sounding()
    highest = LOWEST + KEYS - 1 - roll[:, ::-1].argmax(axis=1)
    top = highest[piece.onset] == piece.pitch
    return Score(
        piece.onset[top], piece.duration[top], piece.pitch[top], piece.velocity[top],
        piece.length, piece.grid,
    )  # fmt: skip


class Notes:
    """The notes of several pieces in one array, each piece on its own part of a timeline."""

    def __init__(self, pieces: Sequence[Score], start: Ints) -> None:
        notes = [struck(piece) for piece in pieces]
        none = np.zeros(0, dtype=np.int64)
        self.onset = np.concatenate(
            [none, *(onset + at for (onset, _), at in zip(notes, start, strict=True))]
        )
        self.pitch = np.concatenate([none, *(pitch for _, pitch in notes)])
        self.piece = np.repeat(np.arange(len(pieces)), [len(onset) for onset, _ in notes])

    def numbers(self, reach: int) -> tuple[NDArray[np.uint64], Ints]:
        """The numbers of notes with three of the next ones within `reach` steps, and these notes."""
        first = np.arange(len(self.onset))
        numbers, notes = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)]
        steps: dict[int, NDArray[np.uint64]] = {}
        for ahead in range(1, PATTERNS[-1][-1] + 1):
            later = np.minimum(first + ahead, len(first) - 1)
            time, pitch = self.onset[later] - self.onset, self.pitch[later] - self.pitch
            steps[ahead] = _mixed((time * 256 + pitch + 128).astype(np.uint64), ahead=0)
        for pattern in PATTERNS:
            anchor = first[: max(0, len(first) - pattern[-1])]
            last = anchor + pattern[-1]
            span = self.onset[last] - self.onset[anchor]
            # A single chord is no evidence, and there are many of each.
            anchor = anchor[(self.piece[last] == self.piece[anchor]) & (span > 0) & (span <= reach)]
            number = np.zeros(len(anchor), dtype=np.uint64)
            for ahead in pattern:
                number = _mixed(number ^ steps[ahead][anchor], ahead=1)
            numbers.append(number)
            notes.append(anchor)
        return np.concatenate(numbers), np.concatenate(notes)


def _mixed(numbers: NDArray[np.uint64], ahead: int) -> NDArray[np.uint64]:
    """Numbers scattered over all 64 bits (splitmix64)."""
    x = numbers + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31 + ahead))


def starts_of(pieces: Sequence[Score], bar: int) -> Ints:
    """(pieces,) the first step of each on a timeline with a bar of silence before each piece."""
    lengths = np.array([piece.length for piece in pieces], dtype=np.int64)
    return np.asarray(bar + np.cumsum(np.append(0, lengths + bar))[:-1], dtype=np.int64)


class Library:
    """An index of pieces, to find their passages in others."""

    def __init__(self, pieces: Sequence[Score], bar: int) -> None:
        self.bar = bar
        self.start = starts_of(pieces, bar)
        self.steps = int(sum(piece.length + bar for piece in pieces)) + 2 * bar
        # Melodies are indexed too: a copied melody has other next notes than its piece.
        both = [*pieces, *(melody(piece) for piece in pieces)]
        self.notes = Notes(both, np.append(self.start, self.start))
        self.notes.piece %= max(1, len(pieces))
        self.roll = np.zeros(
            (self.steps, WIDTH), dtype=np.uint8
        )  # 2: a note sounds, 3: a note begins
        for piece, at in zip(pieces, self.start, strict=True):
            keys = slice(SHIFT, SHIFT + KEYS)
            self.roll[at : at + piece.length, keys] = piece.sounding() * np.uint8(2)
            self.roll[at + piece.onset, piece.pitch - LOWEST + SHIFT] = 3
        numbers, anchors = self.notes.numbers(self.reach)
        # Number in the high bits, note in the low ones: one sort orders both.
        self.low = np.uint64((1 << max(1, len(self.notes.onset).bit_length())) - 1)
        self.index = np.sort((numbers & ~self.low) | anchors.astype(np.uint64))

    @property
    def reach(self) -> int:
        """The steps within which the notes of a number must lie."""
        return 2 * self.bar

    def piece_at(self, step: int) -> int:
        """The number of the piece at a step of the timeline, or of the one before that step."""
        return max(0, int(np.searchsorted(self.start, step, "right")) - 1)

    def match(
        self, pieces: Sequence[Score], fewest: Floats | None = None, forbidden: Mask | None = None
    ) -> Matches:
        """The share of each piece that passages of the library explain.

        A stretch with less than `fewest` (stretches,) notes counts as one of so many, for a peak as
        one of twice as many: a few notes occur anywhere. `forbidden` (pieces, library's pieces): pairs that are not compared.
        """
        notes = Notes(pieces, np.zeros(len(pieces), dtype=np.int64))
        if not len(notes.onset) or not len(self.index):
            return Matches.none(len(pieces))
        bars = int(notes.onset.max()) // self.bar + 1
        bar = notes.onset // self.bar
        piece, shift, semitones = self._candidates(notes, bars, forbidden)
        begin, count = _groups(notes.piece, len(pieces))
        matched, cut = np.zeros((2, len(piece), bars), dtype=np.int64)
        for rows in _batches(count[piece]):
            # Every placement with every note of its piece.
            row, note = _pairs(rows, count[piece[rows]], begin[piece[rows]])
            step = notes.onset[note] + shift[row]
            key = notes.pitch[note] + semitones[row] - LOWEST + SHIFT
            inside = (step >= 0) & (step < self.steps)
            cell = np.where(inside, self.roll[np.where(inside, step, 0), key], 0)
            place = (row - rows[0]) * bars + bar[note]
            size = len(rows) * bars
            explained = np.bincount(place[cell == 3], minlength=size)
            # A stretch may begin in the middle of a note, as an excerpt does.
            sounds = (cell == 2) & (notes.onset[note] % self.bar == 0)
            matched[rows] = explained.reshape(-1, bars)
            cut[rows] = np.bincount(place[sounds], minlength=size).reshape(-1, bars)
        total = np.bincount(notes.piece * bars + bar, minlength=len(pieces) * bars)
        placements = Placements(piece, shift, -semitones, matched, cut)
        return placements.best(total.reshape(-1, bars), fewest)

    def _candidates(
        self, notes: Notes, bars: int, forbidden: Mask | None
    ) -> tuple[Ints, Ints, Ints]:
        """The likeliest placements, as piece, shift and semitones, in the order of the pieces."""
        numbers, anchor = notes.numbers(self.reach)
        order = np.argsort(numbers)  # neighbours are looked up together
        numbers, anchor = numbers[order], anchor[order]
        first = np.searchsorted(self.index, numbers & ~self.low)
        count = np.searchsorted(self.index, numbers | self.low, "right") - first
        known = count > 0
        first, count, anchor = first[known], count[known], anchor[known]
        bar = notes.piece[anchor] * bars + notes.onset[anchor] // self.bar
        order = np.lexsort((count, bar))
        first, count, anchor, bar = first[order], count[order], anchor[order], bar[order]
        votes = np.cumsum(count)
        before = np.append(0, votes)[np.searchsorted(bar, bar)]
        few = votes - before <= VOTES
        first, count, anchor = first[few], count[few], anchor[few]
        place = np.arange(count.sum()) + np.repeat(first - (np.cumsum(count) - count), count)
        source, note = (self.index[place] & self.low).astype(np.int64), np.repeat(anchor, count)
        shift = self.notes.onset[source] - notes.onset[note]
        higher = self.notes.pitch[source] - notes.pitch[note]
        allowed = np.abs(higher) <= SHIFT
        if forbidden is not None:
            allowed &= ~forbidden[notes.piece[note], self.notes.piece[source]]
        shift, higher, note = shift[allowed], higher[allowed], note[allowed]
        least, span = int(shift.min(initial=0)), 2 * SHIFT + 1
        width = (self.steps - least + 1) * span
        placement = (shift - least) * span + higher + SHIFT
        bar = notes.piece[note] * bars + notes.onset[note] // self.bar
        keys, votes = np.unique(bar * width + placement, return_counts=True)
        bar, placement = keys // width, keys % width
        order = np.lexsort((-votes, bar))
        bar, placement = bar[order], placement[order]
        best = np.arange(len(bar)) - np.searchsorted(bar, bar) < CANDIDATES
        kept = np.unique(bar[best] // bars * width + placement[best])
        piece, placement = kept // width, kept % width
        return piece, placement // span + least, placement % span - SHIFT


def repetitions(
    prompts: Sequence[Score], pieces: Sequence[Score], bar: int, fewest: Floats | None = None
) -> Matches:
    """The share of each piece that repeats its prompt or its own earlier bars, in any key.

    The source of a stretch ends before the stretch begins. So the whole has none: its share is 0.
    """
    bars = max((bars_of(piece, bar) for piece in pieces), default=1)
    total = np.zeros((len(pieces), bars), dtype=np.int64)
    rows: list[tuple[Ints, Ints, Ints, Ints]] = [
        (np.zeros(0, np.int64),) * 3 + (np.zeros((0, bars), np.int64),)
    ]
    for number, (prompt, piece) in enumerate(zip(prompts, pieces, strict=True)):
        if not len(piece):
            continue
        total[number] = np.bincount(piece.onset // bar, minlength=bars)
        step, back, up, count = _recurrences(prompt, piece, bar)
        most = int(np.abs(up).max(initial=0))
        span, longest = 2 * most + 1, int(back.max(initial=0)) + 1
        cell = (back * span + up + most) * bars + step // bar
        matched = np.bincount(cell, count, minlength=longest * span * bars).reshape(-1, bars)
        matched = matched.astype(np.int64)
        kept = np.flatnonzero(matched.sum(axis=1) >= max(1.0, len(piece) / 40))
        numbers = np.full(len(kept), number)
        rows.append((numbers, -(kept // span), kept % span - most, matched[kept]))
    which, shift, semitones, matched = (np.concatenate(part) for part in zip(*rows, strict=True))
    placements = Placements(which, shift, semitones, matched, np.zeros_like(matched))
    lengths = np.array([prompt.length for prompt in prompts], dtype=np.int64)
    return placements.best(total, fewest, lengths, bar)


def _recurrences(prompt: Score, piece: Score, bar: int) -> tuple[Ints, Ints, Ints, Ints]:
    """Notes of a piece that are like earlier ones: step, steps back, semitones up, how many notes.

    A dense piece is searched in its own key only, step by step instead of note by note.
    """
    onset = np.append(prompt.onset - prompt.length, piece.onset).astype(np.int64)
    pitch = np.append(prompt.pitch, piece.pitch).astype(np.int64)
    if len(onset) > DENSE:
        roll = np.zeros((prompt.length + piece.length, KEYS), dtype=np.float32)
        roll[onset + prompt.length, pitch - LOWEST] = 1
        common = roll[prompt.length :] @ roll.T  # (steps, earlier steps) notes in both
        step, earlier = np.nonzero(common)
        count = common[step, earlier].astype(np.int64)
        back = step + prompt.length - earlier
        far = back >= bar
        return step[far], back[far], np.zeros(int(far.sum()), dtype=np.int64), count[far]
    back = piece.onset[:, None] - onset[None]
    up = piece.pitch[:, None] - pitch[None]
    note, earlier = np.nonzero((back >= bar) & (np.abs(up) <= SHIFT))
    step = piece.onset[note].astype(np.int64)
    return step, back[note, earlier], up[note, earlier], np.ones(len(note), dtype=np.int64)


def _groups(of: Ints, count: int) -> tuple[Ints, Ints]:
    """(count,) where each number below `count` begins in a sorted array, and how often it occurs."""
    ends = np.searchsorted(of, np.arange(count + 1))
    return ends[:-1], np.diff(ends)


def _batches(sizes: Ints) -> list[Ints]:
    """Numbers of neighbouring rows, in groups whose sizes add up to about BATCH."""
    batch = np.cumsum(sizes) // BATCH
    return [np.flatnonzero(batch == each) for each in np.unique(batch)]


def _pairs(rows: Ints, counts: Ints, begin: Ints) -> tuple[Ints, Ints]:
    """Each row `counts` times, and with it the numbers from its `begin` on."""
    first = np.cumsum(counts) - counts
    numbers = np.arange(int(counts.sum())) + np.repeat(begin - first, counts)
    return np.repeat(rows, counts), numbers


@dataclass(frozen=True)
class Placements:
    """The notes that placements explain, bar by bar; the rows of a piece are neighbours."""

    piece: Ints  # (rows,) the number of the piece that is placed
    shift: Ints  # (rows,) as in Matches
    semitones: Ints  # (rows,)
    matched: Ints  # (rows, bars) notes that are explained
    cut: Ints  # (rows, bars) further ones, if the stretch begins with this bar

    def best(
        self, total: Ints, fewest: Floats | None, prompts: Ints | None = None, bar: int = 1
    ) -> Matches:
        """The best of them for every stretch of the pieces, which have `total` (pieces, bars) notes.

        With `prompts` (pieces,), the steps of their prompts, a source ends before its stretch begins.
        """
        count, bars = total.shape
        matches = Matches.none(count)
        pieces, begin = np.unique(self.piece, return_index=True)
        if not len(pieces):
            return matches
        of = np.searchsorted(pieces, self.piece)
        notes_before = np.pad(np.cumsum(total, axis=1), ((0, 0), (1, 0)))
        hits_before = np.pad(np.cumsum(self.matched, axis=1), ((0, 0), (1, 0)))
        for column, stretch in enumerate(STRETCHES):
            if prompts is not None and not stretch:
                continue
            size = min(stretch or bars, bars)
            hits = hits_before[:, size:] - hits_before[:, :-size] + self.cut[:, : bars - size + 1]
            weight = total[pieces].astype(np.float64)
            if prompts is not None:
                hits = hits * (-self.shift >= size * bar)[:, None]
                early = np.arange(bars)[None] * bar + prompts[pieces][:, None] < size * bar
                weight[early] = 0
            top = np.maximum.reduceat(hits, begin, axis=0)  # (pieces, stretches)
            notes = (notes_before[:, size:] - notes_before[:, :-size])[pieces]
            least = max(1.0, 0.0 if fewest is None else float(fewest[column]))
            share = top / np.maximum(notes, least)
            matches.peak[pieces, column] = (top / np.maximum(notes, 2 * least)).max(axis=1)
            by_bar = np.zeros((len(pieces), bars))
            for place in range(size):
                part = by_bar[:, place : place + share.shape[1]]
                np.maximum(part, share, out=part)
            mean = (by_bar * weight).sum(axis=1) / np.maximum(weight.sum(axis=1), 1)
            matches.share[pieces, column] = mean
            # The clearest stretch: of the largest share, and of those the one of most notes.
            clear = (share + top / (1e6 * (1 + total.sum()))).argmax(axis=1)
            best = hits[np.arange(len(of)), clear[of]]
            row = np.lexsort((-best, of))[np.searchsorted(of, np.arange(len(pieces)))]
            each = np.arange(len(pieces))
            matches.bar[pieces, column] = clear
            matches.shift[pieces, column] = self.shift[row]
            matches.semitones[pieces, column] = self.semitones[row]
            matches.matched[pieces, column] = top[each, clear]
            matches.notes[pieces, column] = notes[each, clear]
        return matches
