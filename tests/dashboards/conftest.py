"""A run to look at: four systems and one that fails, on the toy data set, two seeds each."""

import functools
import os
import sys
from importlib.util import find_spec
from pathlib import Path

import commands
import pytest

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(Path(__file__).parent))  # what lies beside

from browser import environment
from synthetic import no_data

SYSTEMS = ("noise", "human", "random-chords", "markov-chain")


@pytest.fixture(scope="session", autouse=True)
def _installed_components():
    """Each run of an AppTest looks for components through all installed packages: once will do."""
    if find_spec("streamlit") is None:
        yield
        return
    from streamlit.components.v2 import manifest_scanner

    with pytest.MonkeyPatch.context() as patch:
        scan = functools.cache(manifest_scanner.scan_component_manifests)
        patch.setattr(manifest_scanner, "scan_component_manifests", scan)
        yield


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
    done = commands.bench(arguments, {**os.environ, **environment(home), "HOME": str(home)}, home)
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
