import subprocess
from pathlib import Path

import pytest

RUN = Path(__file__).parent.parent / "run"


@pytest.fixture
def installed(tmp_path):
    """The script beside an environment that is made already, whose programs say what they got."""
    (tmp_path / "run").write_bytes(RUN.read_bytes())
    (tmp_path / "run").chmod(0o755)
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "constraints.txt").write_text("")
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name in ("bench", "python"):
        (programs / name).write_text(f'#!/bin/sh\necho {name} "$@" $PYTHONDONTWRITEBYTECODE\n')
        (programs / name).chmod(0o755)
    stamp = subprocess.run(
        "cat pyproject.toml constraints.txt | cksum",
        shell=True,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    (tmp_path / ".venv" / ".installed").write_text(stamp.stdout.strip())
    return tmp_path / "run"


@pytest.mark.parametrize(
    ("arguments", "called"),
    [
        ([], "bench all"),
        (["--preset", "smoke"], "bench all --preset smoke"),
        (["plan", "--data", "jsb"], "bench plan --data jsb"),
        (["--version"], "bench --version"),
        (["--help"], "bench --help"),
        (["test"], "python -m pytest -n auto"),
        (["test", "-k", "a b"], "python -m pytest -n auto -k a b"),
    ],
)
def test_the_script_hands_on_what_it_is_given(installed, arguments, called, monkeypatch):
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    done = subprocess.run([installed, *arguments], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == called
    assert done.stderr == ""


def test_the_tests_keep_what_they_compile_and_bench_does_as_the_environment_says(
    installed, monkeypatch
):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "yes")
    for arguments, called in ((["test"], "python -m pytest -n auto"), (["plan"], "bench plan yes")):
        done = subprocess.run([installed, *arguments], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == called
