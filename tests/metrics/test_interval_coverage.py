"""Do the intervals hold what they should? Many sets of samples of one population, simulated."""

import numpy as np
import pytest

from bench.contract import Reference
from bench.music import Score
from bench.protocol.measuring import draws_of
from bench.protocol.statistics import interval
from metrics.feature_kde import FeatureKde
from metrics.isl import Isl
from metrics.pca_distance import FeatureMmd, PcaDistance
from metrics.structure import StructureGap
from metrics.two_sample import Coverage, Density, TwoSample

CHORDS = np.array([[48, 60, 64, 67], [53, 57, 65, 69], [43, 59, 62, 67], [45, 57, 60, 64]])
SAMPLES, TIMES = 48, 250


def piece(rng, wrong=0.0, bars=8):
    """Four voices in quarters and eighths over four chords, in a key; some notes of any pitch."""
    onset = np.sort(rng.choice(np.arange(0, 16 * bars, 2), 5 * bars, replace=False))
    pitch = CHORDS[rng.integers(4, size=5 * bars)] + rng.integers(-2, 3)
    onset, pitch = np.repeat(onset, 4), pitch.ravel()
    other = rng.random(len(pitch)) < wrong * rng.random()  # in some pieces more than in others
    pitch = np.where(other, rng.integers(40, 80, len(pitch)), pitch)
    return Score.from_notes(onset, rng.integers(2, 6, len(onset)), pitch, length=16 * bars)


@pytest.fixture(scope="module")
def population():
    """What samples are compared with, and more pieces of a system than any set of samples has."""
    rng = np.random.default_rng(0)
    train, tuning, test = ([piece(rng) for _ in range(count)] for count in (60, 20, 60))
    made = [piece(rng, wrong=0.15) for _ in range(3000)]
    return Reference(4, 16, 128, train, tuning, test, []), made


@pytest.mark.slow
@pytest.mark.parametrize(
    "cls",
    [
        PcaDistance,
        FeatureMmd,
        Isl,
        FeatureKde,
        TwoSample,
        Coverage,
        Density,
        StructureGap,
    ],
)
def test_the_interval_covers_what_the_metric_is_on_average_for_so_many_samples(cls, population):
    reference, made = population
    metric = cls()
    metric.prepare(reference)
    rng = np.random.default_rng(1)
    measurements = [
        metric.score([made[i] for i in rng.choice(len(made), SAMPLES, replace=False)])
        for _ in range(TIMES)
    ]
    true = np.mean([measurement.value for measurement in measurements])
    low, high = np.transpose([interval(draws_of(measurement)) for measurement in measurements])
    covered = ((low <= true) & (true <= high)).mean()
    assert 0.90 <= covered <= 0.98, (float(covered), np.mean(low > true), np.mean(high < true))
