"""Paired differences between two contestants that continued the same prompts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bench import statistics
from bench.contract import Floats
from bench.scoring import read_arrays, read_scores
from bench.store import JobFolder
from dashboards.board_view import Cells
from dashboards.job_view import result_of


@dataclass(frozen=True)
class Measured:
    """One contestant's figures with the draws behind them, averaged over its seeds."""

    values: Mapping[str, float]
    draws: Mapping[str, Floats]
    versions: Mapping[str, int]


@dataclass(frozen=True)
class Difference:
    """A figure of one contestant minus that of another, with its 95 % interval."""

    name: str
    one: float
    other: float
    difference: float
    low: float
    high: float

    @property
    def clear(self) -> bool:
        """Whether the interval leaves no doubt about the sign."""
        return self.low > 0 or self.high < 0


def measured(there: Sequence[JobFolder]) -> Measured:
    """What the jobs of one row found; metrics without a value for every seed are left out."""
    scores = [read_scores(folder) for folder in there]
    arrays = [read_arrays(folder) for folder in there]
    names = [name for name in scores[0] if all(name in one for one in scores)] if scores else []
    values: dict[str, float] = {}
    draws: dict[str, Floats] = {}
    versions: dict[str, int] = {}
    for name in names:
        found = [one[name].get("value") for one in scores]
        drawn = [one[f"{name}.draws"] for one in arrays if f"{name}.draws" in one]
        if None not in found and len(drawn) == len(there):
            values[name] = float(np.mean(found))
            draws[name] = statistics.over_seeds(drawn)
            versions[name] = scores[0][name].get("version", 0)
    found_loss = loss(there)
    if found_loss is not None:
        values["nats_per_step"], draws["nats_per_step"] = found_loss
    return Measured(values, draws, versions)


def loss(there: Sequence[JobFolder]) -> tuple[float, Floats] | None:
    """Nats per step with its draws; none where a seed has no likelihood."""
    results = [result_of(folder).get("likelihood", {}) for folder in there]
    if not results or not all(one.get("nats") for one in results):
        return None
    steps = np.array(results[0]["steps"])
    nats = [-np.array(one["nats"]) for one in results]
    if any(one.shape != steps.shape for one in nats) or not steps.sum():
        return None
    draws = statistics.over_seeds([statistics.ratio_draws(one, steps) for one in nats])
    return float(np.mean([one.sum() / steps.sum() for one in nats])), draws


def differences(one: Measured, other: Measured, same_loss: bool) -> list[Difference]:
    """One minus the other, figure by figure: the draws resample the same prompts for both.

    Losses are compared only where they describe the same object (`same_loss`).
    """
    found = []
    for name in one.values:
        if name not in other.values or one.versions.get(name) != other.versions.get(name):
            continue
        if name == "nats_per_step" and not same_loss:
            continue
        low, high = statistics.interval(one.draws[name] - other.draws[name])
        a, b = one.values[name], other.values[name]
        found.append(Difference(name, a, b, a - b, low, high))
    return found


def same_loss(one: Cells, other: Cells) -> bool:
    """Whether the losses of two rows say something about the same thing."""
    keys = ("likelihood_object", "likelihood_pieces")
    return bool(one.get(keys[0])) and all(one.get(key) == other.get(key) for key in keys)


def scale(rows: Sequence[Cells], name: str) -> float | None:
    """What a metric gains on its way from skill 0 to skill 1; none where the rows do not tell."""
    known = [
        (row[f"{name}_skill"], row[name])
        for row in rows
        if row.get(f"{name}_skill") is not None and row.get(name) is not None
    ]
    if not known:
        return None
    (low, at_low), (high, at_high) = min(known), max(known)
    return (at_high - at_low) / (high - low) if high > low else None
