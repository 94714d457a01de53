"""What the harness keeps of a system that learns: curves, progress, checkpoints, snapshots."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bench.files import write_json
from bench.jobs.run_folder import JobFolder
from bench.training.checkpoint import load_tree, save_tree

CHECKPOINT_SECONDS = 30.0


class JobLog:
    """The contract's Log: curves as JSON lines, progress for whoever watches, checkpoints."""

    def __init__(
        self,
        folder: JobFolder,
        snapshots: int = 0,
        clock: Callable[[], float] = time.monotonic,
        tensorboard: bool = False,
    ):
        self.folder, self.clock = folder, clock
        self.snapshots, self.passed, self.due = snapshots, 0, 0
        self.music_steps = 0
        self.before = 0.0  # seconds that earlier attempts spent on what they left behind
        self.begun = clock()
        self.every = float(os.environ.get("BENCH_CHECKPOINT_SECONDS", CHECKPOINT_SECONDS))
        self.events = tensorboard
        self.writer: Any = None  # once there is something to tell TensorBoard
        self.saved = time.monotonic()
        self.shown = 0.0

    @property
    def seconds(self) -> float:
        """Seconds spent on what there is now, earlier attempts counted."""
        return self.before + self.clock() - self.begun

    def record(self, step: int, **values: float) -> None:
        """Add a point to the curves."""
        point = {"step": step, "seconds": round(self.seconds, 3), **values}
        with self.folder.curves.open("a", encoding="utf-8") as file:
            file.write(json.dumps(point, default=float) + "\n")
        if self.events:
            self._tell_tensorboard(point)

    def _tell_tensorboard(self, latest: Mapping[str, Any]) -> None:
        """Show it the point; at first all there are, as the curves may have been cut back."""
        points = [latest]
        if self.writer is None:
            from torch.utils.tensorboard import SummaryWriter

            shutil.rmtree(self.folder.tensorboard, ignore_errors=True)
            self.writer = SummaryWriter(str(self.folder.tensorboard))
            points = [json.loads(line) for line in self.folder.curves.read_text().splitlines()]
        for point in points:
            for name in point.keys() - {"step", "seconds"}:
                self.writer.add_scalar(name, point[name], point["step"])
        self.writer.flush()  # a worker ends without a farewell

    def progress(self, done: int, total: int, music_steps: int = 0) -> None:
        """Say how far training is."""
        self.music_steps = music_steps or self.music_steps
        passed = done * self.snapshots // max(total, 1)
        if self.passed < passed < self.snapshots:  # the last point is the finished system
            self.due = done
        self.passed = max(self.passed, passed)
        if time.monotonic() - self.shown >= 1.0:
            self.shown = time.monotonic()
            write_json(
                self.folder.progress,
                {"phase": "fit", "done": done, "total": total, "pid": os.getpid()},
            )

    def checkpoint(self, state: Callable[[], Mapping[str, Any]]) -> None:
        """Save the state to resume from, when one is due, and that of a snapshot."""
        if self.due:
            save_tree(snapshot_state(self.folder, self.due), state())
            self.due = 0
        if time.monotonic() - self.saved < self.every:
            return
        curves = self.folder.curves.stat().st_size if self.folder.curves.exists() else 0
        tree = {
            "state": state(),
            "curves": curves,
            "seconds": self.seconds,
            "music_steps": self.music_steps,
            "passed": self.passed,
        }
        save_tree(self.folder.checkpoint, tree)
        self.saved = time.monotonic()

    def resume(self) -> Mapping[str, Any] | None:
        """The last checkpoint's state; the curves are cut back to where it was taken."""
        tree = load_tree(self.folder.checkpoint)
        if tree is None:
            if self.folder.checkpoint.exists():
                print("The checkpoint is damaged; training begins anew.")
            self.folder.curves.unlink(missing_ok=True)
            return None
        self.before, self.begun = float(tree["seconds"]), self.clock()
        self.music_steps, self.passed = int(tree["music_steps"]), int(tree["passed"])
        if self.folder.curves.exists():
            with self.folder.curves.open("rb+") as file:
                file.truncate(int(tree["curves"]))
        state: Mapping[str, Any] = tree["state"]
        return state


class SnapshotLog:
    """A Log that resumes from a snapshot's state, stops there, and keeps nothing."""

    def __init__(self, state: Mapping[str, Any]):
        self.state = {**state, "stop": True}

    def record(self, step: int, **values: float) -> None:
        """Forget it: the curves were drawn when training went through here."""

    def progress(self, done: int, total: int, music_steps: int = 0) -> None:
        """Forget it."""

    def checkpoint(self, state: Callable[[], Mapping[str, Any]]) -> None:
        """Forget it."""

    def resume(self) -> Mapping[str, Any] | None:
        """The snapshot's state."""
        return self.state


def snapshot_state(folder: JobFolder, update: int) -> Path:
    """Where the state after so many updates is kept."""
    return folder.snapshots / f"{update:08d}" / "state.safetensors"
