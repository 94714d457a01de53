"""How metrics agree with each other over systems."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from dashboards.board_view import Cells

FEWEST = 4  # systems: below it a rank correlation says nothing


def enough(values: Sequence[float | None]) -> bool:
    """Whether there are enough different values to order systems by."""
    there = [value for value in values if value is not None]
    return len(there) >= FEWEST and len(set(there)) > 1


def correlations(rows: Sequence[Cells], names: Sequence[str]) -> pd.DataFrame:
    """Spearman's rank correlation of every pair: one, other, rho, systems.

    Rows without one of the two values are left out; a pair with too few rows has no rho.
    """
    lines = []
    for one in names:
        for other in names:
            pairs = [
                (row[one], row[other])
                for row in rows
                if row.get(one) is not None and row.get(other) is not None
            ]
            table = pd.DataFrame(pairs, columns=["a", "b"]).rank()
            sure = all(enough(table[name].tolist()) for name in table)
            rho = float(table["a"].corr(table["b"])) if sure else None
            lines.append((one, other, rho, len(pairs)))
    return pd.DataFrame(lines, columns=["one", "other", "rho", "systems"])
