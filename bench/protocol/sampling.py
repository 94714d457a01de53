"""The sample protocol: which prompts are continued, and what metrics compare with."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer

from bench.contract import Reference
from bench.data.dataset import Dataset
from bench.errors import BenchError
from bench.music import Score


class Protocol(BaseModel):
    """How many samples of which length, and whether they continue a prompt."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    samples: int
    steps: int  # per sample
    prompt: int  # steps of the prompt: one bar
    unprompted: bool = False
    test_pieces: int | None = None  # for the likelihood; none: the whole test split
    backward: bool = False  # the prompts are endings, and samples lead up to them

    @model_serializer(mode="wrap")
    def _without_default(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave `backward` out where it is false, so that hashes of earlier jobs stay valid."""
        content: dict[str, Any] = handler(self)
        if not self.backward:
            del content["backward"]
        return content


@dataclass(frozen=True)
class Prompt:
    """One bar of a validation piece, and what follows it there, or precedes it."""

    piece: str
    start: int
    score: Score
    continuation: Score
    backward: bool = False  # whether the continuation precedes it

    @property
    def continuation_start(self) -> int:
        """The step of the piece at which the continuation begins."""
        return self.start + (-self.continuation.length if self.backward else self.score.length)


def _halves(dataset: Dataset) -> tuple[list[str], list[str]]:
    """The validation pieces that give prompts, and those kept for tuning metrics."""
    shuffled = sorted(dataset.valid, key=lambda piece: hashlib.sha256(piece.encode()).digest())
    middle = (len(shuffled) + 1) // 2
    return shuffled[:middle], shuffled[middle:]


def _places(score: Score, bar: int, length: int) -> list[int]:
    """The bar lines at which an excerpt of that length may begin, the farthest apart first."""
    starts = list(range(0, score.length - length + 1, bar))
    spread, gap = [], len(starts)
    taken: set[int] = set()
    while gap >= 1:  # the first bar, then halves, quarters, ...
        for i in range(0, len(starts), gap):
            if i not in taken:
                taken.add(i)
                spread.append(starts[i])
        gap //= 2
    return spread


def prompts(dataset: Dataset, protocol: Protocol) -> list[Prompt]:
    """The protocol's prompts, the same for every system: one per piece, then further places.

    Backward prompts are the mirror image: first the last bar of each piece, then bars far from it,
    all counted from the end. BenchError when the validation pieces cannot give that many.
    """
    pieces, _ = _halves(dataset)
    length = protocol.prompt + protocol.steps
    places = {piece: _places(dataset.pieces[piece], dataset.bar, length) for piece in pieces}
    chosen: list[Prompt] = []
    for turn in range(max((len(starts) for starts in places.values()), default=0)):
        for piece in pieces:
            if turn >= len(places[piece]):
                continue
            whole, start = dataset.pieces[piece], places[piece][turn]
            if protocol.backward:
                start = whole.length - start - protocol.prompt
                after = start - protocol.steps
            else:
                after = start + protocol.prompt
            score = whole.slice(start, start + protocol.prompt)
            if not len(score):
                continue  # a bar of silence is no prompt
            continuation = whole.slice(after, after + protocol.steps)
            if protocol.unprompted:
                score = Score.silence(0, dataset.grid)
            chosen.append(Prompt(piece, start, score, continuation, protocol.backward))
            if len(chosen) == protocol.samples:
                return chosen
    raise BenchError(
        f"{dataset.name} can give {len(chosen)} prompts with {protocol.steps} steps after them, not"
        f" {protocol.samples}. Ask for fewer (--samples) or shorter ones (--steps)."
    )


def excerpts(pieces: Sequence[Score], protocol: Protocol) -> list[Score]:
    """The pieces cut into excerpts of the samples' length, in the way continuations are cut.

    The first bar is left out, as if it were the prompt: the rests before an upbeat occur in no
    continuation. What is shorter than a sample is left out too.
    """
    bar, steps = protocol.prompt, protocol.steps
    stride = -(-steps // bar) * bar
    return [
        piece.slice(start, start + steps)
        for piece in pieces
        for start in range(bar, piece.length - steps + 1, stride)
    ]


def reference(dataset: Dataset, protocol: Protocol, chosen: Sequence[Prompt]) -> Reference:
    """The music that metrics compare the samples with; of test pieces they get excerpts only."""
    _, kept = _halves(dataset)
    test = {piece: excerpts([dataset.pieces[piece]], protocol) for piece in dataset.test}
    if not any(test.values()):
        raise BenchError(
            f"No test piece of {dataset.name} has {protocol.steps} steps; ask for shorter samples"
            " (--steps)."
        )
    return Reference(
        grid=dataset.grid,
        bar=dataset.bar,
        steps=protocol.steps,
        train=dataset.split("train"),
        tuning=excerpts([dataset.pieces[piece] for piece in kept], protocol),
        test=[excerpt for cut in test.values() for excerpt in cut],
        prompts=[prompt.score for prompt in chosen],
        test_pieces=[piece for piece, cut in test.items() for _ in cut],
        prompt_pieces=[prompt.piece for prompt in chosen],
        continuations=[prompt.continuation for prompt in chosen],
        backward=protocol.backward,
    )


def test_pieces(dataset: Dataset, protocol: Protocol) -> list[Score]:
    """The test pieces whose likelihood is measured."""
    return dataset.split("test")[: protocol.test_pieces]


def check_samples(samples: object, protocol: Protocol, grid: int) -> list[Score]:
    """The samples, if they follow the protocol; BenchError says which one does not, and how."""
    if not isinstance(samples, list) or not all(isinstance(score, Score) for score in samples):
        raise BenchError("sample() must return a list of Score, one per prompt.")
    if len(samples) != protocol.samples:
        raise BenchError(
            f"sample() returned {len(samples)} samples for {protocol.samples} prompts."
        )
    for number, score in enumerate(samples):
        if score.length != protocol.steps or score.grid != grid:
            raise BenchError(
                f"Sample {number} has {score.length} steps at {score.grid} per quarter; the"
                f" protocol asks for {protocol.steps} at {grid}. End it with silence (Score.pad)"
                " or cut it (Score.slice)."
            )
    return samples
