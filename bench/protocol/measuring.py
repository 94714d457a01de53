"""Runs a metric on a set of samples."""

from __future__ import annotations

import traceback
from collections.abc import Sequence

from bench.contract import Floats, Measurement, Metric, Reference
from bench.music import Score
from bench.protocol.statistics import mean_draws


def measure(metric: Metric, compared: Reference, samples: Sequence[Score]) -> Measurement:
    """The metric's result; a metric that raises gives a reason and does not end the job."""
    try:
        metric.prepare(compared)
    except Exception as error:  # noqa: BLE001 - a user's metric may raise anything
        return _failed(error)
    return scored(metric, samples)


def scored(metric: Metric, samples: Sequence[Score]) -> Measurement:
    """The result of a metric that is prepared; a reason where it raises."""
    try:
        return metric.score(samples)
    except Exception as error:  # noqa: BLE001 - a user's metric may raise anything
        return _failed(error)


def _failed(error: Exception) -> Measurement:
    traceback.print_exc()
    return Measurement(None, reason=f"the metric failed: {type(error).__name__}: {error}")


def draws_of(measurement: Measurement) -> Floats | None:
    """The value on each resample of the pieces; none where the metric gives nothing to resample."""
    if measurement.value is None or measurement.draws is not None:
        return measurement.draws
    return mean_draws(measurement.per_piece) if measurement.per_piece is not None else None
