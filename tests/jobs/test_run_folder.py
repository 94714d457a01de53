import json

import pytest
from made_up_jobs import job

from bench.contract import Budget
from bench.jobs.job import Card
from bench.jobs.run_folder import JobStatus, RunFolder
from bench.protocol.sampling import Protocol


@pytest.mark.parametrize(
    "change",
    [
        {"settings": {"size": 4}}, {"seed": 1}, {"budget": Budget(6)}, {"source": "version 2"},
        {"dataset_fingerprint": "g"}, {"device": "cuda"}, {"variant": "as-published"},
        {"protocol": Protocol(samples=4, steps=32, prompt=16, unprompted=True)},
        {"class_path": "a:C"}, {"also": {"folk": "g"}},
    ],
    ids=str,
)  # fmt: skip
def test_whatever_changes_the_result_changes_the_id(change):
    assert job(**change).id != job().id


@pytest.mark.parametrize(
    "change",
    [
        {"card": Card(title="Y", kind="baseline", seconds=9)},
        {"snapshots": 3},
        {"class_path": "/elsewhere/a:B"},
    ],
    ids=str,
)
def test_nothing_else_does(change):
    assert job(class_path="/here/a:B").id == job(**{"class_path": "/here/a:B", **change}).id


def test_a_job_comes_back_as_it_was_begun(tmp_path):
    runs = RunFolder(tmp_path)
    folder = runs.begin(job())
    assert folder.read_job() == job()
    assert [f.path.name for f in runs.folders()] == [job().id]


def test_a_folder_whose_job_another_version_wrote_is_left_alone(tmp_path):
    folder = RunFolder(tmp_path).begin(job())
    content = json.loads(folder.job.read_text())
    folder.job.write_text(json.dumps({**content, "seed": 7}))
    assert folder.read_job() is None
    folder.job.write_text(json.dumps({**content, "new_field": 1}))
    assert folder.read_job() is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"state": "splendid"}', "\0\0"])
def test_a_half_written_status_is_no_success(tmp_path, text):
    folder = RunFolder(tmp_path).begin(job())
    folder.status.write_text(text)
    status = folder.read_status()
    assert status is None or status.state != "ok"


def test_a_status_says_failed_until_it_is_said_otherwise():
    assert JobStatus(state="failed").sentence == "failed in phase 'start': it did not finish"


def test_a_lock_is_held_by_one_and_ends_with_its_holder(tmp_path):
    folder = RunFolder(tmp_path).begin(job())
    with folder.locked() as first, folder.locked() as second:
        assert (first, second) == (True, False)
        assert folder.is_running()
    assert not folder.is_running()


def test_a_file_system_without_locks_stops_no_job(tmp_path, monkeypatch):
    import fcntl

    def none(*_):
        raise OSError(37, "No locks available")

    folder = RunFolder(tmp_path).begin(job())
    monkeypatch.setattr(fcntl, "flock", none)
    with folder.locked() as free:
        assert free
