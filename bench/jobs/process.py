"""The process that a job runs in: its machine, its memory, and how it ended."""

from __future__ import annotations

import platform
import resource
import sys
from pathlib import Path

from bench.errors import BenchError
from bench.jobs.job import Job
from bench.jobs.run_folder import State


class Died(Exception):
    """A training process ended without a word."""


def repeatable(device: str) -> None:
    """Ask the GPU for the same bits every time, as far as it can."""
    if device == "cuda":
        import torch

        torch.backends.cudnn.benchmark = False
        torch.backends.cudnn.deterministic = True
        # Attention's gradient, and sums by index: a warning where there is no such way.
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def last_line(error: BaseException) -> str:
    """The error as one line."""
    text = str(error).strip().splitlines()
    name = "" if isinstance(error, BenchError | Died) else f"{type(error).__name__}: "
    return f"{name}{text[0] if text else ''}".strip(": ") or type(error).__name__


def ran_out_of_memory(error: BaseException) -> bool:
    """Whether the error is about memory, the machine's or a GPU's."""
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"


def state_after(error: BaseException) -> State:
    """How the job of a process that met this error stands."""
    if isinstance(error, Died):
        return "crashed"
    return "out-of-memory" if ran_out_of_memory(error) else "failed"


def peak_memory(job: Job) -> int:
    """The most memory the process ever held, in MB; on a GPU job the GPU's."""
    if job.device == "cuda" and "torch" in sys.modules:
        import torch

        return int(torch.cuda.max_memory_allocated() // 2**20)
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, kilobytes elsewhere
    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit // 2**20)


def hardware(job: Job) -> str:
    """What the job ran on, as people would name it."""
    if job.device == "cuda":
        import torch

        return str(torch.cuda.get_device_name())
    cpu = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        cpu = next(
            line.partition(":")[2].strip() for line in lines if line.startswith("model name")
        )
    except (OSError, StopIteration):
        pass
    return cpu
