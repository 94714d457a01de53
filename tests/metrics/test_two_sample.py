import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from bench.contract import Reference
from bench.music import Score
from metrics.two_sample import NEIGHBOURS, Coverage, Density, TwoSample, logistic, parts, places


def piece(seed, wrong=0.0):
    """Thirds up and down a scale of its own; so many notes of any pitch."""
    rng = np.random.default_rng(seed)
    scale = np.array([60, 62, 64, 65, 67, 69, 71, 72, 74, 76, 77, 79])
    at = np.abs(np.cumsum(rng.integers(-1, 2, 64))) % 10
    pitch = np.concatenate([scale[at], scale[at + 2]]) + rng.integers(-3, 4)
    pitch = np.where(rng.random(128) < wrong, rng.integers(40, 90, 128), pitch)
    return Score.from_notes(np.tile(np.arange(0, 128, 2), 2), [2] * 128, pitch, length=128)


def pieces(first, count, wrong=0.0):
    return [piece(seed, wrong) for seed in range(first, first + count)]


REFERENCE = Reference(4, 16, 128, pieces(0, 40), [], pieces(100, 30), [])


def score_of(cls, samples, reference=REFERENCE):
    metric = cls()
    metric.prepare(reference)
    return metric.score(samples)


def test_the_classifier_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    x, y = rng.normal(0.3, 1, (60, 8)), rng.normal(0, 1, (50, 8))
    fit = LogisticRegression(C=1, tol=1e-10, max_iter=10_000)
    fit.fit(np.vstack([x, y]), np.repeat([1, 0], [60, 50]))
    assert np.allclose(logistic(x, y), fit.coef_[0], atol=1e-5)


def test_the_classifier_parts_what_is_wholly_apart():
    x, y = np.full((20, 3), 5.0), np.full((20, 3), -5.0)
    assert np.isfinite(logistic(x, y)).all()
    assert places(x @ logistic(x, y), y @ logistic(x, y)).mean() == 1


def test_the_mean_place_is_the_area_under_the_curve_ties_included():
    rng = np.random.default_rng(1)
    x, y = rng.integers(0, 6, 40).astype(float), rng.integers(0, 5, 30).astype(float)
    expected = roc_auc_score(np.repeat([1, 0], [40, 30]), np.concatenate([x, y]))
    assert places(x, y).mean() == pytest.approx(expected)


def test_folds_are_equal_and_hold_whole_pieces():
    folds = parts(23, 17, np.random.default_rng(0))
    assert (folds == -1).sum() == 6
    assert sorted(np.bincount(folds[folds >= 0])) == [3, 3, 3, 4, 4]


def test_real_music_is_not_told_from_real_music_and_silence_always_is():
    same = []
    for first in range(200, 1400, 60):
        compared = Reference(4, 16, 128, REFERENCE.train, [], pieces(first, 30), [])
        same.append(score_of(TwoSample, pieces(first + 30, 30), compared).value)
    assert np.mean(same) == pytest.approx(0.5, abs=3 * np.std(same) / np.sqrt(len(same)))
    assert np.std(same) < 0.08
    assert score_of(TwoSample, [Score.silence(128)] * 30).value == 1
    some = score_of(TwoSample, pieces(200, 30, wrong=0.02)).value
    assert np.mean(same) < some < score_of(TwoSample, pieces(200, 30, wrong=0.2)).value <= 1


def test_as_many_samples_as_excerpts_take_part():
    assert score_of(TwoSample, pieces(200, 70)).detail["pieces_compared"] == 30
    assert score_of(TwoSample, pieces(200, 8)).detail["pieces_compared"] == 8
    assert score_of(TwoSample, pieces(200, 2)).value is not None
    assert "two samples" in score_of(TwoSample, pieces(200, 1)).reason


def test_the_area_repeats_and_its_draws_surround_it():
    first, second = (score_of(TwoSample, pieces(200, 30, wrong=0.02)) for _ in range(2))
    assert first.value == second.value
    assert np.array_equal(first.draws, second.draws)
    low, high = np.quantile(first.draws, [0.025, 0.975])
    assert low < first.value < high


def neighbourhoods(samples):
    """Coverage and density by the definition, pair by pair."""
    metric = Coverage()
    metric.prepare(REFERENCE)
    where = metric._space
    real, made = where.windows(list(REFERENCE.test)), where.windows(list(samples))
    y, x = where.project(real.features), where.project(made.features)
    covered, inside = [], 0
    for i, point in enumerate(y):
        others = sorted(
            np.linalg.norm(point - q) for j, q in enumerate(y) if real.piece[i] != real.piece[j]
        )
        near = [np.linalg.norm(point - q) <= others[NEIGHBOURS - 1] for q in x]
        covered.append(any(near))
        inside += sum(near)
    return np.mean(covered), inside / (NEIGHBOURS * len(x))


def test_coverage_and_density_are_those_of_the_definition():
    samples = pieces(200, 12, wrong=0.03)
    coverage, density = neighbourhoods(samples)
    assert 0 < coverage < 1
    assert score_of(Coverage, samples).value == pytest.approx(coverage)
    assert score_of(Density, samples).value == pytest.approx(density)


def test_coverage_sees_that_samples_are_one_piece_and_density_does_not():
    one = [piece(300)] * 30
    many = pieces(300, 30)
    assert score_of(Coverage, one).value < 0.35 < score_of(Coverage, many).value
    assert score_of(Coverage, [Score.silence(128)] * 30).value == 0
    assert score_of(Density, [Score.silence(128)] * 30).value == 0


def test_the_test_excerpts_cover_themselves():
    assert score_of(Coverage, list(REFERENCE.test)).value == 1


@pytest.mark.parametrize("cls", [TwoSample, Coverage, Density])
def test_what_cannot_be_compared_gives_a_reason(cls):
    assert score_of(cls, []).reason == "there are no samples"
    bare = Reference(4, 16, 128, [], [], pieces(0, 9), [])
    assert "training pieces" in score_of(cls, pieces(0, 5), bare).reason
    bare = Reference(4, 16, 128, pieces(0, 9), [], [], [])
    assert "test excerpts" in score_of(cls, pieces(0, 5), bare).reason


def test_too_few_test_excerpts_have_no_neighbours():
    bare = Reference(4, 16, 128, pieces(0, 9), [], pieces(20, 3), [])
    assert "neighbours" in score_of(Coverage, pieces(0, 5), bare).reason
