"""What `bench doctor` looks at: versions, GPU, soundfont, data and disk."""

from __future__ import annotations

import os
import platform
import re
import shutil
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import psutil

from bench import __version__, data
from bench.engines.local import expect_gpu
from bench.engines.machine import gpus
from bench.errors import BenchError


@dataclass(frozen=True)
class Sign:
    """One thing that a run needs, its state, and what to do if something is wrong with it."""

    what: str
    found: str
    well: bool = True
    advice: str = ""


def examine(out: Path) -> list[Sign]:
    """Everything that a run needs, and its state."""
    memory = psutil.virtual_memory().total / 2**30
    return [
        Sign("musicbench", __version__),
        Sign("python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
        Sign("processors", f"{os.cpu_count()}, {memory:.0f} GB of memory"),
        *(package(name) for name in required_packages()),
        gpu(),
        soundfont(),
        *(data_set(name) for name in data.names()),
        disk(out),
    ]


def required_packages() -> list[str]:
    """The packages that musicbench always needs, from its own metadata; extras are left out."""
    try:
        requirements = requires("musicbench") or []
    except PackageNotFoundError:  # run from a checkout that was never installed
        return ["musicbench"]
    return [re.split(r"[^\w.-]", line)[0] for line in requirements if "extra ==" not in line]


def package(name: str) -> Sign:
    """The installed version of a package."""
    try:
        return Sign(name, version(name))
    except PackageNotFoundError:
        return Sign(name, "not installed", False, f"pip install {name} (or run ./run again)")


def gpu() -> Sign:
    """The GPUs that jobs may use, and whether PyTorch can use them."""
    cards = gpus()
    if not cards:
        return Sign("GPU", "none: jobs run on the CPU")
    try:
        expect_gpu()
    except BenchError as error:
        return Sign("GPU", ", ".join(cards), False, str(error))
    return Sign("GPU", ", ".join(cards))


def soundfont() -> Sign:
    """The soundfont that audio is rendered with."""
    try:
        from bench.music import audio

        return Sign("soundfont", str(audio.soundfont()))
    except Exception as error:  # noqa: BLE001 - any failure is reported, and the rest still shown
        return Sign("soundfont", "not found", False, str(error))


def data_set(name: str) -> Sign:
    """Where a data set is, or how to get it."""
    try:
        return Sign(f"data: {name}", data.describe(name).here)
    except BenchError as error:
        return Sign(f"data: {name}", "damaged", False, str(error))


def disk(out: Path) -> Sign:
    """The room for the run folder."""
    place = out if out.exists() else Path()
    free = shutil.disk_usage(place).free / 2**30
    writable = os.access(place, os.W_OK)
    return Sign(
        f"disk at {place.resolve()}",
        f"{free:.1f} GB free" if writable else "not writable",
        writable and free > 1,
        "choose another folder with --out, or make room",
    )
