"""Shows a run while it goes on: bars on a terminal, a line per event elsewhere."""

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

LINE_SECONDS = 30.0  # between two signs of life where there is no terminal


class InHand(Protocol):
    """A job that an engine has in hand."""

    @property
    def job(self) -> Job:
        """The job."""

    @property
    def folder(self) -> JobFolder:
        """Where it says how far it is."""


class Watch:
    """Follows the jobs of a run."""

    def __init__(self, planned: Sequence[Planned], workers: int, console: Console):
        self.console = console
        self.workers = workers
        self.expected = {one.job.id: one.seconds for one in planned if not one.done}
        self.total = len(self.expected)
        self.ended: dict[str, float] = {}
        self.begun: dict[str, float] = {}
        self.share: dict[str, float] = {}  # of the jobs that learn: how much of it is done
        self.spoken = time.monotonic()
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

    def tell(self, event: Event) -> None:
        """Take note of what happened to a job, and say it."""
        name = event.job.id.rpartition(".")[0]
        if event.kind == "started":
            self.begun[event.job.id] = time.monotonic()
            self.bars[event.job.id] = self.progress.add_task(f"  {name}", total=None, note="starts")
            return
        if event.kind == "waiting":
            self.drop(event.job.id)
            if not self.console.is_terminal:
                why = event.status.error if event.status else "another run has it in hand"
                self.say(f"waits    {name}: {why}")
            return
        if event.kind == "elsewhere":
            self.total -= 1
            self.expected.pop(event.job.id, None)
            state = event.status.state if event.status else "ended"
            self.say(f"{state} elsewhere   {name}   {len(self.ended)}/{self.total}, {self.left()}")
            return
        self.drop(event.job.id)
        took = time.monotonic() - self.begun.get(event.job.id, time.monotonic())
        self.ended[event.job.id] = took
        done = f"{len(self.ended)}/{self.total}"
        status = event.status
        if status is not None and status.state == "ok":
            self.say(f"[green]done[/]     {name} in {duration(took)}   {done}, {self.left()}")
        elif status is not None:
            self.say(f"[red]{status.state}[/]   {name}: {status.phase}: {status.error}   {done}")
        self.progress.update(self.overall, completed=len(self.ended), note=f"{done}, {self.left()}")

    def tick(self, running: Sequence[InHand]) -> None:
        """Move the bars of the jobs in hand."""
        for one in running:
            at = read_json(one.folder.progress) or {}
            done, total, phase = at.get("done", 0), at.get("total") or None, at.get("phase", "")
            self.share[one.job.id] = done / total if total and phase == "fit" else 0.0
            if self.console.is_terminal:
                self.progress.update(self.bars[one.job.id], total=total, completed=done, note=phase)
        if not self.console.is_terminal and time.monotonic() - self.spoken > LINE_SECONDS:
            names = ", ".join(one.job.id.rpartition(".")[0] for one in running)
            self.say(f"running  {names}   {len(self.ended)}/{self.total}, {self.left()}")

    def drop(self, job: str) -> None:
        """Take away a job's bar."""
        if job in self.bars:
            self.progress.remove_task(self.bars.pop(job))

    def say(self, line: str) -> None:
        """Print a line above the bars."""
        self.spoken = time.monotonic()
        self.console.print(line, highlight=False, soft_wrap=True)

    def left(self) -> str:
        """How long the rest takes, going by how the estimates did, and how far jobs in hand are."""
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
