"""What holds between shards, whatever the machines' clocks show and wherever a shard died."""

import json
import os
import threading
import time

import pytest

from bench.engines import shards as module
from bench.engines.shards import Shard, watch
from bench.errors import BenchError

EXPIRY = 1.0


@pytest.fixture
def shard(tmp_path):
    """Makes shards on one folder."""
    made = []

    def make(run="", expiry=EXPIRY):
        joined = Shard(tmp_path, expiry, run).__enter__()
        joined.refresh()
        made.append(joined)
        return joined

    yield make
    for joined in made:
        joined.__exit__()


def die(shard):
    """Leave behind what a kill leaves: a sign of life that no longer changes."""
    shard.left.set()
    shard.heart.join()


def wait_for(observer, job, standing, seconds=10.0):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        observer.refresh()
        if observer.standing(job) == standing:
            return
        time.sleep(EXPIRY / 12)
    raise AssertionError(f"{job} stays {observer.standing(job)}")


def never(observer, job, standing, seconds=2 * EXPIRY):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        observer.refresh()
        assert observer.standing(job) != standing
        time.sleep(EXPIRY / 12)


def test_of_many_that_claim_a_job_at_once_one_succeeds(shard):
    shards = [shard() for _ in range(8)]
    for number in range(20):
        took, gate = [], threading.Barrier(len(shards))

        def claim(claimant, job=f"job.{number}", gate=gate, took=took):
            gate.wait()
            took.append(claimant.take(job))

        threads = [threading.Thread(target=claim, args=(claimant,)) for claimant in shards]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum(took) == 1


def test_of_many_that_take_over_from_the_dead_one_succeeds(shard):
    dead = shard()
    assert dead.take("a.job")
    shards = [shard() for _ in range(5)]
    die(dead)
    for living in shards:
        wait_for(living, "a.job", "free")
    assert sum(living.take("a.job") for living in shards) == 1


def test_a_claim_holds_as_long_as_its_shard_lives(shard):
    first, other = shard(), shard()
    assert first.take("a")
    never(other, "a", "free")
    assert not other.take("a")
    assert first.take("a"), "a shard may run a job that it has claimed before"


@pytest.mark.parametrize("hours", [-5, 5])
def test_a_file_server_whose_clock_is_wrong_changes_nothing(shard, monkeypatch, hours):
    """Signs of life are stamped hours ago, or hours from now: only dead shards lose their jobs."""
    touch, skew = os.utime, hours * 3600

    def skewed(path):
        touch(path, (time.time() + skew, time.time() + skew))

    monkeypatch.setattr(module.os, "utime", skewed)
    first, other = shard(), shard()
    assert first.take("a")
    never(other, "a", "free")
    die(first)
    wait_for(other, "a", "free")


def test_a_clock_that_is_set_back_changes_nothing(shard, monkeypatch):
    first, other = shard(), shard()
    assert first.take("a")
    touch, ticks = os.utime, iter(range(10_000, 0, -1))
    monkeypatch.setattr(module.os, "utime", lambda path: touch(path, (next(ticks),) * 2))
    never(other, "a", "free")


def test_no_wall_clock_is_ever_read(shard, monkeypatch):
    def clock():
        raise AssertionError("a wall clock was read")

    monkeypatch.setattr(module.time, "time", clock)
    first, other = shard(), shard()
    assert first.take("a")
    die(first)
    wait_for(other, "a", "free")
    assert other.take("a")


def test_a_shard_that_leaves_frees_at_once_what_it_had_in_hand(shard):
    first, other = shard(expiry=60), shard(expiry=60)
    assert first.take("a")
    first.__exit__()
    other.refresh()
    assert other.standing("a") == "free"


def test_what_ended_is_not_done_again_while_its_shard_is_there(shard):
    first, other = shard(), shard()
    assert first.take("a")
    first.end("a")
    other.refresh()
    assert other.standing("a") == "ended"
    assert not other.take("a")


def test_what_ended_is_not_done_again_by_who_was_there_though_its_shard_left_at_once(shard):
    first, other = shard(), shard()
    assert first.take("a")
    first.end("a")
    first.__exit__()
    other.refresh()
    assert other.standing("a") == "ended"


def test_a_later_run_tries_again_what_ended_in_an_earlier_one(shard):
    first = shard()
    assert first.take("a")
    first.end("a")
    first.__exit__()
    assert shard().take("a")


def test_a_late_shard_of_the_same_run_does_not_try_again(shard):
    first = shard(run="4711")
    assert first.take("a")
    first.end("a")
    first.__exit__()
    late, later = shard(run="4711"), shard(run="4712")
    assert late.standing("a") == "ended"
    assert later.standing("a") == "free"


@pytest.mark.parametrize(
    "content", ["", '{"sha', "[]", '{"shard": "../x"}', '{"shard": 3}', "\0\0"]
)
def test_a_torn_claim_holds_for_a_while_and_no_longer(shard, content):
    first = shard()
    (first.claims / "a.job.1").write_text(content)
    first.refresh()
    assert first.standing("a.job") == "held"
    never(first, "a.job", "free", seconds=EXPIRY / 2)
    wait_for(first, "a.job", "free")
    assert first.take("a.job")
    assert (first.claims / "a.job.2").exists()


def test_a_claim_left_by_a_crash_long_ago_holds_no_longer_than_expiry(shard):
    first = shard()
    (first.signs / "gone-1-aa").touch()
    os.utime(first.signs / "gone-1-aa", (0, 0))
    (first.claims / "a.1").write_text(json.dumps({"shard": "gone-1-aa", "run": ""}))
    wait_for(first, "a", "free", seconds=3 * EXPIRY)
    assert not (first.signs / "gone-1-aa").exists()


def test_other_files_among_the_claims_are_no_claims(shard):
    first = shard()
    for name in (".nfs0001", "README", "a.txt", "a.1.ended"):
        (first.claims / name).touch()
    first.refresh()
    assert first.standing("a") == "free"


def test_a_shard_declared_dead_notices_ends_its_workers_and_joins_as_another(shard):
    sleeper, other = shard(), shard()
    assert sleeper.take("a")
    name, ended = sleeper.name, threading.Event()
    watch(sleeper.sign_of("a"), sleeper.beat, ended.set)
    die(sleeper)  # it is suspended, and its worker with it
    freed = []

    def observe():
        wait_for(other, "a", "free")
        freed.append(time.monotonic())

    observer = threading.Thread(target=observe)
    observer.start()
    assert ended.wait(10)
    noticed = time.monotonic()
    observer.join()
    assert noticed < freed[0], "the job was free before the worker had noticed"
    assert other.take("a")
    sleeper.give_sign()
    assert sleeper.name != name
    sleeper.end("a")  # what it did in the meantime does not count
    sleeper.refresh()
    other.refresh()
    assert (sleeper.standing("a"), other.standing("a")) == ("held", "mine")
    assert not list(other.claims.glob("a*.ended"))


def test_a_full_disk_is_one_clear_sentence_and_the_claim_goes_to_others(shard, monkeypatch):
    first, other = shard(), shard()
    real = module.Path.open

    def full(path, mode="r", **options):
        if mode == "x":
            real(path, mode, **options).close()
            raise OSError(28, "No space left on device")
        return real(path, mode, **options)

    monkeypatch.setattr(module.Path, "open", full)
    with pytest.raises(BenchError, match="No space left on device"):
        first.take("a")
    monkeypatch.undo()
    wait_for(other, "a", "free", seconds=5 * EXPIRY)
    assert other.take("a")


def test_a_sign_that_cannot_be_read_just_now_is_no_death(shard, monkeypatch):
    first, other = shard(), shard()
    assert first.take("a")
    monkeypatch.setattr(module, "stamp_of", lambda _: None)
    never(other, "a", "free")


def test_a_sign_that_cannot_be_given_just_now_is_given_later(shard, monkeypatch):
    first = shard()
    name = first.name

    def stale(*_):
        raise OSError(116, "Stale file handle")

    monkeypatch.setattr(module.os, "utime", stale)
    first.give_sign()
    monkeypatch.undo()
    first.give_sign()
    assert first.name == name
