"""Runs jobs on a Ray cluster: Ray leases what a job needs on some node and starts it there.

Ray keeps nothing that matters: whatever dies, this process or the whole cluster, what is finished
lies in the run folder, and the same command goes on.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import data
from bench.data import library
from bench.engines.cluster import (
    Cluster,
    Demand,
    Node,
    connected,
    excluded,
    lost,
    nodes,
    reason,
    refuse,
    shares_folder,
)
from bench.engines.lease import Files, Lease, LeaseResult, own_versions, pack, run_lease, unpack
from bench.engines.local import BUSY_SECONDS, Event, orderly_end
from bench.engines.worker_process import record, worker_environment
from bench.errors import BenchError
from bench.files import write
from bench.jobs.job import Job
from bench.jobs.plan import Planned
from bench.jobs.run_folder import JobFolder, JobStatus, RunFolder, cannot_write

RETRIES = 2  # of a job whose node or lease was lost, through no fault of its own
POLL_SECONDS = 0.2
NODES_SECONDS = 2.0  # between two looks at which nodes there are
HOPELESS_SECONDS = 600.0  # without a node on which any of the jobs left would fit


@dataclass(frozen=True)
class Leased:
    """A job that the cluster has in hand."""

    planned: Planned
    folder: JobFolder
    demand: Demand
    begun: float
    lock: ExitStack  # the folder's lock, where the worker cannot hold it

    @property
    def job(self) -> Job:
        """The job."""
        return self.planned.job


def data_files(jobs: Sequence[Job]) -> Files:
    """The parsed pieces of the jobs' data sets, for nodes that do not have them."""
    files = {}
    for name in sorted({name for job in jobs for name in (job.dataset, *job.also)}):
        pieces = library.kept(name)
        if not pieces.is_file():
            raise BenchError(
                f"{pieces} cannot be written. Set BENCH_CACHE_DIR to a folder that can be written."
            )
        files[f"cache/{pieces.relative_to(data.cache_dir()).as_posix()}"] = pieces.read_bytes()
        manifest = library.source_of(name).manifest
        if manifest.is_relative_to(data.data_dir()):  # the user's own: no node has it installed
            below = manifest.relative_to(data.data_dir()).as_posix()
            files[f"data/{below}"] = manifest.read_bytes()
    return files


def job_files(job: Job, folder: JobFolder) -> Files:
    """The files of the job's folder, and the user's file that holds its class."""
    files = pack(folder.path, f"jobs/{job.id}/", leave={"lock"})
    code = Path(job.class_path.rpartition(":")[0])
    if code.suffix == ".py":
        files[f"code/{code.name}"] = code.read_bytes()
    return files


def bring_back(files: Files, folder: JobFolder) -> None:
    """Make the job's folder equal to what it became on the node."""
    for path in folder.path.rglob("*"):
        name = path.relative_to(folder.path).as_posix()
        if path.is_file() and name not in files and name not in ("lock", "job.json"):
            path.unlink()
    unpack(files, folder.path)


class Run:
    """One run on a cluster."""

    def __init__(
        self,
        ray: Any,
        store: RunFolder,
        cluster: Cluster,
        on_event: Callable[[Event], None],
        timeout: float | None,
        job_memory: int | None,
    ):
        self.ray, self.store, self.cluster, self.on_event = ray, store, cluster, on_event
        self.timeout, self.job_memory = timeout, job_memory
        self.task = ray.remote(max_retries=0)(run_lease)
        self.waiting: list[Planned] = []
        self.not_before: dict[str, float] = {}
        self.lost: Counter[str] = Counter()
        self.leased: dict[Any, Leased] = {}
        self.statuses: dict[str, JobStatus] = {}
        self.nodes: list[Node] = []
        self.looked = self.hopeful = float("-inf")
        self.sent: Any = None  # the data sets, for nodes that do not share the run folder
        self.data = store.root.resolve() / ".ray"  # the data sets, for nodes that do

    def prepare(self, planned: Sequence[Planned], shared: bool | None) -> None:
        """Refuse jobs that fit on no node, and put the data sets where the nodes find them."""
        self.waiting = list(planned)
        demands = {work.job.id: self.cluster.demand(work, self.job_memory) for work in planned}
        refuse(nodes(self.ray), demands)
        files = data_files([work.job for work in planned])
        mark = self.data / f"mark-{os.getpid()}"
        try:
            write(mark, "")
            seen = shares_folder(self.ray, mark)
            if seen if shared is None else shared:
                unpack(files, self.data)
            else:
                self.sent = self.ray.put(files)
        except OSError as error:
            raise cannot_write(self.store.root, error) from None
        finally:
            with suppress(OSError):
                mark.unlink()

    def startable(self) -> Planned | None:
        """The next job, if there is room for it; none overtakes the first in order."""
        now = time.monotonic()
        if self.cluster.workers and len(self.leased) >= self.cluster.workers:
            return None
        work = next((w for w in self.waiting if self.not_before.get(w.job.id, 0.0) <= now), None)
        if work is None:
            return None
        free: Counter[str] = Counter()
        for node in self.nodes:
            free.update(node.resources)
        for leased in self.leased.values():
            free.subtract(dict(leased.demand.named()))
        return work if self.cluster.demand(work, self.job_memory).fits(free) else None

    def start(self, work: Planned) -> None:
        """Ask the cluster to run the job on a node with room for it."""
        folder = self.store.begin(work.job)
        lock = ExitStack()
        files = None
        if self.sent is not None:
            if not lock.enter_context(folder.locked()):
                lock.close()
                self.put_back(work, BUSY_SECONDS)
                self.on_event(Event("waiting", work.job))
                return
            files = self.ray.put(job_files(work.job, folder))
        demand = self.cluster.demand(work, self.job_memory)
        lease = Lease(
            str(folder.path.resolve()),
            self.environment(work.job),
            own_versions(),
            self.timeout,
            self.job_memory * 2**20 if self.job_memory else None,
        )
        needs = {"num_cpus": demand.cpus, "num_gpus": demand.gpus, "memory": demand.memory}
        reference = self.task.options(name=work.job.id, **needs).remote(lease, files, self.sent)
        self.leased[reference] = Leased(work, folder, demand, time.monotonic(), lock)
        self.on_event(Event("started", work.job))

    def environment(self, job: Job) -> dict[str, str]:
        """The environment of the job's worker on a node: this process's settings, and the data."""
        return {
            **{name: value for name, value in os.environ.items() if name.startswith("BENCH_")},
            **worker_environment(job),
            "BENCH_RANKS": str(self.cluster.processes(job)),
            "BENCH_CACHE_DIR": str(self.data / "cache"),
            "BENCH_DATA_DIR": str(self.data / "data"),
        }

    def put_back(self, work: Planned, seconds: float = 0.0) -> None:
        """Let the job wait at the head of the queue, for that many seconds at least."""
        self.not_before[work.job.id] = time.monotonic() + seconds
        self.waiting.insert(0, work)

    def settle(self, reference: Any) -> None:
        """Take a job's result, and finish the job or put it back."""
        leased = self.leased.pop(reference)
        job, folder = leased.job, leased.folder
        try:
            result: LeaseResult = self.ray.get(reference)
        except self.ray.exceptions.RayError as error:
            leased.lock.close()
            self.handle_loss(leased, error)
            return
        try:
            if result.kind == "ended" and result.files:
                bring_back(result.files, folder)
        except OSError as error:
            raise cannot_write(self.store.root, error) from None
        finally:
            leased.lock.close()
        if result.kind == "refused":
            raise excluded("that was given " + job.id, result.reason)
        if result.kind == "busy":
            self.put_back(leased.planned, BUSY_SECONDS)
            self.on_event(Event("waiting", job))
            return
        self.finish(job, result.status or JobStatus(state="crashed"))

    def handle_loss(self, leased: Leased, error: BaseException) -> None:
        """Try a job again whose node or process was lost, a few times.

        BenchError for an error that every job on that node would meet.
        """
        job = leased.job
        loss = lost(self.ray, error)
        if loss is None:
            if not isinstance(error, OSError):
                raise excluded("that was given " + job.id, reason(error))
            self.finish(job, record(leased.folder, "crashed", reason(error), 0.0))
            return
        state, cause = loss
        self.lost[job.id] += 1
        if self.lost[job.id] <= RETRIES:
            self.put_back(leased.planned)
            status = JobStatus(state=state, error=f"{cause}; it is tried again")
            self.on_event(Event("waiting", job, status))
            return
        seconds = time.monotonic() - leased.begun
        why = f"{cause}, {self.lost[job.id]} times"
        self.finish(job, record(leased.folder, state, why, seconds))

    def finish(self, job: Job, status: JobStatus) -> None:
        """Keep the job's final status, and report it."""
        self.statuses[job.id] = status
        self.on_event(Event("finished", job, status))

    def update_nodes(self) -> None:
        """List the nodes again. BenchError when none has fitted any job left for a long time."""
        now = time.monotonic()
        if now - self.looked < NODES_SECONDS:
            return
        self.nodes, self.looked = nodes(self.ray), now
        demands = [self.cluster.demand(work, self.job_memory) for work in self.waiting]
        demands += [leased.demand for leased in self.leased.values()]
        if any(demand.fits(node.resources) for demand in demands for node in self.nodes):
            self.hopeful = now
        elif now - self.hopeful > HOPELESS_SECONDS:
            raise BenchError(
                f"For {HOPELESS_SECONDS / 60:g} minutes the cluster has had no node on which any of"
                f" the {len(demands)} jobs left would fit. Add a node; what is finished is kept,"
                " and the same command goes on."
            )

    def run(
        self, finished: Callable[[Job], bool], on_tick: Callable[[Sequence[Leased]], None]
    ) -> None:
        """Run the waiting jobs until none is left."""
        self.hopeful = time.monotonic()
        while self.waiting or self.leased:
            self.update_nodes()
            while (work := self.startable()) is not None:
                self.waiting.remove(work)
                if finished(work.job):  # another run did it in the meantime
                    status = self.store.folder(work.job).read_status() or JobStatus(state="ok")
                    self.finish(work.job, status)
                    continue
                self.start(work)
            if self.leased:
                ready, _ = self.ray.wait(list(self.leased), num_returns=1, timeout=POLL_SECONDS)
                for reference in ready:
                    self.settle(reference)
            else:
                time.sleep(POLL_SECONDS)
            on_tick(list(self.leased.values()))

    def end(self) -> None:
        """Cancel what still runs, and release the locks."""
        for reference, leased in self.leased.items():
            with suppress(Exception):
                self.ray.cancel(reference, force=True)
            leased.lock.close()


def run(
    planned: Sequence[Planned],
    store: RunFolder,
    cluster: Cluster,
    finished: Callable[[Job], bool],
    on_event: Callable[[Event], None],
    on_tick: Callable[[Sequence[Leased]], None],
    timeout: float | None = None,
    job_memory: int | None = None,
    shared: bool | None = None,
) -> dict[str, JobStatus]:
    """Run the jobs in the order given; their statuses by job id.

    `timeout`: seconds that each may take. `job_memory`: MB that each may hold. `shared`: whether
    all nodes see the run folder; by default each node is asked.
    """
    with connected(cluster.address) as ray, orderly_end([]):
        this = Run(ray, store, cluster, on_event, timeout, job_memory)
        try:
            this.prepare(planned, shared)
            this.run(finished, on_tick)
        finally:
            this.end()
    return this.statuses
