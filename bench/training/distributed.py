"""Data-parallel training of one network by several processes; with one process nothing changes.

Every process holds the whole network and computes its part of every batch. The gradients are
summed before each update, so that all processes make the same update. They run on one machine and
are started by `bench.jobs.launch`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import numpy as np
import torch
import torch.distributed as torch_distributed
from torch import Tensor, nn

from bench.contract import Log

PATIENCE = timedelta(days=7)  # a job is ended by the engine's deadline, not by this

Rows = TypeVar("Rows")

_parts: list[float] = []  # this process's share of each batch since the last update


def ranks() -> int:
    """How many processes train together."""
    return torch_distributed.get_world_size() if torch_distributed.is_initialized() else 1


def rank() -> int:
    """The number of this process; process 0 saves the result."""
    return torch_distributed.get_rank() if torch_distributed.is_initialized() else 0


@contextmanager
def together(cuda: bool) -> Iterator[None]:
    """Connects this process to the others that torchrun started."""
    torch_distributed.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo", timeout=PATIENCE)
    try:
        yield
    finally:
        torch_distributed.destroy_process_group()


def part(rows: Rows) -> Rows:
    """This process's part of a batch; the whole batch if it has fewer rows than processes."""
    count = len(rows)  # type: ignore[arg-type]
    if ranks() == 1 or count < ranks():
        return rows
    begin, end = (count * place // ranks() for place in (rank(), rank() + 1))
    _parts.append((end - begin) / count)
    mine: Rows = rows[begin:end]  # type: ignore[index]
    return mine


def own_seed(seed: int) -> int:
    """A different seed for each process, so that no two draw the same numbers for their rows."""
    if rank() == 0:
        return seed
    return int(np.random.SeedSequence([seed, rank()]).generate_state(1, np.uint64)[0] >> 1)


def same(model: nn.Module) -> None:
    """Give every process the weights of process 0."""
    if ranks() > 1:
        for weight in [*model.parameters(), *model.buffers()]:
            torch_distributed.broadcast(weight.data, 0)


def reduce(model: nn.Module, value: Tensor) -> Tensor:
    """The loss over the whole batch; sets the gradients to those of that loss.

    Each process is weighted by its share of the batch's rows. Where the batch was not divided, all
    processes computed the same loss and are weighted equally.
    """
    value = value.detach()
    if ranks() == 1:
        return value
    share = _parts[0] if _parts else 1.0 / ranks()
    _parts.clear()
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    gradients = [weight.grad for weight in weights]
    kind, where = weights[0].dtype, weights[0].device
    has = torch.tensor([gradient is not None for gradient in gradients], dtype=kind, device=where)
    flat = torch.cat(
        [
            value.to(kind).view(1) * share,
            has,
            *(
                torch.zeros_like(weight).flatten()
                if gradient is None
                else gradient.flatten() * share
                for weight, gradient in zip(weights, gradients, strict=True)
            ),
        ]
    )
    torch_distributed.all_reduce(flat)
    total, has, rest = flat[0], flat[1 : 1 + len(weights)], flat[1 + len(weights) :]
    sums = torch.split(rest, [weight.numel() for weight in weights])
    for weight, summed, held in zip(weights, sums, has.tolist(), strict=True):
        if held:  # a weight without a gradient in any process is left alone by the optimiser
            weight.grad = summed.view_as(weight).clone()
    return total.clone()


def first(compute: Callable[[], Any]) -> Any:
    """The result of `compute` in process 0, given to every process."""
    if ranks() == 1:
        return compute()
    box = [compute() if rank() == 0 else None]
    torch_distributed.broadcast_object_list(box, 0)
    return box[0]


class SharedLog:
    """The log of a training by several processes: only process 0 writes to it."""

    def __init__(self, log: Log):
        self.log = log

    def record(self, step: int, **values: float) -> None:
        """Add a point to the curves."""
        if rank() == 0:
            self.log.record(step, **values)

    def progress(self, done: int, total: int, music_steps: int = 0) -> None:
        """Report how far training is."""
        if rank() == 0:
            self.log.progress(done, total, music_steps)

    def checkpoint(self, state: Callable[[], Mapping[str, Any]]) -> None:
        """Offer the state, which is the same in all processes."""
        if rank() == 0:
            self.log.checkpoint(state)

    def resume(self) -> Mapping[str, Any] | None:
        """The state of the last checkpoint, in every process."""
        state: Mapping[str, Any] | None = first(self.log.resume)
        return state
