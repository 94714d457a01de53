"""Runs `bench` within the process of the tests.

A process of its own costs each run a second of imports, and the server that its jobs are forked
off three more (PyTorch, SciPy, MusPy). In here both are paid for once.
"""

from __future__ import annotations

import contextlib
import functools
import io
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

from bench.engines import local

run_worker = local.run_worker


def worker_at(environment: Mapping[str, str], folder: str, *arguments: Any) -> None:
    """The life of a job's process: the server's, but for where the run is."""
    os.environ.update(environment)
    os.chdir(folder)
    run_worker(*arguments)


@contextlib.contextmanager
def placed(environment: Mapping[str, str], folder: Path) -> Iterator[None]:
    """Inside, this process and the jobs that it starts have the environment and the folder."""
    before = Path.cwd()
    worker = functools.partial(worker_at, dict(environment), str(folder))
    with (
        mock.patch.dict(os.environ, environment, clear=True),
        mock.patch.object(local, "run_worker", worker),
    ):
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)


def bench(
    arguments: Sequence[str], environment: Mapping[str, str], folder: Path
) -> subprocess.CompletedProcess[str]:
    """Run a verb to its end. Where a process would end with a traceback, its error is raised."""
    from bench.cli import main

    out, err = io.StringIO(), io.StringIO()
    with (
        placed(environment, folder),
        mock.patch.object(sys, "argv", ["bench", *arguments]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main.main()
            status = 0
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(end.code is not None)
    return subprocess.CompletedProcess(list(arguments), status, out.getvalue(), err.getvalue())
