"""Many small launches, recorded once on a GPU and played back as one: a CUDA graph.

To draw a frame key by key takes hundreds of kernels, each done before Python has launched the
next one. Played back, they cost a single launch. Elsewhere nothing is recorded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

WARM_UP = 2  # runs before the recording, in which libraries set themselves up

Tensors = tuple[Tensor, ...]


class Recorded:
    """`compute(*tensors)`, a tuple of tensors; recorded for each set of shapes it is called with.

    What it computes may depend on nothing but its arguments' values and on tensors that stay where
    they are in memory. While it is recorded it reads nothing back and sends nothing to the GPU;
    one that does is said so of, and goes on unrecorded. It may run more than once per call.
    What it returns is overwritten by the next call.
    """

    def __init__(self, compute: Callable[..., Tensors]) -> None:
        self.compute = compute
        self.recordings: dict[Any, _Recording | None] = {}  # none: it cannot be recorded

    def __call__(self, *given: Tensor) -> Tensors:
        """What `compute` makes of these."""
        if given[0].device.type != "cuda":
            return self.compute(*given)
        shapes = tuple((x.shape, x.dtype) for x in given)
        if shapes not in self.recordings:
            self.recordings[shapes] = record(self.compute, given)
        recording = self.recordings[shapes]
        return recording.play(given) if recording else self.compute(*given)


@dataclass(frozen=True)
class _Recording:
    graph: torch.cuda.CUDAGraph
    given: Tensors  # where it reads
    found: Tensors  # where it writes

    def play(self, given: Tensors) -> Tensors:
        for own, new in zip(self.given, given, strict=True):
            own.copy_(new)
        self.graph.replay()
        return self.found


def record(compute: Callable[..., Tensors], given: Tensors) -> _Recording | None:
    """The launches of `compute`, or none where the GPU refuses to record them."""
    own = tuple(x.clone() for x in given)
    aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(WARM_UP):
            compute(*own)
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph):
            found = compute(*own)
    except RuntimeError as error:
        why = str(error).partition("\n")[0]
        print(f"Goes on without a CUDA graph, which is slower: {why}", flush=True)
        return None
    return _Recording(graph, own, found)
