"""How fast metrics are, as ratios to named peers. Run by hand: pytest tests/benchmarks -s"""

import time
import tomllib
import warnings
from pathlib import Path

import numpy as np

from bench import registry
from bench.contract import Reference
from bench.music import Score
from metrics.isl_legacy import log_density

PROJECT = Path(__file__).parents[2] / "pyproject.toml"
ENTRIES = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]["entry-points"]


def seconds(work, repeats=3):
    """The least time of some runs."""
    times = []
    for _ in range(repeats):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return min(times)


def test_the_legacy_density_against_statsmodels(capsys):
    """n = 5000 samples, d = 88 keys, m = 2000 points; statsmodels is timed on a tenth of them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from statsmodels.nonparametric.kernel_density import KDEMultivariate

        rng = np.random.default_rng(0)
        rates = rng.beta(0.3, 3, 88)
        data, points = rng.random((5000, 88)) < rates, rng.random((2000, 88)) < rates
        peer = KDEMultivariate(data=data.astype(float), var_type="u" * 88)
        theirs = 10 * seconds(lambda: peer.pdf(points[:200].astype(float)), 1)
    ours = seconds(lambda: log_density(data, points))
    with capsys.disabled():
        print(f"\nstatsmodels {theirs:.1f} s, ours {ours:.2f} s: {theirs / ours:.0f} times faster")
    assert theirs / ours > 20


def voices(seed, steps=256):
    """Four voices that move in eighths or hold."""
    rng = np.random.default_rng(seed)
    onset = np.repeat(np.arange(0, steps, 2), 4)
    keep = rng.random(len(onset)) < 0.6
    pitch = np.tile([48, 57, 64, 70], steps // 2) + rng.integers(-4, 5, len(onset))
    return Score.from_notes(onset[keep], rng.integers(2, 6, keep.sum()), pitch[keep], length=steps)


def test_all_metrics_of_128_pieces_of_256_steps(capsys):
    pieces = [voices(seed) for seed in range(900)]
    compared = Reference(
        4, 16, 256, pieces[:250], pieces[250:280], pieces[280:340], pieces[340:468]
    )
    prepare, score = {}, {}
    for name, path in ENTRIES["musicbench.metrics"].items():
        metric = registry.load_object(path)()
        begun = time.perf_counter()
        metric.prepare(compared)
        prepare[name] = time.perf_counter() - begun
        begun = time.perf_counter()
        metric.score(pieces[500:628])
        score[name] = time.perf_counter() - begun
    own = sum(took for name, took in score.items() if not name.startswith("muspy_"))
    with capsys.disabled():
        print(f"\nprepare {sum(prepare.values()):.2f} s; score {own:.2f} s, and muspy's")
        print(f"{sum(score.values()) - own:.2f} s. The slowest:", end=" ")
        slowest = sorted(score, key=score.__getitem__)[-6:]
        print(", ".join(f"{name} {score[name]:.2f} s" for name in reversed(slowest)))
    assert own < 5
