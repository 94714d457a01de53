import os
import signal
import socket
import subprocess
import sys
import urllib.request

import browser
import pytest

from bench.errors import BenchError
from dashboards import serve


def test_a_taken_port_is_said_with_what_to_do(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(BenchError, match=rf"cannot listen at 127.0.0.1:{port}.*--port"):
            serve.serve(tmp_path, None, "127.0.0.1", port, print)


@pytest.mark.parametrize(("host", "port"), [("no.such.host.invalid", 8501), ("127.0.0.1", 99999)])
def test_an_impossible_address_is_said_as_a_sentence(tmp_path, host, port):
    with pytest.raises(BenchError):
        serve.serve(tmp_path, None, host, port, print)


def test_a_board_that_does_not_exist_is_said_before_anything_starts(tmp_path):
    with pytest.raises(BenchError, match=r"nothing.csv does not exist"):
        serve.serve(tmp_path, tmp_path / "nothing.csv", "127.0.0.1", 1, print)


def test_the_server_tells_nobody_and_shows_no_details():
    given = serve.command("127.0.0.1", 8501)
    for flag in (
        "--browser.gatherUsageStats=false",
        "--client.showErrorDetails=none",
        "--server.address=127.0.0.1",
        "--server.enableStaticServing=false",
    ):
        assert flag in given


def test_addresses_can_be_opened():
    assert serve.address("127.0.0.1", 8501) == "http://127.0.0.1:8501"
    assert serve.address("0.0.0.0", 80) == "http://127.0.0.1:80"
    assert serve.address("::1", 80) == "http://[::1]:80"


def test_no_page_hides_a_package_that_it_imports():
    """Python looks first in the folder of the script that it runs."""
    names = {path.stem for path in serve.APP.parent.glob("*.py")}
    assert not names & {"bench", "metrics", "baselines", "dashboards"}
    assert not names & set(sys.stdlib_module_names)
    assert not (serve.APP.parent / "pages").exists()  # Streamlit would pass the script over


def test_ctrl_c_ends_the_server_and_its_command(tmp_path):
    port = browser.free_port()
    code = (
        "from pathlib import Path; from dashboards.serve import serve; import sys;"
        f"sys.exit(serve(Path('runs'), None, '127.0.0.1', {port}, lambda s: print(s, flush=True)))"
    )
    command = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "HOME": str(tmp_path)},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert f"http://127.0.0.1:{port}" in command.stdout.readline()
    browser.wait_for(f"http://127.0.0.1:{port}/_stcore/health", command)
    os.killpg(command.pid, signal.SIGINT)
    assert command.wait(20) == 0
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=2)
