"""The processes that train one system together, as torchrun starts them on one machine.

Only training is spread: sampling, likelihood and scores are the business of the one process that
called `launch`.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import traceback
from pathlib import Path

from bench.errors import BenchError
from bench.files import write_json
from bench.jobs.launch import count
from bench.jobs.run_folder import JobFolder


def end_with(parent: int) -> None:
    """End this process when the one that asked for it is gone."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def main(folder: JobFolder, answer: Path) -> None:
    """Be one of the processes that train the folder's job."""
    from bench.jobs.log import JobLog
    from bench.jobs.phases import learn, load_pinned
    from bench.jobs.process import last_line, ran_out_of_memory, repeatable
    from bench.training import distributed

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
            result = learn(job, folder, dataset, log, distributed.SharedLog(log))
            if distributed.rank() == 0:
                write_json(answer, result.model_dump(mode="json"))
    except BaseException as error:  # noqa: BLE001 - a system may raise anything, SystemExit too
        traceback.print_exc(file=sys.stdout)
        if not answer.exists():
            write_json(answer, {"error": last_line(error), "memory": ran_out_of_memory(error)})
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
