"""Several processes that train one network make the updates that one would have made."""

import json
import os
import signal
import time

import numpy as np
import psutil
import pytest
import torch
from torch import nn

from bench import training
from bench.errors import BenchError
from bench.files import read_json
from bench.jobs import launch, process
from bench.jobs.run_folder import RunFolder, is_finished
from bench.training import distributed


def folder_of(root, system):
    return next(f for f in RunFolder(root).folders() if f.path.name.startswith(system + "."))


def curves(folder):
    points = [json.loads(line) for line in folder.curves.read_text().splitlines()]
    return {
        (name, point["step"]): point[name]
        for point in points
        for name in ("train_loss", "valid_loss")
        if name in point
    }


def trained(home, processes, *systems, **environment):
    """A run with so many processes per training; its folder."""
    out = home.path / f"by-{processes}"
    home.environment |= {"BENCH_RANKS": str(processes), **environment}
    done = home.bench(*home.arguments(*systems), "--out", str(out))
    assert done.returncode == 0, done.stdout + done.stderr
    return out


class FakeProcess:
    """This process, as if it were one of several."""

    def __init__(self, monkeypatch, rank, ranks=3):
        monkeypatch.setattr(distributed, "rank", lambda: rank)
        monkeypatch.setattr(distributed, "ranks", lambda: ranks)


@pytest.mark.parametrize("items", [3, 7, 10])
def test_the_parts_of_a_batch_are_the_batch(monkeypatch, items):
    parts = []
    for rank in range(3):
        FakeProcess(monkeypatch, rank)
        parts.append(training.batch(items, items, 5, 0))
    whole = training.whole_batch(items, items, 5, 0)
    assert np.concatenate(parts).tolist() == whole.tolist()
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    shares = [distributed._parts.pop(0) for _ in range(3)]
    assert np.isclose(sum(shares), 1.0)


def test_a_batch_smaller_than_the_processes_goes_to_all_of_them(monkeypatch):
    for rank in range(3):
        FakeProcess(monkeypatch, rank)
        assert len(training.batch(2, 2, 5, 0)) == 2
    assert not distributed._parts  # each then counts equally


def test_processes_draw_numbers_of_their_own_and_the_first_those_of_one_alone(monkeypatch):
    seeds = []
    for rank in range(3):
        FakeProcess(monkeypatch, rank)
        seeds.append(distributed.own_seed(17))
    assert seeds[0] == 17
    assert len(set(seeds)) == 3


def test_alone_nothing_is_changed():
    model = nn.Linear(2, 1)
    model(torch.ones(1, 2)).sum().backward()
    before = model.weight.grad.clone()
    value = distributed.reduce(model, torch.tensor(3.0, requires_grad=True))
    assert value.item() == 3.0
    assert not value.requires_grad
    assert torch.equal(model.weight.grad, before)
    assert distributed.part([1, 2, 3]) == [1, 2, 3]


def test_the_number_of_processes_is_checked(monkeypatch):
    monkeypatch.setenv("BENCH_RANKS", "none")
    with pytest.raises(BenchError, match="BENCH_RANKS is 'none'"):
        launch.count()


@pytest.mark.parametrize(
    ("code", "kind", "message"),
    [
        (-signal.SIGKILL, MemoryError, "SIGKILL"),
        (-signal.SIGSEGV, process.Died, "crashed with SIGSEGV"),
        (3, process.Died, "exit status 3"),
    ],
)
def test_the_reason_why_a_training_process_ended_is_known(code, kind, message):
    death = launch.death(code)
    assert type(death) is kind
    assert message in str(death)


@pytest.mark.slow
def test_two_processes_follow_the_curve_of_one(home):
    # Nothing random in the loss, no padding, and plain gradient descent: what is left is rounding.
    system = "note-lstm+feedback=regression"
    roots = trained(home, 1, system), trained(home, 2, system)
    single, double = (folder_of(root, system) for root in roots)
    alone, together = curves(single), curves(double)
    assert alone.keys() == together.keys()
    assert {name for name, _ in alone} == {"train_loss", "valid_loss"}
    for point, loss in alone.items():
        assert together[point] == pytest.approx(loss, rel=1e-4)
    result = double.read_result()
    assert result.fit.processes == 2
    assert len(result.sample.hashes) == 4
    assert single.read_result().fit.processes == 1


@pytest.mark.slow
def test_with_dropout_padding_and_two_trainings_two_processes_learn_as_well(home):
    systems = ("chord-lstm", "gpt-remi", "rbm-window", "lstm-2x512")
    roots = trained(home, 1, *systems), trained(home, 2, *systems)
    for system in systems:
        alone, together = (curves(folder_of(root, system)) for root in roots)
        assert alone.keys() == together.keys()
        for point, loss in alone.items():
            assert together[point] == pytest.approx(loss, rel=0.1), (system, point)


def wait_for(condition, seconds=60.0):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.02)
    raise AssertionError("waited in vain")


def killed_while_learning(home, who):
    """A run by two processes of which one, or the worker that started both, was killed."""
    out = home.path / "killed"
    home.environment |= {"BENCH_RANKS": "2", "BENCH_CHECKPOINT_SECONDS": "0"}
    driver = home.start(*home.arguments("note-lstm"), "--out", str(out))
    folder = wait_for(lambda: out.exists() and any(out.glob("jobs/*/checkpoint.safetensors")))
    folder = folder_of(out, "note-lstm")
    first = psutil.Process(read_json(folder.progress)["pid"])
    assert "bench.jobs.rank" in first.cmdline()
    both = first.parent().children()
    os.kill(first.ppid() if who == "worker" else first.pid, signal.SIGKILL)
    assert driver.wait(60) == 1
    driver.stdout.close()
    wait_for(lambda: not any(process.is_running() for process in both))
    assert not is_finished(folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("who", ["worker", "process"])
def test_killed_while_training_the_same_command_goes_on_bit_equal(home, who):
    folder = killed_while_learning(home, who)
    assert folder.read_status().state == "out-of-memory"
    assert "SIGKILL" in folder.read_status().error
    begun = len(curves(folder))
    assert begun > 0
    again = home.bench(*home.arguments("note-lstm"), "--out", str(home.path / "killed"))
    assert again.returncode == 0, again.stdout + again.stderr
    unbroken = folder_of(trained(home, 2, "note-lstm"), "note-lstm")
    assert curves(folder) == curves(unbroken)
    assert folder.read_result().fit.files == unbroken.read_result().fit.files
    assert not folder.checkpoint.exists()


@pytest.mark.slow
def test_what_one_process_raises_is_the_jobs_failure(home):
    home.environment["BENCH_RANKS"] = "2"
    assert home.bench(*home.arguments("Raises")).returncode == 1
    status = folder_of(home.runs, "Raises").read_status()
    assert (status.state, status.phase) == ("failed", "fit")
    assert status.error == "RuntimeError: the loss"
