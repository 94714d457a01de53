"""Runs jobs on this machine, each in a process of its own.

A job may raise, crash, hang or eat the memory: it ends as an outcome, and the others go on.
The processes are forked off a server that has the heavy libraries loaded, so that a job costs
milliseconds to start; neither the server nor this process ever touches CUDA.
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
from bench.engines.schedule import Line, Place
from bench.engines.shards import Claims, watch
from bench.engines.worker_process import (
    final_status,
    memory_held,
    start_environment,
    worker_environment,
)
from bench.errors import BenchError
from bench.jobs.job import Job
from bench.jobs.plan import Planned
from bench.jobs.run_folder import BUSY, JobFolder, State, Status, Store, cannot_write

PRELOADED = ["bench.engines.preloaded"]
POLL_SECONDS = 0.1
BUSY_SECONDS = 2.0  # before looking again at a job that another run has in hand
GRACE_SECONDS = 5.0  # between asking a process to end and ending it


@dataclass
class Running:
    """A job in hand."""

    work: Planned
    place: int  # the number of the place where it runs
    folder: JobFolder
    process: ForkServerProcess
    alive: Connection  # the other end tells the process that we are gone
    begun: float = field(default_factory=time.monotonic)
    ended_as: tuple[State, str] | None = None  # when the engine ended it, and why

    @property
    def job(self) -> Job:
        """The job."""
        return self.work.job

    def memory(self) -> int:
        """Bytes held by the process and its children."""
        return memory_held(self.process.pid or 0)

    def end(self, state: State, why: str) -> None:
        """End the whole process group; the outcome is as given."""
        self.ended_as = (state, why)
        signal_group(self.process, signal.SIGKILL)

    def close(self) -> None:
        """Let go of the process's files, and of whatever it started."""
        signal_group(self.process, signal.SIGKILL)
        self.alive.close()


EventKind = Literal["started", "finished", "waiting", "elsewhere"]


@dataclass(frozen=True)
class Event:
    """What the engine tells whoever shows progress."""

    kind: EventKind
    job: Job
    status: Status | None = None


def signal_group(process: ForkServerProcess, number: int) -> None:
    """Signal the process and everything that it started."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid or 0, number)


def server() -> ForkServerContext:
    """The server that jobs are forked off; it is started with what no job can change later."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    fixed = {
        **start_environment(),
        # Each fork copies the table of pages and each end throws it away: huge ones are few.
        "GLIBC_TUNABLES": os.environ.get("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1"),
    }
    before = {name: os.environ.get(name) for name in fixed}
    os.environ.update(fixed)
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
    """Hide the main module: each process that is started meanwhile would run it anew."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def expect_gpu() -> None:
    """BenchError where the driver lists a GPU that this PyTorch cannot use.

    It is asked in a process of its own: one that has touched CUDA hands its children a broken one.
    """
    context = server()
    theirs, ours = context.Pipe(duplex=False)
    process = context.Process(target=tell_of_cuda, args=(ours,))
    with without_main():
        process.start()
    ours.close()
    try:
        version, cuda, usable = theirs.recv()
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
        f"There is a GPU, but PyTorch {version}, built for CUDA {cuda}, cannot use it. The driver may"
        " be too old: `nvidia-smi` says up to which CUDA it goes. Update it, install a PyTorch for"
        " that CUDA (pytorch.org says how), or use --device cpu."
    )


def tell_of_cuda(to: Connection) -> None:
    """Send which PyTorch this is, for which CUDA it is built, and whether it can use a GPU."""
    import torch

    to.send((torch.__version__, torch.version.cuda, torch.cuda.is_available()))


def start(work: Planned, number: int, place: Place, store: Store, claims: Claims | None) -> Running:
    """Start the job's worker at the place of that number."""
    folder = store.begin(work.job)
    try:
        folder.log.open("ab").close()
    except OSError as error:
        raise cannot_write(store.root, error) from None
    context = server()
    theirs, ours = context.Pipe(duplex=False)
    held = (str(claims.sign_of(work.job.id)), claims.beat) if claims else None
    arguments = (
        str(folder.path.resolve()),
        worker_environment(work.job, place.gpu),
        place.share(work.memory_mb),
        held,
        theirs,
    )
    process = context.Process(target=run_worker, args=arguments)
    with without_main():
        process.start()
    theirs.close()
    return Running(work, number, folder, process, ours)


def run_worker(
    folder: str,
    environment: dict[str, str],
    share: float,
    held: tuple[str, float] | None,
    alive: Connection,
) -> None:
    """The life of a job's process. `held`: its shard's sign of life, and how often to look."""
    from bench.jobs.worker import main

    os.setsid()  # a group of its own: whatever it starts ends with it
    os.environ.update(environment)
    with open(JobFolder(Path(folder)).log, "ab", buffering=0) as log:  # noqa: PTH123
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    if held:  # others have the job in hand once its shard is taken for dead
        watch(Path(held[0]), held[1], lambda: os._exit(BUSY))
    if share:
        cap_gpu_memory(share)
    main(Path(folder), alive)


def cap_gpu_memory(share: float) -> None:
    """Let this process allocate no more than its share: what it does not get, others have."""
    import torch

    torch.cuda.set_per_process_memory_fraction(share)


def guard_memory(running: Sequence[Running], limit: int | None) -> None:
    """End the jobs above the limit (MB), and the largest one when the machine runs out."""
    if limit is not None:
        for one in running:
            if one.ended_as is None and one.memory() > limit * 2**20:
                one.end("out-of-memory", f"it held more than {limit} MB (--job-memory)")
    machine = psutil.virtual_memory()
    alive = [one for one in running if one.ended_as is None]
    if alive and machine.available < MEMORY_FLOOR * machine.total:
        largest = max(alive, key=Running.memory)
        held = largest.memory() // 2**20
        largest.end("out-of-memory", f"the machine ran out of memory; it held {held} MB")


@contextmanager
def orderly_end(running: list[Running]) -> Iterator[None]:
    """Whatever ends the block, no worker outlives it. SIGTERM counts as an interruption."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        for one in running:
            signal_group(one.process, signal.SIGTERM)
        deadline = time.monotonic() + GRACE_SECONDS
        for one in running:
            one.process.join(max(0.0, deadline - time.monotonic()))
            one.close()


def run(
    works: Sequence[Planned],
    store: Store,
    places: Sequence[Place],
    finished: Callable[[Job], bool],
    tell: Callable[[Event], None],
    tick: Callable[[Sequence[Running]], None],
    timeout: float | None = None,
    job_memory: int | None = None,
    claims: Claims | None = None,
) -> dict[str, Status]:
    """Run the jobs in the order given, as far as there is room; each one's outcome by job id.

    `job_memory`: MB that each may hold. A job that another run or shard has in hand is waited for,
    and taken over if that one dies.
    """
    if any(work.job.device == "cuda" for work in works):
        expect_gpu()
    line = Line(works, places)
    not_before: dict[str, float] = {}
    running: list[Running] = []
    outcomes: dict[str, Status] = {}
    looked = guarded = 0.0

    def ready(work: Planned) -> bool:
        if not_before.get(work.job.id, 0.0) > now:
            return False
        return claims is None or claims.standing(work.job.id) in ("free", "mine")

    def settle(job: Job, kind: EventKind, status: Status | None) -> None:
        outcomes[job.id] = status or store.folder(job).read_status() or Status(state="failed")
        if claims and kind == "finished":
            claims.end(job.id)
        tell(Event(kind, job, outcomes[job.id]))

    with orderly_end(running):
        while line.waiting or running:
            now = time.monotonic()
            if claims and now - looked > min(BUSY_SECONDS, claims.beat):
                claims.refresh()
                looked = now
                for work in [w for w in line.waiting if claims.standing(w.job.id) == "ended"]:
                    line.waiting.remove(work)
                    settle(work.job, "elsewhere", None)
            while (found := line.next(ready)) is not None:
                work, number = found
                if claims and not claims.take(work.job.id):
                    not_before[work.job.id] = now + BUSY_SECONDS
                    line.put_back(work, number)
                elif finished(work.job):  # another run did it meanwhile
                    line.room.give(number, work.memory_mb)
                    settle(work.job, "finished", None)
                else:
                    running.append(start(work, number, places[number], store, claims))
                    tell(Event("started", work.job))
            if now - guarded > 0.5:
                guard_memory(running, job_memory)
                guarded = now
            ended = False
            for one in list(running):
                if timeout and one.ended_as is None and now - one.begun > timeout:
                    one.end("timeout", f"it took longer than {timeout / 60:g} minutes (--timeout)")
                if one.process.exitcode is None:
                    continue
                ended = True
                running.remove(one)
                line.room.give(one.place, one.work.memory_mb)
                one.close()
                if one.process.exitcode == BUSY and one.ended_as is None:
                    not_before[one.job.id] = now + BUSY_SECONDS
                    line.waiting.append(one.work)
                    tell(Event("waiting", one.job))
                    continue
                seconds = time.monotonic() - one.begun
                status = final_status(one.folder, one.process.exitcode, seconds, one.ended_as)
                settle(one.job, "finished", status)
            tick(running)
            if not ended:  # else there is room to begin another at once
                wait([one.process.sentinel for one in running], POLL_SECONDS)
    return outcomes
