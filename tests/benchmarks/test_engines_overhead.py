"""What an engine takes from one job to the next, where the job itself does next to nothing."""

import time
from importlib.util import find_spec

import pytest

JOBS = 8


def seconds(home, engine, count):
    """How long so many jobs take, one at a time."""
    out = home.path / f"{engine}-{count}"
    run = [*home.arguments("Quiet"), "--seeds", str(count), "--out", str(out)]
    begun = time.perf_counter()
    done = home.bench(*run, "--engine", engine, "--workers", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    return time.perf_counter() - begun


@pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")
def test_time_from_one_trivial_job_to_the_next(home):
    for engine in ("in-turn", "processes", "ray"):
        # One job less: what the engine needs to start is no job's.
        each = (seconds(home, engine, 1 + JOBS) - seconds(home, engine, 1)) / JOBS
        print(f"{engine:10} {each:6.2f} s per job")
