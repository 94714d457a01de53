"""Runs jobs on this machine, each in a process of its own.

A job may raise, crash, hang or use up the memory: it ends with a status, and the others go on.
The processes are forked from a server that has the heavy libraries loaded, so that a job starts
within milliseconds; neither the server nor this process ever touches CUDA.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from types import ModuleType
from typing import Literal

import psutil

from bench.engines.machine import MEMORY_FLOOR
from bench.engines.schedule import Place, Queue
from bench.engines.shards import Shard, watch
from bench.engines.worker_process import (
    ALLOCATOR,
    final_status,
    memory_held,
    start_environment,
    worker_environment,
)
from bench.errors import BenchError
from bench.jobs.job import Job
from bench.jobs.plan import Planned
from bench.jobs.run_folder import BUSY, JobFolder, JobStatus, RunFolder, State, cannot_write

PRELOADED = ["bench.engines.preloaded"]
POLL_SECONDS = 0.1
BUSY_SECONDS = 2.0  # until the next look at a job that another run has in hand
GRACE_SECONDS = 5.0  # between asking a process to end and killing it


@dataclass
class Running:
    """A job in hand."""

    planned: Planned
    place: int  # the number of the place where it runs
    folder: JobFolder
    process: ForkServerProcess
    alive: Connection  # when it closes, the process knows that the engine is gone
    begun: float = field(default_factory=time.monotonic)
    ended_as: tuple[State, str] | None = None  # when the engine ended it, and why

    @property
    def job(self) -> Job:
        """The job."""
        return self.planned.job

    def memory(self) -> int:
        """Bytes held by the process and its children."""
        return memory_held(self.process.pid or 0)

    def end(self, state: State, error: str) -> None:
        """Kill the whole process group; the job ends in this state."""
        self.ended_as = (state, error)
        signal_group(self.process, signal.SIGKILL)

    def close(self) -> None:
        """Kill whatever the process started, and close the connection to it."""
        signal_group(self.process, signal.SIGKILL)
        self.alive.close()


EventKind = Literal["started", "finished", "waiting", "elsewhere"]


@dataclass(frozen=True)
class Event:
    """What happened to a job, for whoever shows progress."""

    kind: EventKind
    job: Job
    status: JobStatus | None = None


def signal_group(process: ForkServerProcess, number: int) -> None:
    """Send a signal to the process and to everything that it started."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid or 0, number)


def server() -> ForkServerContext:
    """The server from which jobs are forked, started with the settings that no job can change."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    variables = {
        **start_environment(),
        # Every fork copies the page table and every exit frees it: huge pages keep it small.
        "GLIBC_TUNABLES": os.environ.get("GLIBC_TUNABLES", f"glibc.malloc.hugetlb=1:{ALLOCATOR}"),
    }
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        forkserver.ensure_running()
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
    return context


@contextmanager
def without_main() -> Iterator[None]:
    """Hide the main module: every process started in the block would run it again."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def expect_gpu() -> None:
    """BenchError where the driver lists a GPU that this PyTorch cannot use.

    PyTorch is asked in a process of its own: once a process has used CUDA, its children cannot.
    """
    context = server()
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=report_cuda, args=(sender,))
    with without_main():
        process.start()
    sender.close()
    try:
        version, cuda, usable = receiver.recv()
    except EOFError:
        version, cuda, usable = "?", None, False
    process.join()
    if usable:
        return
    if cuda is None:
        raise BenchError(
            f"There is a GPU, but the installed PyTorch ({version}) is built for processors only."
            " Install one with CUDA (pytorch.org says how), or use --device cpu."
        )
    raise BenchError(
        f"There is a GPU, but PyTorch {version}, built for CUDA {cuda}, cannot use it. The driver"
        " may be too old: `nvidia-smi` shows the newest CUDA that it supports. Update the driver,"
        " install a PyTorch for that CUDA (pytorch.org says how), or use --device cpu."
    )


def report_cuda(connection: Connection) -> None:
    """Send which PyTorch this is, for which CUDA it is built, and whether it can use a GPU."""
    import torch

    connection.send((torch.__version__, torch.version.cuda, torch.cuda.is_available()))


def start(
    work: Planned, number: int, place: Place, store: RunFolder, shard: Shard | None
) -> Running:
    """Start the job's worker at the place of that number."""
    folder = store.begin(work.job)
    try:
        folder.log.open("ab").close()
    except OSError as error:
        raise cannot_write(store.root, error) from None
    context = server()
    receiver, sender = context.Pipe(duplex=False)
    sign = (str(shard.sign_of(work.job.id)), shard.beat) if shard else None
    arguments = (
        str(folder.path.resolve()),
        worker_environment(work.job, place.gpu),
        place.share(work.memory_mb),
        sign,
        receiver,
    )
    process = context.Process(target=run_worker, args=arguments)
    with without_main():
        process.start()
    receiver.close()
    return Running(work, number, folder, process, sender)


def run_worker(
    folder: str,
    environment: dict[str, str],
    share: float,
    sign: tuple[str, float] | None,
    alive: Connection,
) -> None:
    """All that a job's process does.

    `share`: of the GPU's memory that it may allocate; 0: no limit. `sign`: its shard's sign of
    life, and the seconds between two looks at it.
    """
    from bench.jobs.worker import main

    os.setsid()  # a group of its own: whatever it starts ends with it
    os.environ.update(environment)
    with open(JobFolder(Path(folder)).log, "ab", buffering=0) as log:  # noqa: PTH123
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    if sign:  # once its shard is declared dead, another one takes the job over
        watch(Path(sign[0]), sign[1], lambda: os._exit(BUSY))
    if share:
        cap_gpu_memory(share)
    main(Path(folder), alive)


def cap_gpu_memory(share: float) -> None:
    """Let this process allocate no more than its share: the rest belongs to other jobs."""
    import torch

    torch.cuda.set_per_process_memory_fraction(share)


def guard_memory(running: Sequence[Running], limit: int | None) -> None:
    """End the jobs above the limit (MB), and the largest one when the machine runs out."""
    if limit is not None:
        for worker in running:
            if worker.ended_as is None and worker.memory() > limit * 2**20:
                worker.end("out-of-memory", f"it held more than {limit} MB (--job-memory)")
    machine = psutil.virtual_memory()
    alive = [worker for worker in running if worker.ended_as is None]
    if alive and machine.available < MEMORY_FLOOR * machine.total:
        largest = max(alive, key=Running.memory)
        held = largest.memory() // 2**20
        largest.end("out-of-memory", f"the machine ran out of memory; it held {held} MB")


@contextmanager
def orderly_end(running: list[Running]) -> Iterator[None]:
    """However the block ends, no worker outlives it. SIGTERM counts as Ctrl-C."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        for worker in running:
            signal_group(worker.process, signal.SIGTERM)
        deadline = time.monotonic() + GRACE_SECONDS
        for worker in running:
            worker.process.join(max(0.0, deadline - time.monotonic()))
            worker.close()


def run(
    planned: Sequence[Planned],
    store: RunFolder,
    places: Sequence[Place],
    finished: Callable[[Job], bool],
    on_event: Callable[[Event], None],
    on_tick: Callable[[Sequence[Running]], None],
    timeout: float | None = None,
    job_memory: int | None = None,
    shard: Shard | None = None,
) -> dict[str, JobStatus]:
    """Run the jobs in the order given, as far as there is room; their statuses by job id.

    `timeout`: seconds that each may take. `job_memory`: MB that each may hold. A job that another
    run or shard has in hand is waited for, and taken over if that one dies.
    """
    if any(work.job.device == "cuda" for work in planned):
        expect_gpu()
    queue = Queue(planned, places)
    not_before: dict[str, float] = {}
    running: list[Running] = []
    statuses: dict[str, JobStatus] = {}
    looked = guarded = 0.0

    def ready(work: Planned) -> bool:
        if not_before.get(work.job.id, 0.0) > now:
            return False
        return shard is None or shard.standing(work.job.id) in ("free", "mine")

    def settle(job: Job, kind: EventKind, status: JobStatus | None) -> None:
        statuses[job.id] = status or store.folder(job).read_status() or JobStatus(state="failed")
        if shard and kind == "finished":
            shard.end(job.id)
        on_event(Event(kind, job, statuses[job.id]))

    with orderly_end(running):
        while queue.waiting or running:
            now = time.monotonic()
            if shard and now - looked > min(BUSY_SECONDS, shard.beat):
                shard.refresh()
                looked = now
                for work in [w for w in queue.waiting if shard.standing(w.job.id) == "ended"]:
                    queue.waiting.remove(work)
                    settle(work.job, "elsewhere", None)
            while (turn := queue.next(ready)) is not None:
                work, number = turn
                if shard and not shard.take(work.job.id):
                    not_before[work.job.id] = now + BUSY_SECONDS
                    queue.put_back(work, number)
                elif finished(work.job):  # another run did it in the meantime
                    queue.room.give(number, work.memory_mb)
                    settle(work.job, "finished", None)
                else:
                    running.append(start(work, number, places[number], store, shard))
                    on_event(Event("started", work.job))
            if now - guarded > 0.5:
                guard_memory(running, job_memory)
                guarded = now
            ended = False
            for worker in list(running):
                if timeout and worker.ended_as is None and now - worker.begun > timeout:
                    error = f"it took longer than {timeout / 60:g} minutes (--timeout)"
                    worker.end("timeout", error)
                code = worker.process.exitcode
                if code is None:
                    continue
                ended = True
                running.remove(worker)
                queue.room.give(worker.place, worker.planned.memory_mb)
                worker.close()
                if code == BUSY and worker.ended_as is None:
                    not_before[worker.job.id] = now + BUSY_SECONDS
                    queue.waiting.append(worker.planned)
                    on_event(Event("waiting", worker.job))
                    continue
                seconds = time.monotonic() - worker.begun
                status = final_status(worker.folder, code, seconds, worker.ended_as)
                settle(worker.job, "finished", status)
            on_tick(running)
            if not ended:  # otherwise there is room to begin another at once
                wait([worker.process.sentinel for worker in running], POLL_SECONDS)
    return statuses
