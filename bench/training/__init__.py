"""How networks are trained here: one loop, and what several architectures share.

The loop's functions can be imported from the package: `from bench.training import train`. They need
PyTorch, which not every module here does, and are therefore loaded when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.training.loop import (
        Anneal,
        Outcome,
        batch,
        batches_per_pass,
        device,
        seeded,
        train,
        updates,
        whole_batch,
    )

__all__ = [
    "Anneal",
    "Outcome",
    "batch",
    "batches_per_pass",
    "device",
    "seeded",
    "train",
    "updates",
    "whole_batch",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from bench.training import loop

    return getattr(loop, name)
