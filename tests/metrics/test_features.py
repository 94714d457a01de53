import numpy as np
import pytest

from bench.contract import Reference
from bench.music import Score
from metrics.features import FARTHEST, FEATURES, project, space, window_steps, windows

RNG = np.random.default_rng(5)


def piece(seed, bars=4, grid=4):
    """Three voices in quarters and eighths."""
    rng = np.random.default_rng(seed)
    steps = 4 * grid * bars
    onset = rng.choice(np.arange(0, steps, grid // 2 or 1), 8 * bars)
    return Score.from_notes(
        onset, rng.integers(1, 2 * grid + 1, 8 * bars), rng.integers(45, 80, 8 * bars),
        length=steps, grid=grid,
    )  # fmt: skip


def features_of(score, bar=16):
    values = windows([score], score.length, bar, score.grid).features
    return dict(zip(FEATURES, values[0], strict=True))


def reference(**changed):
    parts = {
        "grid": 4,
        "bar": 16,
        "steps": 128,
        "train": [piece(seed, 13) for seed in range(20)],
        "tuning": [],
        "test": [piece(seed, 8) for seed in range(30, 36)],
        "prompts": [],
    }
    return Reference(**(parts | changed))


def test_a_bar_worked_out_by_hand():
    # C4 held for four bars; E4 G4 in half notes over the first two.
    score = Score.from_notes([0, 0, 8, 16, 24], [64, 8, 8, 8, 8], [60, 64, 67, 64, 67], length=64)
    values = features_of(score)
    assert values["onsets_per_beat"] == 5 / 16
    assert [values[f"sounding_{n}"] for n in ("0", "1", "2", "3", "4_or_more")] == [
        0,
        0.5,
        0.5,
        0,
        0,
    ]
    pitches = np.array([60] * 64 + [64] * 16 + [67] * 16)
    assert values["pitch_mean"] == pytest.approx(pitches.mean())
    assert values["pitch_sd"] == pytest.approx(pitches.std())
    assert (values["pitch_range"], values["pitch_number"]) == (7, 3)
    assert values["scale_consistency"] == 1
    share = np.array([64, 16, 16]) / 96
    assert values["pitch_class_entropy"] == pytest.approx(-(share * np.log2(share)).sum())
    assert [values[f"degree_{n}"] for n in (0, 4, 7)] == pytest.approx(list(share))  # C major
    assert [values[f"onset_in_beat_{n}"] for n in range(4)] == [1, 0, 0, 0]
    assert [values[f"onset_in_bar_{n}"] for n in range(4)] == pytest.approx([0.6, 0, 0.4, 0])
    assert [values[f"interval_class_{n}"] for n in (3, 4, 5)] == [0, 0.5, 0.5]
    assert values["skyline_3_4"] == 1  # E G E G
    assert np.isnan(values["bass_0"])  # one attack of the lowest key: no interval
    assert values["sustain"] == 96 / 5 / 4
    assert values["wait_half"] == 1
    assert values["changes_per_beat"] == 4 / 16
    # bars: two alike in all, two of C alone; six pairs
    full, bare = 2 * 16, 16
    assert values["bars_alike"] == pytest.approx(
        (full + bare + 4 * bare) / (full + bare + 4 * full)
    )


@pytest.mark.parametrize("grid", [2, 4, 8])
def test_features_do_not_depend_on_the_grid(grid):
    coarse = piece(3, grid=2)
    fine = Score.from_notes(
        coarse.onset * grid // 2, coarse.duration * grid // 2, coarse.pitch,
        length=coarse.length * grid // 2, grid=grid,
    )  # fmt: skip
    expected, values = features_of(coarse, bar=8), features_of(fine, bar=4 * grid)
    for name in FEATURES:
        assert values[name] == pytest.approx(expected[name], nan_ok=True), name


def test_features_do_not_depend_on_the_key_but_for_its_height():
    score = piece(4)
    low, high = features_of(score), features_of(score.transpose(5))
    for name in set(FEATURES) - {"pitch_mean"}:
        assert high[name] == pytest.approx(low[name], nan_ok=True), name
    assert high["pitch_mean"] == pytest.approx(low["pitch_mean"] + 5)


def test_silence_lacks_the_features_that_need_notes():
    values = features_of(Score.silence(64))
    assert values["sounding_0"] == 1
    assert values["onsets_per_beat"] == values["changes_per_beat"] == 0
    assert np.isnan([values["pitch_mean"], values["interval_class_1"], values["degree_0"]]).all()


def test_windows_do_not_depend_on_the_pieces_beside_them():
    pieces = [piece(seed, bars) for seed, bars in enumerate([4, 9, 3, 17, 0, 4] * 60)]
    together = windows(pieces, 64, 16, 4)
    assert together.pieces == 360
    assert np.array_equal(np.bincount(together.piece), [1, 2, 1, 4, 1, 1] * 60)
    at = 0
    for single in pieces[:12]:
        alone = windows([single], 64, 16, 4).features
        assert np.array_equal(together.features[at : at + len(alone)], alone, equal_nan=True)
        at += len(alone)


def test_a_piece_shorter_than_a_window_is_filled_up_with_silence():
    short = piece(1, 2)
    assert np.array_equal(
        windows([short], 64, 16, 4).features,
        windows([short.pad(64)], 64, 16, 4).features,
        equal_nan=True,
    )


def test_windows_are_four_bars_or_a_whole_sample():
    assert window_steps(reference()) == 64
    assert window_steps(reference(steps=24)) == 24
    assert window_steps(reference(grid=1, bar=4, steps=32)) == 16


def test_the_space_is_that_of_scikit_learn():
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import StandardScaler

    learnt = space(reference())
    raw = windows(list(reference().train), 64, 16, 4).features
    raw = np.where(np.isnan(raw), np.where(learnt.usual, learnt.mean, 0), raw)
    scaler = StandardScaler().fit(raw)
    varies = scaler.scale_ > 1e-9
    standard = np.clip(scaler.transform(raw), -FARTHEST, FARTHEST) * (learnt.scale > 0)
    if not np.isnan(windows(list(reference().train), 64, 16, 4).features).any():
        assert np.allclose(standard, learnt.standard(raw))
    pca = PCA(len(learnt.components), svd_solver="full").fit(learnt.standard(raw))
    assert np.allclose(pca.explained_variance_ratio_, learnt.explained)
    both = np.abs(pca.components_ @ learnt.components.T)
    assert np.allclose(both, np.eye(len(both)), atol=1e-6)
    assert varies.sum() >= (learnt.scale > 0).sum()


def test_silent_windows_lie_farther_away_than_any_other():
    learnt = space(reference())
    silent = learnt.project(windows([Score.silence(64)], 64, 16, 4).features)
    noise = [Score.from_rolls(RNG.random((64, 88)) < 0.05) for _ in range(20)]
    others = learnt.project(windows(noise, 64, 16, 4).features)
    assert np.allclose(silent, -FARTHEST * learnt.spread)
    assert (silent**2).sum() > (others**2).sum(axis=1).max()


def test_a_feature_that_many_training_windows_lack_counts_as_zero_if_lacking():
    melody = [
        Score.from_notes(range(0, 64, 4), [4] * 16, 60 + RNG.integers(0, 9, 16)) for _ in range(9)
    ]
    learnt = space(reference(train=melody, steps=64))
    lacking = FEATURES.index("interval_class_3")
    assert not learnt.usual[lacking]
    assert (learnt.standard(windows(melody, 64, 16, 4).features)[:, lacking] == 0).all()


def test_no_space_without_two_different_windows():
    assert space(reference(train=[])) is None
    assert space(reference(train=[piece(1)] * 5)) is None
    assert project(reference(train=[]), [piece(1)]) is None


def test_the_projection_shows_all_windows_on_two_axes():
    shown = project(reference(), [piece(7, 8), piece(8, 8)])
    assert shown.samples.shape == (4, 2)
    assert shown.reference.shape == (12, 2)
    assert 1 > shown.explained[0] >= shown.explained[1] > 0


def test_the_same_pieces_are_described_once():
    pieces = [piece(1), piece(2)]
    first = windows(pieces, 64, 16, 4)
    assert windows(list(pieces), 64, 16, 4) is first
    pieces[0] = piece(3)
    assert windows(pieces, 64, 16, 4) is not first
