"""A run to look at: four systems and one that fails, on the toy data set, two seeds each."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(Path(__file__).parent))  # what lies beside

from browser import environment
from synthetic import no_data

SYSTEMS = ("noise", "human", "random-chords", "markov-chain")


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A finished run; its place holds runs/, data/ and cache/."""
    from bench.check import toy_dataset
    from bench.data.manifest import pin, write_manifest
    from bench.data.pieces import write_pieces

    home = tmp_path_factory.mktemp("dashboard")
    toy = toy_dataset()
    place = home / "data" / "added" / "toy"
    place.mkdir(parents=True)
    splits = {"train": toy.train, "valid": toy.valid, "test": toy.test}
    manifest = pin(toy.pieces, splits, name="toy", version=1, grid=4, bar=16, object="score")
    write_manifest(place / "manifest.json", manifest)
    write_pieces(place / f"pieces-{manifest.fingerprint[:16]}.npz", toy.pieces)
    arguments = ["all", "--data", "toy", "--preset", "smoke", "--samples", "6", "--steps", "32"]
    arguments += ["--seeds", "2", "--device", "cpu", "--out", str(home / "runs")]
    for name in (*SYSTEMS, f"{ROOT / 'tests' / 'contestants.py'}:Raises"):
        arguments += ["--systems", name]
    done = subprocess.run(
        [sys.executable, "-m", "bench.cli", *arguments],
        env={**os.environ, **environment(home), "HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr  # the failing one
    return home


@pytest.fixture
def looking_at(monkeypatch, tmp_path):
    """Points the dashboard to a home, by default an empty one."""

    def point(home=tmp_path, **others):
        for name, value in {**environment(home), **others}.items():
            monkeypatch.setenv(name, str(value))
        monkeypatch.chdir(tmp_path)
        if home == tmp_path:  # nothing is read from the installed corpus, which takes long
            monkeypatch.setattr("bench.data.load", no_data)
        return home

    return point
