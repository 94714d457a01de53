"""Agreement of metrics with listeners: rank correlation over systems, with its uncertainty."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import permutations
from math import factorial
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel

from bench import registry
from bench.board.rows import Row
from bench.contract import Floats
from bench.jobs.run_folder import JobFolder, RunFolder
from bench.jobs.scores import read_scores
from bench.protocol.statistics import interval
from bench.survey.analysis.mixed import Estimates, crossed
from bench.survey.analysis.power import ALPHA

if TYPE_CHECKING:
    import pandas as pd

FEWEST = 4  # systems, below which no correlation is computed
WIDE = 1.0  # an interval of tau this wide is called inconclusive
BOOTSTRAPS = 2000
SHUFFLES = 9999


class Agreement(BaseModel):
    """The correlation of one metric with the ratings, over systems.

    Positive: systems that are better by the metric are rated better. For a metric without a
    direction, higher counts as better. The interval comes from resampling the systems, and their
    ratings within their uncertainty.
    """

    metric: str
    direction: str
    systems: int
    tau: float | None = None  # Kendall's tau-b
    tau_low: float | None = None
    tau_high: float | None = None
    spearman: float | None = None
    p: float | None = None  # of no relation, by permutation
    p_fdr: float | None = None  # corrected over all metrics (Benjamini and Hochberg)
    tau_with_references: float | None = None  # with human music and random notes too
    references: int = 0
    clips: int = 0
    slope: float | None = None  # within systems: points per standard deviation of the metric
    slope_low: float | None = None
    slope_high: float | None = None
    verdict: str = ""
    values: dict[str, float] = {}  # the metric's, by system


def tau(x: Floats, y: Floats) -> Floats:
    """Kendall's tau-b along the last axis; NaN where one side is constant."""
    upper = np.triu_indices(x.shape[-1], 1)
    a = np.sign(x[..., upper[0]] - x[..., upper[1]])
    b = np.sign(y[..., upper[0]] - y[..., upper[1]])
    with np.errstate(invalid="ignore"):
        correlation: Floats = (a * b).sum(-1) / np.sqrt((a * a).sum(-1) * (b * b).sum(-1))
    return correlation


def permutation_p(x: Floats, y: Floats, seed: int) -> float:
    """Two-sided p of tau by permutation: over all orders if they are few, else over random ones."""
    n, observed = len(x), abs(float(tau(x, y)))
    if factorial(n) <= SHUFFLES:
        order = np.array(list(permutations(range(n))))
        return float((np.abs(tau(x[order], y)) >= observed - 1e-12).mean())
    rng = np.random.default_rng(seed)
    order = rng.permuted(np.tile(np.arange(n), (SHUFFLES, 1)), axis=1)
    return float(((np.abs(tau(x[order], y)) >= observed - 1e-12).sum() + 1) / (SHUFFLES + 1))


def ceiling(estimates: Estimates) -> float | None:
    """The highest correlation that a perfect metric could have with means this noisy.

    None with fewer than three systems.
    """
    covariance, n = estimates.covariance, len(estimates.means)
    if n < 3:
        return None
    shared = (covariance.sum() - np.trace(covariance)) / (n * (n - 1))
    noise = np.trace(covariance) / n - shared
    spread = np.var(estimates.means, ddof=1)
    return float(np.sqrt(max(0.0, 1 - noise / spread))) if spread > 0 else None


def agreement(
    estimates: Estimates,
    means: Mapping[str, float],
    metric_values: Mapping[str, Mapping[str, float]],
    directions: Mapping[str, str],
    main: pd.DataFrame,
    clips: pd.DataFrame | None = None,
    seed: int = 0,
) -> list[Agreement]:
    """The agreement of every metric of `directions` with the ratings.

    `means` are the mean ratings of all systems, the references included; `metric_values` holds the
    metrics' values by system; `clips` those of single clips (index: the clip), for metrics with a
    value per piece.
    """
    from scipy.stats import false_discovery_control, spearmanr

    agreements = []
    for number, (metric, direction) in enumerate(sorted(directions.items())):
        sign = -1.0 if direction == "lower" else 1.0
        chosen = [i for i, s in enumerate(estimates.systems) if metric in metric_values.get(s, {})]
        names = [estimates.systems[i] for i in chosen]
        rated = [name for name in means if metric in metric_values.get(name, {})]
        result = Agreement(
            metric=metric,
            direction=direction,
            systems=len(chosen),
            references=len(rated) - len(chosen),
            values={name: metric_values[name][metric] for name in rated},
        )
        agreements.append(result)
        if result.references and len(rated) >= FEWEST:
            x_rated = sign * np.array([metric_values[name][metric] for name in rated])
            value = float(tau(x_rated, np.array([means[name] for name in rated])))
            result.tau_with_references = value if np.isfinite(value) else None
        x = sign * np.array([metric_values[name][metric] for name in names])
        y = estimates.means[chosen]
        if len(chosen) < FEWEST or np.ptp(x) == 0 or np.ptp(y) == 0:
            continue
        result.tau = float(tau(x, y))
        result.spearman = float(spearmanr(x, y).statistic)
        result.p = permutation_p(x, y, seed + number)
        rng = np.random.default_rng([seed, number])
        drawn = estimates.draws(BOOTSTRAPS, seed + number)[:, chosen]  # (draws, systems)
        rows = rng.integers(len(chosen), size=drawn.shape)
        taus = tau(x[rows], np.take_along_axis(drawn, rows, axis=1))
        result.tau_low, result.tau_high = interval(taus[np.isfinite(taus)])
        if clips is not None and metric in clips:
            fit_within(result, main, clips[metric] * sign, estimates)
    tested = [result for result in agreements if result.p is not None]
    corrected = false_discovery_control([result.p for result in tested]) if tested else []
    for result, p in zip(tested, corrected, strict=True):
        result.p_fdr = float(p)
    for result in agreements:
        result.verdict = verdict(result)
    return agreements


def fit_within(
    result: Agreement, main: pd.DataFrame, values: pd.Series, estimates: Estimates
) -> None:
    """Fill in the slope within systems: whether clips that the metric prefers are rated better."""
    table = main.assign(metric=main["clip"].map(values)).dropna(subset="metric")
    per_clip = table.drop_duplicates("clip").set_index("clip")
    centred = per_clip["metric"] - per_clip.groupby("system")["metric"].transform("mean")
    spread = float(np.sqrt((centred**2).sum() / max(len(centred) - table["system"].nunique(), 1)))
    if len(per_clip) < 2 * FEWEST or not spread > 0:
        return
    z = table["clip"].map(centred / spread).to_numpy(float)
    fitted = crossed(table, covariates={"metric": z}, near=estimates.components)
    if fitted is not None:
        place = len(fitted.systems) - 1
        result.clips = len(per_clip)
        result.slope, result.slope_low, result.slope_high, _ = fitted.coefficient(place)


def verdict(result: Agreement) -> str:
    """What can be concluded, in words."""
    if result.systems < FEWEST:
        return (
            f"too few systems: {result.systems}; at least {FEWEST - result.systems} more are"
            " needed, and 20 in all for a useful answer"
        )
    low, high = result.tau_low, result.tau_high
    if result.tau is None or low is None or high is None or result.p_fdr is None:
        return "no answer: the metric or the rating is equal for all systems"
    numbers = f"{result.systems} systems, tau between {low:.2f} and {high:.2f}"
    sure = low > 0 or high < 0
    if not sure or high - low > WIDE or result.p_fdr > ALPHA:
        return f"inconclusive ({numbers})"
    return f"{'agrees with' if result.tau > 0 else 'contradicts'} listeners ({numbers})"


# -- where the metrics' values come from ----------------------------------------------------------


def figures_of(
    rows: Sequence[Row], table: pd.DataFrame
) -> tuple[dict[str, dict[str, float]], dict[str, str]]:
    """(values by system and metric, direction by metric) of what a table of ratings rates.

    Rows of a board count that come from the very jobs whose samples were rated, and among them
    those that are comparable with each other; the anchors of the same group stand for human music
    and for the low anchor.
    """
    rated = table[table["role"] == "system"].groupby("system")["job"].unique()
    chosen = {
        label: row for label, jobs in rated.items() for row in rows if set(jobs) & set(row.job_ids)
    }
    if not chosen:
        return {}, {}
    (standing, _), *_ = Counter(row.standing for row in chosen.values()).most_common(1)
    chosen = {label: row for label, row in chosen.items() if row.standing == standing}
    for role, anchor in (("human", 1), ("anchor", 0)):
        for label in table.loc[table["role"] == role, "system"].unique():
            for row in rows:
                if row.evidence.anchor == anchor and row.standing == standing:
                    chosen[label] = row
    directions = {name: cls.direction for name, cls in registry.metrics().items()}
    figures = {
        label: {
            name: cells.value
            for name, cells in row.metrics.items()
            if name in directions and cells.value is not None
        }
        for label, row in chosen.items()
    }
    known = {name for values in figures.values() for name in values}
    return figures, {name: direction for name, direction in directions.items() if name in known}


def clip_figures(runs: RunFolder, clips: Mapping[str, tuple[str, int]]) -> pd.DataFrame:
    """Metrics of single clips (rows), from the job and the number of the sample behind each clip.

    They describe the whole sample, of which the clip is the beginning.
    """
    import pandas as pd

    per_piece = {
        job: read_scores(JobFolder(runs.root / "jobs" / job)).per_piece
        for job in {job for job, _ in clips.values() if job}
    }
    figures = {
        clip: {
            metric: float(values[piece])
            for metric, values in per_piece[job].items()
            if piece < len(values)
        }
        for clip, (job, piece) in clips.items()
        if job
    }
    return pd.DataFrame.from_dict(figures, orient="index", dtype=float)
