"""Starts the dashboard's server."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from bench.errors import BenchError

# In a folder without a folder "pages": beside one, Streamlit passes this script over and shows
# the files of that folder by themselves to whoever opens the address of a page.
APP = Path(__file__).parent / "pages" / "app.py"
RUNS, BOARD = "BENCH_RUNS", "BENCH_BOARD"

FLAGS = {
    "server.headless": "true",
    "server.fileWatcherType": "none",
    "server.runOnSave": "false",
    "server.maxUploadSize": "1",
    "server.enableStaticServing": "false",
    "server.disconnectedSessionTTL": "900",  # a phone that was locked finds its page again
    "browser.gatherUsageStats": "false",
    "client.toolbarMode": "minimal",
    "client.showErrorDetails": "none",
    "client.showErrorLinks": "false",
    "runner.magicEnabled": "false",
    "logger.level": "error",
    "theme.light.primaryColor": "#1f6feb",
    "theme.dark.primaryColor": "#2f7de1",
    "theme.baseRadius": "0.4rem",
}


def command(host: str, port: int) -> list[str]:
    """The command that runs the server."""
    flags = {**FLAGS, "server.address": host, "server.port": str(port)}
    return [
        *(sys.executable, "-m", "streamlit", "run", str(APP)),
        *(f"--{name}={value}" for name, value in flags.items()),
    ]


def environment(runs: Path, board: Path | None) -> dict[str, str]:
    """The server's environment: it is told there what to show."""
    places = {RUNS: str(runs.resolve()), BOARD: str(board.resolve()) if board else ""}
    return {**os.environ, **places}


def check_address(host: str, port: int) -> None:
    """BenchError where nothing can listen at that address, with what to do about it."""
    if not 0 < port < 65536:
        raise BenchError(f"{port} is no port; give one from 1024 to 65535.")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise BenchError(
            f"The dashboard cannot listen at {host}:{port}: {error.strerror or error}."
            f" Give another port (--port {port + 1 if port < 65535 else 8501}) or host (--host)."
        ) from None


def address(host: str, port: int) -> str:
    """What to open in a browser."""
    name = "127.0.0.1" if host in ("0.0.0.0", "::", "") else host  # noqa: S104 - compared, not bound
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


def serve(runs: Path, board: Path | None, host: str, port: int, say: Callable[[str], None]) -> int:
    """Run the server until Ctrl-C; its exit status. BenchError on a bad board or a taken port."""
    if board is not None and not board.is_file():
        raise BenchError(f"{board} does not exist; give --board the path of a leaderboard.csv.")
    check_address(host, port)
    say(f"The dashboard is at {address(host, port)} (Ctrl-C ends it).")
    if host not in ("127.0.0.1", "localhost", "::1"):
        say("Everyone who reaches this machine can read it: it has no password.")
    server = subprocess.Popen(command(host, port), env=environment(runs, board))
    try:
        return server.wait()
    except KeyboardInterrupt:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        return 0
