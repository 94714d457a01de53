"""How well listeners agree with each other and with themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import BaseModel

from bench.contract import Floats
from bench.survey.analysis.mixed import crossed
from bench.survey.analysis.ratings import repeats

if TYPE_CHECKING:
    import pandas as pd

SPLITS = 200  # of the listeners into random halves


class Repeats(BaseModel):
    """Clips that listeners rated twice, without knowing it."""

    pairs: int
    change: float  # mean absolute difference of the two ratings, in points
    same: float  # share of pairs with equal ratings
    kappa: float | None  # with quadratic weights


class Reliability(BaseModel):
    """Agreement of listeners. A value is None where the ratings are too few for it."""

    alpha_ordinal: float | None
    alpha_interval: float | None
    icc_single: float | None  # of one rating of a clip; listeners and clips are random
    icc_mean: float | None  # of the mean of a clip's ratings
    ratings_per_clip: float
    split_half: float | None  # correlation of system means between halves of the listeners
    split_half_full: float | None  # predicted for all listeners (Spearman and Brown)
    repeats: Repeats | None


def alpha(
    values: Floats, units: Floats, metric: Literal["ordinal", "interval"] = "ordinal"
) -> float | None:
    """Krippendorff's alpha of ratings of units; None where all ratings are equal or none is paired.

    1 is perfect agreement, 0 is chance. Units with one rating do not count.
    """
    levels, codes = np.unique(values, return_inverse=True)
    _, unit = np.unique(units, return_inverse=True)
    counts = np.zeros((unit.max() + 1 if len(unit) else 0, len(levels)))  # (units, levels)
    np.add.at(counts, (unit, codes), 1.0)
    counts = counts[counts.sum(axis=1) > 1]
    if not len(counts):
        return None
    sizes = counts.sum(axis=1, keepdims=True)
    coincidences = (counts / (sizes - 1)).T @ counts - np.diag((counts / (sizes - 1)).sum(axis=0))
    totals = coincidences.sum(axis=1)
    place = levels.astype(float)
    if metric == "ordinal":
        place = np.cumsum(totals) - totals / 2  # the middle of a level's ranks
    distance = (place[:, None] - place[None]) ** 2
    expected = (np.outer(totals, totals) * distance).sum() / (totals.sum() - 1)
    if not expected > 0:
        return None
    return float(1 - (coincidences * distance).sum() / expected)


def weighted_kappa(first: Floats, second: Floats) -> float | None:
    """Cohen's kappa with quadratic weights; None where all ratings are equal."""
    expected = ((first[:, None] - second[None]) ** 2).mean()
    return float(1 - ((first - second) ** 2).mean() / expected) if expected > 0 else None


def intraclass(main: pd.DataFrame) -> tuple[float, float] | None:
    """(of one rating, of the mean of a clip's ratings): the share of variance between clips."""
    estimates = crossed(main.assign(system="all"))
    if estimates is None or estimates.components is None:
        return None
    parts = estimates.components
    signal, noise = parts.clip**2, parts.rater**2 + parts.residual**2
    per_clip = len(main) / main["clip"].nunique()
    if signal + noise <= 0:
        return None
    return signal / (signal + noise), signal / (signal + noise / per_clip)


def split_half(main: pd.DataFrame, seed: int) -> tuple[float, float] | None:
    """(correlation of system means between halves of the listeners, predicted for all of them)."""
    cells = main.groupby(["rater", "system"])["score"].agg(["sum", "size"]).unstack(fill_value=0)
    total, size = (cells[name].to_numpy(float) for name in ("sum", "size"))  # (raters, systems)
    raters, systems = total.shape
    if raters < 4 or systems < 3:
        return None
    rng = np.random.default_rng(seed)
    correlations = []
    for _ in range(SPLITS):
        half = rng.permutation(raters) < raters // 2
        if not (size[half].sum(axis=0) * size[~half].sum(axis=0)).all():
            continue
        means = [total[rows].sum(axis=0) / size[rows].sum(axis=0) for rows in (half, ~half)]
        if all(np.ptp(half_means) > 0 for half_means in means):
            correlations.append(float(np.corrcoef(*means)[0, 1]))
    if not correlations:
        return None
    r = float(np.mean(correlations))
    return r, 2 * r / (1 + r) if r > -1 else -1.0


def reliability(table: pd.DataFrame, seed: int = 0) -> Reliability:
    """All measures of agreement of a table of ratings."""
    main = table[table["kind"] == "main"]
    values, units = main["score"].to_numpy(float), main["clip"].astype(str).to_numpy()
    icc = intraclass(main)
    halves = split_half(main, seed)
    pairs = repeats(table)
    rated_twice = None
    if len(pairs):
        first, second = pairs["first"].to_numpy(float), pairs["second"].to_numpy(float)
        rated_twice = Repeats(
            pairs=len(pairs),
            change=float(pairs["change"].mean()),
            same=float((first == second).mean()),
            kappa=weighted_kappa(first, second),
        )
    return Reliability(
        alpha_ordinal=alpha(values, units),
        alpha_interval=alpha(values, units, "interval"),
        icc_single=icc[0] if icc else None,
        icc_mean=icc[1] if icc else None,
        ratings_per_clip=len(main) / main["clip"].nunique(),
        split_half=halves[0] if halves else None,
        split_half_full=halves[1] if halves else None,
        repeats=rated_twice,
    )
