"""What an engine gives a worker, and what it makes of the worker's end."""

import os
import platform
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest

from bench.engines.cluster import Cluster
from bench.engines.ray import Run
from bench.engines.worker_process import (
    final_status,
    memory_held,
    start_environment,
    worker_environment,
)
from bench.jobs.run_folder import UNFINISHED, JobFolder

CPU, CUDA = (
    SimpleNamespace(device=device, card=SimpleNamespace(kind="paper")) for device in ("cpu", "cuda")
)


def test_a_job_on_the_processors_sees_no_gpu():
    assert worker_environment(CPU)["CUDA_VISIBLE_DEVICES"] == ""
    assert worker_environment(CPU, "3")["CUDA_VISIBLE_DEVICES"] == ""
    assert worker_environment(CPU)["BENCH_DEVICE"] == "cpu"


def test_a_job_on_a_gpu_sees_that_one_or_those_that_its_node_gives_it():
    assert worker_environment(CUDA, "GPU-aa")["CUDA_VISIBLE_DEVICES"] == "GPU-aa"
    assert "CUDA_VISIBLE_DEVICES" not in worker_environment(CUDA)
    assert worker_environment(CUDA)["BENCH_DEVICE"] == "cuda"


def test_the_number_of_threads_does_not_depend_on_how_many_jobs_run(monkeypatch):
    monkeypatch.delenv("BENCH_THREADS", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "16")
    assert worker_environment(CPU)["OMP_NUM_THREADS"] == "1"
    monkeypatch.setenv("BENCH_THREADS", "2")
    assert worker_environment(CPU)["OMP_NUM_THREADS"] == "2"


def test_results_do_not_depend_on_the_order_of_sets_or_of_cublas():
    fixed = {"PYTHONHASHSEED": "0", "CUBLAS_WORKSPACE_CONFIG": ":16:8"}
    assert fixed.items() <= worker_environment(CPU).items()
    assert start_environment().items() <= worker_environment(CPU).items()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="of the GNU C library")
def test_a_worker_keeps_the_memory_of_freed_arrays_for_the_next_step(monkeypatch):
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    lines = [
        "import resource, numpy",
        "def faults(): return resource.getrusage(resource.RUSAGE_SELF).ru_minflt",
        "for turn in range(20):",
        "    if turn == 10: before = faults()",
        "    parts = [numpy.ones(2**17) for _ in range(8)]",  # 1 MB each
        "    del parts",
        "print(faults() - before)",
    ]
    found = {}
    for name, environment in (("worker", start_environment()), ("plain", {"GLIBC_TUNABLES": ""})):
        run = subprocess.run(
            [sys.executable, "-c", "\n".join(lines)],
            env=os.environ | environment,
            capture_output=True,
            check=True,
        )
        found[name] = int(run.stdout)
    assert found["worker"] < 100
    if platform.libc_ver()[0] == "glibc":
        assert found["plain"] > 10 * found["worker"]


@pytest.mark.parametrize("job", [CPU, CUDA], ids=["cpu", "cuda"])
def test_on_a_cluster_a_worker_gets_the_same_and_this_process_s_settings(
    job, monkeypatch, tmp_path
):
    monkeypatch.setenv("BENCH_CHECKPOINT_SECONDS", "7")
    monkeypatch.setenv("BENCH_DEVICE", "tpu")
    store = SimpleNamespace(root=tmp_path)
    ray = SimpleNamespace(remote=lambda **_: lambda function: function)
    environment = Run(ray, store, Cluster(), None, None, None).environment(job)
    assert worker_environment(job).items() <= environment.items()
    assert environment["BENCH_CHECKPOINT_SECONDS"] == "7"
    assert environment["BENCH_DATA_DIR"].startswith(str(tmp_path))


def test_memory_is_that_of_the_process_and_its_children():
    held = "import time; held = bytearray(60_000_000); time.sleep(60)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {held!r}])"
    process = subprocess.Popen([sys.executable, "-c", parent], start_new_session=True)
    try:
        while memory_held(process.pid) < 60_000_000:
            assert process.poll() is None
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert memory_held(process.pid) == 0


@pytest.fixture
def folder(tmp_path):
    """The folder of a job that is in phase fit for the second time."""
    folder = JobFolder(tmp_path)
    folder.write_status(state="failed", phase="fit", error=UNFINISHED, attempt=2)
    return folder


@pytest.mark.parametrize(
    ("code", "ended_as", "state", "error"),
    [
        (0, None, "ok", ""),
        (1, None, "crashed", "exit status 1: the last line"),  # it wrote down no reason itself
        (3, None, "crashed", "exit status 3: the last line"),
        (-signal.SIGKILL, None, "out-of-memory", "SIGKILL"),
        (-signal.SIGSEGV, None, "crashed", "SIGSEGV"),
        (-signal.SIGKILL, ("timeout", "it took too long"), "timeout", "it took too long"),
    ],
)
def test_a_worker_that_wrote_no_reason_down_gets_one(folder, code, ended_as, state, error):
    folder.log.write_text("a line\nthe last line\n\n")
    status = final_status(folder, code, 5.0, ended_as)
    assert (status.state, status.seconds) == (state, 5.0)
    assert error in status.error
    if code:
        written = folder.read_status()
        assert (written.state, written.error) == (state, status.error)
        assert (written.phase, written.attempt, written.seconds) == ("fit", 2, 5.0)


def test_a_reason_that_the_worker_wrote_down_itself_stays(folder):
    folder.write_status(state="failed", phase="sample", error="ValueError: no", attempt=2)
    status = final_status(folder, 1, 5.0)
    assert (status.state, status.phase, status.error) == ("failed", "sample", "ValueError: no")


def test_a_job_that_another_run_has_taken_over_is_left_alone(folder, tmp_path):
    with folder.locked():
        status = final_status(JobFolder(tmp_path), -signal.SIGSEGV, 5.0)
    assert status.state == "crashed"
    assert folder.read_status().error == UNFINISHED
