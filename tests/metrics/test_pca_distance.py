import numpy as np
import pytest

from bench.contract import Reference
from bench.music import Score
from metrics.pca_distance import FeatureMmd, Moments, PcaDistance, few, frechet, squared

CHORDS = np.array([[48, 60, 64, 67], [53, 57, 65, 69], [43, 59, 62, 67], [45, 57, 60, 64]])


def piece(seed, bars=8, wrong=0.0):
    """Four voices in quarters and eighths over four chords; so many notes of any pitch."""
    rng = np.random.default_rng(seed)
    onset = np.sort(rng.choice(np.arange(0, 16 * bars, 2), 5 * bars, replace=False))
    pitch = CHORDS[rng.integers(4, size=5 * bars)] + rng.choice([0, 0, 2])
    onset, pitch = np.repeat(onset, 4), pitch.ravel()
    other = rng.random(len(pitch)) < wrong
    pitch = np.where(other, rng.integers(40, 80, len(pitch)), pitch)
    return Score.from_notes(onset, rng.integers(2, 6, len(onset)), pitch, length=16 * bars)


def reference(**changed):
    parts = {
        "train": [piece(seed, 12) for seed in range(40)],
        "tuning": [piece(seed) for seed in range(40, 50)],
        "test": [piece(seed) for seed in range(50, 70)],
        "prompts": [],
    }
    return Reference(4, 16, 128, **(parts | changed))


REFERENCE = reference()


def score_of(cls, samples, compared=REFERENCE):
    metric = cls()
    metric.prepare(compared)
    return metric.score(samples)


def test_the_distance_is_that_by_matrix_roots():
    from scipy.linalg import sqrtm

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(50, 6)), rng.normal(size=(40, 6)) @ rng.normal(size=(6, 6)) + 1
    a, b = np.cov(x.T), np.cov(y.T)
    root = sqrtm(sqrtm(a) @ b @ sqrtm(a)).real
    expected = ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(a + b - 2 * root)
    assert frechet(x.mean(0), a, y.mean(0), b) == pytest.approx(expected, abs=1e-9)
    assert frechet(x.mean(0), a, x.mean(0), a) == pytest.approx(0, abs=1e-9)


def test_moments_of_chosen_pieces_are_those_of_their_windows():
    rng = np.random.default_rng(1)
    piece_of = np.repeat(np.arange(6), [3, 1, 4, 2, 5, 2])
    points = rng.normal(size=(17, 3))
    chosen = np.array([[1, 0, 1, 0, 0, 1], [1, 1, 1, 1, 1, 1]], dtype=float)
    means, covariances = Moments.of(points, piece_of).choose(chosen)
    for row in range(2):
        inside = points[chosen[row][piece_of] > 0]
        assert np.allclose(means[row], inside.mean(axis=0))
        assert np.allclose(covariances[row], np.cov(inside.T))


@pytest.mark.parametrize("cls", [PcaDistance, FeatureMmd])
def test_it_grows_with_wrong_notes_and_silence_is_worst(cls):
    values = [
        score_of(cls, [piece(seed, wrong=wrong) for seed in range(100, 120)]).value
        for wrong in (0, 0.1, 0.3, 0.9)
    ]
    values.append(score_of(cls, [Score.silence(128)] * 20).value)
    assert values == sorted(values)
    assert values[1] > 0


def test_the_test_excerpts_are_at_no_distance_from_themselves():
    measurement = score_of(PcaDistance, REFERENCE.test)
    assert measurement.value == pytest.approx(0, abs=1e-9)
    assert measurement.detail["p_value"] == 1


def test_the_p_value_is_even_for_real_music_and_small_for_other():
    p = []
    for first in range(200, 1400, 40):
        pieces = [piece(seed) for seed in range(first, first + 40)]
        p.append(score_of(PcaDistance, pieces[:20], reference(test=pieces[20:])).detail["p_value"])
    assert 0.35 < np.mean(p) < 0.65
    assert np.mean(np.array(p) < 0.1) < 0.3
    wrong = score_of(PcaDistance, [piece(seed, wrong=0.3) for seed in range(20)])
    assert wrong.detail["p_value"] < 0.005
    assert wrong.detail["usual_for_real_music"] < wrong.value


def test_the_discrepancy_is_zero_on_average_for_real_music_however_few_pieces():
    values = [
        score_of(FeatureMmd, [piece(s) for s in range(k, k + 4)]).value for k in range(200, 320, 4)
    ]
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(len(values))


def test_the_discrepancy_leaves_out_pairs_of_windows_of_one_piece():
    samples = [piece(seed, wrong=0.2) for seed in range(6)]
    metric = FeatureMmd()
    metric.prepare(REFERENCE)
    made, real = metric._space.windows(samples), metric._test
    x, y = metric._space.project(made.features), metric._space.project(real.features)
    width = np.median([((a - b) ** 2).sum() for i, a in enumerate(y) for b in y[:i]])

    def mean(a, b, owners=None, others=None):
        pairs = [
            np.exp(-((p - q) ** 2).sum() / width)
            for i, p in enumerate(a)
            for j, q in enumerate(b)
            if owners is None or owners[i] != others[j]
        ]
        return np.mean(pairs)

    expected = (
        mean(x, x, made.piece, made.piece) + mean(y, y, real.piece, real.piece) - 2 * mean(x, y)
    )
    assert metric.score(samples).value == pytest.approx(expected)


def test_at_most_so_many_windows_are_compared_pair_by_pair(monkeypatch):
    from metrics.features import Windows

    monkeypatch.setattr("metrics.pca_distance.MOST_WINDOWS", 50)
    windows = Windows(np.arange(120.0)[:, None], np.repeat(np.arange(40), 3), 40)
    kept = few(windows)
    assert (kept.pieces, len(kept.piece)) == (16, 48)
    assert np.array_equal(np.bincount(kept.piece), [3] * 16)
    owner = (kept.features[:, 0] // 3).astype(int)
    assert np.array_equal(np.unique(owner, return_inverse=True)[1], kept.piece)


def test_squared_distances_are_those_of_points():
    x, y = np.random.default_rng(0).normal(size=(2, 5, 3))
    expected = [[((a - b) ** 2).sum() for b in y] for a in x]
    assert np.allclose(squared(x, y), expected)


@pytest.mark.parametrize("cls", [PcaDistance, FeatureMmd])
def test_what_cannot_be_compared_gives_a_reason(cls):
    assert score_of(cls, []).reason == "there are no samples"
    assert "training pieces" in score_of(cls, [piece(0)], reference(train=[])).reason
    assert "test excerpts" in score_of(cls, [piece(0)], reference(test=[])).reason


@pytest.mark.parametrize("cls", [PcaDistance, FeatureMmd])
def test_draws_spread_around_the_value_and_repeat(cls):
    samples = [piece(seed, wrong=0.2) for seed in range(15)]
    first, second = score_of(cls, samples), score_of(cls, samples)
    assert np.array_equal(first.draws, second.draws)
    assert first.draws.mean() == pytest.approx(first.value, rel=0.01)
    assert first.draws.std() > 0
