"""Intervals, corrections for many comparisons, ranks with ties."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from bench.contract import Floats

RESAMPLES = 1000
LEVEL = 0.95


@cache
def resamples(n: int) -> NDArray[np.int64]:
    """(RESAMPLES, n) piece indices drawn with replacement, the same for every system: paired."""
    draws = (
        np.random.default_rng(n).integers(n, size=(RESAMPLES, n)) if n else np.zeros((RESAMPLES, 0))
    )
    draws = draws.astype(np.int64)
    draws.flags.writeable = False
    return draws


@cache
def _counts(n: int) -> Floats:
    """(RESAMPLES, n) how often each piece is in each resample."""
    rows = resamples(n)
    counts = np.zeros(rows.shape)
    np.add.at(counts, (np.arange(len(rows))[:, None], rows), 1.0)
    return counts


def mean_draws(per_piece: Floats) -> Floats | None:
    """(RESAMPLES,) the mean of each resample, without the pieces that have no value (NaN).

    None where a resample has no piece with a value.
    """
    return mean_draws_of_each({"": per_piece}).get("")


def mean_draws_of_each(per_piece: Mapping[str, Floats]) -> dict[str, Floats]:
    """`mean_draws` of each, where there are some: one matrix product for all of one length."""
    draws: dict[str, Floats] = {}
    for n in {len(values) for values in per_piece.values()} - {0}:
        names = [name for name, values in per_piece.items() if len(values) == n]
        values = np.stack([per_piece[name] for name in names], axis=1)  # (n, names)
        present = ~np.isnan(values)
        count = _counts(n) @ present.astype(np.float64)  # (RESAMPLES, names)
        with np.errstate(invalid="ignore", divide="ignore"):
            means = _counts(n) @ np.where(present, values, 0.0) / count
        draws |= {name: means[:, i] for i, name in enumerate(names) if count[:, i].all()}
    return draws


def ratio_draws(numerator: Floats, denominator: Floats) -> Floats:
    """(RESAMPLES,) the ratio of the sums over each resample, such as nats per step."""
    rows = resamples(len(numerator))
    ratio: Floats = numerator[rows].sum(axis=1) / denominator[rows].sum(axis=1)
    return ratio


def over_seeds(draws: Sequence[Floats]) -> Floats:
    """(RESAMPLES,) draws of the mean over seeds, which are resampled too; of one seed its draws."""
    if len(draws) == 1:
        return draws[0]
    table = np.stack(draws)  # (seeds, RESAMPLES)
    seeds, columns = table.shape
    chosen = np.random.default_rng(seeds).integers(seeds, size=(seeds, columns))
    means: Floats = np.take_along_axis(table, chosen, axis=0).mean(axis=0)
    return means


def interval(draws: Floats) -> tuple[float, float]:
    """The bounds of the central LEVEL of the draws."""
    return intervals([draws])[0]


def intervals(draws: Sequence[Floats]) -> list[tuple[float, float]]:
    """`interval` of each, all at once."""
    if not len(draws):
        return []
    ends = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    low, high = np.quantile(np.stack(draws), ends, axis=1)
    return list(zip(low.tolist(), high.tolist(), strict=True))


def holm(p: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values: rejecting below a level keeps the family-wise error below it."""
    order = np.argsort(p)
    adjusted = np.maximum.accumulate(
        [min(1.0, p[i] * (len(p) - place)) for place, i in enumerate(order)] or [0.0]
    )
    result = np.empty(len(p))
    result[order] = adjusted[: len(p)]
    return [float(value) for value in result]


def p_of(gap: float, draws: Floats) -> float:
    """The two-sided p-value of a gap, by a normal distribution with the draws' spread."""
    from scipy.special import ndtr  # scipy.stats would take ten times as long to import

    spread = float(np.std(draws))
    return float(2 * ndtr(-abs(gap) / spread)) if spread > 0 else float(gap == 0)


def apart(draws: Sequence[Floats], values: Sequence[float]) -> NDArray[np.bool_]:
    """(systems, systems) which differ significantly: a paired normal test, Holm over all pairs."""
    n = len(values)
    pairs = [(a, b) for a in range(n) for b in range(a + 1, n)]
    p = [p_of(values[a] - values[b], draws[a] - draws[b]) for a, b in pairs]
    differ = np.zeros((n, n), dtype=bool)
    for (a, b), adjusted in zip(pairs, holm(p), strict=True):
        differ[a, b] = differ[b, a] = adjusted < 1 - LEVEL
    return differ


def ranks(draws: Sequence[Floats], values: Sequence[float]) -> list[tuple[int, int, int]]:
    """(rank, low, high) of each system, higher values first.

    A rank is one more than the number of systems that are significantly better (`apart`); systems
    that do not differ significantly may share one. Low and high bound the rank: the system comes
    after all that are significantly better, and before all that are significantly worse.
    """
    if not len(values):
        return []
    column, different = np.array(values), apart(draws, values)
    better = (different & (column[None] > column[:, None])).sum(axis=1)
    worse = (different & (column[None] < column[:, None])).sum(axis=1)
    first, last = 1 + better, len(values) - worse
    return [(int(first[i]), int(first[i]), int(last[i])) for i in range(len(values))]
