"""The model of ratings behind the intervals: systems fixed, listeners and clips drawn at random.

Ratings are not independent: a listener who is severe is so throughout, and a clip that is bad is bad
for everyone. An interval for a system, rather than for the clips that happened to be heard, has to
know both. Intervals that treat ratings as independent are far too short.
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
    """Means of systems, how they vary together, and on how many degrees of freedom."""

    systems: tuple[str, ...]
    means: Floats
    covariance: Floats
    shared: float  # the part of a mean's variance that all systems share: the listeners'
    freedom: float  # of differences: clips less systems
    raters: int
    components: Components | None  # none where there was no model to fit
    method: str = "crossed mixed model"

    def interval(self, system: int) -> tuple[float, float]:
        """Where the system's mean lies with 95 % confidence."""
        from scipy.stats import t

        variance = float(self.covariance[system, system])
        own = max(variance - self.shared, 0.0)
        # Satterthwaite's degrees of freedom for a sum of two estimated variances
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
        """p that the two differ by `margin` or more: two one-sided tests, the worse of them."""
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
        """(n, systems) means as they might as well be, given what was heard."""
        rng = np.random.default_rng(seed)
        normal = rng.multivariate_normal(
            np.zeros(len(self.means)), self.covariance, n, method="eigh"
        )
        scale = np.sqrt(self.freedom / rng.chisquare(self.freedom, n))
        found: Floats = self.means + normal * scale[:, None]
        return found


def crossed(
    ratings: pd.DataFrame,
    value: str = "score",
    tastes: bool = False,
    covariates: Mapping[str, Floats] | None = None,
    near: Components | None = None,
) -> Estimates | None:
    """The model's estimates for the column `system`; none where it cannot be fitted.

    With `tastes` a listener's liking for a system is a third source of variation. `covariates` are
    centred columns; their names and coefficients follow those of the systems. `near` are the
    components of a like model, which make the search short.
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
    more = dict(covariates or {})
    x = np.column_stack([fixed, *more.values()])
    groups = {"rater": ratings["rater"], "clip": ratings["clip"]}
    if tastes:
        groups["taste"] = ratings["rater"].astype(str) + " " + ratings["system"]
    blocks = [
        np.eye(codes.max() + 1)[codes] for codes in (pd.factorize(g)[0] for g in groups.values())
    ]
    names = [[[str(i) for i in range(block.shape[1])]] for block in blocks]
    random = VCSpec(list(groups), names, [[block] for block in blocks])
    model = MixedLM(y, x, np.ones(len(y)), exog_vc=random)
    best: Any = None
    # One start is not enough: from the library's own the search often ends, satisfied, where a
    # variance is 0 although a greater likelihood lies elsewhere. Powell's needs no slope, but time.
    shares = [(0.3, 0.3), (1.0, 0.1), (0.1, 1.0)]  # variances, as shares of the residual's
    if near is not None:
        first = (np.array([near.rater, near.clip]) / near.residual) ** 2
        shares = [tuple(np.maximum(first, 0.02)), *shares]  # at 0 the search would stay
    for share, method in [*((one, "lbfgs") for one in shares), (shares[0], "powell")]:
        start = MixedLMParams.from_components(
            fe_params=np.linalg.lstsq(x, y)[0],
            cov_re=np.zeros((0, 0)),
            vcomp=np.array([*share, 0.1][: len(groups)]),
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of variances on the boundary, which is no fault
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
    found = Components(
        float(deviations[0]),
        float(deviations[1]),
        float(deviations[2]) if tastes else 0.0,
        float(np.sqrt(best.scale)),
    )
    return Estimates(
        (*systems, *more),
        np.asarray(best.fe_params, float),
        covariance,
        found.rater**2 / raters,
        float(freedom),
        raters,
        found,
    )


def from_clips(ratings: pd.DataFrame, value: str = "score") -> Estimates | None:
    """Estimates from the means of clips alone, which know nothing of listeners; none for too few."""
    per_clip = ratings.groupby(["system", "clip"])[value].mean().groupby("system")
    count, means = per_clip.size(), per_clip.mean()
    freedom = float((count - 1).sum())
    spread = float((per_clip.var(ddof=1).fillna(0.0) * (count - 1)).sum())
    if freedom < 1 or spread <= 0 or ratings["rater"].nunique() < 2:
        return None
    covariance = np.diag(spread / freedom / count.to_numpy(float))
    raters = int(ratings["rater"].nunique())
    return Estimates(
        tuple(means.index), means.to_numpy(float), covariance, 0.0, freedom, raters, None,
        "means of clips",
    )  # fmt: skip


def estimate(ratings: pd.DataFrame, value: str = "score") -> Estimates | None:
    """The model's estimates, those of clip means where it cannot be fitted, or none for too few."""
    return crossed(ratings, value) or from_clips(ratings, value)


def by_role(ratings: pd.DataFrame, value: str = "score") -> dict[str, Estimates | None]:
    """Estimates for systems among themselves, for human music beside them, for the low anchor alone.

    Scores of the references crowd at the ends of the scale and vary little there. In one model with
    them the systems would seem to vary less than they do, and their intervals would be too short.
    """
    role = ratings["role"]
    systems = estimate(ratings[role == "system"], value) if (role == "system").any() else None
    human = estimate(ratings[role != "anchor"], value) if (role == "human").any() else None
    anchor = from_clips(ratings[role == "anchor"], value) if (role == "anchor").any() else None
    return {"system": systems, "human": human, "anchor": anchor}


def t_interval(values: Floats) -> tuple[float, float] | None:
    """Student's interval of a mean, which takes the values for independent; none for less than two."""
    from scipy.stats import t

    if len(values) < 2 or np.ptp(values) < 1e-9:
        return None
    half = t.ppf((1 + LEVEL) / 2, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
    return float(np.mean(values) - half), float(np.mean(values) + half)


def t_difference(a: Floats, b: Floats) -> tuple[float, float] | None:
    """Welch's interval of a difference of means of independent values; none for less than two."""
    from scipy.stats import t

    if min(len(a), len(b)) < 2 or np.ptp(a) + np.ptp(b) < 1e-9:
        return None
    one, other = np.var(a, ddof=1) / len(a), np.var(b, ddof=1) / len(b)
    freedom = (one + other) ** 2 / (one**2 / (len(a) - 1) + other**2 / (len(b) - 1))
    difference = np.mean(a) - np.mean(b)
    half = t.ppf((1 + LEVEL) / 2, freedom) * np.sqrt(one + other)
    return float(difference - half), float(difference + half)
