"""What every timing stands on. Run by hand, and written down as a page:

    pytest tests/benchmarks --performance docs/performance.md

No time is asserted, only that both sides find the same; what decides is a ratio in one run.
"""

import datetime
import os
import platform
import resource
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from itertools import groupby
from pathlib import Path

import pytest

TOPICS = (
    *("training", "generation", "likelihood", "ISL", "metrics"),
    *("MIDI import", "start-up", "engines", "board", "dashboard", "survey"),
)
HEAD = """\
The speed-up of our code over another way to the same result: their time divided by ours. Both are
measured in the same run, in seconds of one CPU core; the shortest of several measurements counts.
The naive ways are in `tests/benchmarks/`. A speed-up below 1 means that the other way is faster. Aims
were set before measuring. `pytest tests/benchmarks --performance docs/performance.md` writes this
page."""
LIBRARIES = ("torch", "numpy", "scipy", "statsmodels", "muspy", "mido", "miditok", "symusic", "ray")


def pytest_addoption(parser):
    parser.addoption("--performance", type=Path, metavar="PAGE", help="write the timings there")


def pytest_collection_modifyitems(config, items):
    if not any("benchmarks" in argument for argument in config.args):
        skip = pytest.mark.skip(reason="timings; pytest tests/benchmarks runs them")
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(skip)


# -- taking the time ------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """One thread and one seed for all sides."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield
    torch.set_num_threads(threads)


def processor_seconds() -> float:
    """What this process and the processes it waited for have used."""
    used = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(part.ru_utime + part.ru_stime for part in used)


@pytest.fixture
def seconds() -> Callable[..., list[float]]:
    """`seconds(*works, repeats=3)`: the least processor time of each work.

    They take turns, so that a busy machine is busy for all of them.
    """

    def least(*works: Callable[[], object], repeats: int = 3) -> list[float]:
        times: list[list[float]] = [[] for _ in works]
        for _ in range(repeats):
            for work, taken in zip(works, times, strict=True):
                begun = processor_seconds()
                work()
                taken.append(processor_seconds() - begun)
        return [min(taken) for taken in times]

    return least


# -- saying it ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Speed:
    """One line of the page: how long we take for something, and how long another way does."""

    topic: str  # one of TOPICS
    what: str
    size: str
    against: str
    ours: float  # seconds
    theirs: float | None  # seconds; None where nothing is compared with
    aim: float | None  # the ratio that was aimed at
    note: str

    @property
    def ratio(self) -> str:
        if self.theirs is None:
            return ""
        ratio = self.theirs / self.ours
        return f"{ratio:.2f}" if ratio < 1 else f"{ratio:.1f}" if ratio < 10 else f"{ratio:.0f}"

    def __str__(self) -> str:
        aim = f" (aim {self.aim:g})" if self.aim else ""
        times = f"{self.ratio} times as fast{aim} as {self.against}, " if self.ratio else ""
        theirs = "" if self.theirs is None else f" against {amount(self.theirs)}"
        note = f"; {self.note}" if self.note else ""
        return f"{self.topic}: {self.what}, {self.size}: {times}{amount(self.ours)}{theirs}{note}"


def amount(seconds: float) -> str:
    """Three digits and a unit."""
    if seconds >= 1:
        return f"{seconds:.3g} s"
    return f"{seconds * 1000:.3g} ms"


SPEEDS = pytest.StashKey[list[Speed]]()


@pytest.fixture
def measured(request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]):
    """`measured(topic, what, ...)` prints one comparison and keeps it for the page."""

    def measured(
        topic: str,
        what: str,
        *,
        size: str,
        ours: float,
        theirs: float | None = None,
        against: str = "",
        aim: float | None = None,
        note: str = "",
    ) -> None:
        assert topic in TOPICS
        speed = Speed(topic, what, size, against, ours, theirs, aim, note)
        request.config.stash.setdefault(SPEEDS, []).append(speed)
        with capsys.disabled():
            print(f"\n{speed}")

    return measured


# -- the page -------------------------------------------------------------------------------


def pytest_sessionfinish(session, exitstatus):
    page = session.config.getoption("--performance")
    if page and exitstatus == pytest.ExitCode.OK:
        from bench.files import write

        write(page, performance(session.config.stash.get(SPEEDS, [])))


def performance(speeds: list[Speed]) -> str:
    """The page of all comparisons, a table for each topic."""
    lines = ["# Performance", "", HEAD, "", f"{machine()}; {datetime.date.today()}."]
    ordered = sorted(speeds, key=lambda speed: TOPICS.index(speed.topic))
    for topic, group in groupby(ordered, key=lambda speed: speed.topic):
        rows = [
            (
                f"**{speed.ratio}**" if speed.ratio else "",
                f"{speed.aim:g}" if speed.aim else "",
                speed.what,
                speed.against,
                speed.size + (f"; {speed.note}" if speed.note else ""),
                amount(speed.ours),
                "" if speed.theirs is None else amount(speed.theirs),
            )
            for speed in group
        ]
        head = ("speed-up", "aim", "what", "compared with", "size", "ours", "theirs")
        lines += ["", f"## {topic[0].upper()}{topic[1:]}", ""]
        lines += [f"| {' | '.join(row)} |" for row in (head, ("--:",) * 2 + ("---",) * 5, *rows)]
    return "\n".join(lines) + "\n"


def machine() -> str:
    """The processor, its cores and load, and the versions of what is compared."""
    cpuinfo = Path("/proc/cpuinfo")
    names = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    model = [line.split(":", 1)[1].strip() for line in names if line.startswith("model name")]
    name = model[0] if model else platform.processor() or platform.machine()
    versions = [f"Python {platform.python_version()}"]
    for library in LIBRARIES:
        try:
            versions.append(f"{library} {metadata.version(library)}")
        except metadata.PackageNotFoundError:
            versions.append(f"no {library}")
    load = f"load {os.getloadavg()[0]:.1f}"
    return f"{name}, {os.cpu_count()} cores, {load}; {', '.join(versions)}"
