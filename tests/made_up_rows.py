"""Rows of a board that no job stands behind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from bench.board.rows import Evidence, MetricCells, Row
from bench.contract import Floats
from bench.protocol import statistics


def row(
    system: str = "x",
    *,
    metrics: Mapping[str, MetricCells | float | None] | None = None,
    anchor: Literal[0, 1] | None = None,
    exact: Mapping[str, float] | None = None,
    draws: Mapping[str, Floats] | None = None,
    **columns: Any,
) -> Row:
    """A row of one finished job; a metric may be given by its value alone."""
    defaults: dict[str, Any] = {
        "kind": "paper", "variant": "corrected", "dataset": "toy", "dataset_version": 1,
        "preset": "quick", "status": "ok", "seeds": 1, "pieces": 4, "steps": 32, "prompted": True,
        "budget": 5, "budget_unit": "updates", "device": "cpu", "dataset_fingerprint": "f",
        "jobs": f"{system}.job",
    }  # fmt: skip
    cells = {
        name: value if isinstance(value, MetricCells) else MetricCells(value)
        for name, value in (metrics or {}).items()
    }
    evidence = Evidence(anchor, dict(exact or {}), dict(draws or {}))
    return Row(system=system, metrics=cells, evidence=evidence, **(defaults | columns))


def spread(seed: int, deviation: float = 0.3) -> Floats:
    """How a figure varies over resamples."""
    return np.random.default_rng(seed).normal(scale=deviation, size=statistics.RESAMPLES)
