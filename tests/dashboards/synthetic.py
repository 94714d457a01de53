"""Made-up boards: as many rows as wanted, with every kind of gap."""

import numpy as np
from made_up_rows import row

from bench.board.rows import MetricCells, hash_of, to_csv
from bench.errors import BenchError

KINDS = ("paper", "baseline", "reference", "external")
RESULTS = (
    *("rank", "rank_low", "rank_high", "skill", "skill_low", "skill_high", "nats_per_step"),
    *("nats_per_step_low", "nats_per_step_high", "parameters", "train_seconds", "sample_seconds"),
)


def rows(systems=4, datasets=("chorales",), seeds=3, metrics=("scale_consistency_gap",), draw=0):
    """Rows as a board file has them, without job folders behind."""
    rng = np.random.default_rng(draw)
    all_rows = []
    for dataset in datasets:
        skills = np.sort(rng.uniform(0.0, 0.9, systems))[::-1]
        for number in range(systems):
            name = f"system-{number:02d}"
            skill = round(float(skills[number]), 6)
            made_row = row(
                name,
                kind=KINDS[number % 4],
                paper="Somebody 2020" if number % 2 else "",
                dataset=dataset,
                preset="standard",
                rank=1 + 2 * (number // 2),
                rank_low=max(1, number),
                rank_high=number + 2,
                skill=skill,
                skill_low=round(skill - 0.05, 6),
                skill_high=round(skill + 0.05, 6),
                skill_coverage=f"{len(metrics)}/{len(metrics)}",
                nats_per_step=round(float(rng.uniform(2, 9)), 6),
                nats_per_step_low=1.9,
                nats_per_step_high=9.1,
                likelihood_kind="exact" if number % 3 else "coarse",
                likelihood_object="score" if number % 3 else "frames",
                likelihood_pieces=54,
                seeds=seeds,
                pieces=128,
                steps=128,
                parameters=int(rng.integers(10**4, 10**7)),
                budget=5000,
                train_seconds=round(float(rng.uniform(1, 500)), 3),
                sample_seconds=round(float(rng.uniform(0.1, 60)), 3),
                dataset_fingerprint="0123456789abcdef",
                jobs=" ".join(f"{name}.{dataset}.standard.s{i}.0000000000" for i in range(seeds)),
            )
            for metric in metrics:
                value = round(float(rng.uniform(0, 1)), 6)
                low, high = round(value - 0.1, 6), round(value + 0.1, 6)
                made_row.metrics[metric] = MetricCells(value, low, high, 384.0, skill)
            all_rows.append(hashed(made_row))
    return all_rows


def hashed(row):
    """The row with the hash that its cells give."""
    row.row_hash = hash_of(row)
    return row


def changed(row, **cells):
    """A copy of the row with other cells and the hash that they give."""
    return hashed(row.model_copy(update=cells, deep=True))


def failed(row):
    """The row as it would be had every seed failed."""
    lost = {"status": "failed", "seeds": 0, "failure": "seed 0: failed in phase 'fit': <b>no</b>"}
    return changed(row, metrics={}, **dict.fromkeys(RESULTS), **lost)


def write(path, rows):
    """Put the rows at `path` as a board file."""
    path.write_text(to_csv(rows))
    return path


def no_data(name):
    """A machine without any data set."""
    raise BenchError(f"{name} is not here.")
