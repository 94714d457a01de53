"""The charts of a data set."""

from __future__ import annotations

import altair as alt
import pandas as pd

from dashboards.charts.board import SERIES


def rank_frequency(table: pd.DataFrame) -> alt.Chart:
    """How often tokens occur by their rank; columns: tokens, rank, count. Both axes logarithmic."""
    chart: alt.Chart = (
        alt.Chart(table)
        .mark_line(strokeWidth=2)
        .encode(
            x=alt.X("rank:Q", title="rank of the token", scale=alt.Scale(type="log")),
            y=alt.Y("count:Q", title="times that it occurs", scale=alt.Scale(type="log")),
            color=alt.Color(
                "tokens:N",
                scale=alt.Scale(range=SERIES),
                legend=alt.Legend(title=None, orient="top"),
            ),
            tooltip=["tokens:N", "rank:Q", "count:Q"],
        )
        .properties(height=300)
    )
    return chart
