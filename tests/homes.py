"""A home: a folder with a data set called toy, in which `bench` runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import commands

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
        return commands.bench(arguments, self.environment, self.path)

    def process(self, *arguments: str, timeout: float = 240) -> subprocess.CompletedProcess[str]:
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


def places(path: Path) -> dict[str, str]:
    """The variables that lead to a home."""
    return {
        "BENCH_DATA_DIR": str(path / "data"),
        "BENCH_CACHE_DIR": str(path / "cache"),
        "PYTHONPATH": str(Path(__file__).parent.parent),
        "HOME": str(path),
    }


def copied(home: Home, path: Path) -> Home:
    """The same home in another folder."""
    shutil.copytree(home.path, path, dirs_exist_ok=True)
    return Home(path, {**os.environ, **places(path)})
