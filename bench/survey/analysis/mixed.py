"""The model of ratings behind the intervals: systems fixed, listeners and clips random.

Ratings are not independent: a severe listener rates every clip lower, and every listener rates a
bad clip lower. An interval for a system, and not only for the clips that were heard, must account
for both. Intervals that treat ratings as independent are much too short.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.contract import Floats
from bench.protocol.statistics import LEVEL
from bench.survey.analysis.simulation import Components

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Estimates:
    """The mean ratings of systems, their covariance, and its degrees of freedom."""

    systems: tuple[str, ...]
    means: Floats
    covariance: Floats
    shared: float  # variance that all means share, because the listeners are the same
    freedom: float  # degrees of freedom of differences: clips minus systems
    raters: int
    components: Components | None  # None for estimates from means of clips
    method: str = "crossed mixed model"

    def interval(self, system: int) -> tuple[float, float]:
        """The 95 % interval of a system's mean."""
        from scipy.stats import t

        variance = float(self.covariance[system, system])
        own = max(variance - self.shared, 0.0)
        # Satterthwaite's degrees of freedom for the sum of two estimated variances
        parts = self.shared**2 / max(self.raters - 1, 1) + own**2 / self.freedom
        freedom = variance**2 / parts if parts > 0 else self.freedom
        half = float(t.ppf((1 + LEVEL) / 2, freedom) * np.sqrt(variance))
        return float(self.means[system] - half), float(self.means[system] + half)

    def contrast(self, first: int, second: int) -> tuple[float, float, float, float]:
        """(difference, low, high, p) of two systems' means."""
        v = self.covariance
        variance = v[first, first] + v[second, second] - 2 * v[first, second]
        return self._test(float(self.means[first] - self.means[second]), float(variance))

    def coefficient(self, place: int) -> tuple[float, float, float, float]:
        """(value, low, high, p) of a covariate's coefficient."""
        return self._test(float(self.means[place]), float(self.covariance[place, place]))

    def equivalent(self, first: int, second: int, margin: float) -> float:
        """p of the hypothesis that two systems differ by `margin` or more: two one-sided tests."""
        from scipy.stats import t

        difference, low, high, _ = self.contrast(first, second)
        error = (high - low) / 2 / float(t.ppf((1 + LEVEL) / 2, self.freedom))
        if not error > 0:
            return float(abs(difference) >= margin)
        return float(t.sf((margin - abs(difference)) / error, self.freedom))

    def _test(self, value: float, variance: float) -> tuple[float, float, float, float]:
        from scipy.stats import t

        error = float(np.sqrt(max(variance, 0.0)))
        half = float(t.ppf((1 + LEVEL) / 2, self.freedom)) * error
        p = float(2 * t.sf(abs(value) / error, self.freedom)) if error else float(value == 0)
        return value, value - half, value + half, p

    def draws(self, n: int, seed: int) -> Floats:
        """(n, systems) random means from the uncertainty of the estimates."""
        rng = np.random.default_rng(seed)
        normal = rng.multivariate_normal(
            np.zeros(len(self.means)), self.covariance, n, method="eigh"
        )
        scale = np.sqrt(self.freedom / rng.chisquare(self.freedom, n))
        drawn: Floats = self.means + normal * scale[:, None]
        return drawn


def crossed(
    ratings: pd.DataFrame,
    value: str = "score",
    tastes: bool = False,
    covariates: Mapping[str, Floats] | None = None,
    near: Components | None = None,
) -> Estimates | None:
    """The model's estimates for the column `system`; None where it cannot be fitted.

    With `tastes` a listener's taste for a system is a third random effect. `covariates` are centred
    columns; their names and coefficients follow those of the systems. `near` are the components of
    a similar model, from which the search starts.
    """
    import pandas as pd
    from statsmodels.regression.mixed_linear_model import MixedLM, MixedLMParams, VCSpec

    systems = sorted(ratings["system"].unique())
    y = ratings[value].to_numpy(float)
    freedom = ratings["clip"].nunique() - len(systems)
    raters = int(ratings["rater"].nunique())
    if freedom < 1 or raters < 2 or np.ptp(y) == 0:
        return None
    fixed = pd.get_dummies(pd.Categorical(ratings["system"], systems)).to_numpy(float)
    covariates = covariates or {}
    x = np.column_stack([fixed, *covariates.values()])
    groups = {"rater": ratings["rater"], "clip": ratings["clip"]}
    if tastes:
        groups["taste"] = ratings["rater"].astype(str) + " " + ratings["system"]
    codes_of = [pd.factorize(group)[0] for group in groups.values()]
    blocks = [np.eye(codes.max() + 1)[codes] for codes in codes_of]
    names = [[[str(i) for i in range(block.shape[1])]] for block in blocks]
    random = VCSpec(list(groups), names, [[block] for block in blocks])
    model = MixedLM(y, x, np.ones(len(y)), exog_vc=random)
    best: Any = None
    # One start is not enough: from the library's own start the search often stops where a variance
    # is 0, although the likelihood is higher elsewhere. Powell's search, which is slow, needs no
    # gradient and comes last.
    shares = [(0.3, 0.3), (1.0, 0.1), (0.1, 1.0)]  # variances, as shares of the residual's
    if near is not None:
        first = (np.array([near.rater, near.clip]) / near.residual) ** 2
        shares = [tuple(np.maximum(first, 0.02)), *shares]  # from 0 the search does not move
    for share, method in [*((share, "lbfgs") for share in shares), (shares[0], "powell")]:
        start = MixedLMParams.from_components(
            fe_params=np.linalg.lstsq(x, y)[0],
            cov_re=np.zeros((0, 0)),
            vcomp=np.array([*share, 0.1][: len(groups)]),
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about variances at 0, which are allowed
            try:
                fitted = model.fit(reml=True, method=method, start_params=start)
            except (np.linalg.LinAlgError, ValueError):
                continue
        if fitted.converged and (best is None or fitted.llf > best.llf + 1e-6):
            best = fitted
        if best is not None and (method == "powell" or best.vcomp.min() > 1e-3 * best.scale):
            break
    size = x.shape[1]
    covariance = None if best is None else np.asarray(best.cov_params())[:size, :size]
    if covariance is None or not np.isfinite(covariance).all() or (np.diag(covariance) <= 0).any():
        return None
    deviations = np.sqrt(np.maximum(best.vcomp, 0))
    components = Components(
        rater=float(deviations[0]),
        clip=float(deviations[1]),
        rater_system=float(deviations[2]) if tastes else 0.0,
        residual=float(np.sqrt(best.scale)),
    )
    return Estimates(
        systems=(*systems, *covariates),
        means=np.asarray(best.fe_params, float),
        covariance=covariance,
        shared=components.rater**2 / raters,
        freedom=float(freedom),
        raters=raters,
        components=components,
    )


def from_clips(ratings: pd.DataFrame, value: str = "score") -> Estimates | None:
    """Estimates from the means of clips, without an effect of listeners; None for too few clips."""
    per_clip = ratings.groupby(["system", "clip"])[value].mean().groupby("system")
    count, means = per_clip.size(), per_clip.mean()
    freedom = float((count - 1).sum())
    spread = float((per_clip.var(ddof=1).fillna(0.0) * (count - 1)).sum())
    if freedom < 1 or spread <= 0 or ratings["rater"].nunique() < 2:
        return None
    covariance = np.diag(spread / freedom / count.to_numpy(float))
    raters = int(ratings["rater"].nunique())
    return Estimates(
        systems=tuple(means.index),
        means=means.to_numpy(float),
        covariance=covariance,
        shared=0.0,
        freedom=freedom,
        raters=raters,
        components=None,
        method="means of clips",
    )


def estimate(ratings: pd.DataFrame, value: str = "score") -> Estimates | None:
    """The model's estimates; where it cannot be fitted, those from means of clips, or None."""
    return crossed(ratings, value) or from_clips(ratings, value)


def by_role(ratings: pd.DataFrame, value: str = "score") -> dict[str, Estimates | None]:
    """Estimates by role: of systems alone, of systems with human music, of the anchor alone.

    Scores of the references lie at the ends of the scale and vary little there. In a model with
    them, the systems would seem to vary less than they do, and their intervals would be too short.
    """
    role = ratings["role"]
    systems = estimate(ratings[role == "system"], value) if (role == "system").any() else None
    human = estimate(ratings[role != "anchor"], value) if (role == "human").any() else None
    anchor = from_clips(ratings[role == "anchor"], value) if (role == "anchor").any() else None
    return {"system": systems, "human": human, "anchor": anchor}


def t_interval(values: Floats) -> tuple[float, float] | None:
    """Student's interval of a mean of independent values; None if fewer than two, or all equal."""
    from scipy.stats import t

    if len(values) < 2 or np.ptp(values) < 1e-9:
        return None
    half = t.ppf((1 + LEVEL) / 2, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
    return float(np.mean(values) - half), float(np.mean(values) + half)


def t_difference(a: Floats, b: Floats) -> tuple[float, float] | None:
    """Welch's interval of a difference of means of independent values; None for fewer than two."""
    from scipy.stats import t

    if min(len(a), len(b)) < 2 or np.ptp(a) + np.ptp(b) < 1e-9:
        return None
    var_a, var_b = np.var(a, ddof=1) / len(a), np.var(b, ddof=1) / len(b)  # of the means
    freedom = (var_a + var_b) ** 2 / (var_a**2 / (len(a) - 1) + var_b**2 / (len(b) - 1))
    difference = np.mean(a) - np.mean(b)
    half = t.ppf((1 + LEVEL) / 2, freedom) * np.sqrt(var_a + var_b)
    return float(difference - half), float(difference + half)
