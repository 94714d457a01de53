"""The judge of notes: a feed-forward network over the last notes, as intervals from the very last one.

A piece is a sequence of decisions: how many steps until the next note, which key, how long it
sounds. Each is made from the same description of the music so far:

    the last 16 notes: interval to the very last one, time since it began, time it still sounds
    where in the bar we are; how much each pitch class sounded so far, and the mean pitch
    -> 2 layers -> wait -> key, as an interval from the last note -> duration

Nothing is recurrent and nothing attends; what is learnt in one key holds in all (of the keys as
such only a bias each). The likelihood is that of the score: struck again, a key is a new note. A
piece's end is no decision: what is paid for is that no note begins before it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import gelu

from bench.contract import Floats
from bench.judges.judge import (
    BARS,
    Arrays,
    Quiet,
    apart,
    bars_of,
    beginnings,
    excerpts,
    rise_and_fall,
    updates_of,
)
from bench.music import KEYS, LOWEST, Score, concatenate
from bench.registry import Family
from bench.training import loop

WAIT, NOTE, END = 0, 1, 2  # what a decision leads to: a bar without a note, a note, the end
REACH = 36  # semitones from the last note beyond which intervals count as equal
ALIKE = 8192  # decisions of one forward pass
MOST_EXCERPTS = 2048  # that are learnt from: bounds the memory

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Decisions:
    """What is decided in some pieces, and what is known when it is."""

    piece: Ints  # (decisions,)
    step: Ints  # (decisions,) at which what it leads to happens
    kind: Ints  # (decisions,) WAIT, NOTE or END
    interval: Ints  # (decisions, notes) of the last notes, from 0 for REACH below; one more: none
    age: Ints  # (decisions, notes) steps since each began, cut; one more: none
    left: Ints  # (decisions, notes) steps that it still sounds, cut
    place: Ints  # (decisions,) in the bar
    classes: NDArray[
        np.float32
    ]  # (decisions, 13) pitch classes from the last note's up; mean pitch
    last: Ints  # (decisions,) the last note's key
    closed: NDArray[np.bool_]  # (decisions, keys) which keys cannot be struck
    wait: Ints  # (decisions,) decided: steps, the bar's length for WAIT
    key: Ints  # (decisions,) decided where it is a note
    length: Ints  # (decisions,) decided: steps of the note less one, cut
    open: NDArray[np.bool_]  # (decisions,) whether the piece ends before the note may

    def __len__(self) -> int:
        """The number of decisions."""
        return len(self.kind)


def decisions(pieces: Sequence[Score], bar: int, notes: int) -> Decisions:
    """The decisions that make the pieces, each seen with so many last notes."""
    some = pieces or [Score.silence(0)]  # a piece of no length has no decisions
    parts = [_of_piece(number, piece, bar, notes) for number, piece in enumerate(some)]
    return Decisions(**{name: np.concatenate([p[name] for p in parts]) for name in parts[0]})


def _of_piece(number: int, piece: Score, bar: int, notes: int) -> dict[str, NDArray[Any]]:
    onset, duration = piece.onset.astype(np.int64), piece.duration.astype(np.int64)
    key, count = piece.pitch.astype(np.int64) - LOWEST, len(piece)
    # To every note, and to the end, lead whole bars without a note, and one decision more: none
    # to an end that such a bar has reached already.
    gap = np.diff(np.append(onset, piece.length), prepend=0)
    bars, rest = gap // bar, gap % bar
    rows = bars + 1
    rows[-1] = bars[-1] + (rest[-1] > 0)
    to = np.repeat(np.arange(count + 1), rows)  # the note, or `count` for the end
    turn = np.arange(len(to)) - np.repeat(np.cumsum(rows) - rows, rows)
    final = turn == bars[to]
    kind = np.where(final, np.where(to < count, NOTE, END), WAIT)
    now = np.append(0, onset)[to] + turn * bar
    wait = np.where(final, rest[to], bar)
    is_note = np.flatnonzero(kind == NOTE)

    def of_last(values: Ints, none: int) -> Ints:
        """(decisions, notes) the values of the last notes, the latest first."""
        padded = np.concatenate([np.full(notes, none), values])
        of_each: Ints = padded[to[:, None] + notes - 1 - np.arange(notes)]
        return of_each

    keys = of_last(key, -1)
    known = keys >= 0
    last = np.where(known[:, 0], keys[:, 0], KEYS // 2)
    far = 4 * bar
    age = now[:, None] - of_last(onset, 0)
    left = of_last(onset + duration, 0) - now[:, None]

    sounded = np.zeros((count + 1, 12))
    np.add.at(sounded, (np.arange(1, count + 1), key % 12), np.minimum(duration, bar) / bar)
    sounded = np.cumsum(sounded, axis=0)
    shares = sounded / np.maximum(sounded.sum(axis=1, keepdims=True), 1e-9)
    classes = np.take_along_axis(shares[to], (np.arange(12) + last[:, None]) % 12, axis=1)
    mean = np.append(0, np.cumsum(key))[to] / np.maximum(to, 1)
    height = np.where(to > 0, mean - last, 0.0) / 12

    closed = np.zeros((len(to), KEYS), dtype=bool)
    struck, length = np.zeros((2, len(to)), dtype=np.int64)
    open_ended = np.zeros(len(to), dtype=bool)
    if count:
        held = piece.sounding() & ~piece.onsets()
        made = to[is_note]
        closed[is_note] = held[onset[made]]
        # At one step keys are struck from the bottom up.
        chord = (gap[made] == 0) & (made > 0)
        closed[is_note] |= chord[:, None] & (np.arange(KEYS) <= last[is_note][:, None])
        struck[is_note] = key[made]
        length[is_note] = np.minimum(duration[made], 2 * bar) - 1
        open_ended[is_note] = (onset + duration)[made] == piece.length
    return {
        "piece": np.full(len(to), number),
        "step": now + wait,
        "kind": kind,
        "interval": np.where(
            known, np.clip(keys - last[:, None], -REACH, REACH) + REACH, 2 * REACH + 1
        ).astype(np.int16),
        "age": np.where(known, np.clip(age, 0, far), far + 1).astype(np.int16),
        "left": np.where(known, np.clip(left, 0, bar), 0).astype(np.int16),
        "place": now % bar,
        "classes": np.column_stack([classes, height]).astype(np.float32),
        "last": last,
        "closed": closed,
        "wait": wait,
        "key": struck,
        "length": length,
        "open": open_ended,
    }


class NotesNetwork(nn.Module):
    """log p of decisions."""

    def __init__(
        self, bar: int, notes: int, features: int, hidden: int, second: int, dropout: float
    ) -> None:
        super().__init__()
        self.bar = bar
        self.interval = nn.Embedding(2 * REACH + 2, features)
        self.age = nn.Embedding(4 * bar + 2, features)
        self.left = nn.Embedding(bar + 1, features)
        self.place = nn.Embedding(bar, hidden)
        self.heard = nn.Linear(notes * features, hidden)
        self.classes = nn.Linear(13, hidden, bias=False)
        self.middle = nn.Linear(hidden, hidden)
        self.wait = nn.Linear(hidden, bar + 1)
        self.waited = nn.Embedding(bar + 1, second)
        self.arrived = nn.Embedding(bar, second)
        self.to_key = nn.Linear(hidden, second)
        self.step = nn.Linear(second, 2 * KEYS - 1)  # the interval from the last note
        self.key = nn.Parameter(torch.zeros(KEYS))
        self.struck = nn.Embedding(2 * KEYS - 1, second)
        self.to_length = nn.Linear(second, second)
        self.length = nn.Linear(second, 2 * bar)
        self.dropout = nn.Dropout(dropout)
        for table in (self.interval, self.age, self.left):
            nn.init.normal_(table.weight, std=0.3)
        for table in (self.place, self.waited, self.arrived, self.struck):
            nn.init.normal_(table.weight, std=0.02)

    def forward(self, all_of_them: Decisions, rows: Ints) -> Tensor:
        """(rows,) log p of these decisions."""

        def of(name: str) -> Tensor:
            array = getattr(all_of_them, name)[rows]
            return torch.from_numpy(array if array.dtype.kind in "bf" else array.astype(np.int64))

        notes = self.interval(of("interval")) + self.age(of("age")) + self.left(of("left"))
        x = self.heard(self.dropout(notes.flatten(1)))
        x = gelu(x + self.place(of("place")) + self.classes(of("classes")))
        x = self.dropout(x + gelu(self.middle(x)))  # (rows, hidden)
        kind, wait = of("kind"), of("wait")
        waits = self.wait(x).log_softmax(dim=-1)
        # To the end leads every wait that is no shorter.
        logs = chosen(waits, wait, kind == END)
        notes_only = torch.nonzero(kind == NOTE)[:, 0]
        if not len(notes_only):
            return logs
        last, key, wait = (part[notes_only] for part in (of("last"), of("key"), wait))
        arrived = (of("place")[notes_only] + wait) % self.bar
        y = gelu(self.to_key(x[notes_only]) + self.waited(wait) + self.arrived(arrived))
        intervals = torch.arange(KEYS) - last[:, None] + KEYS - 1  # (notes, keys)
        keys = self.step(self.dropout(y)).gather(1, intervals) + self.key
        keys = keys.masked_fill(of("closed")[notes_only], -1e9).log_softmax(dim=-1)
        z = gelu(self.to_length(y) + self.struck(key - last + KEYS - 1))
        lengths = self.length(self.dropout(z)).log_softmax(dim=-1)
        length, cut = of("length")[notes_only], of("open")[notes_only]
        both = keys.gather(1, key[:, None])[:, 0] + chosen(lengths, length, cut)
        return logs.index_add(0, notes_only, both)


def chosen(logs: Tensor, number: Tensor, or_more: Tensor) -> Tensor:
    """(rows,) log p of each row's number by its distribution (rows, numbers), or of it or more."""
    tails = logs.flip(1).logcumsumexp(dim=1).flip(1)
    return torch.where(or_more[:, None], tails, logs).gather(1, number[:, None])[:, 0]


class NotesJudge:
    """The network as a judge."""

    family: ClassVar[Family] = "feed-forward"
    version: ClassVar[int] = 1
    usual: ClassVar[Mapping[str, Any]] = {
        "notes": 16,
        "features": 16,
        "hidden": 128,
        "second": 96,
        "dropout": 0.3,
        "batch": 512,
        "rate": 0.003,
        "decay": 0.02,
        "patience": 10,
        "again": False,
    }
    updates: ClassVar[int] = 1500
    passes: ClassVar[int] = 20
    network: NotesNetwork

    def __init__(self, grid: int, bar: int, **settings: Any) -> None:
        self.bar = bar
        self.settings: dict[str, Any] = {**self.usual, **settings}

    def build(self) -> NotesNetwork:
        """The network, freshly drawn."""
        s = self.settings
        return NotesNetwork(
            self.bar, s["notes"], s["features"], s["hidden"], s["second"], s["dropout"]
        )

    def plain(self, pieces: Sequence[Score]) -> list[Score]:
        """The pieces as they are; without notes struck again where the training pieces have none."""
        if self.settings["again"]:
            return list(pieces)
        return [Score.from_rolls(piece.sounding(), grid=piece.grid) for piece in pieces]

    def fit(self, learn: Sequence[Score], held_out: Sequence[Score], seed: int) -> loop.Outcome:
        """Train the network on the decisions of excerpts."""
        s, steps = self.settings, BARS * self.bar
        s["again"] = any(struck_again(piece) for piece in learn)
        with loop.seeded(seed):
            self.network = self.build()
        rows = beginnings([piece.length for piece in learn], self.bar, steps)
        order = np.random.default_rng(seed).permutation(len(rows))[:MOST_EXCERPTS]
        known = self._decisions(learn, rows[np.sort(order)])
        others = self._decisions(
            held_out, apart([piece.length for piece in held_out], self.bar, steps)
        )
        held_steps = sum(piece.length for piece in held_out)
        budget = updates_of(self.updates, self.passes, len(known), s["batch"])

        def loss(step: int) -> Tensor:
            rng = np.random.default_rng([seed, step])
            mean: Tensor = -self.network(known, rng.integers(len(known), size=s["batch"])).mean()
            return mean

        return loop.train(
            self.network,
            loss,
            torch.optim.AdamW(
                self.network.parameters(), lr=s["rate"], weight_decay=s["decay"], betas=(0.9, 0.98)
            ),
            steps=budget,
            seed=seed,
            log=Quiet(),
            schedule=rise_and_fall(budget),
            clip=1.0,
            validate=(lambda: -float(self._logs(others).mean())) if held_steps else None,
            every=100,
            patience=s["patience"],
        )

    def _decisions(self, pieces: Sequence[Score], rows: Ints) -> Decisions:
        cut = list(excerpts(pieces, rows, self.bar, BARS * self.bar))
        return decisions(self.plain(cut), self.bar, self.settings["notes"])

    @torch.no_grad()
    def _logs(self, known: Decisions) -> Floats:
        """(decisions,) log p of each."""
        if not len(known):
            return np.zeros(0)
        parts = np.array_split(np.arange(len(known)), -(-len(known) // ALIKE))
        return np.concatenate([self.network(known, part).double().numpy() for part in parts])

    def nats(self, prompts: Sequence[Score], continuations: Sequence[Score]) -> Floats:
        """(pieces,) -log p of prompt and continuation, less that of the prompt as a piece."""
        return np.asarray(self.bar_nats(prompts, continuations).sum(axis=1))

    def bar_nats(self, prompts: Sequence[Score], continuations: Sequence[Score]) -> Floats:
        """(pieces, bars) the same; a decision belongs to the bar in which what it leads to happens.

        The prompt's own decisions and their -log p as a piece are added to and taken from bar 0.
        """
        count, bars = len(continuations), bars_of(continuations, self.bar)
        if not count:
            return np.zeros((0, bars))
        self.network.eval()
        whole = [
            concatenate([prompt, continuation]) if prompt.length else continuation
            for prompt, continuation in zip(prompts, continuations, strict=True)
        ]
        pieces = self.plain([*whole, *prompts])
        known = decisions(pieces, self.bar, self.settings["notes"])
        nats, joined = -self._logs(known), known.piece < count
        begins = np.array([prompt.length for prompt in prompts])[known.piece % count]
        bar = np.clip((known.step - begins) // self.bar, 0, bars - 1)
        place = known.piece * bars + bar
        totals = np.bincount(place[joined], nats[joined], minlength=count * bars)
        of_bars: Floats = totals.reshape(count, bars).astype(np.float64)
        of_bars[:, 0] -= np.bincount(known.piece[~joined] - count, nats[~joined], minlength=count)
        return of_bars

    def arrays(self) -> Arrays:
        """The weights."""
        return {name: value.numpy() for name, value in self.network.state_dict().items()}

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Build the network, and give it the weights."""
        with loop.seeded(0):
            self.network = self.build()
        self.network.load_state_dict({k: torch.from_numpy(v) for k, v in arrays.items()})
        self.network.eval()


def struck_again(piece: Score) -> bool:
    """Whether some key is struck while it sounds, or just as it ends."""
    return len(Score.from_rolls(piece.sounding(), grid=piece.grid)) < len(piece)
