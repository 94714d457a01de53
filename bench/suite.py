"""A whole run: plan, jobs, board."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from bench import data
from bench.board.build import build
from bench.board.rows import Board, to_csv
from bench.engines import EngineName, cluster, ray
from bench.engines.cluster import Cluster
from bench.engines.display import Display
from bench.engines.local import run
from bench.engines.machine import imagined, places
from bench.engines.schedule import Place, longest_first, own_part_first, refuse_impossible
from bench.engines.shards import Shard
from bench.errors import BenchError
from bench.files import write
from bench.jobs.job import Job
from bench.jobs.plan import PRESETS, Options, Planned
from bench.jobs.record import JobRecord
from bench.jobs.run_folder import JobStatus, RunFolder, cannot_write


@dataclass(frozen=True)
class Engine:
    """How jobs are run: nothing here changes a result."""

    name: EngineName = "processes"
    workers: int | None = None
    timeout: float | None = None  # minutes per job; none: the preset's
    job_memory: int | None = None  # MB per job
    gpus: int | None = None  # none: all there are
    gpu_memory: int | None = None  # MB of each; none: what the driver says
    price: float | None = None  # of a GPU or a processor for an hour
    shard: tuple[int, int] | None = None  # its number, from 1, and how many share the run folder
    ray_address: str | None = None  # of the cluster; none: a Ray of our own on this machine
    gpus_per_job: float | None = None  # on a cluster: a part of one, or whole ones

    @property
    def cluster(self) -> Cluster:
        """Where the engine "ray" runs jobs."""
        return Cluster(self.ray_address, self.workers, self.gpus_per_job)

    def limit(self, options: Options) -> float:
        """Minutes a job may take."""
        return self.timeout or PRESETS[options.preset].timeout

    def places(self, options: Options, planned: Sequence[Planned]) -> list[Place]:
        """Where jobs run: on this machine, on the cluster there is, or on one that is imagined.

        BenchError where a job could never run there.
        """
        if self.gpus and options.device == "cpu":
            raise BenchError("--gpus asks for GPUs, and --device cpu for none.")
        workers = 1 if self.name == "in-turn" else self.workers
        if self.name != "ray":
            return places(workers, options.device, self.gpus, self.gpu_memory)
        if self.gpus or (workers and not self.ray_address):
            return imagined(workers, options.device, self.gpus, self.gpu_memory)
        return [Place(cluster.room(self.cluster, planned, self.job_memory))]


@dataclass(frozen=True)
class EndedRun:
    """A run after its last job: how each job stands, and the board."""

    planned: list[Planned]
    statuses: dict[str, JobStatus]  # of the jobs that had to be run
    board: Board
    file: Path  # where the board was written

    @property
    def failed(self) -> list[str]:
        """The ids of the jobs that did not end well."""
        return [job for job, status in self.statuses.items() if status.state != "ok"]


def run_all(
    options: Options, engine: Engine, console: Console, planned: Sequence[Planned]
) -> EndedRun:
    """Run what is left of the plan and rebuild the board. Failed jobs are rows, not errors."""
    if engine.name == "ray" and engine.gpus:
        raise BenchError(
            "--gpus is for planning with Ray: a run takes what the cluster has. "
            "Leave it out, or ask bench plan."
        )
    runs = RunFolder(options.out)
    left = [job for job in planned if not job.done]
    statuses: dict[str, JobStatus] = {}
    if left:
        try:
            (options.out / "jobs").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise cannot_write(options.out, error) from None
        # Read here, once and with its progress shown, and not by several workers at a time.
        for name in {
            name
            for planned_job in left
            for name in (planned_job.job.dataset, *planned_job.job.also)
        }:
            data.load(name)
        # Every job has its folder before the first one runs: whoever looks sees the whole plan.
        for planned_job in left:
            runs.begin(planned_job.job)
        room = engine.places(options, planned)
        refuse_impossible(left, room)
        display = Display(planned, sum(place.slots for place in room), console)
        seconds = 60 * engine.limit(options)
        shard = Shard(options.out) if engine.shard else None
        ordered = own_part_first(left, *engine.shard) if engine.shard else longest_first(left)

        def finished(job: Job) -> bool:
            return JobRecord(runs.folder(job)).is_done(job)

        with display.shown(), shard or nullcontext():
            if engine.name == "ray":
                statuses = ray.run(
                    ordered,
                    runs,
                    engine.cluster,
                    finished,
                    display.show_event,
                    display.update,
                    timeout=seconds,
                    job_memory=engine.job_memory,
                )
            else:
                statuses = run(
                    ordered,
                    runs,
                    room,
                    finished,
                    display.show_event,
                    display.update,
                    timeout=seconds,
                    job_memory=engine.job_memory,
                    shard=shard,
                )
    board = build(runs)
    path = options.out / "leaderboard.csv"
    try:
        write(path, to_csv(board.rows))
    except OSError as error:
        raise cannot_write(options.out, error) from None
    return EndedRun(list(planned), statuses, board, path)
