"""Runs jobs on a Ray cluster: Ray leases what a job needs on some node and starts it there.

Ray keeps nothing that matters. What is finished lies in the run folder, so whatever dies, this
process or the whole cluster, the same command goes on.
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
    connected,
    lost,
    nodes,
    reason,
    refuse,
    shares_folder,
    stranger,
)
from bench.engines.lease import Files, Found, Work, lease, own_versions, pack, unpack
from bench.engines.local import BUSY_SECONDS, Event, orderly_end
from bench.engines.worker_process import record, worker_environment
from bench.errors import BenchError
from bench.files import write
from bench.jobs.job import Job
from bench.jobs.plan import Planned
from bench.jobs.run_folder import JobFolder, Status, Store, cannot_write

RETRIES = 2  # of a job whose node or lease was lost, through no fault of its own
POLL_SECONDS = 0.2
NODES_SECONDS = 2.0  # between two looks at which nodes there are
HOPELESS_SECONDS = 600.0  # without a node that any job left would fit on


@dataclass(frozen=True)
class Leased:
    """A job that the cluster has in hand."""

    one: Planned
    folder: JobFolder
    demand: Demand
    begun: float
    held: ExitStack  # the folder's lock, where the worker cannot hold it

    @property
    def job(self) -> Job:
        """The job."""
        return self.one.job


def data_files(jobs: Sequence[Job]) -> Files:
    """The parsed pieces of the jobs' data sets, for nodes that have none of them."""
    files = {}
    for name in sorted({name for job in jobs for name in (job.dataset, *job.also)}):
        pieces = library.kept(name)
        if not pieces.is_file():
            raise BenchError(f"{pieces} cannot be kept; set BENCH_CACHE_DIR to a folder that can.")
        files[f"cache/{pieces.relative_to(data.cache_dir()).as_posix()}"] = pieces.read_bytes()
        manifest = library.source(name).manifest
        if manifest.is_relative_to(data.data_dir()):  # the user's own: no node has it installed
            below = manifest.relative_to(data.data_dir()).as_posix()
            files[f"data/{below}"] = manifest.read_bytes()
    return files


def job_files(job: Job, folder: JobFolder) -> Files:
    """The job's folder as it stands, and the user's file that its class is in."""
    files = pack(folder.path, f"jobs/{job.id}/", leave={"lock"})
    code = Path(job.class_path.rpartition(":")[0])
    if code.suffix == ".py":
        files[f"code/{code.name}"] = code.read_bytes()
    return files


def bring_back(files: Files, folder: JobFolder) -> None:
    """Make the job's folder what it became on the node."""
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
        store: Store,
        cluster: Cluster,
        tell: Callable[[Event], None],
        timeout: float | None,
        job_memory: int | None,
    ):
        self.ray, self.store, self.cluster, self.tell = ray, store, cluster, tell
        self.timeout, self.job_memory = timeout, job_memory
        self.task = ray.remote(max_retries=0)(lease)
        self.waiting: list[Planned] = []
        self.not_before: dict[str, float] = {}
        self.lost: Counter[str] = Counter()
        self.leased: dict[Any, Leased] = {}
        self.outcomes: dict[str, Status] = {}
        self.nodes: list[dict[str, Any]] = []
        self.looked = self.hopeful = float("-inf")
        self.sent: Any = None  # the data, for nodes that do not share the run folder
        self.place = store.root.resolve() / ".ray"  # the data, for those that do

    def prepare(self, planned: Sequence[Planned], shared: bool | None) -> None:
        """Refuse what cannot run, and bring the data to where the nodes find them."""
        self.waiting = list(planned)
        demands = {one.job.id: self.cluster.demand(one, self.job_memory) for one in planned}
        refuse(nodes(self.ray), demands)
        files = data_files([one.job for one in planned])
        mark = self.place / f"mark-{os.getpid()}"
        try:
            write(mark, "")
            seen = shares_folder(self.ray, mark)
            if seen if shared is None else shared:
                unpack(files, self.place)
            else:
                self.sent = self.ray.put(files)
        except OSError as error:
            raise cannot_write(self.store.root, error) from None
        finally:
            with suppress(OSError):
                mark.unlink()

    def startable(self) -> Planned | None:
        """The next job, if there is room for it: the first in order, nobody overtakes."""
        now = time.monotonic()
        if self.cluster.workers and len(self.leased) >= self.cluster.workers:
            return None
        one = next((w for w in self.waiting if self.not_before.get(w.job.id, 0.0) <= now), None)
        if one is None:
            return None
        free: Counter[str] = Counter()
        for node in self.nodes:
            free.update(node["Resources"])
        for leased in self.leased.values():
            free.subtract(dict(leased.demand.named()))
        return one if self.cluster.demand(one, self.job_memory).fits(free) else None

    def start(self, one: Planned) -> None:
        """Ask the cluster for room for the job, and to run it there."""
        folder = self.store.begin(one.job)
        held = ExitStack()
        files = None
        if self.sent is not None:
            if not held.enter_context(folder.locked()):
                held.close()
                self.again(one, BUSY_SECONDS)
                self.tell(Event("waiting", one.job))
                return
            files = self.ray.put(job_files(one.job, folder))
        demand = self.cluster.demand(one, self.job_memory)
        work = Work(
            str(folder.path.resolve()),
            self.environment(one.job),
            own_versions(),
            self.timeout,
            self.job_memory * 2**20 if self.job_memory else None,
        )
        asked = {"num_cpus": demand.cpus, "num_gpus": demand.gpus, "memory": demand.memory}
        reference = self.task.options(name=one.job.id, **asked).remote(work, files, self.sent)
        self.leased[reference] = Leased(one, folder, demand, time.monotonic(), held)
        self.tell(Event("started", one.job))

    def environment(self, job: Job) -> dict[str, str]:
        """The environment of the job's worker on a node: this process's settings, and the data."""
        return {
            **{name: value for name, value in os.environ.items() if name.startswith("BENCH_")},
            **worker_environment(job),
            "BENCH_RANKS": str(self.cluster.processes(job)),
            "BENCH_CACHE_DIR": str(self.place / "cache"),
            "BENCH_DATA_DIR": str(self.place / "data"),
        }

    def again(self, one: Planned, seconds: float = 0.0) -> None:
        """Put the job back, to be tried in a while."""
        self.not_before[one.job.id] = time.monotonic() + seconds
        self.waiting.insert(0, one)

    def settle(self, reference: Any) -> None:
        """Take note of what became of a job."""
        leased = self.leased.pop(reference)
        job, folder = leased.job, leased.folder
        try:
            found: Found = self.ray.get(reference)
        except self.ray.exceptions.RayError as error:
            leased.held.close()
            self.came_back_empty(leased, error)
            return
        try:
            if found.kind == "ended" and found.files:
                bring_back(found.files, folder)
        except OSError as error:
            raise cannot_write(self.store.root, error) from None
        finally:
            leased.held.close()
        if found.kind == "refused":
            raise stranger("that was given " + job.id, found.why)
        if found.kind == "busy":
            self.again(leased.one, BUSY_SECONDS)
            self.tell(Event("waiting", job))
            return
        self.finish(job, found.status or Status(state="crashed"))

    def came_back_empty(self, leased: Leased, error: BaseException) -> None:
        """A job whose node or process was lost is tried again a few times."""
        job = leased.job
        found = lost(self.ray, error)
        if found is None:
            if not isinstance(error, OSError):  # it would spoil every job that it was given
                raise stranger("that was given " + job.id, reason(error))
            self.finish(job, record(leased.folder, "crashed", reason(error), 0.0))
            return
        self.lost[job.id] += 1
        if self.lost[job.id] <= RETRIES:
            self.again(leased.one)
            status = Status(state=found[0], error=f"{found[1]}; it is tried again")
            self.tell(Event("waiting", job, status))
            return
        why = f"{found[1]}, {self.lost[job.id]} times"
        seconds = time.monotonic() - leased.begun
        self.finish(job, record(leased.folder, found[0], why, seconds))

    def finish(self, job: Job, status: Status) -> None:
        """The job has its outcome."""
        self.outcomes[job.id] = status
        self.tell(Event("finished", job, status))

    def look_at_nodes(self) -> None:
        """See which nodes there are. BenchError when for long none was fit for any job left."""
        now = time.monotonic()
        if now - self.looked < NODES_SECONDS:
            return
        self.nodes, self.looked = nodes(self.ray), now
        demands = [self.cluster.demand(one, self.job_memory) for one in self.waiting]
        demands += [leased.demand for leased in self.leased.values()]
        if any(demand.fits(node["Resources"]) for demand in demands for node in self.nodes):
            self.hopeful = now
        elif now - self.hopeful > HOPELESS_SECONDS:
            raise BenchError(
                f"For {HOPELESS_SECONDS / 60:g} minutes the cluster has had no node that any of the"
                f" {len(demands)} jobs left would fit on. What is finished is kept; the same"
                " command goes on."
            )

    def go(self, finished: Callable[[Job], bool], tick: Callable[[Sequence[Leased]], None]) -> None:
        """Run what waits until nothing does."""
        self.hopeful = time.monotonic()
        while self.waiting or self.leased:
            self.look_at_nodes()
            while (one := self.startable()) is not None:
                self.waiting.remove(one)
                if finished(one.job):  # another run did it meanwhile
                    status = self.store.folder(one.job).read_status() or Status(state="ok")
                    self.finish(one.job, status)
                    continue
                self.start(one)
            if self.leased:
                ready, _ = self.ray.wait(list(self.leased), num_returns=1, timeout=POLL_SECONDS)
                for reference in ready:
                    self.settle(reference)
            else:
                time.sleep(POLL_SECONDS)
            tick(list(self.leased.values()))

    def end(self) -> None:
        """Let go of what is still in hand."""
        for reference, leased in self.leased.items():
            with suppress(Exception):
                self.ray.cancel(reference, force=True)
            leased.held.close()


def run(
    planned: Sequence[Planned],
    store: Store,
    cluster: Cluster,
    finished: Callable[[Job], bool],
    tell: Callable[[Event], None],
    tick: Callable[[Sequence[Leased]], None],
    timeout: float | None = None,
    job_memory: int | None = None,
    shared: bool | None = None,
) -> dict[str, Status]:
    """Run the jobs in the order given; each one's outcome by job id.

    `job_memory`: MB that each may hold. `shared` says whether all nodes see the run folder; by
    default they are asked.
    """
    with connected(cluster.address) as ray, orderly_end([]):
        this = Run(ray, store, cluster, tell, timeout, job_memory)
        try:
            this.prepare(planned, shared)
            this.go(finished, tick)
        finally:
            this.end()
    return this.outcomes
