"""What this machine has for jobs: processors, memory, GPUs."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import psutil

from bench.engines.schedule import Place
from bench.errors import BenchError

JOBS_PER_GPU = 3  # small nets leave most of a GPU idle; three jobs share one well
HOST_MB = 3000  # of the machine's memory per job on a GPU
MEMORY_FLOOR = 0.03  # of the machine's memory left free: below it the largest job is ended


def cores() -> int:
    """The processors that this process may use: a batch system lends fewer than there are."""
    lent = getattr(os, "sched_getaffinity", None)  # where the system has it
    return len(lent(0)) if lent else os.cpu_count() or 1


def memory_mb(groups: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> int:
    """MB that this process may use: the machine's, or less where its control group is limited."""
    found = [int(psutil.virtual_memory().total * (1 - MEMORY_FLOOR))]
    try:
        lines = own.read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    for line in lines:
        if line.startswith("0::/"):  # the unified hierarchy; limits hold from every level above
            inner = groups / line.removeprefix("0::/")
            for group in (inner, *inner.parents):
                if not group.is_relative_to(groups):
                    break
                try:
                    limit = (group / "memory.max").read_text(encoding="utf-8").strip()
                except OSError:
                    continue
                if limit.isdecimal():
                    found.append(int(limit))
    return min(found) // 2**20


def ask_driver(what: str) -> list[str]:
    """What the driver says of each GPU; torch is never asked.

    A parent that has touched CUDA hands its children a broken one.
    """
    try:
        listed = subprocess.run(
            ["nvidia-smi", f"--query-gpu={what}", "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return listed.stdout.splitlines()


def gpus() -> list[str]:
    """The GPUs that jobs may use, by index, as the driver names them."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name for name in visible.split(",") if name.strip() not in ("", "-1")]
    return [index.strip() for index in ask_driver("index")]


def gpu_memory() -> dict[str, int]:
    """MB of each GPU by its index and by its UUID, as far as the driver tells."""
    found = {}
    for line in ask_driver("index,uuid,memory.total"):
        index, uuid, memory = (part.strip() for part in line.split(","))
        if memory.isdecimal():
            found[index] = found[uuid] = int(memory)
    return found


def spread(workers: int | None, cards: list[tuple[str, int | None]], most: int) -> list[Place]:
    """GPUs as places for `workers` jobs, by default for a few on each and for `most` in all."""
    count = workers or min(JOBS_PER_GPU * len(cards), most)
    shares = [count // len(cards) + (number < count % len(cards)) for number in range(len(cards))]
    return [
        Place(slots, memory, name)
        for slots, (name, memory) in zip(shares, cards, strict=True)
        if slots
    ]


def places(
    workers: int | None, device: str, limit: int | None = None, gpu_mb: int | None = None
) -> list[Place]:
    """Where jobs run on this machine: its processors, or its GPUs (the first `limit` of them).

    `gpu_mb`: memory of each GPU; none: what the driver says.
    """
    if device == "cpu":
        return [Place(workers or cores(), memory_mb())]
    cards = gpus()
    if not cards:
        raise BenchError("There is no GPU here (nvidia-smi lists none). Use --device cpu.")
    if limit is not None and limit > len(cards):
        raise BenchError(f"There are {len(cards)} GPUs here, not {limit} (--gpus).")
    sizes = gpu_memory() if gpu_mb is None else dict.fromkeys(cards, gpu_mb)
    # Each job also takes a processor and memory of the machine.
    most = max(1, min(cores(), memory_mb() // HOST_MB))
    return spread(workers, [(name, sizes.get(name)) for name in cards[:limit]], most)


def imagined(
    workers: int | None, device: str, count: int | None, gpu_mb: int | None
) -> list[Place]:
    """Where jobs would run on so many GPUs, or processors, that need not be here."""
    if device == "cpu":
        return [Place(workers or cores())]
    cards: list[tuple[str, int | None]] = [(str(number), gpu_mb) for number in range(count or 1)]
    return spread(workers, cards, JOBS_PER_GPU * len(cards))
