"""How long a run says that it still takes."""

from types import SimpleNamespace

import pytest
from rich.console import Console

from bench.engines import progress
from bench.engines.local import Event
from bench.files import write_json
from bench.jobs.run_folder import JobStatus


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test sets."""
    now = SimpleNamespace(seconds=0.0)
    monkeypatch.setattr(progress.time, "monotonic", lambda: now.seconds)
    return now


def planned(name, seconds):
    job = SimpleNamespace(id=f"{name}.toy.smoke.s0.0123456789")
    return SimpleNamespace(job=job, seconds=seconds, done=False)


def watch(*works, workers=1):
    return progress.Watch(works, workers, Console(quiet=True))


def at(tmp_path, work, **told):
    """The job in hand, this far."""
    write_json(tmp_path / "progress.json", told)
    return SimpleNamespace(
        job=work.job, folder=SimpleNamespace(progress=tmp_path / "progress.json")
    )


def test_what_a_job_in_hand_has_done_is_not_left(clock):
    long, short = planned("long", 600), planned("short", 60)
    shown = watch(long, short)
    assert shown.left() == "about 11 min left"
    shown.tell(Event("started", long.job))
    clock.seconds = 300
    assert shown.left() == "about 6 min left"


def test_a_job_that_is_slower_than_estimated_is_judged_by_its_own_progress(clock, tmp_path):
    slow = planned("slow", 300)
    shown = watch(slow)
    shown.tell(Event("started", slow.job))
    clock.seconds = 400
    shown.tick([at(tmp_path, slow, phase="fit", done=25, total=100)])
    assert shown.left() == "about 20 min left"


def test_several_workers_do_not_shorten_the_longest_job(clock):
    shown = watch(planned("long", 600), planned("short", 60), workers=8)
    assert shown.left() == "about 10 min left"


def test_estimates_are_corrected_by_the_jobs_that_ended(clock):
    first, second = planned("first", 100), planned("second", 100)
    shown = watch(first, second)
    shown.tell(Event("started", first.job))
    clock.seconds = 300
    shown.tell(Event("finished", first.job, JobStatus(state="ok")))
    assert shown.left() == "about 5 min left"
    shown.tell(Event("finished", second.job, JobStatus(state="ok")))
    assert shown.left() == "nothing left"
