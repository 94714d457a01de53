"""Would other methods say the same? Order effects, tests without a scale, equivalence to human."""

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

MARGIN = 0.5  # points: systems that differ by less are as good as each other


class OmnibusTest(BaseModel):
    """A test over all systems at once."""

    name: str
    statistic: float
    p: float
    raters: int
    note: str


class PairTest(BaseModel):
    """A signed-rank test of two systems, on listeners' means; `p` after Holm over all pairs."""

    first: str
    second: str
    p: float


class OrderEffects(BaseModel):
    """What the order of the clips did to the scores."""

    drift: float | None  # points from the first position to the last
    drift_low: float | None
    drift_high: float | None
    drift_p: float | None
    carry: float | None  # points per point of the clip before
    carry_low: float | None
    carry_high: float | None
    carry_p: float | None
    shift: float | None  # the most that a system's mean moves when both are allowed for


class Checks(BaseModel):
    """Other ways to look at the same ratings."""

    order: OrderEffects | None
    friedman: OmnibusTest | None
    signed_rank: list[PairTest]
    kruskal: OmnibusTest | None
    ordinal: dict[str, float] | None  # log odds of a higher score, less their mean
    ordinal_agreement: float | None  # Kendall's tau of those with the means


def order_effects(
    main: pd.DataFrame, everything: pd.DataFrame, estimates: Estimates
) -> OrderEffects | None:
    """The model again with the position, and with the mean score of what was heard before.

    `everything` holds the references too, which may have come before.
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
    found = crossed(main, covariates=covariates, near=estimates.components)
    if found is None:
        return None
    n = len(estimates.systems)
    drift = found.coefficient(n)
    carry = found.coefficient(n + 1) if "previous" in covariates else (None,) * 4
    moved = found.means[:n] - found.means[:n].mean() - estimates.means + estimates.means.mean()
    names = ("drift", "drift_low", "drift_high", "drift_p", "carry", "carry_low", "carry_high")
    parts = dict(zip((*names, "carry_p"), (*drift, *carry), strict=True))
    return OrderEffects(**parts, shift=float(np.abs(moved).max()))


def nonparametric(
    main: pd.DataFrame,
) -> tuple[OmnibusTest | None, list[PairTest], OmnibusTest | None]:
    """Friedman and signed ranks over listeners who heard every system; Kruskal and Wallis pooled."""
    from scipy import stats

    means = main.pivot_table(index="rater", columns="system", values="score").dropna()
    systems = list(means)
    pooled = [one["score"].to_numpy(float) for _, one in main.groupby("system")]
    kruskal = friedman = None
    pairs: list[PairTest] = []
    if len(pooled) > 1 and main["score"].nunique() > 1:
        statistic, p = stats.kruskal(*pooled)
        kruskal = OmnibusTest(
            name="Kruskal and Wallis",
            statistic=float(statistic),
            p=float(p),
            raters=main["rater"].nunique(),
            note="as papers do it: it takes ratings for independent, which they are not",
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
            note="on listeners' means; it speaks of these clips only",
        )
    apart = []
    for a, b in combinations(systems, 2):
        same = bool((means[a] == means[b]).all())
        # Ties are the rule here, and with them no exact distribution is known.
        p = 1.0 if same else float(stats.wilcoxon(means[a], means[b], method="approx").pvalue)
        apart.append((a, b, p))
    corrected = holm([p for _, _, p in apart])
    pairs = [
        PairTest(first=a, second=b, p=p) for (a, b, _), p in zip(apart, corrected, strict=True)
    ]
    return friedman, pairs, kruskal


def ordinal(main: pd.DataFrame) -> dict[str, float] | None:
    """A proportional-odds model of the scores, given each listener's mean; None if it fails.

    It takes the scale for an order only, but the clips for all there are: a check of the order of
    systems, not of intervals.
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
        warnings.simplefilter("ignore")  # it fails silently enough: `converged` is looked at
        try:
            fitted = OrderedModel(score, x, distr="logit").fit(method="bfgs", disp=False)
        except (np.linalg.LinAlgError, ValueError):
            return None
    odds: Floats = np.concatenate([[0.0], np.asarray(fitted.params)[: len(systems) - 1]])
    if not fitted.mle_retvals["converged"] or not np.isfinite(odds).all():
        return None
    return dict(zip(systems, (odds - odds.mean()).tolist(), strict=True))


def checks(main: pd.DataFrame, everything: pd.DataFrame, estimates: Estimates | None) -> Checks:
    """All of them on the ratings of systems: with human music and noise among them any test would
    find that something differs. `everything` holds those too."""
    from scipy.stats import kendalltau

    friedman, pairs, kruskal = nonparametric(main)
    odds = ordinal(main)
    agreement = None
    if odds and estimates is not None:
        tau = kendalltau([odds[name] for name in estimates.systems], estimates.means).statistic
        agreement = float(tau) if np.isfinite(tau) else None
    return Checks(
        order=None if estimates is None else order_effects(main, everything, estimates),
        friedman=friedman,
        signed_rank=pairs,
        kruskal=kruskal,
        ordinal=odds,
        ordinal_agreement=agreement,
    )
