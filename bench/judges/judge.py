"""What a judge is, and what it learns from: excerpts cut as the sample protocol cuts them."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from bench.contract import Floats
from bench.music import Score, concatenate
from bench.registry import Family

if TYPE_CHECKING:
    from bench.training.loop import Outcome

BARS = 9  # of an excerpt: one that prompts, and eight that go on
HELD_OUT = 10  # one training piece in so many says when to stop
MOST_HELD_OUT = 96  # excerpts of those

Arrays = dict[str, NDArray[Any]]


class Judge(Protocol):
    """A small network with a likelihood, for pieces of one grid and length of bar."""

    family: ClassVar[Family]
    version: ClassVar[int]  # raise it when the code trains another network, or gives other nats
    settings: dict[str, Any]

    def __init__(self, grid: int, bar: int, **settings: Any) -> None: ...

    def fit(self, learn: Sequence[Score], held_out: Sequence[Score], seed: int) -> Outcome:
        """Learn from whole pieces; keep what the held-out ones like best."""

    def bar_nats(self, prompts: Sequence[Score], continuations: Sequence[Score]) -> Floats:
        """(pieces, bars) -log p of each bar of the continuations, given all that is before it."""

    def nats(self, prompts: Sequence[Score], continuations: Sequence[Score]) -> Floats:
        """(pieces,) -log p of each continuation, given its prompt: the sum over its bars."""

    def arrays(self) -> Arrays:
        """What it has learnt."""

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take what was learnt."""


def usable(pieces: Sequence[Score], bar: int) -> list[Score]:
    """The pieces of two bars or more in which anything sounds, in an order of their content."""
    by_hash = {p.content_hash: p for p in pieces if len(p) and p.length >= 2 * bar}
    return [by_hash[digest] for digest in sorted(by_hash)]


def divided(pieces: Sequence[Score]) -> tuple[list[Score], list[Score]]:
    """The pieces to learn from, and those that say when to stop: one in ten, at least one of two."""
    if len(pieces) < 2:
        return list(pieces), []
    step = min(HELD_OUT, len(pieces))
    return [p for i, p in enumerate(pieces) if i % step], list(pieces[::step])


def fingerprint(train: Sequence[Score], grid: int, bar: int) -> str:
    """SHA-256 of all that a judge is made of: the usable training pieces, the grid and the bar."""
    digest = hashlib.sha256(f"judges of {grid} {bar}\n".encode())
    for piece in usable(train, bar):
        digest.update(f"{piece.content_hash}\n".encode())
    return digest.hexdigest()


def beginnings(lengths: Sequence[int], bar: int, steps: int) -> NDArray[np.int64]:
    """(excerpts, 2) the piece and the bar line of every excerpt of so many steps.

    A piece that is shorter gives one, from its beginning.
    """
    rows = [
        (number, start)
        for number, length in enumerate(lengths)
        for start in range(0, max(1, length - steps + 1), bar)
    ]
    return np.array(rows, dtype=np.int64).reshape(-1, 2)


def excerpts(
    pieces: Sequence[Score], rows: NDArray[np.int64], bar: int, steps: int
) -> Iterator[Score]:
    """The excerpts at (piece, start); notes are cut after the first bar, as prompts are cut."""
    for number, start in rows.tolist():
        piece = pieces[number]
        middle, stop = start + bar, min(start + steps, piece.length)
        yield concatenate([piece.slice(start, middle), piece.slice(middle, stop)])


def apart(lengths: Sequence[int], bar: int, steps: int) -> NDArray[np.int64]:
    """(excerpts, 2) at most MOST_HELD_OUT that hardly overlap: what is held out is asked of once."""
    rows = beginnings(lengths, steps - bar, steps)
    return rows[np.linspace(0, len(rows) - 1, min(len(rows), MOST_HELD_OUT)).astype(np.int64)]


def bars_of(pieces: Sequence[Score], bar: int) -> int:
    """The bars of the longest piece, a part of a bar counted as one; at least 1."""
    return max([1, *(-(-piece.length // bar) for piece in pieces)])


def updates_of(most: int, passes: int, steps: int, each: int) -> int:
    """How many updates a judge may take: so many passes over the music, at most `most`.

    One update hears `each` steps of `steps`.
    """
    return max(1, min(most, round(passes * steps / each)))


def rise_and_fall(steps: int) -> Callable[[int], float]:
    """The share of the learning rate: up over the first twentieth, then down to nothing."""
    rise = max(1, min(50, steps // 20))

    def share(step: int) -> float:
        return min(1.0, (step + 1) / rise) * (
            0.5 + 0.5 * math.cos(math.pi * min(1.0, step / steps))
        )

    return share


class Quiet:
    """A Log that keeps nothing."""

    def record(self, step: int, **values: float) -> None:
        """Forget it."""

    def progress(self, done: int, total: int, music_steps: int = 0) -> None:
        """Forget it."""

    def checkpoint(self, state: Callable[[], Mapping[str, Any]]) -> None:
        """Forget it."""

    def resume(self) -> Mapping[str, Any] | None:
        """Nothing to resume from."""
        return None
