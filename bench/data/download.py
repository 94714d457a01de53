"""Fetches one file: goes on where it stopped, tries the next address, believes only the checksum."""

from __future__ import annotations

import hashlib
import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BufferedRandom, BufferedReader
from pathlib import Path

from bench.data.progress_bar import progress
from bench.data.source import Download
from bench.errors import BenchError

STALL = 30.0  # seconds without a byte after which an address is given up
CHUNK = 1 << 16

# What can be wrong with an address. Errors of our own disk are handled apart.
NETWORK = (urllib.error.URLError, http.client.HTTPException, OSError, ValueError)


class _Failed(Exception):
    """Why an address did not give the file."""


def download(it: Download, folder: Path) -> Path:
    """The file below `folder`, fetched unless it is there; BenchError where no address gives it.

    What has come so far stays in a `.part` file beside it, and the next call goes on from there.
    """
    path = folder / it.path
    if _whole(path, it):
        return path
    part = path.with_name(path.name + ".part")
    failures = []
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _alone(part) as file, progress(f"Fetching {path.name}", it.size) as show:
            if _whole(path, it):  # another process was faster
                part.unlink(missing_ok=True)
                return path
            for url in it.urls:
                try:
                    _fetch(url, it, file, show)
                except _Failed as failed:
                    failures.append(f"  {url}: {failed}")
                else:
                    os.fsync(file.fileno())
                    part.replace(path)
                    return path
            raise BenchError(
                f"{path.name} could not be fetched:\n"
                + "\n".join(failures)
                + f"\nRun the command again to go on, or put the file there yourself: {path}\n"
                f"(sha256 {it.sha256})"
            )
    except OSError as error:
        raise BenchError(
            f"{path} cannot be written ({error.strerror or error}). Free some space, or choose a"
            " folder that can be written with --data-dir."
        ) from None


@contextmanager
def _alone(part: Path) -> Iterator[BufferedRandom]:
    """The unfinished file, which no other process writes at the same time."""
    with part.open("ab+") as file:
        try:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except ImportError:
            pass  # Windows: two at once spoil each other's file, and the checksum finds out
        except BlockingIOError:
            raise BenchError(f"Another process is fetching {part.stem}: wait for it.") from None
        yield file


def _fetch(url: str, it: Download, file: BufferedRandom, show: Callable[[int], None]) -> None:
    """Complete the file from this address, as often as it gives at least something."""
    fresh = False  # whether every byte of the file came from this address, in this call
    again = False  # whether it was begun anew because the server rejects what we have
    while True:
        before = file.seek(0, os.SEEK_END)
        if before > it.size:
            file.truncate(0)
            before = 0
        fresh |= before == 0
        reason = "the connection ended early"
        try:
            if before < it.size:
                _receive(url, it, file, show)
        except _Failed as failed:
            reason = str(failed)
        size = file.seek(0, os.SEEK_END)
        if size == it.size:
            if _sha256(file) == it.sha256:
                return
            file.truncate(0)
            if fresh:
                raise _Failed("its content is not the pinned one (checksum differs)")
        elif size == 0 < before and not again:
            again = True
        elif size <= before:
            raise _Failed(reason)


def _receive(url: str, it: Download, file: BufferedRandom, show: Callable[[int], None]) -> None:
    """Append what the address sends, starting where the file ends."""
    start = file.seek(0, os.SEEK_END)
    headers = {"User-Agent": "musicbench", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    try:
        request = urllib.request.Request(url, headers=headers)  # noqa: S310 - our own addresses
        with urllib.request.urlopen(request, timeout=STALL) as response:  # noqa: S310
            if not (response.status == 206 and _begins_at(response, start)):
                file.truncate(0)  # the server starts over
            while chunk := response.read1(CHUNK):
                size = file.seek(0, os.SEEK_END) + len(chunk)
                if size > it.size:
                    file.truncate(0)
                    raise _Failed(f"it sends more than the {it.size:,} bytes of the file")
                _write(file, chunk)
                show(size)
    except _DiskError as error:
        raise error.cause from None
    except TimeoutError:
        raise _Failed(f"no byte came for {STALL:.0f} seconds") from None
    except urllib.error.HTTPError as error:
        if error.code == 416:  # there is nothing after what we have: what we have is wrong
            file.truncate(0)
        raise _Failed(f"the server answers {error.code} {error.reason}") from None
    except urllib.error.URLError as error:
        raise _Failed(str(error.reason)) from None
    except NETWORK as error:
        raise _Failed(str(error) or type(error).__name__) from None


class _DiskError(Exception):
    def __init__(self, cause: OSError) -> None:
        self.cause = cause


def _write(file: BufferedRandom, chunk: bytes) -> None:
    try:
        file.write(chunk)
        file.flush()
    except OSError as error:
        raise _DiskError(error) from None


def _begins_at(response: http.client.HTTPResponse, start: int) -> bool:
    return (response.headers.get("Content-Range") or "").startswith(f"bytes {start}-")


def _whole(path: Path, it: Download) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return _sha256(file) == it.sha256


def _sha256(file: BufferedReader | BufferedRandom) -> str:
    file.seek(0)
    return hashlib.file_digest(file, "sha256").hexdigest()
