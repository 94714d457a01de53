"""Checks of the main result by other methods: order effects, rank tests, an ordinal model."""

from __future__ import annotations

import warnings
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel

from bench.contract import Floats
from bench.protocol.statistics import holm
from bench.survey.analysis.mixed import Estimates, crossed

if TYPE_CHECKING:
    import pandas as pd

MARGIN = 0.5  # points; systems that differ by less are called equally good


class OmnibusTest(BaseModel):
    """A test over all systems at once."""

    name: str
    statistic: float
    p: float
    raters: int
    note: str


class PairTest(BaseModel):
    """Wilcoxon's signed-rank test of two systems on listeners' means; p after Holm's correction."""

    first: str
    second: str
    p: float


class OrderEffects(BaseModel):
    """The effect of the order of clips on the scores."""

    drift: float | None  # points from the first position to the last
    drift_low: float | None
    drift_high: float | None
    drift_p: float | None
    carry: float | None  # points per point of the mean of the system before
    carry_low: float | None
    carry_high: float | None
    carry_p: float | None
    shift: float | None  # largest change of a system's mean when the model has both effects


class Checks(BaseModel):
    """The results of all checks."""

    order: OrderEffects | None
    friedman: OmnibusTest | None
    signed_rank: list[PairTest]
    kruskal: OmnibusTest | None
    ordinal: dict[str, float] | None  # log odds of a higher score, by system, minus their mean
    ordinal_agreement: float | None  # Kendall's tau between those and the means


def order_effects(
    main: pd.DataFrame, everything: pd.DataFrame, estimates: Estimates
) -> OrderEffects | None:
    """The model with two covariates: the position, and the mean score of the system heard before.

    `everything` holds the references too, since they may have been heard before.
    """
    last = main["position"].max() - main["position"].min()
    if last == 0:
        return None
    means = everything.groupby("name")["score"].mean()
    before = main["previous_system"].map(means - means.mean()).fillna(0.0).to_numpy(float)
    position = (main["position"] / last).to_numpy(float)
    covariates = {"position": position - position.mean()}
    if np.ptp(before) > 0:
        covariates["previous"] = before - before.mean()
    fitted = crossed(main, covariates=covariates, near=estimates.components)
    if fitted is None:
        return None
    n = len(estimates.systems)
    drift, drift_low, drift_high, drift_p = fitted.coefficient(n)
    carry, carry_low, carry_high, carry_p = (
        fitted.coefficient(n + 1) if "previous" in covariates else (None, None, None, None)
    )
    means = fitted.means[:n]
    shifts = means - means.mean() - estimates.means + estimates.means.mean()
    return OrderEffects(
        drift=drift,
        drift_low=drift_low,
        drift_high=drift_high,
        drift_p=drift_p,
        carry=carry,
        carry_low=carry_low,
        carry_high=carry_high,
        carry_p=carry_p,
        shift=float(np.abs(shifts).max()),
    )


def nonparametric(
    main: pd.DataFrame,
) -> tuple[OmnibusTest | None, list[PairTest], OmnibusTest | None]:
    """Friedman and signed-rank tests over listeners who heard every system, and Kruskal-Wallis."""
    from scipy import stats

    means = main.pivot_table(index="rater", columns="system", values="score").dropna()
    systems = list(means)
    pooled = [rows["score"].to_numpy(float) for _, rows in main.groupby("system")]
    kruskal = friedman = None
    pairs: list[PairTest] = []
    if len(pooled) > 1 and main["score"].nunique() > 1:
        statistic, p = stats.kruskal(*pooled)
        kruskal = OmnibusTest(
            name="Kruskal and Wallis",
            statistic=float(statistic),
            p=float(p),
            raters=main["rater"].nunique(),
            note="as in papers; it assumes independent ratings, which these are not",
        )
    if len(systems) < 2 or len(means) < 5:
        return friedman, pairs, kruskal
    if len(systems) > 2 and (means.nunique(axis=1) > 1).any():
        statistic, p = stats.friedmanchisquare(*(means[name] for name in systems))
        friedman = OmnibusTest(
            name="Friedman",
            statistic=float(statistic),
            p=float(p),
            raters=len(means),
            note="on listeners' means; valid for these clips only",
        )
    tests = []
    for a, b in combinations(systems, 2):
        same = bool((means[a] == means[b]).all())
        # Ties are common here, and with ties there is no exact distribution.
        p = 1.0 if same else float(stats.wilcoxon(means[a], means[b], method="approx").pvalue)
        tests.append((a, b, p))
    corrected = holm([p for _, _, p in tests])
    pairs = [
        PairTest(first=a, second=b, p=p) for (a, b, _), p in zip(tests, corrected, strict=True)
    ]
    return friedman, pairs, kruskal


def ordinal(main: pd.DataFrame) -> dict[str, float] | None:
    """Log odds of each system in a proportional-odds model with each listener's mean; None: no fit.

    The model uses only the order of the scores, but ignores that clips vary: it checks the order of
    systems, not their intervals.
    """
    import pandas as pd
    from statsmodels.miscmodels.ordinal_model import OrderedModel

    systems = sorted(main["system"].unique())
    if len(systems) < 2 or main["score"].nunique() < 3:
        return None
    x = pd.get_dummies(pd.Categorical(main["system"], systems)).to_numpy(float)[:, 1:]
    severity = main.groupby("rater")["score"].transform("mean").to_numpy(float)
    if np.ptp(severity) > 0:
        x = np.column_stack([x, severity - severity.mean()])
    score = pd.Series(pd.Categorical(main["score"], ordered=True))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # `converged` is checked below
        try:
            fitted = OrderedModel(score, x, distr="logit").fit(method="bfgs", disp=False)
        except (np.linalg.LinAlgError, ValueError):
            return None
    odds: Floats = np.concatenate([[0.0], np.asarray(fitted.params)[: len(systems) - 1]])
    if not fitted.mle_retvals["converged"] or not np.isfinite(odds).all():
        return None
    return dict(zip(systems, (odds - odds.mean()).tolist(), strict=True))


def checks(main: pd.DataFrame, everything: pd.DataFrame, estimates: Estimates | None) -> Checks:
    """All checks on the ratings of systems.

    The references are left out, since with human music and random notes any test finds a
    difference. `everything` holds them too.
    """
    from scipy.stats import kendalltau

    friedman, pairs, kruskal = nonparametric(main)
    odds = ordinal(main)
    rank_correlation = None
    if odds and estimates is not None:
        tau = kendalltau([odds[name] for name in estimates.systems], estimates.means).statistic
        rank_correlation = float(tau) if np.isfinite(tau) else None
    return Checks(
        order=None if estimates is None else order_effects(main, everything, estimates),
        friedman=friedman,
        signed_rank=pairs,
        kruskal=kruskal,
        ordinal=odds,
        ordinal_agreement=rank_correlation,
    )
