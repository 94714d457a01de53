"""How metrics agree with each other over systems, and with listeners."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from bench.board.rows import Row
from bench.survey.analysis.agreement import Agreement
from bench.survey.analysis.results import Study
from dashboards.views.columns import label

FEWEST = 4  # systems: below it a rank correlation says nothing


def enough(values: Sequence[float | None]) -> bool:
    """Whether there are enough different values to order systems by."""
    there = [value for value in values if value is not None]
    return len(there) >= FEWEST and len(set(there)) > 1


def correlations(rows: Sequence[Row], names: Sequence[str]) -> pd.DataFrame:
    """Spearman's rank correlation of every pair: one, other, rho, systems.

    Rows without one of the two values are left out; a pair with too few rows has no rho.
    """
    lines = []
    for one in names:
        for other in names:
            values = [(row.value(one), row.value(other)) for row in rows]
            pairs = [pair for pair in values if None not in pair]
            table = pd.DataFrame(pairs, columns=["a", "b"]).rank()
            sure = all(enough(table[name].tolist()) for name in table)
            rho = float(table["a"].corr(table["b"])) if sure else None
            lines.append((one, other, rho, len(pairs)))
    return pd.DataFrame(lines, columns=["one", "other", "rho", "systems"])


def sure(one: Agreement) -> bool:
    """Whether a metric agrees with listeners, or contradicts them, beyond doubt."""
    return one.verdict.startswith(("agrees", "contradicts"))


def with_ratings(study: Study) -> pd.DataFrame:
    """Kendall's tau of every metric with the ratings, the strongest agreement first."""
    found = sorted((one for one in study.agreement if one.tau is not None), key=strength)
    return pd.DataFrame(
        [
            {
                "metric": label(one.metric),
                "tau": one.tau,
                "low": one.tau if one.tau_low is None else one.tau_low,
                "high": one.tau if one.tau_high is None else one.tau_high,
                "spearman": one.spearman,
                "p": one.p_fdr,
                "systems": one.systems,
                "sure": "beyond doubt" if sure(one) else "inconclusive",
                "verdict": one.verdict,
            }
            for one in found
        ]
    )


def strength(one: Agreement) -> tuple[bool, float, str]:
    """Sorts what is sure first, then what agrees most."""
    return (not sure(one), -(one.tau or 0.0), one.metric)


def rated_systems(study: Study, metric: str) -> pd.DataFrame:
    """Each system's value of a metric beside its mean rating with its interval."""
    values = next((one.values for one in study.agreement if one.metric == metric), {})
    return pd.DataFrame(
        [
            {
                "system": one.system,
                "value": values[one.system],
                "rating": one.rating.value,
                "low": one.rating.value if one.rating.low is None else one.rating.low,
                "high": one.rating.value if one.rating.high is None else one.rating.high,
            }
            for one in study.systems
            if one.system in values
        ]
    )
