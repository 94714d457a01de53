"""Many at once, and a server that is killed: each rating is there, once."""

import os
import signal
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from bench.survey import listening
from bench.survey.database.store import insert_once
from bench.survey.database.tables import belief, clip, rating, trial
from bench.survey.listening import Refused

on_both = pytest.mark.parametrize("kind", ["sqlite", "postgres"])


@on_both
def test_forty_threads_that_send_everything_twice_leave_one_rating_per_clip(study):
    it = study(practice=0)
    listeners = [it.join(code) for code in it.codes(20)]
    errors = []

    def rate(listener, value):
        try:
            while (now := listening.standing(it.store, listener).trial) is not None:
                for call in (
                    lambda t: listening.started(it.store, listener, t),
                    lambda t: listening.heard(it.store, listener, t, 1.0, 1),
                    *[lambda t: listening.score(it.store, listener, t, value)] * 2,
                    *[lambda t: listening.believe(it.store, listener, t, True)] * 2,
                ):
                    try:
                        call(now.token)
                    except Refused as refusal:  # the other tab was faster
                        assert refusal.kind == "not-now"  # noqa: PT017
        except Exception as error:  # noqa: BLE001 - a thread's error must reach the test
            errors.append(error)

    threads = [
        threading.Thread(target=rate, args=(listener, value))
        for listener in listeners
        for value in (3, 7)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    with it.store.reading() as connection:
        for table in (rating, belief):
            per_trial = select(func.count()).select_from(table).group_by(table.c.trial_id)
            assert connection.execute(per_trial).scalars().all() == [1] * 20 * it.config.trials


@on_both
def test_of_forty_threads_inserting_one_row_exactly_one_is_told_that_it_did(study):
    it = study()
    it.rate(it.join(), most=0)
    with it.store.reading() as connection:
        trials = connection.execute(select(trial.c.id).where(trial.c.position > 0)).scalars().all()
    told = []

    def insert():
        for number in trials:
            with it.store.writing() as connection:
                row = {"trial_id": number, "score": 5, "at": it.clock()}
                told.append((number, insert_once(connection, rating, **row)))

    threads = [threading.Thread(target=insert) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(number for number, inserted in told if inserted) == sorted(trials)


@on_both
def test_listeners_who_come_at_once_are_balanced_against_each_other(study):
    it = study(clips=4, per_system=1, practice=0)
    codes = it.codes(8)
    threads = [threading.Thread(target=it.join, args=(code,)) for code in codes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with it.store.reading() as connection:
        per_clip = select(func.count(trial.c.id)).join(clip).group_by(clip.c.id)
        assert connection.execute(per_clip).scalars().all() == [2] * 16


RATER = """
import sys
from bench.survey import listening
from bench.survey.database.opening import open_store
from datetime import UTC, datetime, timedelta

time = datetime(2026, 6, 1, tzinfo=UTC)
def clock():
    global time
    time += timedelta(seconds=30)
    return time

store = open_store(sys.argv[1], clock)
for listener in sys.argv[2:]:
    while (now := listening.standing(store, listener).trial) is not None:
        listening.started(store, listener, now.token)
        listening.heard(store, listener, now.token, 1.0, 1)
        listening.score(store, listener, now.token, 4)
        print(now.token, flush=True)
        listening.believe(store, listener, now.token, True)
"""


@on_both
def test_every_rating_that_was_acknowledged_outlives_a_kill(study):
    it = study(practice=0)
    listeners = [it.join() for _ in range(6)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    program = subprocess.Popen(
        [sys.executable, "-c", RATER, it.url, *listeners],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    seen = [program.stdout.readline().strip() for _ in range(11)]
    program.send_signal(signal.SIGKILL)
    seen += [line.strip() for line in program.stdout if line.endswith("\n")]
    program.wait()
    assert all(seen)
    with it.store.reading() as connection:
        kept = connection.execute(select(trial.c.token).join(rating)).scalars().all()
    assert set(seen) <= set(kept)
    assert len(kept) <= len(seen) + 1
    it.clock.time += timedelta(days=60)
    for listener in listeners:  # and everybody goes on from there
        it.rate(listener)
        assert listening.standing(it.store, listener).stage == "finished"
