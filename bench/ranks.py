"""The processes that train one system together, as torchrun starts them on one machine.

Only training is spread: sampling, likelihood and scores are the business of the one process that
called `launch`.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import threading
import time
import traceback
import uuid
from pathlib import Path
from typing import Any

from bench.errors import BenchError
from bench.files import read_json, write_json
from bench.store import JobFolder


class Died(Exception):
    """A training process ended without a word."""


def count() -> int:
    """How many processes train a job's system: BENCH_RANKS, by default one."""
    given = os.environ.get("BENCH_RANKS") or "1"
    if not given.isdigit() or int(given) < 1:
        raise BenchError(f"BENCH_RANKS is '{given}'; set it to the number of processes, 1 or more.")
    return int(given)


def launch(folder: JobFolder, processes: int) -> dict[str, Any]:
    """Let so many processes train the folder's job; what the first one found.

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
        told = Path(place) / "told.json"
        arguments = ("-m", "bench.ranks", str(folder.path), str(told), str(os.getpid()))
        try:
            elastic_launch(how, sys.executable)(*arguments)
        except ChildFailedError as error:
            # Whoever was killed died first; what the others say is only that they miss it.
            codes = [failure.exitcode for failure in error.failures.values()]
            killed = [code for code in codes if code < 0 and code != -signal.SIGTERM]
            failed = read_json(told)
            if killed or failed is None:
                raise death(min(killed or codes)) from None
            raise (MemoryError if failed["memory"] else BenchError)(failed["error"]) from None
        found: dict[str, Any] = json.loads(told.read_text(encoding="utf-8"))
        return found


def death(code: int) -> Exception:
    """What the exit status of a training process says of its end."""
    which = "one of its training processes"
    if code == -signal.SIGKILL:
        return MemoryError(f"the system killed {which} (SIGKILL), most likely for its memory")
    if code < 0:
        return Died(f"{which} crashed with {signal.Signals(-code).name}")
    return Died(f"{which} ended with exit status {code}")


def end_with(parent: int) -> None:
    """End this process when the one that asked for it is gone."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def main(folder: JobFolder, told: Path) -> None:
    """Be one of the processes that train the folder's job."""
    from bench import distributed
    from bench.joblog import JobLog
    from bench.phases import learn, load_pinned
    from bench.worker import last_line, ran_out_of_memory, repeatable

    try:
        job = folder.read_job()
        if job is None:
            raise BenchError(f"{folder.job} is no job description.")
        repeatable(job.device)
        if job.device == "cuda":
            own_gpu(int(os.environ["LOCAL_RANK"]))
        with distributed.together(cuda=job.device == "cuda"):
            log = JobLog(folder, job.snapshots, tensorboard=job.tensorboard)
            dataset = load_pinned(job.dataset, job.dataset_fingerprint)
            found = learn(job, folder, dataset, log, distributed.SharedLog(log))
            if distributed.rank() == 0:
                write_json(told, found)
    except BaseException as error:  # noqa: BLE001 - a system may raise anything, SystemExit too
        traceback.print_exc(file=sys.stdout)
        if not told.exists():
            write_json(told, {"error": last_line(error), "memory": ran_out_of_memory(error)})
        sys.stdout.flush()
        os._exit(1)
    sys.stdout.flush()
    os._exit(0)


def own_gpu(place: int) -> None:
    """Take the GPU of this process."""
    import torch

    if place >= torch.cuda.device_count():
        raise BenchError(
            f"There are {torch.cuda.device_count()} GPUs for {count()} training processes."
        )
    torch.cuda.set_device(place)
    os.environ["BENCH_DEVICE"] = f"cuda:{place}"


if __name__ == "__main__":
    end_with(int(sys.argv[3]))
    main(JobFolder(Path(sys.argv[1])), Path(sys.argv[2]))
