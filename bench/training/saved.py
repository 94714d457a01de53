"""A saved system: its settings and other plain values as JSON, its arrays as safetensors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.errors import BenchError
from bench.files import read_json, write, write_json

Arrays = Mapping[str, NDArray[Any]]


def save(folder: Path, values: Mapping[str, Any], arrays: Arrays | None = None) -> None:
    """Put the values and the arrays into the folder."""
    from safetensors.numpy import save as to_bytes

    whole = {name: np.ascontiguousarray(array) for name, array in (arrays or {}).items()}
    write(folder / "arrays.safetensors", to_bytes(whole))
    write_json(folder / "system.json", dict(values))


def load(folder: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """The values and the arrays that `save` put into the folder."""
    from safetensors.numpy import load_file

    values, arrays = read_json(folder / "system.json"), folder / "arrays.safetensors"
    if not isinstance(values, dict) or not arrays.is_file():
        raise BenchError(f"{folder} holds no saved system; train it again.")
    return values, load_file(arrays)
