"""Made-up boards: as many rows as wanted, with every kind of gap."""

import numpy as np

from bench.board import build as board
from bench.board.build import Row
from bench.contract import Budget
from bench.errors import BenchError
from bench.jobs.job import Card, Job
from bench.protocol.sampling import Protocol

KINDS = ("paper", "baseline", "reference", "external")


def rows(systems=4, datasets=("chorales",), seeds=3, metrics=("scale_consistency_gap",), draw=0):
    """Rows as `bench.board.build` gives them, without job folders behind."""
    rng = np.random.default_rng(draw)
    found = []
    for dataset in datasets:
        skills = np.sort(rng.uniform(0.0, 0.9, systems))[::-1]
        for number in range(systems):
            name = f"system-{number:02d}"
            skill = round(float(skills[number]), 6)
            row = Row(
                system=name,
                kind=KINDS[number % 4],
                variant="corrected",
                paper="Somebody 2020" if number % 2 else "",
                dataset=dataset,
                dataset_version=1,
                preset="standard",
                status="ok",
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
                prompted=True,
                parameters=int(rng.integers(10**4, 10**7)),
                budget=5000,
                budget_unit="updates",
                train_seconds=round(float(rng.uniform(1, 500)), 3),
                sample_seconds=round(float(rng.uniform(0.1, 60)), 3),
                device="cpu",
                dataset_fingerprint="0123456789abcdef",
                jobs=" ".join(f"{name}.{dataset}.standard.s{i}.0000000000" for i in range(seeds)),
            )
            cells = {}
            for metric in metrics:
                value = round(float(rng.uniform(0, 1)), 6)
                cells |= {
                    metric: value,
                    f"{metric}_low": round(value - 0.1, 6),
                    f"{metric}_high": round(value + 0.1, 6),
                    f"{metric}_pieces": 384.0,
                    f"{metric}_skill": skill,
                }
            found.append({**row.model_dump(), **cells})
    for one in found:
        one["row_hash"] = board.hash_of(one)
    return found


def job(system="noise", seed=0, seconds=10.0):
    """A job as it was planned."""
    return Job(
        system=system,
        variant="corrected",
        class_path="baselines.bounds:Noise",
        source="version 1",
        settings={},
        budget=Budget(0),
        dataset="toy",
        dataset_version=1,
        dataset_fingerprint="f" * 64,
        preset="smoke",
        protocol=Protocol(samples=2, steps=32, prompt=16),
        seed=seed,
        device="cpu",
        card=Card(title=system, kind="baseline", seconds=seconds),
    )


def failed(row):
    """The row as it would be had every seed failed."""
    gone = {name: None for name in row if name not in Row.model_fields}
    empty = dict.fromkeys(
        (
            "rank",
            "rank_low",
            "rank_high",
            "skill",
            "skill_low",
            "skill_high",
            "nats_per_step",
            "nats_per_step_low",
            "nats_per_step_high",
            "parameters",
            "train_seconds",
            "sample_seconds",
        )
    )
    lost = {"status": "failed", "seeds": 0, "failure": "seed 0: failed in phase 'fit': <b>no</b>"}
    found = {**row, **gone, **empty, **lost}
    found["row_hash"] = board.hash_of(found)
    return found


def write(path, found):
    """Put the rows at `path` as a board file."""
    path.write_text(board.to_csv(found))
    return path


def no_data(name):
    """A machine without any data set."""
    raise BenchError(f"{name} is not here.")
