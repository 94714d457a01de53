"""What is here and what is missing: versions, GPU, data, soundfont, disk."""

from __future__ import annotations

import os
import platform
import shutil
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from bench import __version__, data
from bench.engines.local import expect_gpu
from bench.engines.machine import gpus
from bench.errors import BenchError

PACKAGES = [
    "torch",
    "numpy",
    "scipy",
    "pandas",
    "scikit-learn",
    "statsmodels",
    "seaborn",
    "streamlit",
    "muspy",
    "music21",
    "pretty_midi",
    "soundfile",
    "safetensors",
    "pydantic",
    "typer",
]


@dataclass(frozen=True)
class Sign:
    """One thing looked at: how it stands, and what to do if it is not well."""

    what: str
    found: str
    well: bool = True
    advice: str = ""


def gpu() -> Sign:
    """Which GPUs jobs may use, if PyTorch can."""
    cards = gpus()
    if not cards:
        return Sign("GPU", "none: jobs run on the processors")
    try:
        expect_gpu()
    except BenchError as error:
        return Sign("GPU", ", ".join(cards), False, str(error))
    return Sign("GPU", ", ".join(cards))


def examine(out: Path) -> list[Sign]:
    """Everything a run needs, and how it stands."""
    signs = [
        Sign("musicbench", __version__),
        Sign("python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
        Sign(
            "processors",
            f"{os.cpu_count()}, {psutil.virtual_memory().total / 2**30:.0f} GB of memory",
        ),
    ]
    for name in PACKAGES:
        try:
            signs.append(Sign(name, version(name)))
        except PackageNotFoundError:
            advice = f"pip install {name} (or run ./run again)"
            signs.append(Sign(name, "not installed", False, advice))
    signs.append(gpu())
    try:
        from bench.music.audio import soundfont

        signs.append(Sign("soundfont", str(soundfont())))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what to report
        signs.append(Sign("soundfont", "not found", False, str(error)))
    for name in data.names():
        try:
            info = data.describe(name)
            signs.append(Sign(f"data: {name}", info.here))
        except BenchError as error:
            signs.append(Sign(f"data: {name}", "damaged", False, str(error)))
    place = out if out.exists() else Path()
    free = shutil.disk_usage(place).free / 2**30
    writable = os.access(place, os.W_OK)
    signs.append(
        Sign(
            f"disk at {place.resolve()}",
            f"{free:.1f} GB free" if writable else "cannot be written",
            writable and free > 1,
            "give another folder with --out, or make room",
        )
    )
    return signs
