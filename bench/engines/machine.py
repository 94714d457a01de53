"""What this machine offers to jobs: processors, memory, GPUs."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import psutil

from bench.engines.schedule import Place
from bench.errors import BenchError

JOBS_PER_GPU = 3  # small networks leave most of a GPU idle; three jobs share one well
HOST_MB = 3000  # of the machine's memory per job on a GPU
MEMORY_FLOOR = 0.03  # of the machine's memory left free: below it the largest job is ended


def cores() -> int:
    """The processors that this process may use; under a batch system, fewer than there are."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux only
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def memory_mb(groups: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> int:
    """MB that this process may use: the machine's, or less where its control group is limited."""
    limits = [int(psutil.virtual_memory().total * (1 - MEMORY_FLOOR))]
    try:
        lines = own.read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    for line in lines:
        if line.startswith("0::/"):  # cgroup v2; the limit of every level above holds too
            inner = groups / line.removeprefix("0::/")
            for group in (inner, *inner.parents):
                if not group.is_relative_to(groups):
                    break
                try:
                    limit = (group / "memory.max").read_text(encoding="utf-8").strip()
                except OSError:
                    continue
                if limit.isdecimal():
                    limits.append(int(limit))
    return min(limits) // 2**20


def ask_driver(fields: str) -> list[str]:
    """These fields of each GPU, as the driver gives them.

    PyTorch is never asked: once a process has used CUDA, its children cannot.
    """
    try:
        output = subprocess.run(
            ["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return output.stdout.splitlines()


def gpus() -> list[str]:
    """The GPUs that jobs may use, by index or as CUDA_VISIBLE_DEVICES names them."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name for name in visible.split(",") if name.strip() not in ("", "-1")]
    return [index.strip() for index in ask_driver("index")]


def gpu_memory() -> dict[str, int]:
    """MB of each GPU by its index and by its UUID, where the driver reports them."""
    sizes = {}
    for line in ask_driver("index,uuid,memory.total"):
        index, uuid, memory = (part.strip() for part in line.split(","))
        if memory.isdecimal():
            sizes[index] = sizes[uuid] = int(memory)
    return sizes


def spread(workers: int | None, cards: list[tuple[str, int | None]], most: int) -> list[Place]:
    """The GPUs as places for `workers` jobs; by default a few on each, and at most `most`."""
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

    `gpu_mb`: memory of each GPU; none: as the driver reports it.
    """
    if device == "cpu":
        return [Place(workers or cores(), memory_mb())]
    cards = gpus()
    if not cards:
        raise BenchError("There is no GPU here (nvidia-smi lists none). Use --device cpu.")
    if limit is not None and limit > len(cards):
        raise BenchError(f"There are {len(cards)} GPUs here, not {limit} (--gpus).")
    sizes = gpu_memory() if gpu_mb is None else dict.fromkeys(cards, gpu_mb)
    # A job on a GPU also takes a processor, and memory of the machine.
    most = max(1, min(cores(), memory_mb() // HOST_MB))
    return spread(workers, [(name, sizes.get(name)) for name in cards[:limit]], most)


def imagined(
    workers: int | None, device: str, count: int | None, gpu_mb: int | None
) -> list[Place]:
    """Where jobs would run on that many GPUs, or processors, which need not exist here."""
    if device == "cpu":
        return [Place(workers or cores())]
    cards: list[tuple[str, int | None]] = [(str(number), gpu_mb) for number in range(count or 1)]
    return spread(workers, cards, JOBS_PER_GPU * len(cards))
