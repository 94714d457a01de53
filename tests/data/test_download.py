from __future__ import annotations

import hashlib
import stat
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from bench.data import download as module
from bench.data.download import download
from bench.data.source import Download
from bench.errors import BenchError

CONTENT = np.random.default_rng(0).bytes(300_000)
HALF = len(CONTENT) // 2


class Server(ThreadingHTTPServer):
    """Serves CONTENT under paths that name what goes wrong; keeps the paths it was asked for."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str] = []
        self.released = threading.Event()
        self.both = threading.Barrier(2)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{path}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        path = self.path.strip("/")
        self.server.asked.append(path)
        self.close_connection = True
        if path == "absent":
            return self.send_error(404)
        if path == "moved":
            self.send_response(302)
            self.send_header("Location", "/good")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        content = CONTENT[::-1] if path == "wrong" else CONTENT
        if path == "long":
            content += b"more"
        self.send_response(200)
        if path != "endless":
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if path == "together":
            self.server.both.wait(10)
        if path in {"stalls", "dies"}:
            content = content[:HALF]
        if path == "endless":
            with suppress(OSError):  # the client hangs up
                while True:
                    self.wfile.write(content)
        if path != "silent":
            self.wfile.write(content)
        if path in {"silent", "stalls"}:
            self.server.released.wait(10)
        return None


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    thread = threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield running
    running.released.set()
    running.shutdown()
    running.server_close()
    thread.join()


@pytest.fixture
def wanted(server):
    def make(*paths: str) -> Download:
        digest = hashlib.sha256(CONTENT).hexdigest()
        return Download("sub/file.bin", digest, len(CONTENT), tuple(map(server.url, paths)))

    return make


def test_a_file_arrives_whole_and_is_not_fetched_twice(server, wanted, tmp_path):
    path = download(wanted("good"), tmp_path)
    assert path == tmp_path / "sub" / "file.bin"
    assert path.read_bytes() == CONTENT
    assert [file.name for file in path.parent.iterdir()] == ["file.bin"]
    download(wanted("good"), tmp_path)
    assert server.asked == ["good"]


def test_a_redirect_is_followed(server, wanted, tmp_path):
    assert download(wanted("moved"), tmp_path).read_bytes() == CONTENT


def test_a_download_that_was_interrupted_starts_over(server, wanted, tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "file.bin.part").write_bytes(b"left by an earlier version")
    with pytest.raises(BenchError, match=f"{HALF} bytes read"):
        download(wanted("dies"), tmp_path)
    assert download(wanted("dies", "good"), tmp_path).read_bytes() == CONTENT
    assert server.asked == ["dies", "dies", "good"]


@pytest.mark.parametrize(
    "first", ["absent", "wrong", "long", "endless", "stalls", "silent", "dies"]
)
def test_the_next_address_is_tried(server, wanted, tmp_path, monkeypatch, first):
    monkeypatch.setattr(module, "STALL", 0.2)
    begin = time.monotonic()
    assert download(wanted(first, "good"), tmp_path).read_bytes() == CONTENT
    assert server.asked == [first, "good"]
    assert time.monotonic() - begin < 60  # the first address was given up


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("absent", "404"),
        ("wrong", "checksum differs"),
        ("long", "more than the 300,000 bytes"),
        ("endless", "more than the 300,000 bytes"),
        ("silent", "no byte came"),
    ],
)
def test_a_failure_says_why_and_where_to_put_the_file(
    server, wanted, tmp_path, monkeypatch, path, reason
):
    monkeypatch.setattr(module, "STALL", 0.2)
    file = wanted(path)
    with pytest.raises(BenchError, match=reason) as caught:
        download(file, tmp_path)
    for word in (file.urls[0], file.sha256, str(tmp_path / "sub" / "file.bin")):
        assert word in str(caught.value)
    assert not list((tmp_path / "sub").iterdir())


def test_without_a_network_every_address_and_the_place_are_named(tmp_path):
    file = Download("a.mat", "0" * 64, 10, ("http://127.0.0.1:9/a", "http://[broken"))
    with pytest.raises(BenchError, match=r"put the file there yourself: .*a\.mat") as caught:
        download(file, tmp_path)
    assert all(url in str(caught.value) for url in file.urls)
    assert "Connection refused" in str(caught.value)


def test_a_spoiled_file_is_fetched_again_and_kept_until_then(server, wanted, tmp_path):
    path = tmp_path / "sub" / "file.bin"
    path.parent.mkdir()
    path.write_bytes(b"old")
    with pytest.raises(BenchError):
        download(wanted("absent"), tmp_path)
    assert path.read_bytes() == b"old"
    assert download(wanted("good"), tmp_path).read_bytes() == CONTENT


def test_two_at_once_do_not_spoil_each_other(server, wanted, tmp_path):
    with ThreadPoolExecutor(2) as pool:
        paths = [pool.submit(download, wanted("together"), tmp_path) for _ in range(2)]
    assert [path.result().read_bytes() for path in paths] == [CONTENT] * 2
    assert server.asked == ["together"] * 2
    assert [file.name for file in (tmp_path / "sub").iterdir()] == ["file.bin"]


def test_the_file_can_be_read_by_everybody(server, wanted, tmp_path):
    path = download(wanted("good"), tmp_path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_a_whole_file_that_is_there_is_left_as_it_is(server, wanted, tmp_path):
    path = download(wanted("good"), tmp_path)
    path.chmod(0o400)  # somebody else's, perhaps
    written = path.stat().st_mtime_ns
    download(wanted("absent"), tmp_path)
    assert (stat.S_IMODE(path.stat().st_mode), path.stat().st_mtime_ns) == (0o400, written)


def test_a_folder_that_cannot_be_written_is_no_fault_of_the_network(server, wanted, tmp_path):
    (tmp_path / "sub").write_text("a file where the folder should be")
    with pytest.raises(BenchError, match=r"cannot be written .*--data-dir"):
        download(wanted("good"), tmp_path)
    assert not server.asked


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_no_fault_of_the_network(server, wanted, tmp_path, monkeypatch):
    full = lambda *_: open("/dev/full", "wb")  # noqa: PTH123, SIM115 - pooch closes it
    monkeypatch.setattr("pooch.downloaders.open", full, raising=False)
    with pytest.raises(BenchError, match="No space left"):
        download(wanted("good", "good"), tmp_path)
    assert len(server.asked) == 1
