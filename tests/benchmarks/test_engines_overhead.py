"""What an engine adds to a job: the time from one job to the next, less what the job itself took."""

import time
from importlib.util import find_spec

import pytest

from bench.store import Store

JOBS = 8


def spent(home, engine, count):
    """Seconds that so many jobs took, one at a time, and how many of them the jobs themselves."""
    out = home.path / f"{engine}-{count}"
    run = [*home.arguments("Quiet"), "--seeds", str(count), "--out", str(out)]
    begun = time.perf_counter()
    done = home.bench(*run, "--engine", engine, "--workers", "1")
    seconds = time.perf_counter() - begun
    assert done.returncode == 0, done.stdout + done.stderr
    return seconds, sum(folder.read_status().seconds for folder in Store(out).folders())


@pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")
def test_overhead_per_job_of_each_engine(home):
    for engine in ("in-turn", "processes", "ray"):
        # One job less: what the engine needs to start is no job's.
        (few, own), (many, owns) = spent(home, engine, 1), spent(home, engine, 1 + JOBS)
        overhead = (many - few - (owns - own)) / JOBS
        print(
            f"{engine:10} {1000 * overhead:6.0f} ms per job, which takes {owns / (1 + JOBS):.2f} s"
        )
