"""A whole run: plan, jobs, board."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from bench import board, data
from bench.engines import EngineName, cluster, ray
from bench.engines.cluster import Cluster
from bench.engines.local import Slot, run, slots
from bench.files import write
from bench.plan import PRESETS, Options, Planned
from bench.progress import Watch
from bench.scoring import is_done
from bench.store import Status, Store, cannot_write


@dataclass(frozen=True)
class Engine:
    """How jobs are run: nothing here changes a result."""

    name: EngineName = "processes"
    workers: int | None = None
    timeout: float | None = None  # minutes per job; none: the preset's
    job_memory: int | None = None  # MB per job
    ray_address: str | None = None  # of the cluster; none: a Ray of our own on this machine
    gpus_per_job: float | None = None  # a part of one, or whole ones

    @property
    def cluster(self) -> Cluster:
        """Where the engine "ray" runs jobs."""
        return Cluster(self.ray_address, self.workers, self.gpus_per_job)

    def room(self, options: Options, planned: Sequence[Planned]) -> int:
        """How many jobs run at a time."""
        if self.name == "ray":
            return cluster.room(self.cluster, planned, self.job_memory)
        return len(self.slots(options))

    def slots(self, options: Options) -> list[Slot]:
        """The room there is for jobs on this machine."""
        return slots(1 if self.name == "in-turn" else self.workers, options.device)


@dataclass(frozen=True)
class Outcome:
    """What became of a run."""

    planned: list[Planned]
    statuses: dict[str, Status]  # of the jobs that had to be run
    entries: list[board.Entry]
    board: Path

    @property
    def failed(self) -> list[str]:
        """The ids of the jobs that did not end well."""
        return [job for job, status in self.statuses.items() if status.state != "ok"]


def run_all(
    options: Options, engine: Engine, console: Console, planned: Sequence[Planned]
) -> Outcome:
    """Run what is left of the plan and rebuild the board. Failed jobs are rows, not errors."""
    store = Store(options.out)
    left = [one for one in planned if not one.done]
    statuses: dict[str, Status] = {}
    if left:
        try:
            (options.out / "jobs").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise cannot_write(options.out, error) from None
        # Read here, once and with its progress shown, and not by several workers at a time.
        for name in {name for one in left for name in (one.job.dataset, *one.job.also)}:
            data.load(name)
        # Every job has its folder before the first one runs: whoever looks sees the whole plan.
        for one in left:
            store.begin(one.job)
        watch = Watch(planned, engine.room(options, planned), console)
        minutes = engine.timeout or PRESETS[options.preset].timeout
        ordered = sorted(left, key=lambda one: -one.seconds)

        with watch.shown():
            if engine.name == "ray":
                statuses = ray.run(
                    ordered,
                    store,
                    engine.cluster,
                    lambda job: is_done(job, store.folder(job)),
                    watch.tell,
                    watch.tick,
                    timeout=60 * minutes,
                    job_memory=engine.job_memory,
                )
            else:
                statuses = run(
                    [one.job for one in ordered],
                    store,
                    engine.slots(options),
                    lambda job: is_done(job, store.folder(job)),
                    watch.tell,
                    watch.tick,
                    timeout=60 * minutes,
                    job_memory=engine.job_memory * 2**20 if engine.job_memory else None,
                )
    entries = board.build(store)
    path = options.out / "leaderboard.csv"
    try:
        write(path, board.to_csv([one.flat() for one in entries]))
    except OSError as error:
        raise cannot_write(options.out, error) from None
    return Outcome(list(planned), statuses, entries, path)
