"""Many listeners at once, and a server that is killed: each rating is stored, once."""

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
def test_forty_threads_that_send_everything_twice_leave_one_rating_per_clip(make_survey):
    toy = make_survey(practice=0)
    listeners = [toy.join(code) for code in toy.codes(20)]
    errors = []

    def rate(listener, value):
        try:
            while (current := listening.standing(toy.store, listener).trial) is not None:
                for call in (
                    lambda t: listening.started(toy.store, listener, t),
                    lambda t: listening.heard(toy.store, listener, t, 1.0, 1),
                    *[lambda t: listening.score(toy.store, listener, t, value)] * 2,
                    *[lambda t: listening.believe(toy.store, listener, t, True)] * 2,
                ):
                    try:
                        call(current.token)
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
    with toy.store.reading() as connection:
        for table in (rating, belief):
            per_trial = select(func.count()).select_from(table).group_by(table.c.trial_id)
            assert connection.execute(per_trial).scalars().all() == [1] * 20 * toy.config.trials


@on_both
def test_of_forty_threads_that_insert_one_row_exactly_one_learns_that_it_did(make_survey):
    toy = make_survey()
    toy.rate(toy.join(), most=0)
    with toy.store.reading() as connection:
        trials = connection.execute(select(trial.c.id).where(trial.c.position > 0)).scalars().all()
    answers = []

    def insert():
        for number in trials:
            with toy.store.writing() as connection:
                row = {"trial_id": number, "score": 5, "at": toy.clock()}
                answers.append((number, insert_once(connection, rating, **row)))

    threads = [threading.Thread(target=insert) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(number for number, inserted in answers if inserted) == sorted(trials)


@on_both
def test_listeners_who_come_at_the_same_time_are_balanced(make_survey):
    toy = make_survey(clips=4, per_system=1, practice=0)
    codes = toy.codes(8)
    threads = [threading.Thread(target=toy.join, args=(code,)) for code in codes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with toy.store.reading() as connection:
        per_clip = select(func.count(trial.c.id)).join(clip).group_by(clip.c.id)
        assert connection.execute(per_clip).scalars().all() == [2] * 16


RATING_PROGRAM = """
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
    while (current := listening.standing(store, listener).trial) is not None:
        listening.started(store, listener, current.token)
        listening.heard(store, listener, current.token, 1.0, 1)
        listening.score(store, listener, current.token, 4)
        print(current.token, flush=True)
        listening.believe(store, listener, current.token, True)
"""


@on_both
def test_every_acknowledged_rating_survives_a_kill(make_survey):
    toy = make_survey(practice=0)
    listeners = [toy.join() for _ in range(6)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    program = subprocess.Popen(
        [sys.executable, "-c", RATING_PROGRAM, toy.url, *listeners],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    acknowledged = [program.stdout.readline().strip() for _ in range(11)]
    program.send_signal(signal.SIGKILL)
    acknowledged += [line.strip() for line in program.stdout if line.endswith("\n")]
    program.wait()
    assert all(acknowledged)
    with toy.store.reading() as connection:
        stored = connection.execute(select(trial.c.token).join(rating)).scalars().all()
    assert set(acknowledged) <= set(stored)
    assert len(stored) <= len(acknowledged) + 1
    toy.clock.time += timedelta(days=60)
    for listener in listeners:  # each one continues from there
        toy.rate(listener)
        assert listening.standing(toy.store, listener).stage == "finished"
