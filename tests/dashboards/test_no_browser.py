"""What happens to the browser tests where there is no browser."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
TESTS = ("test_browser.py", "test_survey_browser.py")


@pytest.mark.slow
@pytest.mark.parametrize("file", TESTS)
@pytest.mark.parametrize(("ci", "status", "word"), [("true", 1, "error"), ("", 0, "skipped")])
def test_a_missing_browser_fails_where_it_must_be_and_is_else_skipped(file, ci, status, word):
    """It is found by CHROMIUM or on the PATH, and here is neither."""
    command = [sys.executable, "-m", "pytest", "-q", "--slow", "-p", "no:cacheprovider", "-x"]
    done = subprocess.run(
        [*command, str(Path(__file__).with_name(file))],
        env={**os.environ, "PATH": "", "CHROMIUM": "", "CI": ci, "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, done.stdout
    assert "there is no Chromium" in done.stdout
    assert word in done.stdout.splitlines()[-1]
    assert "passed" not in done.stdout.splitlines()[-1]
