"""Jobs on a Ray cluster of two nodes, all on this machine's loopback addresses."""

import json
import os
import signal
import sys
import time
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest
from rich.console import Console
from waiting import wait_for

from bench.board.rows import read_csv
from bench.engines import cluster as clusters
from bench.engines import lease
from bench.engines import ray as engine
from bench.engines.display import Display
from bench.errors import BenchError
from bench.files import read_json
from bench.jobs.plan import Options, plan
from bench.jobs.record import JobRecord
from bench.jobs.run_folder import RunFolder, is_finished

if find_spec("ray") is None and os.environ.get("CI") != "true":
    pytest.skip("Ray is not installed: pip install 'musicbench[ray]'", allow_module_level=True)

CONTESTANTS = Path(__file__).parent.parent / "contestants.py"
HEAD, OTHER = "127.0.0.2", "127.0.0.3"  # Ray replaces 127.0.0.1 by the machine's outside address
NODE = {"num_cpus": 2, "object_store_memory": 100 * 2**20, "include_dashboard": False}


@contextmanager
def started(**environment):
    """A cluster of one node, gone afterwards."""
    from ray.cluster_utils import Cluster

    own = {
        "PYTHONPATH": str(CONTESTANTS.parent.parent),
        "RAY_AUTH_MODE": "disabled",
        "RAY_USAGE_STATS_ENABLED": "0",
        "TEST_PACE": "0.05",
        **environment,
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in own.items():
            patch.setenv(name, value)
        cluster = Cluster()
        try:
            cluster.add_node(node_ip_address=HEAD, **NODE)
            yield cluster
        finally:
            cluster.shutdown()


@pytest.fixture(scope="module")
def two_nodes():
    with started() as cluster:
        cluster.add_node(node_ip_address=OTHER, memory=64 * 2**30, **NODE)
        yield cluster


@pytest.fixture
def on(two_nodes, home):
    """The options that run jobs on the cluster."""
    home.environment |= {"RAY_AUTH_MODE": "disabled", "BENCH_CHECKPOINT_SECONDS": "0"}
    return ["--engine", "ray", "--ray-address", two_nodes.address]


def folders(root):
    return {folder.path.name.split(".")[0]: folder for folder in RunFolder(root).folders()}


def rows(root):
    return {row.system: row for row in read_csv(root / "leaderboard.csv").rows}


def results(root):
    """The results of each job, without what depends on the clock."""
    values = {}
    for folder in RunFolder(root).folders():
        result = folder.read_result()
        scores = read_json(folder.scores)["metrics"]
        values[folder.path.name] = (
            result.fit.files,
            result.sample.hashes,
            result.likelihood.nats,
            {name: (score["value"], score["detail"]) for name, score in scores.items()},
            folder.score_arrays.read_bytes(),
        )
    return values


def attempts(root):
    """How often each job was begun."""
    return [folder.log.read_text().count(", attempt ") for folder in RunFolder(root).folders()]


def curve(folder):
    points = [json.loads(line) for line in folder.curves.read_text().splitlines()]
    return [(point["step"], point["train_loss"]) for point in points]


def learning(root):
    """The pid of a Learner's worker that has left a checkpoint."""

    def pid():
        for folder in RunFolder(root).folders():
            progress = read_json(folder.progress)
            if folder.checkpoint.exists() and progress and progress["phase"] == "fit":
                return progress["pid"]
        return None

    return wait_for(pid)


@pytest.mark.slow
def test_every_engine_gives_the_same_bits(home, on):
    run = home.arguments("note-lstm", "chord-lstm", "markov-chain", "noise", "Learner")
    cluster = home.process(*run, *on)
    assert cluster.returncode == 0, cluster.stdout + cluster.stderr
    assert "Traceback" not in cluster.stdout + cluster.stderr
    in_turn = home.path / "in-turn"
    done = home.process(*run, "--engine", "in-turn", "--out", str(in_turn))
    assert done.returncode == 0, done.stderr
    assert results(home.runs) == results(in_turn)
    assert {f.read_result().fit.threads for f in RunFolder(home.runs).folders()} == {1}
    again = home.process(*run, *on)
    assert "All 5 jobs are done already." in again.stdout


@pytest.mark.slow
def test_every_way_to_fail_is_a_row_of_its_own_and_the_others_go_on(home, on):
    run = home.arguments("Raises", "Segfaults", "Hangs", "EatsMemory", "Quiet")
    done = home.process(*run, *on, "--timeout", "0.3", "--job-memory", "900")
    assert done.returncode == 1, done.stderr
    table = rows(home.runs)
    expected = {
        "Raises": ("failed", "fit", "RuntimeError: the loss"),
        "Segfaults": ("crashed", "sample", "SIGSEGV"),
        "Hangs": ("timeout", "fit", "longer than 0.3 minutes"),
        "EatsMemory": ("out-of-memory", "fit", "held more than 900 MB"),
    }
    for system, (state, phase, error) in expected.items():
        assert table[system].status == state, table[system].failure
        assert f"in phase '{phase}'" in table[system].failure
        assert error in table[system].failure
    assert table["Quiet"].status == "ok"
    assert attempts(home.runs) == [1] * 5


@pytest.mark.slow
def test_a_killed_worker_is_an_outcome_and_the_same_command_goes_on_bit_equal(home, on):
    driver = home.start(*home.arguments("Learner"), *on)
    os.kill(learning(home.runs), signal.SIGKILL)
    assert driver.wait(60) == 1
    driver.stdout.close()
    assert rows(home.runs)["Learner"].status == "out-of-memory"
    straight(home, on)


@pytest.mark.slow
def test_after_the_drivers_death_the_workers_end_and_the_same_command_goes_on(home, on):
    driver = home.start(*home.arguments("Learner", "Quiet"), *on)
    worker = psutil.Process(learning(home.runs))
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait(30)
    driver.stdout.close()
    wait_for(lambda: not worker.is_running())
    straight(home, on)


def straight(home, on):
    """The same command goes on from the checkpoint, to the end that an unbroken run has."""
    done = home.process(*home.arguments("Learner", "Quiet"), *on)
    assert done.returncode == 0, done.stdout + done.stderr
    folder = folders(home.runs)["Learner"]
    assert int(folder.log_tail(8).split("learnt from step ")[1].split()[0]) > 0
    unbroken = home.path / "straight"
    home.process(*home.arguments("Learner"), "--engine", "in-turn", "--out", str(unbroken))
    assert curve(folder) == curve(folders(unbroken)["Learner"])
    assert results(unbroken).items() <= results(home.runs).items()


@pytest.mark.slow
def test_a_job_whose_lease_is_killed_is_tried_again_by_itself(home, on):
    driver = home.start(*home.arguments("Learner"), *on)
    worker = psutil.Process(learning(home.runs))
    worker.parent().kill()
    output = driver.communicate(timeout=90)[0]
    assert driver.returncode == 0, output
    assert "it is tried again" in output
    assert not worker.is_running()
    assert attempts(home.runs) == [2]
    assert len(curve(folders(home.runs)["Learner"])) == 60


@pytest.mark.slow
def test_a_dead_nodes_jobs_end_once_each_on_the_nodes_that_are_left(home, on, two_nodes):
    node = two_nodes.add_node(node_ip_address="127.0.0.4", **NODE)
    driver = home.start(*home.arguments("Learner"), *on, "--seeds", "6")
    learning(home.runs)
    two_nodes.remove_node(node, allow_graceful=False)
    output = driver.communicate(timeout=200)[0]
    assert driver.returncode == 0, output
    assert "it is tried again" in output
    assert len(RunFolder(home.runs).folders()) == 6
    assert all(is_finished(folder) for folder in RunFolder(home.runs).folders())
    assert output.count("done     Learner") == 6
    assert sorted(attempts(home.runs))[:2] == [1, 1]
    assert rows(home.runs)["Learner"].seeds == 6


@pytest.mark.slow
def test_jobs_wait_for_a_node_that_comes_back(home, on, two_nodes):
    big = {"node_ip_address": "127.0.0.5", "memory": 500 * 2**30, **NODE}
    node = two_nodes.add_node(**big)
    # Only that node has so much memory.
    driver = home.start(*home.arguments("Learner"), *on, "--job-memory", "300000")
    learning(home.runs)
    two_nodes.remove_node(node, allow_graceful=False)
    time.sleep(3.0)
    assert driver.poll() is None
    node = two_nodes.add_node(**big)
    try:
        output = driver.communicate(timeout=120)[0]
    finally:
        two_nodes.remove_node(node, allow_graceful=False)
    assert driver.returncode == 0, output
    assert attempts(home.runs) == [2]


@pytest.mark.slow
def test_a_node_out_of_memory_is_an_outcome_after_a_few_tries(home):
    # A node that is always too full: Ray ends whatever runs on it.
    full = {"RAY_memory_usage_threshold": "0.0", "RAY_memory_monitor_refresh_ms": "100"}
    home.environment |= {"RAY_AUTH_MODE": "disabled"}
    with started(**full) as cluster:
        done = home.process(
            *home.arguments("Hangs"), "--engine", "ray", "--ray-address", cluster.address
        )
    assert done.returncode == 1, done.stdout + done.stderr
    assert rows(home.runs)["Hangs"].status == "out-of-memory"
    assert "ran out of memory, and Ray ended it, 3 times" in rows(home.runs)["Hangs"].failure


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["plan", "all"])
def test_what_no_node_has_is_refused_at_once(home, on, verb):
    run = [verb, *home.arguments("note-lstm")[1:], *on, "--device", "cuda", "--gpus-per-job", "8"]
    done = home.process(*run)
    assert done.returncode == 2, done.stdout
    assert "asks for 8 CPUs, 8 GPUs" in done.stderr
    assert f"{HEAD} has 2 CPUs, 0 GPUs" in done.stderr
    assert not folders(home.runs)


@pytest.mark.slow
def test_two_processes_train_one_system_on_one_node(home, on):
    home.environment["BENCH_RANKS"] = "2"
    done = home.process(*home.arguments("note-lstm"), *on)
    assert done.returncode == 0, done.stdout + done.stderr
    assert folders(home.runs)["note-lstm"].read_result().fit.processes == 2


@pytest.fixture
def here(two_nodes, monkeypatch):
    """Runs a plan on the cluster from this process."""
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("BENCH_CHECKPOINT_SECONDS", "0")

    def run(root, *systems, shared=None, address=two_nodes.address):
        named = tuple(f"{CONTESTANTS}:{s}" if s[0].isupper() else s for s in systems)
        options = Options("smoke", ("toy",), named, samples=4, steps=32, out=root)
        planned, store = plan(options), RunFolder(root)
        display = Display(planned, 2, Console(quiet=True))
        cluster = clusters.Cluster(address)
        left = [work for work in planned if not work.done]
        done = lambda job: JobRecord(store.folder(job)).is_done(job)
        callbacks = display.show_event, display.update
        return engine.run(left, store, cluster, done, *callbacks, shared=shared)

    return run


@pytest.mark.slow
def test_without_a_shared_folder_data_code_and_results_travel(home, here):
    from bench import data

    data.load("toy")
    alone = here(home.runs, "Learner", "Raises", "note-lstm", shared=False)
    assert sorted(status.state for status in alone.values()) == ["failed", "ok", "ok"]
    jobs = folders(home.runs)
    assert not (home.runs / ".ray" / "cache").exists()
    assert not jobs["Learner"].checkpoint.exists()
    assert "RuntimeError: the loss" in jobs["Raises"].read_status().error
    assert jobs["Learner"].read_job().class_path.startswith(str(CONTESTANTS))
    jobs["Raises"].status.unlink()
    together = here(home.path / "shared", "Learner", "note-lstm", shared=True)
    assert {status.state for status in together.values()} == {"ok"}
    jobs["Raises"].path.rename(home.path / "raises")
    assert results(home.runs) == results(home.path / "shared")


@pytest.mark.slow
def test_a_full_disk_on_a_node_fails_what_does_not_fit_and_the_others_go_on(home, here, small_disk):
    from bench import data

    data.load("toy")
    with started(TMPDIR=str(small_disk), RAY_TMPDIR="/tmp") as cluster:
        alone = {"shared": False, "address": cluster.address}
        statuses = here(home.runs, "Quiet", "BigSaver", **alone)
        assert sorted(status.state for status in statuses.values()) == ["failed", "ok"]
        assert "No space left on device" in folders(home.runs)["BigSaver"].read_status().error
        with (small_disk / "filler").open("wb", buffering=0) as filler, suppress(OSError):
            while True:  # later a few bytes are freed: with none, Python takes another disk
                filler.write(b"x" * 4096)
        os.truncate(small_disk / "filler", (small_disk / "filler").stat().st_size - 8192)
        full = here(home.path / "full", "Quiet", **alone)  # not even the job's files fit
        assert [status.state for status in full.values()] == ["crashed"]
        assert "No space left on device" in folders(home.path / "full")["Quiet"].read_status().error
    again = here(home.path / "full", "Quiet", shared=False)
    assert [status.state for status in again.values()] == ["ok"]


@pytest.mark.slow
def test_a_node_with_other_versions_cannot_take_part(home, here, monkeypatch):
    from bench import data

    data.load("toy")
    ours = lease.own_versions()
    monkeypatch.setattr(clusters, "own_versions", lambda: {**ours, "source": "another"})
    with pytest.raises(BenchError, match=rf"cannot take part: it has source {ours['source']}"):
        here(home.runs, "Quiet")


def test_another_version_or_an_unseen_folder_is_refused_by_the_node(tmp_path):
    ours = lease.own_versions()
    assert {"python", "ray", "torch", "source"} <= set(ours)
    other = lease.Lease(str(tmp_path), {}, {**ours, "torch": "1.0"})
    assert f"torch {ours['torch']} instead of 1.0" in lease.run_lease(other, None, None).reason
    unseen = lease.Lease(str(tmp_path / "nowhere"), {}, ours)
    assert "does not see" in lease.run_lease(unseen, None, None).reason


class FakePlanned:
    """The parts of a planned job on which its demand depends."""

    def __init__(self, device, kind="paper", memory_mb=700):
        self.job, self.memory_mb = self, memory_mb
        self.device, self.card, self.kind = device, self, kind


@pytest.mark.parametrize(
    ("device", "kind", "asked", "gpus", "processes"),
    [
        ("cpu", "paper", None, 0.0, 1),
        ("cuda", "paper", None, 1 / 3, 1),
        ("cuda", "paper", 0.25, 0.25, 1),
        ("cuda", "paper", 1.0, 1.0, 1),
        ("cuda", "paper", 4.0, 4.0, 4),
        ("cuda", "baseline", 4.0, 1.0, 1),
    ],
)
def test_what_a_job_needs(device, kind, asked, gpus, processes):
    cluster, planned = clusters.Cluster(gpus_per_job=asked), FakePlanned(device, kind)
    demand = cluster.demand(planned)
    assert (demand.gpus, cluster.processes(planned.job)) == (gpus, processes)
    assert demand.cpus == processes


def test_a_cluster_has_room_for_what_fits_on_single_nodes():
    small, wide = clusters.Demand(1, 0, 2**30), clusters.Demand(3, 0, 2**30)
    node = clusters.Node("a", {"CPU": 2.0, "memory": 4.0 * 2**30})
    assert small.times(node.resources) == 2
    clusters.refuse([node, node], {"small": small})
    with pytest.raises(BenchError, match=r"wide asks for 3 CPUs.*a has 2 CPUs"):
        clusters.refuse([node, node], {"small": small, "wide": wide})


def test_without_ray_the_command_that_installs_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(BenchError, match=r'pip install "musicbench\[ray\]"'):
        clusters.connect(None, "")


def test_an_address_where_nothing_answers_is_one_clear_sentence(home):
    done = home.process(*home.arguments("noise"), "--engine", "ray", "--ray-address", f"{HEAD}:1")
    assert done.returncode == 2
    assert "No Ray cluster can be joined at 127.0.0.2:1" in done.stderr
    assert "Traceback" not in done.stderr


def test_options_of_ray_without_ray_are_refused(home):
    done = home.process(*home.arguments("noise"), "--gpus-per-job", "2")
    assert done.returncode == 2
    assert "are for --engine ray" in done.stderr


@pytest.mark.slow
def test_a_ray_of_its_own_on_this_machine_leaves_nothing_behind(home):
    before = set(Path(clusters.SHORT).glob("ray-*"))
    done = home.process(*home.arguments("noise"), "--engine", "ray")
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(Path(clusters.SHORT).glob("ray-*")) <= before
    ours = [p for p in psutil.process_iter(["cmdline"]) if "/ray-" in str(p.info["cmdline"])]
    assert not ours
