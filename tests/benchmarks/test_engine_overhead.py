"""What a job costs beside its own work, from one job's end to the next one's, one at a time."""

import os
import subprocess
import sys
import time
from contextlib import nullcontext
from importlib.util import find_spec

import numpy as np
import pytest
from made_up_jobs import finish, job

from bench import data
from bench.engines import local, ray
from bench.engines.cluster import Cluster
from bench.engines.machine import cores
from bench.engines.schedule import Place
from bench.engines.shards import Shard
from bench.jobs.plan import Planned
from bench.jobs.run_folder import RunFolder
from bench.protocol.sampling import Protocol

AIM = 0.050  # seconds, after the first job
ALONE = """
import sys
from multiprocessing.connection import Connection
from pathlib import Path
import bench.engines.preloaded
from bench.jobs.worker import main
main(Path(sys.argv[1]), Connection(0, writable=False))
"""


def trivial(runs, seed):
    """A job that is done already: what is timed is the way to its worker and back."""
    done = job(protocol=Protocol(samples=1, steps=1, prompt=1), seed=seed)
    finish(runs, done)
    return Planned(done, "new", 1.0, 100, 1)


def to_the_next(run):
    """(jobs - 1,) seconds from each end to the next; `run` is told whom to tell."""
    ends = []
    outcomes = run(
        lambda _: False,
        lambda event: ends.append(time.perf_counter()) if event.kind == "finished" else None,
        lambda _: None,
    )
    assert {status.state for status in outcomes.values()} == {"ok"}
    assert len(ends) == len(outcomes)
    return np.diff(ends)


@pytest.fixture
def runs(home):
    data.load("toy")  # Ray's workers are given what was read
    return RunFolder(home.runs)


@pytest.fixture
def by_themselves(runs):
    """Seconds per job, each in a process that is started from nothing and loads what jobs need."""
    folders = [str(runs.folder(trivial(runs, 1000 + seed).job).path) for seed in range(5)]
    begun = time.perf_counter()
    for folder in folders:
        with subprocess.Popen(
            [sys.executable, "-c", ALONE, folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "BENCH_DEVICE": "cpu"},
        ) as process:
            assert process.wait() == 0
    return (time.perf_counter() - begun) / len(folders)


@pytest.mark.parametrize("shard", [False, True], ids=["processes", "a shard"])
def test_a_trivial_job_in_a_process_costs_less_than_50_ms(
    shard, runs, by_themselves, measured, tmp_path
):
    """Asserted of a machine that is not busy with something else."""
    load = os.getloadavg()[0] / cores()
    works = [trivial(runs, seed) for seed in range(101)]
    with Shard(tmp_path / "shared") if shard else nullcontext() as joined:
        seconds = to_the_next(lambda *tell: local.run(works, runs, [Place(1)], *tell, shard=joined))
    middle = float(np.median(seconds))
    measured(
        "engines",
        "a trivial job, " + ("processes of a shard" if shard else "processes"),
        size=f"100 jobs in turn, wall clock; 95 of 100 below"
        f" {1000 * np.percentile(seconds, 95):.0f} ms, the aim is 50 ms",
        against="a process of its own, started from nothing",
        ours=middle,
        theirs=by_themselves,
    )
    if load > 0.6:
        pytest.skip(f"load {load:.1f} per core: the figures tell of that, too")
    assert middle < AIM


@pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")
def test_a_trivial_job_on_ray(runs, by_themselves, measured, monkeypatch):
    works = [trivial(runs, seed) for seed in range(9)]
    seconds = to_the_next(
        lambda *tell: ray.run(works, runs, Cluster(workers=1), *tell, shared=True)
    )
    measured(
        "engines",
        "a trivial job, Ray on this machine",
        size="8 jobs in turn, wall clock",
        against="a process of its own, started from nothing",
        ours=float(np.median(seconds)),
        theirs=by_themselves,
    )
