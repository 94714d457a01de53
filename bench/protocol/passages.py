"""Where passages of some pieces stand in others: in any key, shifted in time, with notes changed.

A *placement* lays a piece over another one, so many steps later and so many semitones higher. It
explains the notes that begin where the other piece begins a note of the same key. A copy is
explained whole by one placement, a copy with a quarter of its notes changed by three quarters; what
was spliced from several pieces is explained stretch by stretch. So each stretch of 1, 2 and 4 bars,
and the whole, is given the placement that explains it best.

Candidates are voted for: every note with three of its next ones makes a number that depends on
neither key nor time, and where a number occurs in both, it votes for the placement that lays one
on the other. What the candidates explain is then counted note by note.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from bench.contract import Floats
from bench.music import KEYS, LOWEST, Score

STRETCHES = (1, 2, 4, 0)  # bars; 0: the whole piece
NAMES = ("1 bar", "2 bars", "4 bars", "whole")
OCTAVES = 24  # semitones that a placement may shift by, up or down

PATTERNS = tuple(combinations(range(1, 6), 3))  # which of the next notes make a number
VOTES = 1200  # per bar, those of the rarest numbers first
CANDIDATES = 8  # placements per bar
WIDTH = KEYS + 2 * OCTAVES  # of a roll that has room for every placement
DENSE = 600  # notes of a piece: with more, its own repetitions are looked for in one key only
PORTION = 2_000_000  # pairs of placement and note at a time

Ints = NDArray[np.int64]
Rows = NDArray[np.bool_]


@dataclass(frozen=True)
class Found:
    """How much of each piece the best placements explain, and the clearest stretch of each length.

    `share` is the mean over a piece's notes of the share of the best stretch that each is in;
    0 without notes. The other arrays describe the stretch with the largest share.
    """

    share: Floats  # (pieces, stretches)
    bar: Ints  # (pieces, stretches) the first bar of the stretch, from 0
    shift: Ints  # (pieces, stretches) from the piece's step to that of the source
    semitones: Ints  # (pieces, stretches) by which the piece is higher than the source
    matched: Ints  # (pieces, stretches) notes of the stretch that are explained; 0: none is
    notes: Ints  # (pieces, stretches) notes of the stretch

    @classmethod
    def nothing(cls, pieces: int) -> Found:
        """Nothing found yet."""
        shape = (pieces, len(STRETCHES))
        whole = (np.zeros(shape, dtype=np.int64) for _ in range(5))
        return cls(np.zeros(shape), *whole)


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
    """(notes,) onsets and pitches; keys struck again at once count as held.

    So neither splitting notes nor repeating them hides what was copied.
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
    """The notes of several pieces in one row, each piece on its own part of a timeline."""

    def __init__(self, pieces: Sequence[Score], start: Ints) -> None:
        notes = [struck(piece) for piece in pieces]
        none = np.zeros(0, dtype=np.int64)
        self.onset = np.concatenate(
            [none, *(onset + at for (onset, _), at in zip(notes, start, strict=True))]
        )
        self.pitch = np.concatenate([none, *(pitch for _, pitch in notes)])
        self.piece = np.repeat(np.arange(len(pieces)), [len(onset) for onset, _ in notes])

    def numbers(self, reach: int) -> tuple[NDArray[np.uint64], Ints]:
        """A number for every note with three of its next ones within `reach` steps, and the note."""
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
            # A single chord says little, and there are many of each.
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
    """(pieces,) where each begins on a timeline with a bar of silence before each."""
    lengths = np.array([piece.length for piece in pieces], dtype=np.int64)
    return np.asarray(bar + np.cumsum(np.append(0, lengths + bar))[:-1], dtype=np.int64)


class Library:
    """Pieces whose passages can be looked for in others."""

    def __init__(self, pieces: Sequence[Score], bar: int) -> None:
        self.bar = bar
        self.start = starts_of(pieces, bar)
        self.steps = int(sum(piece.length + bar for piece in pieces)) + 2 * bar
        # Their melodies too: in those, other notes come next.
        both = [*pieces, *(melody(piece) for piece in pieces)]
        self.notes = Notes(both, np.append(self.start, self.start))
        self.notes.piece %= max(1, len(pieces))
        self.roll = np.zeros((self.steps, WIDTH), dtype=np.uint8)  # 2: sounds, 3: is struck
        for piece, at in zip(pieces, self.start, strict=True):
            keys = slice(OCTAVES, OCTAVES + KEYS)
            self.roll[at : at + piece.length, keys] = piece.sounding() * np.uint8(2)
            self.roll[at + piece.onset, piece.pitch - LOWEST + OCTAVES] = 3
        numbers, anchors = self.notes.numbers(self.reach)
        # The note goes into the low bits, so that one sort does for both.
        self.low = np.uint64((1 << max(1, len(self.notes.onset).bit_length())) - 1)
        self.index = np.sort((numbers & ~self.low) | anchors.astype(np.uint64))

    @property
    def reach(self) -> int:
        """Steps within which notes make a number."""
        return 2 * self.bar

    def piece_at(self, step: int) -> int:
        """The piece at a step of the timeline, or the one before it."""
        return max(0, int(np.searchsorted(self.start, step, "right")) - 1)

    def find(
        self, pieces: Sequence[Score], fewest: Floats | None = None, forbidden: Rows | None = None
    ) -> Found:
        """How much of each piece is explained by passages of the library.

        A stretch of less than `fewest` notes counts as one of so many: a few notes are found
        anywhere. `forbidden` (pieces, library's pieces) says what a piece is not compared with.
        """
        notes = Notes(pieces, np.zeros(len(pieces), dtype=np.int64))
        if not len(notes.onset) or not len(self.index):
            return Found.nothing(len(pieces))
        bars = int(notes.onset.max()) // self.bar + 1
        bar = notes.onset // self.bar
        whose, shift, semitones = self._candidates(notes, bars, forbidden)
        begin, count = _parts(notes.piece, len(pieces))
        matched, cut = np.zeros((2, len(whose), bars), dtype=np.int64)
        for rows in _portions(count[whose]):
            # Each placement with each note of its piece.
            row, note = _pairs(rows, count[whose[rows]], begin[whose[rows]])
            step = notes.onset[note] + shift[row]
            key = notes.pitch[note] + semitones[row] - LOWEST + OCTAVES
            there = (step >= 0) & (step < self.steps)
            cell = np.where(there, self.roll[np.where(there, step, 0), key], 0)
            place = (row - rows[0]) * bars + bar[note]
            size = len(rows) * bars
            struck_there = np.bincount(place[cell == 3], minlength=size)
            # A stretch may begin in the middle of a note, as an excerpt does.
            sounds = (cell == 2) & (notes.onset[note] % self.bar == 0)
            matched[rows] = struck_there.reshape(-1, bars)
            cut[rows] = np.bincount(place[sounds], minlength=size).reshape(-1, bars)
        total = np.bincount(notes.piece * bars + bar, minlength=len(pieces) * bars)
        placements = Placements(whose, shift, -semitones, matched, cut)
        return placements.found(total.reshape(-1, bars), fewest)

    def _candidates(
        self, notes: Notes, bars: int, forbidden: Rows | None
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
        theirs, mine = (self.index[place] & self.low).astype(np.int64), np.repeat(anchor, count)
        shift = self.notes.onset[theirs] - notes.onset[mine]
        higher = self.notes.pitch[theirs] - notes.pitch[mine]
        allowed = np.abs(higher) <= OCTAVES
        if forbidden is not None:
            allowed &= ~forbidden[notes.piece[mine], self.notes.piece[theirs]]
        shift, higher, mine = shift[allowed], higher[allowed], mine[allowed]
        least, span = int(shift.min(initial=0)), 2 * OCTAVES + 1
        width = (self.steps - least + 1) * span
        placement = (shift - least) * span + higher + OCTAVES
        bar = notes.piece[mine] * bars + notes.onset[mine] // self.bar
        keys, votes = np.unique(bar * width + placement, return_counts=True)
        bar, placement = keys // width, keys % width
        order = np.lexsort((-votes, bar))
        bar, placement = bar[order], placement[order]
        best = np.arange(len(bar)) - np.searchsorted(bar, bar) < CANDIDATES
        kept = np.unique(bar[best] // bars * width + placement[best])
        whose, placement = kept // width, kept % width
        return whose, placement // span + least, placement % span - OCTAVES


def repetitions(
    prompts: Sequence[Score], pieces: Sequence[Score], bar: int, fewest: Floats | None = None
) -> Found:
    """How much of each piece repeats its prompt or earlier bars of its own, in any key.

    The source of a stretch ends before the stretch begins; the whole has none, and counts as 0.
    """
    bars = max((bars_of(piece, bar) for piece in pieces), default=1)
    total = np.zeros((len(pieces), bars), dtype=np.int64)
    rows: list[tuple[Ints, Ints, Ints, Ints]] = [
        (np.zeros(0, np.int64),) * 3 + (np.zeros((0, bars), np.int64),)
    ]
    for number, (prompt, piece) in enumerate(zip(prompts, pieces, strict=True)):
        if not len(piece):
            continue
        at = piece.onset.astype(np.int64) // bar
        total[number] = np.bincount(at, minlength=bars)
        onset = np.append(prompt.onset - prompt.length, piece.onset).astype(np.int64)
        pitch = np.append(prompt.pitch, piece.pitch).astype(np.int64)
        back = piece.onset[:, None] - onset[None]
        up = piece.pitch[:, None] - pitch[None]
        most = 0 if len(onset) > DENSE else OCTAVES
        later, earlier = np.nonzero((back >= bar) & (np.abs(up) <= most))
        span = 2 * most + 1
        table = (back[later, earlier] * span + up[later, earlier] + most) * bars + at[later]
        longest = int(back.max()) + 1
        matched = np.bincount(table, minlength=longest * span * bars).reshape(-1, bars)
        placed = np.flatnonzero(matched.sum(axis=1) >= max(1.0, len(piece) / 40))
        whose = np.full(len(placed), number)
        rows.append((whose, -(placed // span), placed % span - most, matched[placed]))
    whose, shift, semitones, matched = (np.concatenate(part) for part in zip(*rows, strict=True))
    placements = Placements(whose, shift, semitones, matched, np.zeros_like(matched))
    before = np.array([prompt.length for prompt in prompts], dtype=np.int64)
    return placements.found(total, fewest, before, bar)


def _parts(of: Ints, count: int) -> tuple[Ints, Ints]:
    """(count,) where each number begins in a sorted row, and how often it is there."""
    ends = np.searchsorted(of, np.arange(count + 1))
    return ends[:-1], np.diff(ends)


def _portions(sizes: Ints) -> list[Ints]:
    """Neighbouring rows that are looked at together: not too many at a time for the memory."""
    portion = np.cumsum(sizes) // PORTION
    return [np.flatnonzero(portion == each) for each in np.unique(portion)]


def _pairs(rows: Ints, counts: Ints, begin: Ints) -> tuple[Ints, Ints]:
    """Each row as often as it counts, and beside it the numbers from where it begins."""
    first = np.cumsum(counts) - counts
    numbers = np.arange(int(counts.sum())) + np.repeat(begin - first, counts)
    return np.repeat(rows, counts), numbers


@dataclass(frozen=True)
class Placements:
    """What placements explain, bar by bar; those of one piece stand together."""

    whose: Ints  # (rows,) which piece is laid over something
    shift: Ints  # (rows,)
    semitones: Ints  # (rows,)
    matched: Ints  # (rows, bars) notes that are explained
    cut: Ints  # (rows, bars) further ones, if the stretch begins with this bar

    def found(
        self, total: Ints, fewest: Floats | None, before: Ints | None = None, bar: int = 1
    ) -> Found:
        """The best of them for every stretch of the pieces, which have `total` (pieces, bars) notes.

        With `before` (pieces,), the steps of their prompts, a source must end before its stretch
        begins.
        """
        count, bars = total.shape
        found = Found.nothing(count)
        pieces, begin = np.unique(self.whose, return_index=True)
        if not len(pieces):
            return found
        of = np.searchsorted(pieces, self.whose)
        notes_before = np.pad(np.cumsum(total, axis=1), ((0, 0), (1, 0)))
        hits_before = np.pad(np.cumsum(self.matched, axis=1), ((0, 0), (1, 0)))
        for column, stretch in enumerate(STRETCHES):
            if before is not None and not stretch:
                continue
            size = min(stretch or bars, bars)
            hits = hits_before[:, size:] - hits_before[:, :-size] + self.cut[:, : bars - size + 1]
            weight = total[pieces].astype(np.float64)
            if before is not None:
                hits = hits * (-self.shift >= size * bar)[:, None]
                early = np.arange(bars)[None] * bar + before[pieces][:, None] < size * bar
                weight[early] = 0
            top = np.maximum.reduceat(hits, begin, axis=0)  # (pieces, stretches)
            notes = (notes_before[:, size:] - notes_before[:, :-size])[pieces]
            least = max(1.0, 0.0 if fewest is None else float(fewest[column]))
            share = top / np.maximum(notes, least)
            by_bar = np.zeros((len(pieces), bars))
            for place in range(size):
                part = by_bar[:, place : place + share.shape[1]]
                np.maximum(part, share, out=part)
            mean = (by_bar * weight).sum(axis=1) / np.maximum(weight.sum(axis=1), 1)
            found.share[pieces, column] = mean
            # The clearest stretch: of the largest share, and of those the one of most notes.
            clear = (share + top / (1e6 * (1 + total.sum()))).argmax(axis=1)
            best = hits[np.arange(len(of)), clear[of]]
            row = np.lexsort((-best, of))[np.searchsorted(of, np.arange(len(pieces)))]
            each = np.arange(len(pieces))
            found.bar[pieces, column] = clear
            found.shift[pieces, column] = self.shift[row]
            found.semitones[pieces, column] = self.semitones[row]
            found.matched[pieces, column] = top[each, clear]
            found.notes[pieces, column] = notes[each, clear]
        return found
