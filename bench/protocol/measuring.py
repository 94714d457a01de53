"""One metric asked about one set of samples."""

from __future__ import annotations

import traceback
from collections.abc import Sequence

from bench.contract import Floats, Measurement, Metric, Reference
from bench.music import Score
from bench.protocol.statistics import mean_draws


def measure(metric: Metric, compared: Reference, samples: Sequence[Score]) -> Measurement:
    """What the metric says; a metric that breaks gives a reason instead of ending the job."""
    try:
        metric.prepare(compared)
        return metric.score(samples)
    except Exception as error:  # noqa: BLE001 - a user's metric may raise anything
        traceback.print_exc()
        return Measurement(None, reason=f"the metric failed: {type(error).__name__}: {error}")


def draws_of(found: Measurement) -> Floats | None:
    """The value on each resample of the pieces; none where the metric gives nothing to resample."""
    if found.value is None or found.draws is not None:
        return found.draws
    return mean_draws(found.per_piece) if found.per_piece is not None else None
