"""Shows how far a slow step is: a bar with the time left on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

EVERY = 10.0  # seconds between two lines


@contextmanager
def progress_bar(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A function for the block to call with the amount done so far, of `total`."""
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import Progress

        with Progress(console=Console(stderr=True)) as bar:
            task = bar.add_task(what, total=total)
            yield lambda done: bar.update(task, completed=done)
        return
    start = last = time.monotonic()

    def show(done: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= EVERY and 0 < done < total:
            last = now
            left = (now - start) * (total - done) / done
            sys.stderr.write(f"{what}: {done / total:.0%}, {left:.0f} s left\n")

    sys.stderr.write(f"{what} ...\n")
    yield show
    sys.stderr.write(f"{what}: done in {time.monotonic() - start:.0f} s\n")
