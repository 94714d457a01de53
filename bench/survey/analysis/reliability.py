"""How far listeners agree, with each other and with themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import BaseModel

from bench.contract import Floats
from bench.survey.analysis.mixed import crossed
from bench.survey.analysis.ratings import repeats

if TYPE_CHECKING:
    import pandas as pd

HALVES = 200  # random splits of the listeners


class Repeats(BaseModel):
    """Clips that listeners rated twice without being told."""

    pairs: int
    change: float  # mean distance of the two ratings, in points
    same: float  # share of equal ones
    kappa: float | None  # weighted by squares


class Reliability(BaseModel):
    """Agreement of listeners. None: it cannot be told from so few."""

    alpha_ordinal: float | None
    alpha_interval: float | None
    icc_single: float | None  # of one rating of a clip, listeners and clips random
    icc_mean: float | None  # of the mean of as many ratings as a clip had
    ratings_per_clip: float
    split_half: float | None  # system means of one half of the listeners against the other
    split_half_full: float | None  # the same for all listeners (Spearman and Brown)
    repeats: Repeats | None


def alpha(
    values: Floats, units: Floats, metric: Literal["ordinal", "interval"] = "ordinal"
) -> float | None:
    """Krippendorff's alpha of ratings that belong to units; None where nothing can differ.

    1 is perfect agreement, 0 is chance. Units with one rating do not count.
    """
    levels, codes = np.unique(values, return_inverse=True)
    _, of = np.unique(units, return_inverse=True)
    counts = np.zeros((of.max() + 1 if len(of) else 0, len(levels)))
    np.add.at(counts, (of, codes), 1.0)
    counts = counts[counts.sum(axis=1) > 1]
    if not len(counts):
        return None
    sizes = counts.sum(axis=1, keepdims=True)
    coincidences = (counts / (sizes - 1)).T @ counts - np.diag((counts / (sizes - 1)).sum(axis=0))
    each = coincidences.sum(axis=1)
    place = levels.astype(float)
    if metric == "ordinal":
        place = np.cumsum(each) - each / 2  # the middle of a level's ranks
    distance = (place[:, None] - place[None]) ** 2
    expected = (np.outer(each, each) * distance).sum() / (each.sum() - 1)
    if not expected > 0:
        return None
    return float(1 - (coincidences * distance).sum() / expected)


def weighted_kappa(first: Floats, second: Floats) -> float | None:
    """Cohen's kappa with squared distances; None where all ratings are alike."""
    expected = ((first[:, None] - second[None]) ** 2).mean()
    return float(1 - ((first - second) ** 2).mean() / expected) if expected > 0 else None


def intraclass(main: pd.DataFrame) -> tuple[float, float] | None:
    """(of one rating, of the mean of a clip's ratings): clips' share of the variance."""
    found = crossed(main.assign(system="all"))
    if found is None or found.components is None:
        return None
    parts = found.components
    signal, noise = parts.clip**2, parts.rater**2 + parts.residual**2
    per_clip = len(main) / main["clip"].nunique()
    if signal + noise <= 0:
        return None
    return signal / (signal + noise), signal / (signal + noise / per_clip)


def split_half(main: pd.DataFrame, seed: int) -> tuple[float, float] | None:
    """(correlation of system means between halves of the listeners, the same for all of them)."""
    cells = main.groupby(["rater", "system"])["score"].agg(["sum", "size"]).unstack(fill_value=0)
    total, size = (cells[name].to_numpy(float) for name in ("sum", "size"))  # (raters, systems)
    raters, systems = total.shape
    if raters < 4 or systems < 3:
        return None
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(HALVES):
        half = rng.permutation(raters) < raters // 2
        if not (size[half].sum(axis=0) * size[~half].sum(axis=0)).all():
            continue
        one, other = (total[rows].sum(axis=0) / size[rows].sum(axis=0) for rows in (half, ~half))
        if np.ptp(one) > 0 and np.ptp(other) > 0:
            found.append(float(np.corrcoef(one, other)[0, 1]))
    if not found:
        return None
    r = float(np.mean(found))
    return r, 2 * r / (1 + r) if r > -1 else -1.0


def reliability(table: pd.DataFrame, seed: int = 0) -> Reliability:
    """How far the listeners of a table of ratings agree."""
    main = table[table["kind"] == "main"]
    values, units = main["score"].to_numpy(float), main["clip"].astype(str).to_numpy()
    icc = intraclass(main)
    halves = split_half(main, seed)
    pairs = repeats(table)
    again = None
    if len(pairs):
        first, second = pairs["first"].to_numpy(float), pairs["second"].to_numpy(float)
        again = Repeats(
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
        repeats=again,
    )
