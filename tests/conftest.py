"""What several tests stand on: a small data set in a home of its own, and a driver to run jobs."""

import gc
import os
import signal
import sys
from pathlib import Path

import pytest
from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))  # what lies beside

from homes import Home, copied, places

settings.register_profile("suite", deadline=None)  # a busy machine is no counterexample
settings.load_profile("suite")
os.environ.setdefault("OMP_NUM_THREADS", "1")
# In the background Ctrl-C is ignored, by the tests and by all that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def toy_home(tmp_path_factory) -> Home:
    """A home with the toy data set, to be copied."""
    from bench.check import toy_dataset
    from bench.judges import store
    from bench.judges.families import FAMILIES

    path, toy = tmp_path_factory.mktemp("toy"), toy_dataset()
    home = Home(path, {**os.environ, **places(path)})
    home.add("toy", toy.pieces, train=toy.train, valid=toy.valid, test=toy.test)
    with pytest.MonkeyPatch.context() as patch:  # its judges are trained once, not by every job
        patch.setenv("BENCH_CACHE_DIR", home.environment["BENCH_CACHE_DIR"])
        for family in FAMILIES:
            store.judge_of(family, toy.split("train"), toy.grid, toy.bar)
    return home


@pytest.fixture
def home_like(tmp_path, monkeypatch):
    """Gives the test its own copy of a home, for this process and for those that it starts."""

    def copy(home: Home) -> Home:
        for name, value in places(tmp_path).items():
            monkeypatch.setenv(name, value)
        return copied(home, tmp_path)

    return copy


@pytest.fixture
def home(toy_home, home_like) -> Home:
    """A home with the toy data set."""
    return home_like(toy_home)


@pytest.fixture
def driver(monkeypatch, tmp_path):
    """A machine whose driver reports what the test wants."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def reports(*lines):
        tool = tmp_path / "nvidia-smi"
        text = "\n".join(lines)
        # Answers with as many columns as are asked for.
        tool.write_text(
            f"#!/bin/sh\ncase $1 in *memory*) echo '{text}';; *) echo '{text}' | cut -d, -f1;; esac\n"
        )
        tool.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    return reports


# Collecting makes a million objects that stay: walking through them again and again takes a sixth
# of its time, and later some of each test's.
gc.disable()


def pytest_collection_finish():
    gc.enable()
    gc.freeze()


def pytest_xdist_auto_num_workers():
    """One more than xdist takes for `-n auto`: many tests wait for processes that they started."""
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None  # xdist's own answer
    return len(os.sched_getaffinity(0)) + 1 if sys.platform == "linux" else None


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="run the long tests too")


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--slow"):
        skip = pytest.mark.skip(reason="long; ./run test --slow runs it")
        for item in items:
            if "slow" in item.keywords:
                item.add_marker(skip)
