import warnings

import numpy as np
import pytest

from bench.contract import Reference
from bench.music import Score
from metrics.isl_legacy import IslLegacy, frames, log_density


def statsmodels_says(data, points):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from statsmodels.nonparametric.kernel_density import KDEMultivariate

        with np.errstate(all="ignore"):
            density = KDEMultivariate(data=data.astype(float), var_type="u" * data.shape[1])
            return np.log(density.pdf(points.astype(float)))


@pytest.mark.parametrize("keys", [4, 88])
def test_the_density_is_that_of_statsmodels_including_nan(keys):
    rng = np.random.default_rng(keys)
    rates = rng.beta(0.4, 3, keys)
    data, points = rng.random((300, keys)) < rates, rng.random((40, keys)) < rates
    data[:, 0], points[:20, 0] = False, False  # never played: NaN for the last 20 or so
    data[:, 1], points[:30, 1] = True, True  # always played
    points[30:, 0] = True
    logs, expected = log_density(data, points), statsmodels_says(data, points)
    assert np.isnan(expected).any()
    assert not np.isnan(expected).all()
    assert np.array_equal(np.isnan(logs), np.isnan(expected))
    assert np.nanmax(np.abs(logs - expected)) < 1e-9


def real_pieces(count, seed=0):
    rng = np.random.default_rng(seed)
    rolls = rng.random((count, 64, 88)) < np.where(abs(np.arange(88) - 40) < 12, 0.15, 0.002)
    return [Score.from_rolls(roll) for roll in rolls]


def score_of(samples, test):
    metric = IslLegacy()
    metric.prepare(Reference(4, 16, 64, [], [], test, []))
    return metric.score(samples)


def test_silence_comes_out_best_because_nearly_all_frames_are_dropped():
    test = real_pieces(20)
    test[0] = Score.silence(64)
    music, silence = score_of(real_pieces(20, 1), test), score_of([Score.silence(64)] * 20, test)
    assert silence.value == 0
    assert silence.value > music.value
    assert silence.detail["dropped"] > 0.8 > music.detail["dropped"]


def test_without_a_value_for_any_frame_there_is_a_reason():
    test = [Score.from_notes([0], [64], [60])] * 3
    measurement = score_of([Score.silence(64)] * 3, test)
    assert measurement.value is None
    assert measurement.detail["dropped"] == 1
    assert "no number" in measurement.reason
    assert score_of([], test).reason == "there are no samples"
    assert "88 frames" in score_of([Score.silence(64)], test).reason


def test_frames_are_drawn_without_replacement_from_all_pieces():
    pieces = real_pieces(5)
    every = np.concatenate([p.sounding() for p in pieces])
    assert np.array_equal(frames(pieces, 10**6), every)
    some = frames(pieces, 50)
    assert len(some) == 50
    assert {row.tobytes() for row in some} <= {row.tobytes() for row in every}
    assert frames([], 10).shape == (0, 88)
