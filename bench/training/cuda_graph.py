"""Many small GPU kernels, recorded once as a CUDA graph and replayed with one launch.

To draw a frame key by key takes hundreds of kernels, each finished before Python has launched the
next one. A replay costs a single launch. On a CPU nothing is recorded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

WARM_UP = 2  # runs before the recording, in which libraries initialise

Tensors = tuple[Tensor, ...]


class Recorded:
    """A function of tensors that returns a tuple of tensors, recorded for each set of shapes.

    `compute` may depend only on its arguments' values and on tensors that stay at their place in
    memory. It must not copy between GPU and CPU: if it does, it warns and runs without a CUDA
    graph. It may run more than once per call. The next call overwrites what it returned.
    """

    def __init__(self, compute: Callable[..., Tensors]) -> None:
        self.compute = compute
        self.recordings: dict[Any, _Recording | None] = {}  # none: it cannot be recorded

    def __call__(self, *inputs: Tensor) -> Tensors:
        """`compute(*inputs)`."""
        if inputs[0].device.type != "cuda":
            return self.compute(*inputs)
        shapes = tuple((x.shape, x.dtype) for x in inputs)
        if shapes not in self.recordings:
            self.recordings[shapes] = record(self.compute, inputs)
        recording = self.recordings[shapes]
        return recording.play(inputs) if recording else self.compute(*inputs)


@dataclass(frozen=True)
class _Recording:
    graph: torch.cuda.CUDAGraph
    inputs: Tensors  # where the graph reads
    outputs: Tensors  # where it writes

    def play(self, inputs: Tensors) -> Tensors:
        for own, new in zip(self.inputs, inputs, strict=True):
            own.copy_(new)
        self.graph.replay()
        return self.outputs


def record(compute: Callable[..., Tensors], inputs: Tensors) -> _Recording | None:
    """The kernels of `compute` as a CUDA graph; none where they cannot be recorded."""
    own = tuple(x.clone() for x in inputs)
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARM_UP):
            compute(*own)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph):
            outputs = compute(*own)
    except RuntimeError as error:
        reason = str(error).partition("\n")[0]
        print(f"Goes on without a CUDA graph, which is slower: {reason}", flush=True)
        return None
    return _Recording(graph, own, outputs)
