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


def test_all_metrics_of_128_pieces_of_256_steps_take_under_5_seconds(capsys):
    took = score_each([voices(seed) for seed in range(500, 628)])
    with capsys.disabled():
        print()
        for name in sorted(took, key=took.__getitem__, reverse=True):
            print(f"{took[name]:8.3f} s  {name}")
        print(f"{sum(own(took).values()):8.3f} s  all but muspy's; {sum(took.values()):.3f} s all")
    assert sum(took.values()) < 5


def test_four_times_the_pieces_take_less_than_five_times_as_long(capsys):
    few, many = (
        own(score_each([voices(seed) for seed in range(1000, 1000 + count)]))
        for count in (250, 1000)
    )
    with capsys.disabled():
        print()
        for name in sorted(many, key=many.__getitem__, reverse=True)[:10]:
            print(f"{few[name]:8.3f} s {many[name]:8.3f} s  {name}")
        print(f"{sum(few.values()):8.3f} s {sum(many.values()):8.3f} s  together")
    assert sum(many.values()) < 5 * sum(few.values())
    slow = {name: each / few[name] for name, each in many.items() if each > 0.2}
    assert {name: round(ratio, 1) for name, ratio in slow.items() if ratio >= 5} == {}
