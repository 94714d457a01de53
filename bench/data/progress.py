"""How far a slow step is: a bar with the time left on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress(what: str, total: int, unit: str = "pieces") -> Iterator[Callable[[int], None]]:
    """Show how much of `total` is done; the block calls what it is given with the amount so far."""
    if sys.stderr.isatty():
        with _bar(what, total, unit) as advance:
            yield advance
        return
    start = last = time.monotonic()

    def show(done: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= 10 and 0 < done < total:
            last = now
            left = (now - start) * (total - done) / done
            sys.stderr.write(f"{what}: {done} of {total} {unit}, {left:.0f} s left\n")

    sys.stderr.write(f"{what}: {total} {unit} ...\n")
    yield show
    sys.stderr.write(f"{what}: done in {time.monotonic() - start:.0f} s\n")


@contextmanager
def _bar(what: str, total: int, unit: str) -> Iterator[Callable[[int], None]]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    amount = DownloadColumn() if unit == "bytes" else MofNCompleteColumn()
    columns = (TextColumn("{task.description}"), BarColumn(), amount, TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.update(task, completed=done)
