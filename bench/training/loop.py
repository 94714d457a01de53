"""The training loop. A run that was killed and resumed ends bit-equal to an uninterrupted one.

No random state is carried from step to step: batches and dropout masks are drawn from (seed, step)
alone, and the learning rate follows from the step and from the losses so far. Two runs on the same machine with the same
number of threads are therefore equal, and a checkpoint needs no state of any random generator.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.contract import Budget, Log
from bench.errors import BenchError
from bench.seeds import step_seed
from bench.training import distributed

POINTS = 200  # of each curve; progress is reported as often

Weights = dict[str, Tensor]

_one_core: ContextVar[bool] = ContextVar("_one_core", default=False)


def device() -> torch.device:
    """The device of the networks: BENCH_DEVICE, by default the CPU."""
    if _one_core.get():
        return torch.device("cpu")
    name = os.environ.get("BENCH_DEVICE") or "cpu"
    if name.partition(":")[0] not in ("cpu", "cuda"):
        raise BenchError(f"BENCH_DEVICE is '{name}'; set it to cpu or cuda.")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise BenchError(f"BENCH_DEVICE is '{name}', but PyTorch finds no GPU; set it to cpu.")
    return torch.device(name)


@contextmanager
def on_one_core() -> Iterator[None]:
    """Inside, networks live on the CPU and one thread computes, whatever device the job has.

    For what must not depend on the job: sums come out the same only in one order.
    """
    before, token = torch.get_num_threads(), _one_core.set(True)
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        _one_core.reset(token)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """PyTorch draws from this seed inside; its own random state is restored afterwards."""
    current = device()
    with torch.random.fork_rng([current] if current.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def updates(budget: Budget, per_pass: int) -> int:
    """The budget in updates, of which one pass over the data takes `per_pass`."""
    return budget.amount * (per_pass if budget.unit == "passes" else 1)


def batches_per_pass(items: int, size: int) -> int:
    """How many batches hold every item once; the last one may be smaller."""
    return -(-items // size)


@lru_cache(maxsize=4)
def _order(items: int, seed: int, turn: int) -> NDArray[np.int64]:
    return np.random.default_rng([seed, turn]).permutation(items)


def whole_batch(items: int, size: int, seed: int, step: int) -> NDArray[np.int64]:
    """The items of one step's batch: each once per pass, every pass in a new order."""
    turn, place = divmod(step, batches_per_pass(items, size))
    return _order(items, seed, turn)[place * size : (place + 1) * size].copy()


def batch(items: int, size: int, seed: int, step: int) -> NDArray[np.int64]:
    """The items of one step's batch; of several processes each gets its part."""
    return distributed.part(whole_batch(items, size, seed, step))


@dataclass(frozen=True)
class Anneal:
    """Lowers the learning rate when the training error slows.

    The mean loss of every `window` updates is compared with that of the window before. Where it
    fell by less than `slow` of its size, the rate is multiplied by `factor` from then on.
    """

    factor: float
    window: int
    slow: float


class _Annealing:
    """The rate's factor so far, and what decides the next one."""

    def __init__(self, rule: Anneal | None) -> None:
        self.rule = rule
        self.factor = 1.0
        self.before: float | None = None  # mean loss of the last full window
        self.losses: list[Tensor] = []  # of the window that is not full yet

    def add(self, loss: Tensor) -> None:
        if self.rule is None:
            return
        self.losses.append(loss.detach())
        if len(self.losses) < self.rule.window:
            return
        mean = float(np.mean([float(value) for value in self.losses]))
        if self.before is not None and self.before - mean < self.rule.slow * abs(self.before):
            self.factor *= self.rule.factor
        self.before, self.losses = mean, []

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps; empty where nothing is annealed."""
        if self.rule is None:
            return {}
        before = [] if self.before is None else [self.before]
        return {
            "factor": self.factor,
            "before": before,
            "losses": [float(value) for value in self.losses],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        if self.rule is not None and state:
            self.factor = float(state["factor"])
            self.before = next((float(value) for value in state["before"]), None)
            self.losses = [torch.as_tensor(value) for value in state["losses"]]


@dataclass(frozen=True)
class Outcome:
    """How training ended."""

    steps: int  # updates made
    best_step: int  # whose weights were kept
    best_loss: float | None  # on the validation pieces; none where nothing was validated


def train(
    model: nn.Module,
    loss: Callable[[int], Tensor],
    optimiser: torch.optim.Optimizer,
    *,
    steps: int,
    seed: int,
    log: Log,
    schedule: Callable[[int], float] = lambda step: 1.0,
    clip: float | None = None,
    validate: Callable[[], float] | None = None,
    every: int = 100,
    patience: int | None = None,
    music_steps: int = 0,
    per_step: float = 1.0,
    anneal: Anneal | None = None,
) -> Outcome:
    """Minimise `loss(step)`; continues from the log's checkpoint if it has one.

    `loss` chooses its batch by the step (see `batch`). The learning rates given with the
    optimiser are multiplied by `schedule(step)` and lowered by `anneal`; the gradient's global norm
    is clipped to `clip`.
    `validate` gives the validation loss. It is called every `every` updates and after the last
    one; the weights with the lowest loss are kept, and training ends after `patience` calls
    without a lower one. One update sees `music_steps` steps of music. The curve of the training loss
    is in nats per step of music if the loss is a mean over items of which a step has `per_step`.
    BenchError when the loss is no longer finite.
    """
    device_type = next(model.parameters()).device.type
    rates = [group["lr"] for group in optimiser.param_groups]
    point = max(1, steps // POINTS)
    best: dict[str, Any] = {}
    annealing = _Annealing(anneal)
    done, stale, unread = 0, 0, []  # unread: losses since the last point of the curve

    state = log.resume()
    if state is not None:
        done, stale, best = int(state["step"]), int(state["stale"]), dict(state.get("best", {}))
        unread = [torch.as_tensor(value) for value in state.get("unseen", [])]
        annealing.restore(state.get("annealing", {}))
        if state.get("stop"):  # no further than this checkpoint
            steps = done
        model.load_state_dict(_tensors(state["model"]))
        _load_optimiser(optimiser, state.get("optimiser", {}))

    def read_losses() -> list[float]:
        values = [float(value) for value in unread]
        for update, value in enumerate(values, start=done - len(values) + 1):
            if not np.isfinite(value):
                raise BenchError(
                    f"Training diverged: the loss is {value} at update {update}."
                    f" Lower the learning rate ({rates[0]:g}) or the gradient's clip ({clip})."
                )
        return values

    def snapshot() -> dict[str, Any]:
        # The losses are read first, so that weights that have diverged are never saved.
        return {
            "step": done,
            "stale": stale,
            "unseen": read_losses(),
            "annealing": annealing.state(),
            "best": best,
            "model": _copy(model.state_dict()),
            "optimiser": _optimiser_state(optimiser),
        }

    distributed.same(model)
    while done < steps and (patience is None or stale < patience):
        model.train()
        for group, rate in zip(optimiser.param_groups, rates, strict=True):
            group["lr"] = rate * schedule(done) * annealing.factor
        optimiser.zero_grad(set_to_none=True)
        with (
            seeded(distributed.own_seed(step_seed(seed, done))),
            torch.autocast(device_type, torch.bfloat16, enabled=device_type == "cuda"),
        ):
            value = loss(done)
        value.backward()  # type: ignore[no-untyped-call]
        value = distributed.reduce(model, value)
        if clip is not None:
            nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimiser.step()
        done += 1
        # Losses are read rarely, since each reading waits for the GPU.
        unread.append(value)
        annealing.add(value)
        if done % point == 0 or done == steps:
            log.record(
                done,
                train_loss=float(np.mean(read_losses())) * per_step,
                rate=optimiser.param_groups[0]["lr"],
            )
            log.progress(done, steps, done * music_steps)
            unread.clear()
        if validate is not None and (done % every == 0 or done == steps):
            read_losses()
            held_out = distributed.first(lambda: _held_out(model, validate))
            log.record(done, valid_loss=held_out)
            if not best or held_out < best["loss"]:
                best = {"loss": held_out, "step": done, "model": _copy(model.state_dict())}
                stale = 0
            else:
                stale += 1
        log.checkpoint(snapshot)

    read_losses()
    if best:
        model.load_state_dict(_tensors(best["model"]))
    model.eval()
    return Outcome(done, int(best.get("step", done)), best.get("loss"))


def _held_out(model: nn.Module, validate: Callable[[], float]) -> float:
    model.eval()
    with torch.no_grad(), seeded(0):
        loss = float(validate())
    if not np.isfinite(loss):
        raise BenchError(
            f"The validation loss is {loss}: the network gives some piece probability 0."
        )
    return loss


def _copy(weights: Mapping[str, Tensor]) -> Weights:
    """The weights as they are now; later updates do not change them."""
    return {name: weight.detach().cpu().clone() for name, weight in weights.items()}


def _tensors(tree: Mapping[str, Any]) -> Weights:
    return {name: torch.as_tensor(value) for name, value in tree.items()}


def _optimiser_state(optimiser: torch.optim.Optimizer) -> dict[str, Any]:
    """What the optimiser keeps for each parameter, without its own settings."""
    return {
        str(number): {
            name: value.detach().cpu().clone() if isinstance(value, Tensor) else value
            for name, value in memory.items()
            if value is not None
        }
        for number, memory in optimiser.state_dict()["state"].items()
    }


def _load_optimiser(optimiser: torch.optim.Optimizer, tree: Mapping[str, Any]) -> None:
    memories = {int(number): dict(memory) for number, memory in tree.items()}
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": memories, "param_groups": groups})
