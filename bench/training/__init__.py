"""How networks are trained here: one loop, and what several architectures share.

The loop's names are had from the package itself, `from bench.training import train`. They load
PyTorch, which the other modules do not all need, and so come with their first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.training.loop import (
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
