"""Which job begins next, and where: the policy of the engines, and a forecast of what it gives.

`Queue` decides, for the engines and for `simulate` alike; `forecast` simulates what is left of a
plan, so that the plan can tell how long it takes and what bounds it.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from bench.errors import BenchError
from bench.jobs.plan import Planned

PATIENCE = 8  # how often others may overtake a job before room is kept for it
CONTEXT_MB = 700  # of a GPU's memory per process, before it holds anything
SLACK = 1.25  # a GPU's allocator holds more than what is in use


class Costed(Protocol):
    """Anything that takes time and memory."""

    @property
    def seconds(self) -> float:
        """The time it is expected to take."""

    @property
    def memory_mb(self) -> int:
        """The memory it is expected to take."""


Work = TypeVar("Work", bound=Costed)


@dataclass(frozen=True)
class Place:
    """Where jobs run side by side: a GPU, or the processors of a machine."""

    slots: int = 1  # jobs at a time
    memory_mb: int | None = None  # for all of them; none: unknown, and not counted
    gpu: str = ""  # the GPU's name; empty: the processors

    def kept_for(self, memory_mb: int) -> int:
        """MB that are kept for a job that is expected to take `memory_mb`.

        On a GPU at least an equal part: a job there cannot allocate more than is kept for it.
        """
        if not self.gpu:
            return memory_mb
        return max(int(SLACK * memory_mb) + CONTEXT_MB, (self.memory_mb or 0) // self.slots)

    def ever_fits(self, memory_mb: int) -> bool:
        """Whether a job of that memory has room here when it runs alone."""
        return self.memory_mb is None or self.kept_for(memory_mb) <= self.memory_mb

    def share(self, memory_mb: int) -> float:
        """The part of the GPU's memory that such a job may allocate; 0 where none is set."""
        if not self.gpu or self.memory_mb is None:
            return 0.0
        return (self.kept_for(memory_mb) - CONTEXT_MB) / self.memory_mb


class Room:
    """The free slots and memory of the places."""

    def __init__(self, places: Sequence[Place]):
        self.places = list(places)
        self.slots = [place.slots for place in places]
        self.kept = [0 for _ in places]

    def find(self, memory_mb: int, without: Iterable[int] = ()) -> int | None:
        """The number of the place with the most room for a job of that memory; none: no room."""
        fitting = [
            number
            for number, place in enumerate(self.places)
            if self.slots[number]
            and number not in without
            and (
                place.memory_mb is None
                or self.kept[number] + place.kept_for(memory_mb) <= place.memory_mb
            )
        ]
        return max(
            fitting, key=lambda number: (self.slots[number], -self.kept[number]), default=None
        )

    def soonest(self, memory_mb: int, without: Iterable[int] = ()) -> int | None:
        """The number of the place that must free the least before a job of that memory fits."""
        able = [
            number
            for number, place in enumerate(self.places)
            if number not in without and place.ever_fits(memory_mb)
        ]
        return min(able, key=lambda number: (self.kept[number], -self.slots[number]), default=None)

    def take(self, number: int, memory_mb: int) -> None:
        """Keep room for a job at the place of that number."""
        self.slots[number] -= 1
        self.kept[number] += self.places[number].kept_for(memory_mb)

    def give(self, number: int, memory_mb: int) -> None:
        """Free what was taken."""
        self.slots[number] += 1
        self.kept[number] -= self.places[number].kept_for(memory_mb)


class Queue(Generic[Work]):
    """Jobs that wait for room. The first one that has room begins.

    Others may overtake a job that has none, up to PATIENCE times: then a place is emptied for it.
    """

    def __init__(self, waiting: Iterable[Work], places: Sequence[Place]):
        self.waiting = list(waiting)
        self.room = Room(places)
        self.passed: dict[int, int] = {}

    def put_back(self, work: Work, number: int) -> None:
        """Put the job, which was about to begin at that place, back at the head of the queue."""
        self.waiting.insert(0, work)
        self.room.give(number, work.memory_mb)

    def next(self, ready: Callable[[Work], bool] = lambda _: True) -> tuple[Work, int] | None:
        """The job that begins now and the number of its place, which is taken; none: wait."""
        passed: list[Work] = []
        emptied: set[int] = set()
        if not any(self.room.slots):
            return None
        for at, work in enumerate(self.waiting):
            if not ready(work):
                continue
            number = self.room.find(work.memory_mb, emptied)
            if number is not None:
                del self.waiting[at]
                self.room.take(number, work.memory_mb)
                self.passed.pop(id(work), None)
                for other in passed:
                    self.passed[id(other)] = self.passed.get(id(other), 0) + 1
                return work, number
            passed.append(work)
            if self.passed.get(id(work), 0) >= PATIENCE:
                soonest = self.room.soonest(work.memory_mb, emptied)
                emptied |= {soonest} if soonest is not None else set()
        return None


def longest_first(works: Iterable[Work]) -> list[Work]:
    """The jobs in the order in which places end at about the same time."""
    return sorted(works, key=lambda work: -work.seconds)


def parts(works: Iterable[Work], count: int) -> list[list[Work]]:
    """The jobs in `count` parts that take about the same time, each part longest first."""
    divided: list[list[Work]] = [[] for _ in range(count)]
    load = [0.0] * count
    for work in longest_first(works):
        least = load.index(min(load))
        divided[least].append(work)
        load[least] += work.seconds
    return divided


def own_part_first(works: Iterable[Work], number: int, count: int) -> list[Work]:
    """The order for shard `number` of `count`: its part of the jobs, then those of the others."""
    divided = parts(works, count)
    others = [work for part in divided[: number - 1] + divided[number:] for work in part]
    return divided[number - 1] + longest_first(others)


@dataclass(frozen=True)
class Stretch(Generic[Work]):
    """A job's time at its place."""

    work: Work
    place: int
    begun: float
    ended: float

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return self.ended - self.begun


@dataclass(frozen=True)
class Schedule(Generic[Work]):
    """When and where every job runs if it takes what is expected of it."""

    places: tuple[Place, ...]
    stretches: tuple[Stretch[Work], ...]  # by when they begin

    @property
    def makespan(self) -> float:
        """Seconds from the first job's begin to the last one's end."""
        return max((stretch.ended for stretch in self.stretches), default=0.0)

    @property
    def work(self) -> float:
        """Seconds of all jobs together."""
        return sum(stretch.seconds for stretch in self.stretches)

    @property
    def slots(self) -> int:
        """Jobs at a time, if memory were no limit."""
        return sum(place.slots for place in self.places)

    @property
    def busy(self) -> float:
        """The part of the slots' time that is used."""
        return self.work / (self.slots * self.makespan) if self.stretches else 0.0

    @property
    def bounds(self) -> dict[str, float]:
        """Seconds that every order of the jobs takes at least, by the cause."""
        least = {
            "the longest job": max((stretch.seconds for stretch in self.stretches), default=0.0),
            "the number of slots": self.work / max(self.slots, 1),
        }
        if all(place.memory_mb is not None for place in self.places):
            kept = sum(
                stretch.seconds * self.places[stretch.place].kept_for(stretch.work.memory_mb)
                for stretch in self.stretches
            )
            least["memory"] = kept / sum(place.memory_mb or 0 for place in self.places)
        return least

    @property
    def bound(self) -> str:
        """What keeps the plan from ending sooner."""
        least = self.bounds
        # Each job keeps an equal part of a GPU's memory: full slots do not mean too little memory.
        return max(least, key=lambda name: (round(least[name], 6), name != "memory"))

    @property
    def critical_path(self) -> list[Stretch[Work]]:
        """The chain of jobs up to the last end, in which each begins when the one before ends."""
        if not self.stretches:
            return []
        path = [max(self.stretches, key=lambda stretch: stretch.ended)]
        while path[0].begun > 0:
            first = path[0]
            before = [s for s in self.stretches if s.ended == first.begun and s.begun < first.begun]
            if not before:
                break
            path.insert(0, next((s for s in before if s.place == first.place), before[0]))
        return path


def simulate(
    works: Iterable[Work], places: Sequence[Place], overhead: float = 0.0
) -> Schedule[Work]:
    """The schedule of the jobs, in the order given; `overhead` seconds are added to each.

    Every job must fit at some place: see `Place.ever_fits`.
    """
    queue, now = Queue(works, places), 0.0
    running: list[tuple[float, int, Stretch[Work]]] = []
    stretches: list[Stretch[Work]] = []
    while queue.waiting or running:
        while (turn := queue.next()) is not None:
            work, number = turn
            stretch = Stretch(work, number, now, now + work.seconds + overhead)
            stretches.append(stretch)
            heapq.heappush(running, (stretch.ended, len(stretches), stretch))
        if not running:
            raise ValueError(f"no place has room for {queue.waiting[0]}")
        now, _, ended = heapq.heappop(running)
        queue.room.give(ended.place, ended.work.memory_mb)
    return Schedule(tuple(places), tuple(stretches))


def forecast(planned: Sequence[Planned], places: Sequence[Place]) -> Schedule[Planned]:
    """The schedule of what is left of the plan. BenchError for a job that fits nowhere."""
    left = [work for work in planned if not work.done]
    refuse_impossible(left, places)
    return simulate(longest_first(left), places)


def refuse_impossible(planned: Sequence[Planned], places: Sequence[Place]) -> None:
    """BenchError when a job has room at none of the places, however long it waits."""
    never = [
        work for work in planned if not any(place.ever_fits(work.memory_mb) for place in places)
    ]
    if never:
        most = max(never, key=lambda work: work.memory_mb)
        place = max(places, key=lambda place: place.memory_mb or 0)
        where = "the largest GPU" if place.gpu else "this machine"
        raise BenchError(
            f"{len(never)} of the jobs can never run here: for {most.job.id}"
            f" {place.kept_for(most.memory_mb)} MB are needed, and {where} has"
            f" {place.memory_mb} MB. Leave the system out (--systems), or run"
            " it where there is more memory."
        )
