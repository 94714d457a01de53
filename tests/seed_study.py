"""How often intervals cover, and how often equal systems are separated, where the truth is known.

`python tests/seed_study.py` prints the table of docs/protocol.md.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

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

    Different means: apart in truth.
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


WORLDS = {"skill": SKILL, "likelihood": LIKELIHOOD}


def mixed(n: int) -> list[int]:
    """Half of the systems with one seed, half with three."""
    return [1] * (n - n // 2) + [3] * (n // 2)


def partly(n: int) -> list[float]:
    """Half of the systems are equal, the others up to 1 better; shuffled."""
    means = np.concatenate([np.zeros(n - n // 2), np.linspace(0.1, 1.0, n // 2)])
    return list(np.random.default_rng(n).permutation(means))


def coverage_lines(repeats: int) -> Iterator[str]:
    """The table of coverage."""
    yield "| figure | seeds | coverage | by spread: least, middle, most |"
    yield "| --- | --- | --- | --- |"
    for name, world in WORLDS.items():
        for seeds in ([1] * 20, [3] * 20, [5] * 20, mixed(20)):
            for count, (share, thirds, _) in coverage(world, seeds, repeats=repeats).items():
                label = (
                    f"{count}" if len(set(seeds)) == 1 else f"{count}, beside systems with 1 and 3"
                )
                by_third = ", ".join(f"{third:.0%}" for third in thirds)
                yield f"| {name} | {label} | {share:.1%} | {by_third} |"


def separation_lines(repeats: int) -> Iterator[str]:
    """The table of false separations."""
    yield "| figure | systems | seeds | false, all equal | false, half equal | pairs separated |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for name, world in WORLDS.items():
        for n in (10, 20, 40):
            for label, seeds in (("1", [1] * n), ("3", [3] * n), ("1 or 3", mixed(n))):
                number = repeats * 10 // n
                equal, _ = separations(world, [0.0] * n, seeds, repeats=number)
                some, power = separations(world, partly(n), seeds, repeats=number)
                yield f"| {name} | {n} | {label} | {equal:.1%} | {some:.1%} | {power:.0%} |"


def main() -> None:
    """Print both tables; the arguments are how many boards to simulate for each."""
    boards = [int(number) for number in sys.argv[1:]] or [400, 600]
    for line in chain(coverage_lines(boards[0]), [""], separation_lines(boards[1])):
        print(line, flush=True)


if __name__ == "__main__":
    main()
