"""How fast metrics are: against statsmodels, each by itself, and as pieces become many."""

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


def test_the_legacy_density_against_statsmodels(seconds, measured):
    """n = 5000 samples, d = 88 keys, m = 2000 points."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from statsmodels.nonparametric.kernel_density import KDEMultivariate

        rng = np.random.default_rng(0)
        rates = rng.beta(0.3, 3, 88)
        data, points = rng.random((5000, 88)) < rates, rng.random((2000, 88)) < rates
        peer = KDEMultivariate(data=data.astype(float), var_type="u" * 88)
    few = points[:100]
    assert np.allclose(np.exp(log_density(data, few)), peer.pdf(few.astype(float)), equal_nan=True)
    ours, theirs = seconds(
        lambda: log_density(data, points), lambda: peer.pdf(few.astype(float)), repeats=2
    )
    measured(
        "ISL",
        "the density of frames, as published",
        size="5000 samples, 2000 points, 88 keys",
        against="statsmodels",
        ours=ours,
        theirs=20 * theirs,
        note="statsmodels timed on 100 points",
    )


def voices(seed, steps=256):
    """Four voices that move in eighths or hold."""
    rng = np.random.default_rng(seed)
    onset = np.repeat(np.arange(0, steps, 2), 4)
    keep = rng.random(len(onset)) < 0.6
    pitch = np.tile([48, 57, 64, 70], steps // 2) + rng.integers(-4, 5, len(onset))
    return Score.from_notes(onset[keep], rng.integers(2, 6, keep.sum()), pitch[keep], length=steps)


def score_each(samples):
    """Seconds of the processor that each metric takes, once the reference is prepared."""
    import muspy  # noqa: F401 - what an import takes is not what a metric takes

    pieces = [voices(seed) for seed in range(470)]
    compared = Reference(
        4, 16, 256, pieces[:250], pieces[250:280], pieces[280:340], pieces[340:468]
    )
    took = {}
    for name, path in ENTRIES["musicbench.metrics"].items():
        metric = registry.load_object(path)()
        metric.prepare(compared)
        begun = time.process_time()
        metric.score(samples)
        took[name] = time.process_time() - begun
    return took


def own(took):
    """The metrics of the suite, without those that only pass on what muspy says."""
    return {name: each for name, each in took.items() if not name.startswith("muspy_")}


def slowest(took):
    """The three that take longest, in words."""
    names = sorted(took, key=took.__getitem__)[-3:]
    return "slowest " + ", ".join(f"{name} {took[name]:.2f} s" for name in reversed(names))


def test_all_metrics_of_128_pieces_of_256_steps(measured):
    took = score_each([voices(seed) for seed in range(500, 628)])
    size = "128 pieces of 256 steps"
    all_own = own(took)
    measured(
        "metrics", "all of the suite", size=size, ours=sum(all_own.values()), note=slowest(all_own)
    )
    rest = sum(took.values()) - sum(all_own.values())
    measured("metrics", "those that muspy computes", size=size, ours=rest)


def test_all_metrics_of_four_times_the_pieces(measured):
    few, many = (
        own(score_each([voices(seed) for seed in range(1000, 1000 + count)]))
        for count in (250, 1000)
    )
    growth = {name: each / few[name] for name, each in many.items() if each > 0.1}
    steepest = max(growth, key=growth.__getitem__)
    measured(
        "metrics",
        "all of the suite",
        size="1000 pieces of 256 steps",
        ours=sum(many.values()),
        note=f"{sum(many.values()) / sum(few.values()):.1f} times what 250 pieces take, at most"
        f" {growth[steepest]:.1f} times ({steepest}); {slowest(many)}",
    )
