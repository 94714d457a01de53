import json
import os
import time
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from made_up_jobs import job
from made_up_rows import row

from bench.files import write_json
from bench.jobs.job import Card
from bench.jobs.run_folder import JobFolder, RunFolder
from bench.music import Score, to_midi
from dashboards.views import job as job_view

LATER = datetime.now(UTC) + timedelta(hours=1)  # when nothing is fresh any more


@pytest.fixture
def runs(tmp_path):
    return RunFolder(tmp_path / "runs")


def state(folder, now=LATER):
    return next(s for s in job_view.states([folder], now))


def test_a_job_is_waiting_running_stopped_failed_or_done(runs):
    folder = runs.begin(job())
    assert state(folder).state == "waiting"
    folder.write_status(state="failed", phase="fit")
    write_json(folder.progress, {"phase": "fit", "done": 3, "total": 4})
    with folder.locked():
        running = state(folder)
    assert (running.state, running.share) == ("running", 0.75)
    assert state(folder).state == "stopped"
    assert state(folder, datetime.now(UTC)).state == "running"  # on another machine, perhaps
    folder.write_status(state="failed", phase="fit", error="no luck", seconds=2)
    failed = state(folder)
    assert (failed.state, failed.error) == ("failed", "failed: no luck")
    folder.write_status(state="ok", phase="done", error="", seconds=3)
    assert state(folder).state == "done"


def test_looking_never_takes_the_lock_nor_makes_one(runs):
    folder = runs.begin(job())
    folder.write_status(state="failed", phase="fit")
    before = sorted(folder.path.iterdir())
    for _ in range(3):
        state(folder)
    assert sorted(folder.path.iterdir()) == before
    with folder.locked() as free:
        assert free
        state(folder)
        with JobFolder(folder.path).locked() as second:
            assert not second


def test_half_written_folders_are_passed_over(runs):
    folder = runs.begin(job())
    for content in ("", "{", "[]", '{"system": 1}', "\xff"):
        folder.job.write_text(content)
        os.utime(folder.job, ns=(time.time_ns(), time.time_ns()))
        assert job_view.states([folder]) == []
        assert job_view.samples_of(folder) is None
    folder = runs.begin(job(seed=1))
    for content in ("", "{", "[]", '{"state": "odd"}'):
        folder.status.write_text(content)
        os.utime(folder.status, ns=(time.time_ns(), time.time_ns()))
        assert state(folder).state == "waiting"


def test_names_from_outside_never_become_paths(runs):
    folder = runs.begin(job())
    (runs.root.parent / "secret").mkdir()
    there = job_view.folders(runs.root)
    jobs = f"../../secret /etc {folder.path} .. {folder.path.name} ./{folder.path.name}"
    assert [f.path for f in job_view.folders_of(row(jobs=jobs), there)] == [folder.path]


def test_samples_that_are_not_what_was_made_are_lost(runs):
    rng = np.random.default_rng(0)
    scores = [
        Score.from_notes(rng.integers(0, 30, 9), [1] * 9, rng.integers(40, 80, 9), length=32)
        for _ in range(3)
    ]
    folder = runs.begin(job())
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


def test_curves_leave_out_what_is_no_number_and_a_last_line_cut_short(runs):
    folder = runs.begin(job())
    lines = [
        json.dumps({"step": 1, "seconds": 0.1, "train_loss": 2.0}),
        '{"step": 2, "train_loss": NaN, "rate": 0.1}',
        "[]",
        '{"step": 3, "train_lo',
    ]
    folder.curves.write_text("\n".join(lines))
    points = [(point.step, point.curve, point.value) for point in job_view.curves_of([folder])]
    assert points == [(1, "train_loss", 2.0), (2, "rate", 0.1)]


def test_time_left_goes_by_what_jobs_like_these_took(runs):
    def one(kind, system, seconds=None, share=None):
        card = Card(title=system, kind="paper", seconds=10.0)
        return job_view.JobState(job(system, card=card), kind, seconds=seconds, share=share)

    done = [one("done", "a", 20.0), one("done", "a", 40.0)]
    assert job_view.seconds_left(done) is None
    running = one("running", "a", share=0.5)
    assert job_view.seconds_left([*done, running]) == pytest.approx(15)
    assert job_view.seconds_left([*done, running, one("waiting", "a")]) == pytest.approx(45)
    # of systems that have not run yet: three times what was estimated, as with the others
    assert job_view.seconds_left([*done, running, one("waiting", "b")]) == pytest.approx(45)
    both = [*done, running, running, one("waiting", "a")]
    assert job_view.seconds_left(both) == pytest.approx(30)


def test_a_log_is_shown_without_this_machines_folders(runs):
    folder = runs.begin(job())
    folder.log.write_text(f'File "{folder.path}/system" in {runs.root}/jobs\nlast\n')
    assert job_view.log_of(folder) == 'File "JOB/system" in RUNS/jobs\nlast'
