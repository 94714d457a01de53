import json
import os
import time
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from synthetic import job

from bench.files import write_json
from bench.jobs.run_folder import JobFolder, Store
from bench.music import Score, to_midi
from dashboards.views import job as job_view

LATER = datetime.now(UTC) + timedelta(hours=1)  # when nothing is fresh any more


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "runs")


def state(store, folder, now=LATER):
    return next(s for s in job_view.states([folder], now))


def test_a_job_is_waiting_running_stopped_failed_or_done(store):
    folder = store.begin(job())
    assert state(store, folder).state == "waiting"
    folder.write_status(state="failed", phase="fit")
    write_json(folder.progress, {"phase": "fit", "done": 3, "total": 4})
    with folder.locked():
        running = state(store, folder)
    assert (running.state, running.share) == ("running", 0.75)
    assert state(store, folder).state == "stopped"
    assert state(store, folder, datetime.now(UTC)).state == "running"  # on another machine, perhaps
    folder.write_status(state="failed", phase="fit", error="no luck", seconds=2)
    failed = state(store, folder)
    assert (failed.state, failed.error) == ("failed", "failed: no luck")
    folder.write_status(state="ok", phase="done", error="", seconds=3)
    assert state(store, folder).state == "done"


def test_looking_never_takes_the_lock_nor_makes_one(store):
    folder = store.begin(job())
    folder.write_status(state="failed", phase="fit")
    before = sorted(folder.path.iterdir())
    for _ in range(3):
        state(store, folder)
    assert sorted(folder.path.iterdir()) == before
    with folder.locked() as free:
        assert free
        state(store, folder)
        with JobFolder(folder.path).locked() as second:
            assert not second


def test_half_written_folders_are_passed_over(store):
    folder = store.begin(job())
    for content in ("", "{", "[]", '{"system": 1}', "\xff"):
        folder.job.write_text(content)
        os.utime(folder.job, ns=(time.time_ns(), time.time_ns()))
        assert job_view.states([folder]) == []
        assert job_view.samples_of(folder) is None
    folder = store.begin(job(seed=1))
    for content in ("", "{", "[]", '{"state": "odd"}'):
        folder.status.write_text(content)
        os.utime(folder.status, ns=(time.time_ns(), time.time_ns()))
        assert state(store, folder).state == "waiting"


def test_names_from_outside_never_become_paths(store):
    folder = store.begin(job())
    (store.root.parent / "secret").mkdir()
    there = job_view.folders(store.root)
    row = {"jobs": f"../../secret /etc {folder.path} .. {folder.path.name} ./{folder.path.name}"}
    assert [f.path for f in job_view.folders_of(row, there)] == [folder.path]


def test_samples_that_are_not_what_was_made_are_lost(store):
    rng = np.random.default_rng(0)
    scores = [
        Score.from_notes(rng.integers(0, 30, 9), [1] * 9, rng.integers(40, 80, 9), length=32)
        for _ in range(3)
    ]
    folder = store.begin(job())
    folder.samples.mkdir()
    for number, score in enumerate(scores):
        (folder.samples / f"{number:03d}.mid").write_bytes(to_midi(score))
    write_json(folder.result, {"sample": {"hashes": [score.content_hash for score in scores]}})
    assert job_view.samples_of(folder).scores == tuple(scores)
    (folder.samples / "000.mid").write_bytes(b"MThd")
    (folder.samples / "001.mid").write_bytes(to_midi(scores[2]))
    (folder.samples / "002.mid").unlink()
    found = job_view.samples_of(folder)
    assert found.scores == (None, None, None)
    assert found.lost == 3


def test_curves_leave_out_what_is_no_number_and_a_last_line_cut_short(store):
    folder = store.begin(job())
    lines = [
        json.dumps({"step": 1, "seconds": 0.1, "train_loss": 2.0}),
        '{"step": 2, "train_loss": NaN, "rate": 0.1}',
        "[]",
        '{"step": 3, "train_lo',
    ]
    folder.curves.write_text("\n".join(lines))
    found = [(p["step"], p["curve"], p["value"]) for p in job_view.curves_of([folder])]
    assert found == [(1, "train_loss", 2.0), (2, "rate", 0.1)]


def test_time_left_goes_by_what_jobs_like_these_took(store):
    def one(kind, system, seconds=None, share=None):
        return job_view.JobState(job(system), kind, seconds=seconds, share=share)

    done = [one("done", "a", 20.0), one("done", "a", 40.0)]
    assert job_view.seconds_left(done) is None
    running = one("running", "a", share=0.5)
    assert job_view.seconds_left([*done, running]) == pytest.approx(15)
    assert job_view.seconds_left([*done, running, one("waiting", "a")]) == pytest.approx(45)
    # of systems that have not run yet: three times what was estimated, as with the others
    assert job_view.seconds_left([*done, running, one("waiting", "b")]) == pytest.approx(45)
    both = [*done, running, running, one("waiting", "a")]
    assert job_view.seconds_left(both) == pytest.approx(30)


def test_a_log_is_shown_without_this_machines_folders(store):
    folder = store.begin(job())
    folder.log.write_text(f'File "{folder.path}/system" in {store.root}/jobs\nlast\n')
    assert job_view.log_of(folder) == 'File "JOB/system" in RUNS/jobs\nlast'
