"""Curves as they are kept, and as TensorBoard is told them."""

import json
import sys
from types import ModuleType

import pytest

from bench.jobs.log import JobLog
from bench.jobs.run_folder import JobFolder


@pytest.fixture
def told(monkeypatch):
    """What a TensorBoard is told, by its folder; none need be installed."""
    seen = {}

    class SummaryWriter:
        def __init__(self, folder):
            self.points = seen[folder] = []
            self.fresh = []

        def add_scalar(self, name, value, step):
            self.fresh.append((name, value, step))

        def flush(self):
            self.points += self.fresh
            self.fresh = []

    module = ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = SummaryWriter
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    return seen


def test_tensorboard_is_told_every_point_of_the_curves_if_asked_for(tmp_path, told):
    log = JobLog(JobFolder(tmp_path), tensorboard=True)
    log.record(1, train_loss=4.0, rate=0.5)
    log.record(2, valid_loss=3.0)
    assert sorted(told[str(tmp_path / "tensorboard")]) == [
        ("rate", 0.5, 1),
        ("train_loss", 4.0, 1),
        ("valid_loss", 3.0, 2),
    ]
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2]


def test_unasked_it_is_told_nothing(tmp_path, told):
    JobLog(JobFolder(tmp_path)).record(1, train_loss=4.0)
    assert told == {}


def test_a_resumed_training_is_told_from_its_beginning_and_once(tmp_path, told, monkeypatch):
    monkeypatch.setenv("BENCH_CHECKPOINT_SECONDS", "0")
    first = JobLog(JobFolder(tmp_path), tensorboard=True)
    first.record(1, train_loss=4.0)
    first.checkpoint(lambda: {"step": 1})
    first.record(2, train_loss=3.0)  # lost with the process
    again = JobLog(JobFolder(tmp_path), tensorboard=True)
    assert again.resume() == {"step": 1}
    again.record(2, train_loss=3.5)
    points = told[str(tmp_path / "tensorboard")]
    assert points == [("train_loss", 4.0, 1), ("train_loss", 3.5, 2)]


def test_the_real_one_reads_what_was_written(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = JobLog(JobFolder(tmp_path), tensorboard=True)
    log.record(1, train_loss=4.0)
    log.record(2, train_loss=3.0)
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(e.step, e.value) for e in events.Scalars("train_loss")] == [(1, 4.0), (2, 3.0)]
