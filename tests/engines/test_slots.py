import pytest

from bench.engines import local
from bench.errors import BenchError


def environment(slot, device):
    class Job:
        pass

    Job.device = device
    return slot.environment(Job)


def test_a_job_on_the_processors_sees_no_gpu(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    for slot in local.slots(2, "cpu"):
        assert environment(slot, "cpu")["CUDA_VISIBLE_DEVICES"] == ""


def test_the_number_of_threads_does_not_depend_on_how_many_jobs_run():
    counts = {environment(local.slots(n, "cpu")[0], "cpu")["OMP_NUM_THREADS"] for n in (1, 2, 8)}
    assert counts == {"1"}


def test_jobs_are_spread_over_the_gpus_and_several_share_one(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    assert [slot.gpu for slot in local.slots(5, "cuda")] == ["3", "5", "3", "5", "3"]
    assert len(local.slots(None, "cuda")) == 6


@pytest.mark.parametrize("hidden", ["", "-1"])
def test_without_a_gpu_cuda_is_refused_with_what_to_do(monkeypatch, hidden):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    with pytest.raises(BenchError, match="--device cpu"):
        local.slots(1, "cuda")


def test_gpus_are_asked_of_the_driver_and_never_of_torch(monkeypatch, tmp_path):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\nprintf '0\\n1\\n'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert local.gpus() == ["0", "1"]
    tool.unlink()
    assert local.gpus() == []
