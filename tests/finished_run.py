"""A run that several tests look at: it is made once, and each test has a copy to change."""

import shutil

import pytest

SYSTEMS = ("noise", "silence", "human", "random-chords", "markov-chain", "Raises")


@pytest.fixture
def finished(home, tmp_path_factory):
    """A home with a run of the baselines and of a system that fails, two seeds each."""
    kept = tmp_path_factory.getbasetemp() / "finished-run"
    if not kept.exists():
        done = home.bench(*home.arguments(*SYSTEMS), "--seeds", "2")
        assert done.returncode == 1, done.stderr  # the one that fails
        half = kept.with_name("finished-run-half")
        shutil.copytree(home.runs, half)
        half.rename(kept)
    else:
        shutil.copytree(kept, home.runs)
    return home
