"""A dashboard that runs, and a Chromium that looks at it."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dashboards import serve

FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--autoplay-policy=no-user-gesture-required", "--mute-audio"),
)


ROOT = Path(__file__).parent.parent.parent


def environment(home: Path) -> dict[str, str]:
    """What points the dashboard to a home."""
    return {
        "BENCH_DATA_DIR": str(home / "data"),
        "BENCH_CACHE_DIR": str(home / "cache"),
        "BENCH_RUNS": str(home / "runs"),
        "BENCH_BOARD": "",
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    }


def chromium_path() -> str | None:
    """Where Chromium is."""
    return os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")


def missing() -> str:
    """Why there is no browser to test with; empty where there is one."""
    if importlib.util.find_spec("playwright") is None:
        return "playwright is not installed"
    return "" if chromium_path() else "there is no Chromium"


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def dashboard(runs: Path, board: Path | None = None) -> Iterator[str]:
    """The address of a dashboard over a run folder, for as long as the block runs."""
    port = free_port()
    with tempfile.TemporaryDirectory() as home:
        cache = os.environ.get("BENCH_CACHE_DIR") or str(Path.home() / ".cache" / "musicbench")
        variables = {"HOME": home, "BENCH_CACHE_DIR": cache}
        server = subprocess.Popen(
            serve.command("127.0.0.1", port),
            env={**serve.environment(runs, board), **variables},
            cwd=home,
        )
        try:
            wait_for(f"http://127.0.0.1:{port}/_stcore/health", server)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(10)


def wait_for(address: str, server: subprocess.Popen[bytes]) -> None:
    """Wait until the server answers."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=1):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise RuntimeError(f"the dashboard did not start (exit status {server.poll()})")


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser for as long as the block runs."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=list(FLAGS))
        yield browser
        browser.close()


def ready(page: Any, timeout: float = 30_000) -> None:
    """Wait until the page has its heading and its script has run."""
    page.get_by_role("heading", level=1).first.wait_for(timeout=timeout)
    page.wait_for_function(
        "() => !document.querySelector('[data-testid=stStatusWidget], [data-testid=stSkeleton]')"
        " && document.querySelector('[data-testid=stApp]')?.dataset.testScriptState"
        " !== 'running'",
        timeout=timeout,
    )
    page.wait_for_timeout(500)
