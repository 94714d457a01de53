from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.engines.schedule import (
    CONTEXT_MB,
    PATIENCE,
    Place,
    Queue,
    longest_first,
    own_part_first,
    parts,
    simulate,
)


@dataclass(frozen=True)
class Work:
    name: str
    seconds: float
    memory_mb: int = 100


works = st.lists(
    st.builds(Work, st.just("w"), st.floats(1, 1000), st.integers(1, 1000)), min_size=1, max_size=40
)
places = st.lists(
    st.builds(Place, st.integers(1, 4), st.one_of(st.none(), st.integers(1000, 4000))),
    min_size=1,
    max_size=4,
)


@given(works, places)
def test_a_schedule_does_every_job_once_and_never_exceeds_slots_or_memory(jobs, where):
    schedule = simulate(longest_first(jobs), where)
    stretches = schedule.stretches
    assert sorted(s.work.seconds for s in stretches) == sorted(w.seconds for w in jobs)
    for now in {stretch.begun for stretch in stretches}:
        for number, place in enumerate(where):
            running = [
                stretch.work
                for stretch in stretches
                if stretch.place == number and stretch.begun <= now < stretch.ended
            ]
            assert len(running) <= place.slots
            assert place.memory_mb is None or sum(w.memory_mb for w in running) <= place.memory_mb


@given(works, st.integers(1, 8))
def test_with_enough_memory_a_schedule_is_within_the_known_bound_of_the_best(jobs, slots):
    """Graham 1969: longest first takes at most 4/3 - 1/(3m) times the least possible."""
    schedule = simulate(longest_first(jobs), [Place(slots)])
    assert schedule.makespan >= max(schedule.bounds.values()) - 1e-6
    times = sorted((w.seconds for w in jobs), reverse=True)
    load = sum(times) / slots
    assert schedule.makespan <= load + times[0] * (1 - 1 / slots) + 1e-6  # Graham 1966


@given(works, places)
def test_the_critical_path_reaches_from_the_begin_to_the_end_without_a_gap(jobs, where):
    schedule = simulate(longest_first(jobs), where)
    path = schedule.critical_path
    assert path[0].begun == 0
    assert path[-1].ended == schedule.makespan
    assert all(a.ended == b.begun for a, b in pairwise(path))


@given(works, st.integers(1, 9))
def test_parts_cover_every_job_once_and_are_balanced(jobs, count):
    divided = parts(jobs, count)
    assert sorted(map(id, (w for part in divided for w in part))) == sorted(map(id, jobs))
    loads = [sum(w.seconds for w in part) for part in divided]
    assert max(loads) - min(loads) <= max(w.seconds for w in jobs) + 1e-6


def test_a_shard_begins_with_its_own_part_and_then_takes_the_longest_of_the_others():
    jobs = [Work(name, seconds) for name, seconds in zip("abcdef", (6, 5, 4, 3, 2, 1), strict=True)]
    assert "".join(w.name for w in own_part_first(jobs, 1, 2)) == "adebcf"
    assert "".join(w.name for w in own_part_first(jobs, 2, 2)) == "bcfade"


def test_small_jobs_share_a_gpu_and_a_large_one_has_it_to_itself():
    gpu = Place(3, 30_000, "0")
    queue = Queue([Work("small", 1, 500) for _ in range(5)], [gpu])
    assert [queue.next() is not None for _ in range(4)] == [True, True, True, False]
    queue = Queue([Work("large", 9, 20_000), Work("small", 1, 500)], [gpu])
    assert queue.next()[0].name == "large"
    assert queue.next() is None


def test_what_processes_may_allocate_never_exceeds_the_gpu():
    """The limits of jobs that run together, and the memory of CUDA itself, fit on the GPU."""
    rng = np.random.default_rng(0)
    gpu = Place(4, 80_000, "0")
    for _ in range(200):
        queue = Queue([Work("w", 1, int(rng.integers(1, 60_000))) for _ in range(10)], [gpu])
        begun = []
        while (turn := queue.next()) is not None:
            begun.append(turn[0])
        assert begun
        held = sum(gpu.share(w.memory_mb) * gpu.memory_mb + CONTEXT_MB for w in begun)
        assert held <= gpu.memory_mb + 1e-6
        for w in begun:
            assert gpu.share(w.memory_mb) * gpu.memory_mb >= w.memory_mb


def test_a_job_is_overtaken_only_so_often_then_room_is_kept_for_it():
    """An endless row of small jobs would starve one that needs the whole memory."""
    place = Place(2, 1000)
    queue = Queue([Work("small", 5, 600), Work("whole", 3, 1000)], [place])
    assert queue.next()[0].name == "small"
    begun = []
    while len(begun) < 50:
        queue.waiting.append(Work("small", 1, 300))
        turn = queue.next()
        if turn is None:
            break
        begun.append(turn[0].name)
        queue.room.give(0, 300)  # the short job ends while the first goes on
    assert begun == ["small"] * PATIENCE
    queue.room.give(0, 600)
    assert queue.next()[0].name == "whole"


def test_keeping_room_on_one_gpu_leaves_the_others_to_work():
    queue = Queue(
        [Work("first", 9, 600), Work("second", 9, 600), Work("whole", 5, 1000)],
        [Place(2, 1000), Place(2, 1000)],
    )
    assert {queue.next()[1], queue.next()[1]} == {0, 1}
    queue.passed[id(queue.waiting[0])] = PATIENCE
    queue.waiting += [Work("small", 1, 300) for _ in range(4)]
    numbers = []
    while (turn := queue.next()) is not None:
        numbers.append(turn[1])
    assert len(set(numbers)) == 1


def thousand(longest=None, seed=0):
    """A thousand jobs of a few minutes, as forty systems on five sets with five seeds take."""
    times = np.random.default_rng(seed).lognormal(np.log(120), 0.8, 1000)
    jobs = [Work(f"job {n}", float(s), 2000) for n, s in enumerate(times)]
    return [*jobs, Work("longest", longest)] if longest else jobs


def speedup(jobs, where, overhead=0.05):
    return sum(w.seconds for w in jobs) / simulate(longest_first(jobs), where, overhead).makespan


def test_a_thousand_jobs_on_64_slots_scale_almost_linearly(capsys):
    speedups = {
        slots: speedup(thousand(), [Place(1) for _ in range(slots)])
        for slots in (1, 2, 4, 8, 16, 32, 64)
    }
    with capsys.disabled():
        print("\nspeed-up by slots: " + ", ".join(f"{n}: {s:.1f}" for n, s in speedups.items()))
    for slots, ratio in speedups.items():
        assert ratio > 0.97 * slots
    assert simulate(longest_first(thousand()), [Place(64)]).bound == "the number of slots"


def test_the_longest_job_bounds_it():
    jobs = thousand(longest=4 * 3600)
    schedule = simulate(longest_first(jobs), [Place(64)])
    assert schedule.bound == "the longest job"
    assert schedule.makespan == 4 * 3600
    assert [stretch.work.name for stretch in schedule.critical_path] == ["longest"]


def test_too_little_memory_bounds_it():
    """64 slots, but memory for 16 jobs of 2,000 MB at a time."""
    schedule = simulate(longest_first(thousand()), [Place(64, 16 * 2000)])
    assert schedule.bound == "memory"
    assert speedup(thousand(), [Place(64, 16 * 2000)]) == pytest.approx(16, rel=0.03)
    assert schedule.busy == pytest.approx(0.25, rel=0.03)


def test_what_never_fits_is_no_schedule():
    with pytest.raises(ValueError, match="no place has room"):
        simulate([Work("giant", 1, 5000)], [Place(1, 1000)])
