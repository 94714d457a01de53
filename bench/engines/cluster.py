"""A Ray cluster: joining it, what its nodes offer, and what a job needs of them."""

from __future__ import annotations

import os
import socket
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from bench.engines.lease import inspect, own_versions
from bench.engines.machine import gpus
from bench.engines.worker_process import threads
from bench.errors import BenchError
from bench.jobs import launch
from bench.jobs.job import Job
from bench.jobs.plan import Planned
from bench.jobs.run_folder import State

SHARE = 1 / 3  # of a GPU per job: small networks leave most of one idle
HOST_MB = 3000  # of the machine's memory that a job on a GPU takes, besides the GPU's
CONNECT_SECONDS = 10.0
SHORT = "/tmp"  # noqa: S108 - Ray puts sockets far below it, and a socket's path has 107 bytes


@dataclass(frozen=True)
class Node:
    """A machine of the cluster."""

    address: str
    resources: Mapping[str, float]  # by Ray's names: CPU, GPU, memory (bytes), and others
    id: str = ""  # Ray's


@dataclass(frozen=True)
class Demand:
    """What a job needs of one node."""

    cpus: float
    gpus: float  # a part of one, or whole ones
    memory: int  # bytes

    def fits(self, room: Mapping[str, float]) -> bool:
        """Whether there is room for it."""
        return all(room.get(name, 0.0) + 1e-6 >= amount for name, amount in self.named())

    def named(self) -> list[tuple[str, float]]:
        """The amounts, by Ray's names; what is not needed is left out."""
        wanted = [("CPU", self.cpus), ("GPU", self.gpus), ("memory", float(self.memory))]
        return [(name, amount) for name, amount in wanted if amount]

    def times(self, room: Mapping[str, float]) -> int:
        """How many jobs of this demand fit into the room."""
        return int(min(room.get(name, 0.0) / amount + 1e-6 for name, amount in self.named()))

    def __str__(self) -> str:
        return f"{self.cpus:g} CPUs, {self.gpus:.2g} GPUs and {self.memory / 2**30:.1f} GB"


@dataclass(frozen=True)
class Cluster:
    """Which cluster jobs run on, and how much of it each takes."""

    address: str | None = None  # none: a Ray started for this run, on this machine
    workers: int | None = None  # jobs at a time, at most
    gpus_per_job: float | None = None

    def demand(self, work: Planned, job_memory: int | None = None) -> Demand:
        """What the job needs: threads, memory (`job_memory` MB, where given), its share of GPUs."""
        job, memory_mb = work.job, job_memory or work.memory_mb
        processes = self.processes(job)
        cpus = float(processes * int(threads()))
        if job.device == "cpu":
            return Demand(cpus, 0.0, memory_mb * 2**20)
        share = float(processes) if processes > 1 else min(self.gpus_per_job or SHARE, 1.0)
        return Demand(cpus, share, max(memory_mb, HOST_MB) * 2**20)

    def processes(self, job: Job) -> int:
        """How many processes train the job's system: on GPUs, one for each.

        Floors, ceilings and baselines have no training that several GPUs would make faster.
        """
        if job.device == "cpu":
            return launch.count()
        small = job.card.kind in ("floor", "ceiling", "baseline")
        return 1 if small else max(1, int(self.gpus_per_job or 1))


@contextmanager
def connected(address: str | None) -> Iterator[Any]:
    """Ray while the block runs. Without an address Ray is started here, and leaves nothing behind.

    BenchError with what to do where it is not installed or does not answer.
    """
    with ExitStack() as stack:
        folder = ""
        if not address:  # Ray's default, /tmp/ray, belongs to the first user of this machine
            own = tempfile.TemporaryDirectory(prefix="ray-", dir=SHORT, ignore_cleanup_errors=True)
            folder = stack.enter_context(own)
        ray = connect(address, folder)
        try:
            yield ray
        finally:
            ray.shutdown()


def connect(address: str | None, folder: str) -> Any:
    """Ray, connected; one that is started here keeps its files in `folder`."""
    try:
        import ray
    except ImportError:
        raise BenchError(
            'The engine "ray" needs Ray, which is not installed: pip install "musicbench[ray]"'
        ) from None
    if address and "://" in address:
        raise BenchError(
            f"--ray-address {address}: run this on a node of the cluster, and give HOST:PORT"
            " of its head (or auto)."
        )
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if not address:
        options |= {"include_dashboard": False, "_temp_dir": folder}
    elif address.startswith("127."):
        # By itself Ray looks for this node under its outside addresses only.
        options["_node_ip_address"] = address.rpartition(":")[0]
    try:
        if address and address != "auto":
            knock(address)
        # Always with an address: by default Ray joins the cluster that ran here last.
        ray.init(address=address or "local", **options)
    except (OSError, RuntimeError, ValueError) as error:
        lines = [line for line in str(error).splitlines() if line.strip()]
        raise BenchError(
            f"No Ray cluster can be joined at {address or 'this machine'}:"
            f" {lines[0] if lines else 'no reason given'}. Is it running (ray status)? Does it have"
            " the same Python and Ray, and was it started with the same RAY_AUTH_MODE?"
        ) from None
    return ray


def knock(address: str) -> None:
    """OSError when nothing answers at the address: Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise ValueError("the address is HOST:PORT of the cluster's head, or auto")
    socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()


def nodes(ray: Any) -> list[Node]:
    """The nodes that are alive."""
    return [
        Node(node["NodeManagerAddress"], node["Resources"], node["NodeID"])
        for node in ray.nodes()
        if node["Alive"]
    ]


def this_machine() -> Node:
    """What a Ray started here would offer: seven tenths of the free memory are for jobs."""
    free = 0.7 * psutil.virtual_memory().available
    resources = {"CPU": float(os.cpu_count() or 1), "GPU": float(len(gpus())), "memory": free}
    return Node("this machine", resources)


def room(cluster: Cluster, planned: Sequence[Planned], job_memory: int | None) -> int:
    """How many jobs of the most frequent demand run at a time. BenchError when one fits nowhere."""
    left = [work for work in planned if not work.done]
    if not left:
        return cluster.workers or 1
    demands = {work.job.id: cluster.demand(work, job_memory) for work in left}
    if cluster.address:
        with connected(cluster.address) as ray:
            members = nodes(ray)
    else:
        members = [this_machine()]
    refuse(members, demands)
    usual = Counter(demands.values()).most_common(1)[0][0]
    places = sum(usual.times(node.resources) for node in members)
    return max(1, min(places, cluster.workers or places))


def refuse(members: Sequence[Node], demands: Mapping[str, Demand]) -> None:
    """BenchError when a job asks for more than any node has: Ray would wait for ever."""
    for job, demand in demands.items():
        if not any(demand.fits(node.resources) for node in members):
            offers = "; ".join(f"{node.address} has {offered(node.resources)}" for node in members)
            raise BenchError(
                f"{job} asks for {demand} on one node, and none has that: {offers or 'no nodes'}."
                " Ask for less (--gpus-per-job, --job-memory), leave it out, or add a node."
            )


def offered(room: Mapping[str, float]) -> str:
    """What a node offers, in words."""
    return str(Demand(room.get("CPU", 0.0), room.get("GPU", 0.0), int(room.get("memory", 0))))


def shares_folder(ray: Any, mark: Path) -> bool:
    """Whether all nodes see the file. BenchError when one has other versions than this machine."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    task = ray.remote(num_cpus=0, max_retries=0)(inspect)
    references = {}
    for node in nodes(ray):
        strategy = NodeAffinitySchedulingStrategy(node.id, soft=False)
        references[node.address] = task.options(scheduling_strategy=strategy).remote(
            own_versions(), str(mark.resolve())
        )
    seen = []
    for address, reference in references.items():
        try:
            wrong, sees = ray.get(reference, timeout=120)
        except ray.exceptions.RayError as error:
            if lost(ray, error):
                continue  # it has just died; a node that joins later is checked with its first job
            raise excluded(address, f"it cannot run musicbench ({reason(error)})") from None
        if wrong:
            raise excluded(address, f"it has {wrong}")
        seen.append(sees)
    return all(seen)


def excluded(address: str, reason: str) -> BenchError:
    """The error for a node that might give other bits than the others."""
    return BenchError(
        f"The node {address} cannot take part: {reason}. Install the same versions on all nodes;"
        " what is finished is kept, and the same command goes on."
    )


def reason(error: BaseException) -> str:
    """The last line of Ray's message, which holds the reason."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def lost(ray: Any, error: BaseException) -> tuple[State, str] | None:
    """The state of a job that the cluster lost, and the reason; none for any other error."""
    errors = ray.exceptions
    if isinstance(error, errors.OutOfMemoryError):
        return "out-of-memory", "its node ran out of memory, and Ray ended it"
    gone = (errors.NodeDiedError, errors.LocalRayletDiedError, errors.ObjectLostError)
    # Unschedulable: a task was sent to a node that has died since it was listed.
    if isinstance(error, (*gone, errors.TaskUnschedulableError)):
        return "crashed", "its node was lost"
    if isinstance(error, errors.WorkerCrashedError | errors.TaskCancelledError):
        return "crashed", "the process that ran it was killed, or its node was lost"
    return None
