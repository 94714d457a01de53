"""How often intervals cover, and how often equal systems are separated, where the truth is known.

`python tests/protocol/seed_study.py` prints the table of docs/protocol.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bench.protocol import statistics
from bench.protocol.statistics import Repeats


@dataclass(frozen=True)
class World:
    """Systems whose figure varies by piece, by sample and by training run."""

    pieces: int
    shared: float  # standard deviation over pieces that all samples of a piece share
    own: float  # and that of each sample
    spreads: tuple[float, float]  # of systems over training runs: log-uniform within these
    noise: str = "normal"  # or heavy: training runs follow t with 3 degrees of freedom

    @property
    def ratio(self) -> float:
        """The mean variance between training runs, over the variance that pieces give a mean."""
        low, high = self.spreads
        mean = low**2 if low == high else (high**2 - low**2) / (2 * np.log(high / low))
        return mean / ((self.shared**2 + self.own**2) / self.pieces)


# As measured on jsb, quick: the skill's bootstrap gives .022, the likelihood's .09.
SKILL = World(64, 0.10, 0.145, (0.010, 0.165))
LIKELIHOOD = World(77, 0.79, 0.08, (0.007, 0.26))


def figures(world: World, means, seeds, rng):
    """For each system, values (seeds,) and draws (seeds, RESAMPLES), and its spread."""
    n = len(means)
    spreads = np.exp(rng.uniform(*np.log(world.spreads), size=n))
    difficulty = rng.normal(scale=world.shared, size=world.pieces)
    results = []
    for mean, spread, count in zip(means, spreads, seeds, strict=True):
        runs = rng.normal(size=count)
        if world.noise == "heavy":
            runs = rng.standard_t(3, size=count) / np.sqrt(3)
        samples = rng.normal(scale=world.own, size=(count, world.pieces))
        pieces = mean + spread * runs[:, None] + difficulty + samples
        drawn = statistics.mean_draws_of_each({str(i): row for i, row in enumerate(pieces)})
        results.append((pieces.mean(axis=1), np.stack(list(drawn.values()))))
    return results, spreads


def estimated(results, assumed):
    """Values, draws and retraining of each system, as a board makes them."""
    own = [Repeats.of(v, d) if len(v) > 1 else None for v, d in results]
    ratio = statistics.pool([each for each in own if each], assumed)
    parts = [
        statistics.retraining(ratio, each.pieces if each else float(d.var()), each)
        for each, (_, d) in zip(own, results, strict=True)
    ]
    values = [float(v.mean()) for v, _ in results]
    return values, [d.mean(axis=0) for _, d in results], parts


def coverage(world: World, seeds, assumed=None, repeats=200, seed=0):
    """For each number of seeds: the share of intervals that hold the truth, by spread in thirds."""
    rng = np.random.default_rng(seed)
    hits, widths, log_spreads, counts = [], [], [], []
    for _ in range(repeats):
        results, spreads = figures(world, np.zeros(len(seeds)), seeds, rng)
        values, draws, parts = estimated(results, assumed if assumed is not None else world.ratio)
        ends = statistics.retrained_intervals(values, draws, [[part] for part in parts])
        hits += [low <= 0 <= high for low, high in ends]
        widths += [high - low for low, high in ends]
        log_spreads += list(spreads)
        counts += list(seeds)
    hits, counts, log_spreads = np.array(hits), np.array(counts), np.array(log_spreads)
    table = {}
    for count in sorted(set(seeds)):
        of = counts == count
        edges = np.quantile(log_spreads[of], [1 / 3, 2 / 3])
        thirds = np.digitize(log_spreads[of], edges)
        table[count] = (
            float(hits[of].mean()),
            [
                float(hits[of][thirds == third].mean()) if (thirds == third).any() else np.nan
                for third in range(3)
            ],
            float(np.median(np.array(widths)[of])),
        )
    return table


def separations(world: World, means, seeds, assumed=None, repeats=100, seed=0):
    """(share of boards with a false separation, share of the different pairs that are separated).

    Different means: apart in truth. Ranks are checked on the way: no inversions, within bounds.
    """
    rng = np.random.default_rng(seed)
    means = np.array(means, dtype=float)
    equal = means[:, None] == means[None]
    np.fill_diagonal(equal, False)
    false, power = 0, []
    for _ in range(repeats):
        results, _ = figures(world, means, seeds, rng)
        values, draws, parts = estimated(results, assumed if assumed is not None else world.ratio)
        separated = statistics.apart(draws, values, parts)
        false += bool((separated & equal).any())
        different = means[:, None] > means[None]
        if different.any():
            power.append(separated[different].mean())
    return false / repeats, float(np.mean(power)) if power else np.nan


def main() -> None:
    import sys
    import time

    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    equal_spread = World(64, 0.10, 0.145, (0.07, 0.07))
    small = World(64, 0.10, 0.145, (0.010, 0.010))
    heavy = World(64, 0.10, 0.145, (0.010, 0.165), "heavy")
    for name, world, assumed in (
        ("skill", SKILL, None),
        ("skill, assumed 3x too low", SKILL, SKILL.ratio / 3),
        ("equal", equal_spread, None),
        ("small", small, None),
        ("small, assumed of skill", small, SKILL.ratio),
        ("heavy", heavy, None),
        ("likelihood", LIKELIHOOD, None),
    ):
        for label, seeds in (
            ("1", [1] * 20),
            ("3", [3] * 20),
            ("5", [5] * 20),
            ("1+3", [1] * 12 + [3] * 8),
            ("1+3, 3", [1] * 9 + [3] * 3),
        ):
            table = coverage(world, seeds, assumed, repeats=repeats)
            print(
                name,
                label,
                {
                    k: (round(v[0], 3), [round(x, 2) for x in v[1]], round(v[2], 3))
                    for k, v in table.items()
                },
                flush=True,
            )
    for name, world in (
        ("skill", SKILL),
        ("equal", equal_spread),
        ("heavy", heavy),
        ("likelihood", LIKELIHOOD),
    ):
        for n in (10, 20, 40):
            for label, seeds in (
                ("1", [1] * n),
                ("3", [3] * n),
                ("5", [5] * n),
                ("1+3", [1] * (n // 2) + [3] * (n - n // 2)),
            ):
                begun = time.monotonic()
                partly = np.concatenate([np.zeros(n // 2), np.linspace(0.1, 1.0, n - n // 2)])
                a = separations(world, np.zeros(n), seeds, repeats=repeats)
                b = separations(
                    world, partly[np.random.default_rng(0).permutation(n)], seeds, repeats=repeats
                )
                print(
                    name,
                    n,
                    label,
                    "false:",
                    a[0],
                    b[0],
                    "power",
                    round(b[1], 3),
                    f"{time.monotonic() - begun:.1f}s",
                    flush=True,
                )


if __name__ == "__main__":
    main()
