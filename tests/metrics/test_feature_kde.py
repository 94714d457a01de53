import numpy as np
import pytest

from bench.contract import Reference
from bench.music import Score
from metrics.feature_kde import WIDTHS, FeatureKde


def piece(seed, wrong=0.0):
    """A walk in thirds up and down a scale; so many notes of any pitch."""
    rng = np.random.default_rng(seed)
    scale = np.array([60, 62, 64, 65, 67, 69, 71, 72, 74, 76, 77, 79])
    at = np.abs(np.cumsum(rng.integers(-1, 2, 64))) % 10
    pitch = np.concatenate([scale[at], scale[at + 2]])
    pitch = np.where(rng.random(128) < wrong, rng.integers(40, 90, 128), pitch)
    return Score.from_notes(np.tile(np.arange(0, 128, 2), 2), [2] * 128, pitch, length=128)


REFERENCE = Reference(
    4,
    16,
    128,
    [piece(seed) for seed in range(30)],
    [piece(seed) for seed in range(30, 40)],
    [piece(seed) for seed in range(40, 60)],
    [],
)


def score_of(samples, reference=REFERENCE):
    metric = FeatureKde()
    metric.prepare(reference)
    return metric, metric.score(samples)


def test_the_value_is_the_mean_log_density_of_scikit_learn_at_the_likeliest_width():
    from sklearn.neighbors import KernelDensity

    samples = [piece(seed, 0.1) for seed in range(70, 80)]
    metric, measurement = score_of(samples)
    where = metric._space
    centres, points, tuning = (
        where.project(where.windows(list(p)).features)
        for p in (samples, REFERENCE.test, REFERENCE.tuning)
    )
    fits = [KernelDensity(bandwidth=width).fit(centres) for width in WIDTHS]
    best = max(fits, key=lambda fit: fit.score(tuning))
    assert measurement.detail["width"] == pytest.approx(best.bandwidth)
    assert measurement.value == pytest.approx(best.score_samples(points).mean(), abs=1e-9)


def test_it_falls_with_wrong_notes_down_to_silence():
    sets = [[piece(seed, wrong) for seed in range(80, 100)] for wrong in (0, 0.05, 0.3, 1)]
    values = [score_of(s)[1].value for s in [*sets, [Score.silence(128)] * 20]]
    assert values == sorted(values, reverse=True)


def test_the_skill_is_one_for_training_music_and_zero_for_independent_keys():
    assert score_of(list(REFERENCE.train[:20]))[1].detail["skill"] == pytest.approx(1, abs=0.15)
    rng = np.random.default_rng(1)
    rates = np.mean([p.sounding().mean(axis=0) for p in REFERENCE.train], axis=0)
    noise = [Score.from_rolls(rng.random((128, 88)) < rates) for _ in range(20)]
    assert score_of(noise)[1].detail["skill"] == pytest.approx(0, abs=0.05)


def test_what_cannot_be_compared_gives_a_reason():
    assert score_of([])[1].reason == "there are no samples"
    bare = Reference(4, 16, 128, REFERENCE.train, [], REFERENCE.test, [])
    assert "tuning" in score_of([piece(0)], bare)[1].reason
    assert score_of([piece(0)])[1].value is not None
