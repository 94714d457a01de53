"""Intervals, tests, ranks: what chance does to figures, by pieces and by training runs.

A figure varies for two reasons. The *pieces*: other prompts, other samples. Resampling them gives
draws, the same resamples for every system, so that differences are paired. The *training run*: with
another seed a system comes out differently. The seeds of a system show how much; since these are
few, their variance is pooled over systems (`pool`, `retraining`): the moderated t of Smyth (2004).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from bench.contract import Floats

RESAMPLES = 1000
LEVEL = 0.95
PRIOR_DF = 3.5  # what the pooled variance weighs against a system's own seeds, see `retraining`
OUTLIER = 5.0  # times the other systems' mean is the most that one adds to the pool, see `pool`
ASSUMED_DF = 4.0  # what the assumed ratio weighs against the seeds of a group, see `pool`


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


@dataclass(frozen=True)
class Repeats:
    """What the seeds of a system show of a figure, where there are two or more."""

    seeds: int
    excess: float  # variance over seeds beyond what their samples explain; may be below 0
    pieces: float  # variance of one seed's figure over resamples of the pieces

    @classmethod
    def of(cls, values: Floats, draws: Floats) -> Repeats:
        """From the figure of each seed, and its draws (seeds, RESAMPLES).

        Seeds differ also because their samples do. Draws are paired over seeds, so what this
        amounts to is how differently the seeds react to the same resample.
        """
        seeds = len(values)
        samples = (draws - draws.mean(axis=0)).var(axis=1).sum() / (seeds - 1)
        excess = float(values.var(ddof=1) - samples)
        return cls(seeds, excess, float(draws.var(axis=1).mean()))


@dataclass(frozen=True)
class Retraining:
    """What another training run would do to a system's figure, the mean over its seeds."""

    variance: float = 0.0  # of the mean; 0: there is nothing to train
    df: float = np.inf  # how well that is known


NOTHING = Retraining()


def pool(repeats: Iterable[Repeats], assumed: float) -> float:
    """The ratio of the variance between training runs to that over pieces, pooled over systems.

    The assumed ratio counts as ASSUMED_DF degrees of freedom: a group of few seeds leans on it. A
    system whose training broke down under one seed tells little of the others: none counts as more
    than OUTLIER times the mean of the rest. Never 0: a few seeds may agree by chance. The mean of a
    few skewed values is mostly too low, by about its standard error, which is added.
    """
    known = [each for each in repeats if each.pieces > 0]
    ratios = np.array([assumed, *(each.excess / each.pieces for each in known)])
    weights = np.array([ASSUMED_DF, *(each.seeds - 1.0 for each in known)])
    if known:
        others = ((ratios @ weights) - ratios * weights) / (weights.sum() - weights)
        ratios[1:] = np.minimum(ratios, OUTLIER * np.maximum(others, assumed / 10))[1:]
        ratios *= 1 + (len(known) + 2) ** -0.5
    return max(float(np.average(ratios, weights=weights)), assumed / 10)


def retraining(ratio: float, pieces: float, own: Repeats | None = None) -> Retraining:
    """What training does to a figure, by the pooled ratio and the system's own seeds, if any.

    The pooled variance counts as PRIOR_DF degrees of freedom: a system with one seed gets a t of so
    many, since systems are of unequal spread; own seeds add their degrees of freedom, and their
    variance by these. tests/seed_study.py is why it is 3.5: with more, too many intervals miss.
    """
    df = PRIOR_DF
    total = ratio * pieces * PRIOR_DF
    if own is None:
        return Retraining(total / df, df)
    df += own.seeds - 1
    total += (own.seeds - 1) * max(own.excess, 0.0)
    return Retraining(total / df / own.seeds, df)


def together(pieces: Floats | float, parts: Iterable[Retraining]) -> tuple[Floats, Floats]:
    """Variance and degrees of freedom (Satterthwaite) of a figure, or of a difference of two."""
    variance = np.asarray(pieces, dtype=np.float64)
    uncertain = np.zeros_like(variance)
    for part in parts:
        variance = variance + part.variance
        uncertain = uncertain + part.variance**2 / part.df
    with np.errstate(invalid="ignore", divide="ignore"):
        df = np.where(uncertain > 0, variance**2 / uncertain, np.inf)
    return variance, df


def t_quantile(df: Floats | float) -> Floats:
    """The bound of the central LEVEL of t; of a normal distribution for infinite df."""
    from scipy.special import ndtri, stdtrit

    df = np.asarray(df, dtype=np.float64)
    finite = np.where(np.isfinite(df), df, 1.0)
    upper = (1 + LEVEL) / 2
    bounds: Floats = np.where(np.isfinite(df), stdtrit(finite, upper), ndtri(upper))
    return bounds


def retrained_intervals(
    values: Sequence[float], draws: Sequence[Floats], parts: Sequence[Sequence[Retraining]]
) -> list[tuple[float, float]]:
    """`interval` of each figure, widened by what other training runs would do.

    Where nothing was trained it is that of the draws. Else both ends keep what the pieces say of
    their side: the distance of an end to the value, as a share of the normal one, is its spread.
    """
    ends = intervals(draws)
    normal = float(t_quantile(np.inf))
    widened = []
    for value, (low, high), part in zip(values, ends, parts, strict=True):
        if any(each.variance for each in part):
            sides = np.array([value - low, high - value]).clip(0.0) / normal
            variance, df = together(sides**2, part)
            below, above = t_quantile(df) * np.sqrt(variance)
            low, high = value - float(below), value + float(above)
        widened.append((low, high))
    return widened


def p_retrained(gap: float, draws: Floats, parts: Sequence[Retraining]) -> float:
    """The two-sided p-value of a gap between two systems, by t with their training runs counted."""
    from scipy.special import ndtr, stdtr

    variance, df = (float(value) for value in together(float(np.var(draws)), parts))
    if variance <= 0:
        return float(gap == 0)
    distance = -abs(gap) / np.sqrt(variance)
    return float(2 * (stdtr(df, distance) if np.isfinite(df) else ndtr(distance)))


def apart(
    draws: Sequence[Floats], values: Sequence[float], parts: Sequence[Retraining] | None = None
) -> NDArray[np.bool_]:
    """(systems, systems) which are *separated*: they differ, at 1 - LEVEL over all pairs together.

    A pair's gap is put on the scale of its own interval. The largest of all that chance makes of
    equal systems is simulated: the errors of the draws, paired, and of other training runs. Pairs
    above its 1 - LEVEL bound are separated; the rest is tried again without these (Romano and
    Wolf 2005). Holm's correction would ignore that pairs share systems, and that with few seeds a
    t of few degrees of freedom never reaches what 780 pairs ask for.
    """
    n = len(values)
    parts = parts if parts is not None else [NOTHING] * n
    separated = np.zeros((n, n), dtype=bool)
    if n < 2:
        return separated
    a, b = np.triu_indices(n, 1)
    errors = np.stack(draws)
    errors = errors - errors.mean(axis=1, keepdims=True)
    pieces = (errors[a] - errors[b]).var(axis=1)
    trained = np.array([part.variance for part in parts])
    dfs = np.array([part.df for part in parts])
    variance = pieces + trained[a] + trained[b]
    uncertain = trained[a] ** 2 / dfs[a] + trained[b] ** 2 / dfs[b]
    with np.errstate(invalid="ignore", divide="ignore"):
        df = np.where(uncertain > 0, variance**2 / uncertain, np.inf)
    scale = t_quantile(df) * np.sqrt(variance)
    gaps = np.abs(np.array(values)[a] - np.array(values)[b])
    errors = errors + np.sqrt(trained)[:, None] * _t_noise(n, errors.shape[1], dfs)
    with np.errstate(invalid="ignore", divide="ignore"):
        gaps = np.where(scale > 0, gaps / scale, np.where(gaps > 0, np.inf, 0.0))
        chance = np.where(scale[:, None] > 0, np.abs(errors[a] - errors[b]) / scale[:, None], 0.0)
    open_ = np.ones(len(a), dtype=bool)
    while open_.any():
        bound = np.quantile(chance[open_].max(axis=0), LEVEL)
        above = open_ & (gaps > bound)
        if not above.any():
            break
        open_ &= ~above
    separated[a[~open_], b[~open_]] = separated[b[~open_], a[~open_]] = True
    return separated


def _t_noise(n: int, columns: int, df: Floats) -> Floats:
    """(n, columns) of Student's t with df by row, the same whenever it is asked for."""
    rng = np.random.default_rng([n, columns])
    normal = rng.normal(size=(n, columns))
    finite = np.where(np.isfinite(df), df, 1.0)[:, None]
    spread = np.sqrt(rng.chisquare(finite, size=(n, columns)) / finite)
    noise: Floats = np.where(np.isfinite(df)[:, None], normal / spread, normal)
    return noise


def ranks(
    draws: Sequence[Floats], values: Sequence[float], parts: Sequence[Retraining] | None = None
) -> list[tuple[int, int, int]]:
    """(rank, low, high) of each system, higher values first.

    Low and high are what the tests allow (`apart`): after every system that is surely better,
    before every one that is surely worse. The rank is low, but never better than that of a system
    of higher value: where a precise system is surely behind the leader and an uncertain one below it
    is not, the second does not overtake the first for being uncertain. It always lies within low
    and high: whatever is surely better than a system of higher value has a higher value itself.
    """
    if not len(values):
        return []
    column, different = np.array(values), apart(draws, values, parts)
    better = (different & (column[None] > column[:, None])).sum(axis=1)
    worse = (different & (column[None] < column[:, None])).sum(axis=1)
    first, last = 1 + better, len(values) - worse
    rank = np.array([first[column >= value].max() for value in values])
    return [(int(rank[i]), int(first[i]), int(last[i])) for i in range(len(values))]
