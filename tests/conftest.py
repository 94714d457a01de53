"""What several tests stand on: a small data set in a home of its own, and a driver to run jobs."""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))  # what lies beside
settings.register_profile("suite", deadline=None)  # a busy machine is no counterexample
settings.load_profile("suite")
os.environ.setdefault("OMP_NUM_THREADS", "1")
# In the background Ctrl-C is ignored, by the tests and by all that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)

CONTESTANTS = Path(__file__).parent / "contestants.py"


@dataclass
class Home:
    """A place with a data set called toy, and the environment that finds it."""

    path: Path
    environment: dict[str, str]

    @property
    def runs(self) -> Path:
        return self.path / "runs"

    def add(self, name: str, pieces: dict, **splits: tuple[str, ...]) -> None:
        """Add a data set of these pieces."""
        from bench.data.manifest import pin, write_manifest
        from bench.data.pieces import write_pieces

        place = self.path / "data" / "added" / name
        place.mkdir(parents=True)
        manifest = pin(pieces, splits, name=name, version=1, grid=4, bar=16, object="score")
        write_manifest(place / "manifest.json", manifest)
        write_pieces(place / f"pieces-{manifest.fingerprint[:16]}.npz", pieces)

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "bench.cli", *arguments]

    def arguments(self, *systems: str) -> list[str]:
        """A small run of contestants: of the suite by id, of contestants.py by class."""
        named = [s if s[0].islower() else f"{CONTESTANTS}:{s}" for s in systems]
        chosen = [part for name in named for part in ("--systems", name)]
        small = ["--data", "toy", "--preset", "smoke", "--samples", "4", "--steps", "32"]
        return ["all", *chosen, *small, "--device", "cpu", "--out", str(self.runs)]

    def bench(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a verb to its end, within this process."""
        from commands import bench

        return bench(arguments, self.environment, self.path)

    def process(self, *arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """Run a verb to its end in a process of its own."""
        return subprocess.run(
            self.command(*arguments),
            env=self.environment,
            cwd=self.path,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a verb and leave it running."""
        return subprocess.Popen(
            self.command(*arguments),
            env=self.environment,
            cwd=self.path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


@pytest.fixture
def home(tmp_path, monkeypatch) -> Home:
    """A home with the toy data set, for this process and for those it starts."""
    from bench.check import toy_dataset

    own = {
        "BENCH_DATA_DIR": str(tmp_path / "data"),
        "BENCH_CACHE_DIR": str(tmp_path / "cache"),
        "PYTHONPATH": str(Path(__file__).parent.parent),
        "HOME": str(tmp_path),
    }
    for name, value in own.items():
        monkeypatch.setenv(name, value)
    home, toy = Home(tmp_path, {**os.environ, **own}), toy_dataset()
    home.add("toy", toy.pieces, train=toy.train, valid=toy.valid, test=toy.test)
    return home


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


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="run the long tests too")


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--slow"):
        skip = pytest.mark.skip(reason="long; ./run test --slow runs it")
        for item in items:
            if "slow" in item.keywords:
                item.add_marker(skip)
