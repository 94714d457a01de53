import os

import pytest

from bench.engines import machine
from bench.engines.local import cap_gpu_memory
from bench.engines.schedule import Place
from bench.errors import BenchError


def test_processors_are_a_place_without_a_gpu():
    assert all(place.gpu == "" for place in machine.places(2, "cpu"))


def test_by_default_there_is_a_slot_per_processor_that_this_process_may_use(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 3, 5}, raising=False)
    (place,) = machine.places(None, "cpu")
    assert place.slots == 3
    assert 0 < place.memory_mb <= machine.memory_mb()


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"batch/job": "2147483648"}, 2048),
        ({"batch/job": "max", "batch": "1073741824"}, 1024),  # the limit of a level above holds too
        ({"batch/job": "4294967296", "batch": "1073741824"}, 1024),
    ],
)
def test_memory_is_what_the_batch_system_allows(tmp_path, limits, expected):
    for group, limit in limits.items():
        (tmp_path / group).mkdir(parents=True, exist_ok=True)
        (tmp_path / group / "memory.max").write_text(limit + "\n")
    own = tmp_path / "cgroup"
    own.write_text("0::/batch/job\n")
    assert machine.memory_mb(tmp_path, own) == expected


def test_jobs_are_spread_over_the_gpus_and_several_share_one(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    monkeypatch.setattr(machine, "gpu_memory", dict)
    assert machine.places(5, "cuda") == [Place(3, None, "3"), Place(2, None, "5")]
    assert machine.places(1, "cuda") == [Place(1, None, "3")]
    assert machine.places(4, "cuda", limit=1) == [Place(4, None, "3")]
    with pytest.raises(BenchError, match="2 GPUs here, not 3"):
        machine.places(None, "cuda", limit=3)


def test_a_gpu_takes_no_more_jobs_than_there_are_processors_and_memory_beside_it(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    monkeypatch.setattr(machine, "gpu_memory", dict)
    monkeypatch.setattr(machine, "cores", lambda: 64)
    monkeypatch.setattr(machine, "memory_mb", lambda: 100_000)
    assert [place.slots for place in machine.places(None, "cuda")] == [3, 3]
    monkeypatch.setattr(machine, "cores", lambda: 4)
    assert [place.slots for place in machine.places(None, "cuda")] == [2, 2]
    monkeypatch.setattr(machine, "memory_mb", lambda: 3 * machine.HOST_MB)
    assert [place.slots for place in machine.places(None, "cuda")] == [2, 1]


@pytest.mark.parametrize("hidden", ["", "-1"])
def test_without_a_gpu_cuda_is_refused_with_what_to_do(monkeypatch, hidden):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    with pytest.raises(BenchError, match="--device cpu"):
        machine.places(1, "cuda")


def test_gpus_and_their_memory_are_asked_of_the_driver_and_never_of_torch(driver, monkeypatch):
    driver("0, GPU-aa, 81559", "1, GPU-bb, 40960")
    assert machine.gpus() == ["0", "1"]
    assert [place.memory_mb for place in machine.places(2, "cuda")] == [81559, 40960]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-bb,MIG-cc")
    assert machine.places(2, "cuda") == [Place(1, 40960, "GPU-bb"), Place(1, None, "MIG-cc")]
    assert machine.places(2, "cuda", gpu_mb=9000)[1].memory_mb == 9000
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert machine.gpus() == []


def test_a_process_is_capped_at_its_share_of_the_gpu(monkeypatch):
    import torch

    fractions = []
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", fractions.append)
    cap_gpu_memory(0.25)
    assert fractions == [0.25]


def test_a_cluster_is_as_many_gpus_as_were_named():
    assert sum(place.slots for place in machine.imagined(None, "cuda", 64, 80_000)) == 192
    assert sum(place.slots for place in machine.imagined(64, "cuda", 64, None)) == 64
    assert machine.imagined(256, "cpu", None, None) == [Place(256)]
