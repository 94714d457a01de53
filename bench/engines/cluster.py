"""A Ray cluster: joining it, what its nodes offer, and what of it a job needs."""

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

from bench.engines.lease import look, own_versions
from bench.engines.machine import gpus
from bench.engines.worker_process import threads
from bench.errors import BenchError
from bench.jobs import launch
from bench.jobs.job import Job
from bench.jobs.plan import Planned
from bench.jobs.run_folder import State

SHARE = 1 / 3  # of a GPU per job: small nets leave most of one idle
HOST_MB = 3000  # of the machine's memory that a job on a GPU takes beside the GPU's
CONNECT_SECONDS = 10.0
SHORT = "/tmp"  # noqa: S108 - Ray's sockets lie deep below it, and a socket's path has 107 bytes


@dataclass(frozen=True)
class Demand:
    """What a job needs of one node."""

    cpus: float
    gpus: float  # a part of one, or whole ones
    memory: int  # bytes

    def fits(self, room: Mapping[str, float]) -> bool:
        """Whether there is so much of everything."""
        return all(room.get(name, 0.0) + 1e-6 >= amount for name, amount in self.named())

    def named(self) -> list[tuple[str, float]]:
        """The amounts by Ray's names."""
        wanted = [("CPU", self.cpus), ("GPU", self.gpus), ("memory", float(self.memory))]
        return [(name, amount) for name, amount in wanted if amount]

    def times(self, room: Mapping[str, float]) -> int:
        """How many of it a node has room for."""
        return int(min(room.get(name, 0.0) / amount + 1e-6 for name, amount in self.named()))

    def __str__(self) -> str:
        return f"{self.cpus:g} CPUs, {self.gpus:.2g} GPUs and {self.memory / 2**30:.1f} GB"


@dataclass(frozen=True)
class Cluster:
    """Where jobs run, and how much of it each takes."""

    address: str | None = None  # none: a Ray of our own on this machine
    workers: int | None = None  # jobs at a time, at most
    gpus_per_job: float | None = None

    def demand(self, one: Planned, job_memory: int | None = None) -> Demand:
        """What the job needs: threads and memory (in MB, where given), and its share of GPUs."""
        job, memory_mb = one.job, job_memory or one.memory_mb
        processes = self.processes(job)
        cpus = float(processes * int(threads()))
        if job.device == "cpu":
            return Demand(cpus, 0.0, memory_mb * 2**20)
        share = float(processes) if processes > 1 else min(self.gpus_per_job or SHARE, 1.0)
        return Demand(cpus, share, max(memory_mb, HOST_MB) * 2**20)

    def processes(self, job: Job) -> int:
        """How many processes train the job's system: on GPUs one each.

        Floors, ceilings and baselines learn nothing that several GPUs would do faster.
        """
        if job.device == "cpu":
            return launch.count()
        small = job.card.kind in ("floor", "ceiling", "baseline")
        return 1 if small else max(1, int(self.gpus_per_job or 1))


@contextmanager
def connected(address: str | None) -> Iterator[Any]:
    """Ray while the block runs; a Ray of our own, without an address, leaves nothing behind.

    BenchError with what to do where it is not installed or does not answer.
    """
    with ExitStack() as left:
        place = ""
        if not address:  # /tmp/ray belongs to whoever came first
            own = tempfile.TemporaryDirectory(prefix="ray-", dir=SHORT, ignore_cleanup_errors=True)
            place = left.enter_context(own)
        ray = connect(address, place)
        try:
            yield ray
        finally:
            ray.shutdown()


def connect(address: str | None, place: str) -> Any:
    """Ray, connected; one of our own keeps its files in `place`."""
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
    how: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if not address:
        how |= {"include_dashboard": False, "_temp_dir": place}
    elif address.startswith("127."):
        how["_node_ip_address"] = address.rpartition(":")[0]  # Ray looks at outside ones only
    try:
        if address and address != "auto":
            knock(address)
        # Always named: Ray by itself would join whatever cluster ran here last.
        ray.init(address=address or "local", **how)
    except (OSError, RuntimeError, ValueError) as error:
        said = next((line for line in str(error).splitlines() if line.strip()), "no reason given")
        raise BenchError(
            f"No Ray cluster can be joined at {address or 'this machine'}: {said}."
            " Is it up (ray status)? Has it this Python and this Ray, and is RAY_AUTH_MODE what"
            " it was started with?"
        ) from None
    return ray


def knock(address: str) -> None:
    """OSError when nothing answers there: Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise ValueError("the address is HOST:PORT of the cluster's head, or auto")
    socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()


def nodes(ray: Any) -> list[dict[str, Any]]:
    """The nodes that are alive."""
    return [node for node in ray.nodes() if node["Alive"]]


def this_machine() -> dict[str, Any]:
    """What a Ray of our own would offer: seven tenths of the free memory are for jobs."""
    free = 0.7 * psutil.virtual_memory().available
    room = {"CPU": float(os.cpu_count() or 1), "GPU": float(len(gpus())), "memory": free}
    return {"NodeManagerAddress": "this machine", "Resources": room}


def room(cluster: Cluster, planned: Sequence[Planned], job_memory: int | None) -> int:
    """How many jobs of the usual kind run at a time. BenchError when one never could."""
    left = [one for one in planned if not one.done]
    if not left:
        return cluster.workers or 1
    demands = {one.job.id: cluster.demand(one, job_memory) for one in left}
    if cluster.address:
        with connected(cluster.address) as ray:
            here = nodes(ray)
    else:
        here = [this_machine()]
    refuse(here, demands)
    usual = Counter(demands.values()).most_common(1)[0][0]
    places = sum(usual.times(node["Resources"]) for node in here)
    return max(1, min(places, cluster.workers or places))


def refuse(here: Sequence[Mapping[str, Any]], demands: Mapping[str, Demand]) -> None:
    """BenchError when a job asks for what no node has: Ray would wait for ever."""
    for job, demand in demands.items():
        if not any(demand.fits(node["Resources"]) for node in here):
            offers = "; ".join(
                f"{node['NodeManagerAddress']} has {offered(node['Resources'])}" for node in here
            )
            raise BenchError(
                f"{job} asks for {demand} on one node, and none has that: {offers or 'no nodes'}."
                " Ask for less (--gpus-per-job, --job-memory), leave it out, or add a node."
            )


def offered(room: Mapping[str, float]) -> str:
    """What a node has, in words."""
    return str(Demand(room.get("CPU", 0.0), room.get("GPU", 0.0), int(room.get("memory", 0))))


def shares_folder(ray: Any, mark: Path) -> bool:
    """Whether all nodes see the run folder. BenchError when one has other versions than we."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    task = ray.remote(num_cpus=0, max_retries=0)(look)
    asked = {}
    for node in nodes(ray):
        where = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        asked[node["NodeManagerAddress"]] = task.options(scheduling_strategy=where).remote(
            own_versions(), str(mark.resolve())
        )
    seen = []
    for address, answer in asked.items():
        try:
            wrong, sees = ray.get(answer, timeout=120)
        except ray.exceptions.RayError as error:
            if lost(ray, error):
                continue  # it has just died; who comes later is looked at with its first job
            raise stranger(address, f"it cannot run musicbench ({reason(error)})") from None
        if wrong:
            raise stranger(address, f"it has {wrong}")
        seen.append(sees)
    return all(seen)


def stranger(address: str, why: str) -> BenchError:
    """The error for a node that cannot be trusted to give the same bits."""
    return BenchError(
        f"The node {address} cannot take part: {why}. Install the same on all nodes; what is"
        " finished is kept, and the same command goes on."
    )


def reason(error: BaseException) -> str:
    """The last line of what Ray says, where the reason is."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def lost(ray: Any, error: BaseException) -> tuple[State, str] | None:
    """How a job stands that never came back, and why; none when it is not the cluster's doing."""
    known = ray.exceptions
    if isinstance(error, known.OutOfMemoryError):
        return "out-of-memory", "its node ran out of memory, and Ray ended it"
    gone = (known.NodeDiedError, known.LocalRayletDiedError, known.ObjectLostError)
    # Unschedulable: we asked for a node by name that has died since it was listed.
    if isinstance(error, (*gone, known.TaskUnschedulableError)):
        return "crashed", "its node was lost"
    if isinstance(error, known.WorkerCrashedError | known.TaskCancelledError):
        return "crashed", "the process that ran it was killed, or its node was lost"
    return None
