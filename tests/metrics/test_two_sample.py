import os

import numpy as np
import pytest

from bench import data
from bench.contract import Reference
from bench.music import Score
from bench.protocol import corruptions, sampling
from metrics.two_sample import (
    NEIGHBOURS,
    Coverage,
    Density,
    TwoSample,
    left_out,
    logistic,
    parts,
    places,
)


def piece(seed, wrong=0.0, like=None):
    """Thirds up and down a scale of its own; so many notes of any pitch.

    Pieces that are like the same seed have their bars in common, in an order of their own.
    """
    rng = np.random.default_rng(seed)
    scale = np.array([60, 62, 64, 65, 67, 69, 71, 72, 74, 76, 77, 79])
    shape = rng if like is None else np.random.default_rng(like)
    at = np.abs(np.cumsum(shape.integers(-1, 2, 64))) % 10
    move = shape.integers(-3, 4)
    at = at if like is None else rng.permutation(at.reshape(8, 8)).ravel()
    pitch = np.concatenate([scale[at], scale[at + 2]]) + move
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
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    x, y = rng.normal(0.3, 1, (60, 8)), rng.normal(0, 1, (50, 8))
    fit = LogisticRegression(C=1, tol=1e-10, max_iter=10_000)
    fit.fit(np.vstack([x, y]), np.repeat([1, 0], [60, 50]))
    assert np.allclose(logistic(x, y)[:-1], fit.coef_[0], atol=1e-5)


def test_leaving_a_sample_out_is_nearly_learning_without_it():
    rng = np.random.default_rng(0)
    x, y = rng.normal(0.3, 1, (80, 6)), rng.normal(0, 1, (80, 6))
    owner = np.repeat(np.arange(40), 2)
    fit = logistic(x, y)
    fits = left_out(x, y, fit, owner)
    assert fits.shape == (40, 7)
    for sample in range(5):
        again = logistic(x[owner != sample], y)
        assert np.linalg.norm(fits[sample] - again) < 0.1 * np.linalg.norm(fit - again)


def test_the_classifier_separates_what_is_separable():
    x, y = np.full((20, 3), 5.0), np.full((20, 3), -5.0)
    assert np.isfinite(logistic(x, y)).all()
    assert places(x @ logistic(x, y)[:-1], y @ logistic(x, y)[:-1]).mean() == 1


def test_the_mean_place_is_the_area_under_the_curve_ties_included():
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(1)
    x, y = rng.integers(0, 6, 40).astype(float), rng.integers(0, 5, 30).astype(float)
    expected = roc_auc_score(np.repeat([1, 0], [40, 30]), np.concatenate([x, y]))
    assert places(x, y).mean() == pytest.approx(expected)


def test_folds_are_equal_where_every_excerpt_is_from_a_piece_of_its_own():
    chosen = np.random.default_rng(1).permutation(23)[:17]
    folds = parts(np.arange(23), chosen, 5, np.random.default_rng(0))
    assert (folds == -1).sum() == 6
    assert sorted(np.bincount(folds[folds >= 0])) == [3, 3, 3, 4, 4]


def test_excerpts_of_one_piece_are_in_one_fold_and_no_fold_is_empty():
    source = np.array([0, 1, 2, 2, 0, 1, 3, 2, 2, 4])
    for seed in range(20):
        folds = parts(source, np.arange(9), 4, np.random.default_rng(seed))
        assert set(folds[:9]) == {0, 1, 2, 3}
        assert all(
            len(set(folds[:9][source[:9] == piece_number])) == 1 for piece_number in range(4)
        )
        assert folds[9] == -1


def excerpts_of(first, count, each):
    """Excerpts that share the notes of their piece, and the piece of each."""
    excerpts = [piece(1000 * seed + k, like=seed) for seed in range(first, first + count)
             for k in range(each)]  # fmt: skip
    return excerpts, [f"piece {seed}" for seed in range(first, first + count) for _ in range(each)]


def test_excerpts_of_the_same_pieces_do_not_tell_real_music_from_real_music():
    known, unknown = [], []
    for first in range(100, 500, 40):
        (made, prompts), (real, tests) = excerpts_of(first, 8, 4), excerpts_of(first + 20, 8, 4)
        with_pieces = Reference(4, 16, 128, REFERENCE.train, [], real, [], tests, prompts)
        without_pieces = Reference(4, 16, 128, REFERENCE.train, [], real, [])
        known.append(score_of(TwoSample, made, with_pieces).value)
        unknown.append(score_of(TwoSample, made, without_pieces).value)
    assert np.mean(known) == pytest.approx(0.5, abs=3 * np.std(known) / np.sqrt(len(known)))
    assert np.mean(unknown) > 0.65


def test_samples_of_one_piece_alone_give_a_reason():
    made, prompts = excerpts_of(0, 1, 8)
    real, tests = excerpts_of(10, 8, 1)
    compared = Reference(4, 16, 128, REFERENCE.train, [], real, [], tests, prompts)
    assert "two pieces" in score_of(TwoSample, made, compared).reason


@pytest.mark.parametrize("name", ["chorales", "jsb", "nottingham"])
def test_held_out_music_is_not_told_from_held_out_music_and_other_sets_are(name):
    if name != "chorales" and not os.environ.get("BENCH_DATA_DIR"):
        pytest.skip("the piano-roll sets are in no folder: set BENCH_DATA_DIR")
    dataset = data.load(name)
    protocol = sampling.Protocol(samples=64, steps=8 * dataset.bar, prompt=dataset.bar)
    prompts = sampling.prompts(dataset, protocol)
    compared = sampling.reference(dataset, protocol, prompts)
    real = [prompt.continuation for prompt in prompts]
    given = corruptions.Material(real, compared.train, real, dataset.bar)
    areas = {
        title: score_of(TwoSample, made, compared).value
        for title, made in corruptions.sets(given, 0).items()
    }
    assert 0.4 <= areas["human"] <= 0.6
    assert areas["silence"] == 1
    assert areas["noise"] > 0.99
    assert areas["markov"] > 0.7


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
    assert "two pieces" in score_of(TwoSample, pieces(200, 1)).reason


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
    repeated = [piece(300)] * 30
    many = pieces(300, 30)
    assert score_of(Coverage, repeated).value < 0.35 < score_of(Coverage, many).value
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
