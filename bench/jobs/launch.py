"""Starts the processes that train one system together, as torchrun does on one machine."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import uuid
from pathlib import Path

from bench.errors import BenchError
from bench.files import read_json
from bench.jobs.process import Died
from bench.jobs.results import FitResult
from bench.jobs.run_folder import JobFolder


def count() -> int:
    """How many processes train a job's system: BENCH_RANKS, by default one."""
    given = os.environ.get("BENCH_RANKS") or "1"
    if not given.isdigit() or int(given) < 1:
        raise BenchError(f"BENCH_RANKS is '{given}'; set it to the number of processes, 1 or more.")
    return int(given)


def launch(folder: JobFolder, processes: int) -> FitResult:
    """Let so many processes train the folder's job; the result of the first one.

    BenchError with what the first process to fail said, MemoryError when it was about memory.
    """
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    how = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        run_id=str(uuid.uuid4()),
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        local_addr="localhost",
        max_restarts=0,  # the same command goes on from the checkpoint
    )
    with tempfile.TemporaryDirectory() as place:
        answer = Path(place) / "answer.json"
        arguments = ("-m", "bench.jobs.rank", str(folder.path), str(answer), str(os.getpid()))
        try:
            elastic_launch(how, sys.executable)(*arguments)
        except ChildFailedError as error:
            # Whoever was killed died first; what the others say is only that they miss it.
            codes = [failure.exitcode for failure in error.failures.values()]
            killed = [code for code in codes if code < 0 and code != -signal.SIGTERM]
            failed = read_json(answer)
            if killed or failed is None:
                raise death(min(killed or codes)) from None
            raise (MemoryError if failed["memory"] else BenchError)(failed["error"]) from None
        return FitResult.model_validate_json(answer.read_bytes())


def death(code: int) -> Exception:
    """What the exit status of a training process says of its end."""
    which = "one of its training processes"
    if code == -signal.SIGKILL:
        return MemoryError(f"the system killed {which} (SIGKILL), most likely for its memory")
    if code < 0:
        return Died(f"{which} crashed with {signal.Signals(-code).name}")
    return Died(f"{which} ended with exit status {code}")
