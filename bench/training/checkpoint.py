"""A tree of tensors, arrays, numbers and strings in one safetensors file. No pickle anywhere."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bench.errors import BenchError
from bench.files import replacing


def save_tree(path: Path, tree: Any) -> None:
    """Write the tree to `path`, either whole or not at all."""
    import torch
    from safetensors.torch import save_file

    tensors: dict[str, torch.Tensor] = {}

    def strip(node: Any) -> Any:
        if isinstance(node, Mapping):
            if not all(isinstance(key, str) for key in node):
                raise BenchError(f"a state's keys must be strings, not {list(node)[:3]}")
            return {key: strip(value) for key, value in node.items()}
        if isinstance(node, list | tuple):
            return [strip(value) for value in node]
        if isinstance(node, torch.Tensor | np.ndarray):
            kind = "array" if isinstance(node, np.ndarray) else "tensor"
            tensor = torch.from_numpy(node.copy()) if isinstance(node, np.ndarray) else node
            name = str(len(tensors))
            # A copy: safetensors refuses tensors that share memory, as tied weights do.
            tensors[name] = tensor.detach().cpu().clone().contiguous()
            return {f"<{kind}>": name}
        if node is None or isinstance(node, bool | int | float | str):
            return node
        raise BenchError(f"a state cannot hold a {type(node).__name__}: {node!r}")

    structure = json.dumps(strip(tree))
    with replacing(path) as temporary:
        save_file(tensors, temporary, metadata={"tree": structure})


def load_tree(path: Path) -> Any | None:
    """The tree at `path`; none where there is no file or it is damaged."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            structure = json.loads((file.metadata() or {})["tree"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, KeyError, ValueError, OSError):
        return None

    def fill(node: Any) -> Any:
        if isinstance(node, dict):
            if "<tensor>" in node:
                return tensors[node["<tensor>"]]
            if "<array>" in node:
                return tensors[node["<array>"]].numpy()
            return {key: fill(value) for key, value in node.items()}
        if isinstance(node, list):
            return [fill(value) for value in node]
        return node

    return fill(structure)
