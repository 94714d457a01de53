"""Shows how far a run is: progress bars on a terminal, a line per event elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from bench.engines.local import Event
from bench.files import read_json
from bench.jobs.job import Job
from bench.jobs.plan import Planned
from bench.jobs.run_folder import JobFolder
from bench.wording import duration

LINE_SECONDS = 30.0  # between two lines where there is no terminal


class InHand(Protocol):
    """A job that an engine has in hand."""

    @property
    def job(self) -> Job:
        """The job."""

    @property
    def folder(self) -> JobFolder:
        """Its folder, in which it writes down how far it is."""


class Display:
    """Follows the jobs of a run and shows them on the console."""

    def __init__(self, planned: Sequence[Planned], workers: int, console: Console):
        self.console = console
        self.workers = workers
        self.expected = {work.job.id: work.seconds for work in planned if not work.done}
        self.total = len(self.expected)
        self.ended: dict[str, float] = {}
        self.begun: dict[str, float] = {}
        self.share: dict[str, float] = {}  # of each job that trains: how much of it is done
        self.printed = time.monotonic()
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self.overall = self.progress.add_task("all jobs", total=max(self.total, 1), note="")
        self.bars: dict[str, TaskID] = {}

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show progress while the block runs."""
        with self.progress:
            yield

    def show_event(self, event: Event) -> None:
        """Record what happened to a job, and print it."""
        name = event.job.id.rpartition(".")[0]
        if event.kind == "started":
            self.begun[event.job.id] = time.monotonic()
            self.bars[event.job.id] = self.progress.add_task(f"  {name}", total=None, note="starts")
            return
        if event.kind == "waiting":
            self.remove_bar(event.job.id)
            if not self.console.is_terminal:
                reason = event.status.error if event.status else "another run has it in hand"
                self.print_line(f"waits    {name}: {reason}")
            return
        if event.kind == "elsewhere":
            self.total -= 1
            self.expected.pop(event.job.id, None)
            state = event.status.state if event.status else "ended"
            count = f"{len(self.ended)}/{self.total}, {self.left()}"
            self.print_line(f"{state} elsewhere   {name}   {count}")
            return
        self.remove_bar(event.job.id)
        seconds = time.monotonic() - self.begun.get(event.job.id, time.monotonic())
        self.ended[event.job.id] = seconds
        done = f"{len(self.ended)}/{self.total}"
        status = event.status
        if status is not None and status.state == "ok":
            self.print_line(
                f"[green]done[/]     {name} in {duration(seconds)}   {done}, {self.left()}"
            )
        elif status is not None:
            failure = f"{status.phase}: {status.error}"
            self.print_line(f"[red]{status.state}[/]   {name}: {failure}   {done}")
        self.progress.update(self.overall, completed=len(self.ended), note=f"{done}, {self.left()}")

    def update(self, running: Sequence[InHand]) -> None:
        """Move the bars of the jobs in hand."""
        for work in running:
            progress = read_json(work.folder.progress) or {}
            done, total = progress.get("done", 0), progress.get("total") or None
            phase = progress.get("phase", "")
            self.share[work.job.id] = done / total if total and phase == "fit" else 0.0
            if self.console.is_terminal:
                bar = self.bars[work.job.id]
                self.progress.update(bar, total=total, completed=done, note=phase)
        if not self.console.is_terminal and time.monotonic() - self.printed > LINE_SECONDS:
            names = ", ".join(work.job.id.rpartition(".")[0] for work in running)
            self.print_line(f"running  {names}   {len(self.ended)}/{self.total}, {self.left()}")

    def remove_bar(self, job: str) -> None:
        """Remove a job's bar, if it has one."""
        if job in self.bars:
            self.progress.remove_task(self.bars.pop(job))

    def print_line(self, line: str) -> None:
        """Print a line above the bars."""
        self.printed = time.monotonic()
        self.console.print(line, highlight=False, soft_wrap=True)

    def left(self) -> str:
        """The time left, estimated from how finished jobs took and how far running ones are."""
        done = sum(self.expected[job] for job in self.ended if job in self.expected)
        factor = sum(self.ended.values()) / done if done > 10 else 1.0
        rest = []
        for job, expected in self.expected.items():
            if job in self.ended:
                continue
            seconds, share = factor * expected, self.share.get(job, 0.0)
            if job in self.begun:
                spent = time.monotonic() - self.begun[job]
                seconds = max(seconds - spent, spent * (1 / share - 1) if share else 0.0)
            rest.append(seconds)
        if not rest:
            return "nothing left"
        return f"about {duration(max(sum(rest) / self.workers, *rest, 1))} left"
