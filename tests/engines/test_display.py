"""How much time a run estimates to be left."""

from types import SimpleNamespace

import pytest
from rich.console import Console

from bench.engines import display
from bench.engines.local import Event
from bench.files import write_json
from bench.jobs.run_folder import JobStatus


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test sets."""
    now = SimpleNamespace(seconds=0.0)
    monkeypatch.setattr(display.time, "monotonic", lambda: now.seconds)
    return now


def planned(name, seconds):
    job = SimpleNamespace(id=f"{name}.toy.smoke.s0.0123456789")
    return SimpleNamespace(job=job, seconds=seconds, done=False)


def display_of(*works, workers=1):
    return display.Display(works, workers, Console(quiet=True))


def in_hand(tmp_path, work, **progress):
    """The job in hand, this far."""
    write_json(tmp_path / "progress.json", progress)
    return SimpleNamespace(
        job=work.job, folder=SimpleNamespace(progress=tmp_path / "progress.json")
    )


def test_what_a_job_in_hand_has_done_is_not_left(clock):
    long, short = planned("long", 600), planned("short", 60)
    shown = display_of(long, short)
    assert shown.left() == "about 11 min left"
    shown.show_event(Event("started", long.job))
    clock.seconds = 300
    assert shown.left() == "about 6 min left"


def test_a_job_that_is_slower_than_estimated_is_judged_by_its_own_progress(clock, tmp_path):
    slow = planned("slow", 300)
    shown = display_of(slow)
    shown.show_event(Event("started", slow.job))
    clock.seconds = 400
    shown.update([in_hand(tmp_path, slow, phase="fit", done=25, total=100)])
    assert shown.left() == "about 20 min left"


def test_several_workers_do_not_shorten_the_longest_job(clock):
    shown = display_of(planned("long", 600), planned("short", 60), workers=8)
    assert shown.left() == "about 10 min left"


def test_estimates_are_corrected_by_the_jobs_that_ended(clock):
    first, second = planned("first", 100), planned("second", 100)
    shown = display_of(first, second)
    shown.show_event(Event("started", first.job))
    clock.seconds = 300
    shown.show_event(Event("finished", first.job, JobStatus(state="ok")))
    assert shown.left() == "about 5 min left"
    shown.show_event(Event("finished", second.job, JobStatus(state="ok")))
    assert shown.left() == "nothing left"
