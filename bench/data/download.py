"""Downloads one file with pooch, from the first address that gives the pinned content."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bench.data.progress_bar import progress_bar
from bench.data.source import Download
from bench.errors import BenchError

STALL = 30.0  # seconds without a byte after which an address is given up
CHUNK = 1 << 16  # bytes
HEADERS = {"User-Agent": "musicbench", "Accept-Encoding": "identity"}


def download(file: Download, folder: Path) -> Path:
    """The file below `folder`, downloaded unless it is there; BenchError where no address gives it.

    It takes its place only once its checksum is right: what was there before stays until then, and
    a download that fails leaves nothing behind.
    """
    import pooch  # type: ignore[import-untyped]
    from requests import RequestException

    path = folder / file.path
    pooch.get_logger().setLevel("WARNING")

    def receive(url: str, target: str, _: object) -> None:
        with progress_bar(f"Downloading {path.name}", file.size) as show:
            bar = _Bar(file.size, show)
            pooch.HTTPDownloader(bar, CHUNK, timeout=STALL, headers=HEADERS)(url, target, None)
        Path(target).chmod(0o644)  # pooch makes it readable by its owner only

    failures = []
    for url in file.urls:
        try:
            pooch.retrieve(url, file.sha256, path.name, path.parent, downloader=receive)
        except RequestException as error:
            failures.append(f"  {url}: {_reason(error)}")
        except ValueError:
            failures.append(f"  {url}: its content is not the pinned one (checksum differs)")
        except OSError as error:
            raise BenchError(
                f"{path} cannot be written ({error.strerror or error}). Free some space, or choose"
                " a folder that can be written with --data-dir."
            ) from None
        else:
            return path
    raise BenchError(
        "\n".join([f"{path.name} could not be downloaded:", *failures])
        + f"\nRun the command again, or put the file there yourself: {path}\n(sha256 {file.sha256})"
    )


def _reason(error: BaseException) -> str:
    """The first cause of a network error, which requests and urllib3 have wrapped several times."""
    while error.__context__ is not None:
        error = error.__context__
    if isinstance(error, TimeoutError):
        return f"no byte came for {STALL:.0f} seconds"
    return str(error) or type(error).__name__


class _Bar:
    """What pooch expects of a progress bar; it also ends a download that is too long."""

    def __init__(self, size: int, show: Callable[[int], None]) -> None:
        self.size, self.show = size, show
        self.total = self.done = 0  # pooch sets `total` to the length announced, 0 for none

    def update(self, amount: int) -> None:
        from requests import RequestException

        self.done += amount
        if max(self.total, self.done - CHUNK) > self.size:  # the last chunk may be a short one
            raise RequestException(f"it sends more than the {self.size:,} bytes of the file")
        self.show(min(self.done, self.size))

    def reset(self) -> None:
        self.done = 0

    def close(self) -> None:
        pass
