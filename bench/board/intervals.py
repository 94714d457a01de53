"""What other training runs would do to the figures of rows, and intervals that know it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from bench.board.rows import COLUMNS, Group, Row, rounded
from bench.protocol import statistics
from bench.protocol.statistics import NOTHING, Repeats

# The variance between training runs over that of resampled pieces where no system of a data set
# has two seeds: the mean over 12 networks with 4 seeds each on jsb, quick. Metrics vary among
# themselves from 2 (isl) to 17 (pca_distance).
ASSUMED = {"skill": 4.3, "nats_per_step": 3.5, "bits_per_note": 3.5}
ASSUMED_OF_METRICS = 6.0
LEAST = 0.01  # of the median variance over pieces of a group's rows


def fill_intervals(groups: Sequence[Group]) -> None:
    """Fill in every interval of the rows, and `spread`.

    The spread over training runs is pooled over the group's rows with two or more seeds; where it
    has none, over those of the same data set under other presets; where there are none either, it
    is assumed.
    """
    repeats = {id(row): _repeats(row) for group in groups for row in group.rows}
    of_data: dict[str, list[Row]] = defaultdict(list)
    for group in groups:
        of_data[group.rows[0].dataset] += group.rows
    for group in groups:
        seeded = [row for row in group.rows if repeats[id(row)]]
        seeded = seeded or [row for row in of_data[group.rows[0].dataset] if repeats[id(row)]]
        pooled = _pooled(repeats[id(row)] for row in seeded)
        least = _least(group.rows)
        for row in group.rows:
            _fill(row, repeats[id(row)], pooled, least)
            row.spread = _spread(row, bool(seeded)) if row.evidence.draws else ""


def _repeats(row: Row) -> dict[str, Repeats]:
    """What the row's own seeds show of each figure; empty for one seed, or nothing trained."""
    seeds = row.evidence.by_seed
    if not seeds or not row.evidence.trained:
        return {}
    return {
        name: Repeats.of(
            np.array([seed.exact[name] for seed in seeds]),
            np.stack([seed.draws[name] for seed in seeds]),
        )
        for name in row.evidence.draws
        if all(name in seed.exact for seed in seeds)
    }


def _pooled(repeats: Iterable[dict[str, Repeats]]) -> dict[str, list[Repeats]]:
    by_figure: dict[str, list[Repeats]] = defaultdict(list)
    for each in repeats:
        for name, repeat in each.items():
            by_figure[name].append(repeat)
    return by_figure


def _least(rows: Sequence[Row]) -> dict[str, float]:
    """The least variance over pieces that a figure of a trained row is taken to have.

    A figure that no resample moves, such as a share that is 0 of every sample, may still be another
    after another training run.
    """
    variances: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        for name, draws in row.evidence.draws.items():
            variances[name].append(float(draws.var()))
    return {name: LEAST * float(np.median(each)) for name, each in variances.items()}


def _fill(
    row: Row,
    own: dict[str, Repeats],
    pooled: dict[str, list[Repeats]],
    least: dict[str, float],
) -> None:
    """Fill in what other training runs would do to each figure of the row, and its interval."""
    evidence = row.evidence
    names = list(evidence.draws)
    for name in names:
        if not evidence.trained:
            evidence.retraining[name] = NOTHING
            continue
        assumed = ASSUMED.get(name, ASSUMED_OF_METRICS)
        ratio = statistics.pool(pooled.get(name, ()), assumed)
        repeat = own.get(name)
        pieces = repeat.pieces if repeat else float(evidence.draws[name].var())
        pieces = max(pieces, least[name])
        evidence.retraining[name] = statistics.retraining(ratio, pieces, repeat)
    values = [_value(row, name) for name in names]
    ends = statistics.retrained_intervals(
        values,
        [evidence.draws[name] for name in names],
        [[evidence.retraining[name]] for name in names],
    )
    for name, (low, high) in zip(names, ends, strict=True):
        if name in COLUMNS:
            setattr(row, f"{name}_low", rounded(low))
            setattr(row, f"{name}_high", rounded(high))
        else:
            row.set_metric(name, low=rounded(low), high=rounded(high))


def _value(row: Row, name: str) -> float:
    exact = row.evidence.exact.get(name)
    value = row.value(name) if exact is None else exact
    return 0.0 if value is None else value


def _spread(row: Row, seeded: bool) -> str:
    if not row.evidence.trained:
        return "none"
    if row.evidence.by_seed:
        return "own"
    return "pooled" if seeded else "assumed"
