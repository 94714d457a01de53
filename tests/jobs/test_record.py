from pathlib import Path

import numpy as np
import pytest
from made_up_jobs import DONE, finish, job, seal

from bench.files import read_json
from bench.jobs.record import JobRecord, records
from bench.jobs.results import JobResult, SnapshotResult
from bench.jobs.run_folder import RunFolder


@pytest.fixture
def runs(tmp_path):
    return RunFolder(tmp_path)


@pytest.fixture
def done(runs):
    """The folder of a finished job."""
    return finish(runs, job(), {"polyphony": np.arange(4.0)})


def test_each_file_is_read_once_however_often_it_is_asked_for(done, monkeypatch):
    reads = []
    for name in ("read_text", "read_bytes"):
        plain = getattr(Path, name)

        def counted(path, *arguments, plain=plain, **named):
            reads.append(path.name)
            return plain(path, *arguments, **named)

        monkeypatch.setattr(Path, name, counted)
    record = JobRecord(done)
    assert reads == []
    for _ in range(3):
        assert record.job == job()
        assert record.finished
        assert record.is_done(job())
        assert record.seconds > 0
        assert record.scores.draws.keys() == record.scores.per_piece.keys() == {"polyphony"}
        assert record.result.complete
    files = ("job.json", "status.json", "result.json", "scores.json", "scores.npz", "copying.json")
    assert sorted(reads) == sorted(files)


def test_a_record_is_of_one_moment(done):
    record = JobRecord(done)
    assert record.finished
    done.write_status(state="failed")
    assert record.finished
    assert not JobRecord(done).finished


@pytest.mark.parametrize("state", ["failed", "timeout", "out-of-memory", "crashed"])
def test_a_job_that_ended_otherwise_is_not_finished(done, state):
    done.write_status(state=state)
    assert not JobRecord(done).finished


def test_neither_is_one_whose_result_lacks_a_phase_nor_one_that_was_never_begun(done, runs):
    done.write_result(DONE.having(likelihood=None))
    assert not JobRecord(done).finished
    assert not JobRecord(runs.folder(job(seed=1))).finished


def test_a_job_is_done_with_present_scores_and_the_snapshots_that_were_asked_for(done):
    assert JobRecord(done).is_done(job())
    assert not JobRecord(done).is_done(job(snapshots=3))
    done.write_result(DONE.having(snapshots=SnapshotResult(asked=3)))
    assert JobRecord(done).is_done(job(snapshots=3))
    assert JobRecord(done).is_done(job())
    assert not JobRecord(done).is_done(job(snapshots=4))
    metrics = read_json(done.scores)["metrics"]
    metrics["polyphony"]["version"] -= 1
    seal(done, metrics=metrics)
    assert not JobRecord(done).is_done(job())


def test_the_seconds_are_those_of_phases_and_scores(done):
    metrics = read_json(done.scores)["metrics"]
    metrics["isl"]["seconds"] = 0.25
    seal(done, metrics=metrics)
    assert JobRecord(done).seconds == 2.25  # fit and sample took one each
    done.write_result(JobResult())
    assert JobRecord(done).seconds == 0.25


def test_folders_without_a_readable_job_have_no_record(done, runs):
    (runs.root / "jobs" / "broken").mkdir()
    (runs.root / "jobs" / "broken" / "job.json").write_text("{")
    renamed = runs.root / "jobs" / "another-name"
    renamed.mkdir()
    (renamed / "job.json").write_bytes(done.job.read_bytes())
    assert [record.folder.path for record in records(runs)] == [done.path]
