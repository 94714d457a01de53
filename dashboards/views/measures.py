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
    known = [value for value in values if value is not None]
    return len(known) >= FEWEST and len(set(known)) > 1


def correlations(rows: Sequence[Row], names: Sequence[str]) -> pd.DataFrame:
    """Spearman's rank correlation of every pair: one, other, rho, systems.

    Rows without one of the two values are left out; a pair with too few rows has no rho.
    """
    lines = []
    for first in names:
        for second in names:
            values = [(row.value(first), row.value(second)) for row in rows]
            pairs = [pair for pair in values if None not in pair]
            table = pd.DataFrame(pairs, columns=["a", "b"]).rank()
            sure = all(enough(table[name].tolist()) for name in table)
            rho = float(table["a"].corr(table["b"])) if sure else None
            lines.append((first, second, rho, len(pairs)))
    return pd.DataFrame(lines, columns=["one", "other", "rho", "systems"])


def sure(agreement: Agreement) -> bool:
    """Whether a metric agrees with listeners, or contradicts them, beyond doubt."""
    return agreement.verdict.startswith(("agrees", "contradicts"))


def with_ratings(study: Study) -> pd.DataFrame:
    """Kendall's tau of every metric with the ratings, the strongest agreement first."""
    rows = sorted(
        (agreement for agreement in study.agreement if agreement.tau is not None), key=strength
    )
    return pd.DataFrame(
        [
            {
                "metric": label(agreement.metric),
                "tau": agreement.tau,
                "low": agreement.tau if agreement.tau_low is None else agreement.tau_low,
                "high": agreement.tau if agreement.tau_high is None else agreement.tau_high,
                "spearman": agreement.spearman,
                "p": agreement.p_fdr,
                "systems": agreement.systems,
                "sure": "beyond doubt" if sure(agreement) else "inconclusive",
                "verdict": agreement.verdict,
            }
            for agreement in rows
        ]
    )


def strength(agreement: Agreement) -> tuple[bool, float, str]:
    """Sorts what is sure first, then what agrees most."""
    return (not sure(agreement), -(agreement.tau or 0.0), agreement.metric)


def rated_systems(study: Study, metric: str) -> pd.DataFrame:
    """Each system's value of a metric beside its mean rating with its interval."""
    values = next(
        (agreement.values for agreement in study.agreement if agreement.metric == metric), {}
    )
    return pd.DataFrame(
        [
            {
                "system": agreement.system,
                "value": values[agreement.system],
                "rating": agreement.rating.value,
                "low": agreement.rating.value
                if agreement.rating.low is None
                else agreement.rating.low,
                "high": agreement.rating.value
                if agreement.rating.high is None
                else agreement.rating.high,
            }
            for agreement in study.systems
            if agreement.system in values
        ]
    )
