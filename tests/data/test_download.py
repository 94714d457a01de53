from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from bench.data import download as module
from bench.data.download import download
from bench.data.source import Download
from bench.errors import BenchError

CONTENT = np.random.default_rng(0).bytes(300_000)
HALF = len(CONTENT) // 2


class Server(ThreadingHTTPServer):
    """Serves CONTENT under paths that name what goes wrong, and keeps what it was asked for."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, str | None]] = []
        self.released = threading.Event()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{path}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        what, asked = self.path.strip("/"), self.headers.get("Range")
        self.server.asked.append((what, asked))
        self.close_connection = True
        if what == "absent":
            return self.send_error(404)
        if what == "moved":
            self.send_response(302)
            self.send_header("Location", "/good")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        content = CONTENT[::-1] if what == "wrong" else CONTENT
        if what == "long":
            content += b"more"
        start = int(asked[6:-1]) if asked and what != "no-range" else 0
        if start >= len(content) or (start and what == "dies-at-416"):
            return self.send_error(416)
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        body = content[start:]
        if what in {"dies", "dies-at-416"} or (what == "dies-once" and not start):
            return self.wfile.write(body[: len(body) // 2])
        if what == "stalls" and not start:
            self.wfile.write(body[: len(body) // 2])
        if what in {"silent", "stalls"}:
            self.server.released.wait(10)
            return None
        return self.wfile.write(body)


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
    assert server.asked == [("good", None)]


def test_a_redirect_is_followed(server, wanted, tmp_path):
    assert download(wanted("moved"), tmp_path).read_bytes() == CONTENT


def test_a_broken_connection_is_resumed_where_it_stopped(server, wanted, tmp_path):
    assert download(wanted("dies-once"), tmp_path).read_bytes() == CONTENT
    assert server.asked == [("dies-once", None), ("dies-once", f"bytes={HALF}-")]


def test_a_second_run_goes_on_where_the_first_stopped(server, wanted, tmp_path):
    part = tmp_path / "sub" / "file.bin.part"
    part.parent.mkdir()
    part.write_bytes(CONTENT[:HALF])
    assert download(wanted("good"), tmp_path).read_bytes() == CONTENT
    assert server.asked == [("good", f"bytes={HALF}-")]
    assert not part.exists()


@pytest.mark.parametrize(
    "left", [b"garbage", CONTENT[:-1] + b"\0", CONTENT + b"x", b"x" * len(CONTENT)]
)
def test_a_left_over_that_is_no_part_of_the_file_does_no_harm(server, wanted, tmp_path, left):
    part = tmp_path / "sub" / "file.bin.part"
    part.parent.mkdir()
    part.write_bytes(left)
    assert download(wanted("good"), tmp_path).read_bytes() == CONTENT


def test_a_server_that_cannot_resume_starts_over(server, wanted, tmp_path):
    part = tmp_path / "sub" / "file.bin.part"
    part.parent.mkdir()
    part.write_bytes(CONTENT[:HALF])
    assert download(wanted("no-range"), tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize(
    "first", ["absent", "wrong", "long", "stalls", "silent", "dies", "dies-at-416"]
)
def test_the_next_address_is_tried(server, wanted, tmp_path, monkeypatch, first):
    monkeypatch.setattr(module, "STALL", 0.2)
    begin = time.monotonic()
    assert download(wanted(first, "good"), tmp_path).read_bytes() == CONTENT
    assert server.asked[-1][0] == "good"
    assert time.monotonic() - begin < 60  # it gave up on the first


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("absent", "404"),
        ("wrong", "checksum differs"),
        ("long", "more than the 300,000 bytes"),
        ("silent", "no byte came"),
    ],
)
def test_a_failure_says_why_and_where_to_put_the_file(
    server, wanted, tmp_path, monkeypatch, path, reason
):
    monkeypatch.setattr(module, "STALL", 0.2)
    it = wanted(path)
    with pytest.raises(BenchError, match=reason) as caught:
        download(it, tmp_path)
    for word in (it.urls[0], it.sha256, str(tmp_path / "sub" / "file.bin")):
        assert word in str(caught.value)
    assert not (tmp_path / "sub" / "file.bin").exists()


def test_without_a_network_every_address_and_the_place_are_named(tmp_path):
    it = Download("a.mat", "0" * 64, 10, ("http://127.0.0.1:9/a", "http://[broken"))
    with pytest.raises(BenchError, match=r"put the file there yourself: .*a\.mat") as caught:
        download(it, tmp_path)
    assert all(url in str(caught.value) for url in it.urls)


def test_a_spoiled_file_is_fetched_again_and_kept_until_then(server, wanted, tmp_path):
    path = tmp_path / "sub" / "file.bin"
    path.parent.mkdir()
    path.write_bytes(b"old")
    with pytest.raises(BenchError):
        download(wanted("absent"), tmp_path)
    assert path.read_bytes() == b"old"
    assert download(wanted("good"), tmp_path).read_bytes() == CONTENT


def test_two_at_once_do_not_spoil_each_other(server, wanted, tmp_path):
    with (
        module._alone(_made(tmp_path / "sub" / "file.bin.part")),
        pytest.raises(BenchError, match="Another process is fetching"),
    ):
        download(wanted("good"), tmp_path)
    assert download(wanted("good"), tmp_path).read_bytes() == CONTENT


def _made(path):
    path.parent.mkdir(exist_ok=True)
    return path


def test_a_folder_that_cannot_be_written_is_no_fault_of_the_network(server, wanted, tmp_path):
    (tmp_path / "sub").write_text("a file where the folder should be")
    with pytest.raises(BenchError, match=r"cannot be written .*--data-dir"):
        download(wanted("good"), tmp_path)
    assert not server.asked


def test_a_full_disk_is_no_fault_of_the_network(server, wanted, tmp_path, monkeypatch):
    class Full:
        def write(self, _):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(
        module, "_write", lambda file, chunk, write=module._write: write(Full(), chunk)
    )
    with pytest.raises(BenchError, match="No space left"):
        download(wanted("good", "good"), tmp_path)
    assert len(server.asked) == 1
