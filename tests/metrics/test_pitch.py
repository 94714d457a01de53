import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lazy import muspy

from bench.contract import Metric, Reference
from bench.music import Score
from bench.music.muspy_music import to_muspy
from bench.protocol.statistics import RESAMPLES
from metrics.pitch import ScaleConsistency, ScaleConsistencyGap, scale_consistency

SILENCE = Score.silence(16)
MAJOR, MELODIC = [0, 2, 4, 5, 7, 9, 11], [0, 2, 3, 5, 7, 9, 11]


def piece(classes, base=60):
    return Score.from_notes(range(len(classes)), [1] * len(classes), np.array(classes) + base)


def reference(test):
    return Reference(grid=4, bar=16, steps=16, train=[], tuning=[], test=test, prompts=[])


def real_pieces(count=40, seed=0):
    """Pieces mostly in a scale of their own."""
    rng = np.random.default_rng(seed)
    return [
        piece(np.where(rng.random(16) < 0.9, rng.choice(MAJOR, 16), rng.integers(12, size=16)))
        for _ in range(count)
    ]


def gap_of(samples, test):
    metric = ScaleConsistencyGap()
    metric.prepare(reference(test))
    return metric.score(samples)


@given(st.lists(st.integers(21, 108), min_size=1, max_size=30))
@settings(deadline=None)
def test_with_notes_a_piece_has_the_value_of_muspy(pitches):
    score = Score.from_notes(range(len(pitches)), [1] * len(pitches), pitches)
    assert scale_consistency(score) == pytest.approx(muspy.scale_consistency(to_muspy(score)))
    assert scale_consistency(score) >= 7 / 12


@pytest.mark.parametrize("tonic", range(12))
def test_a_major_scale_is_consistent_in_every_key_and_melodic_minor_is_not(tonic):
    assert scale_consistency(piece(MAJOR, 60 + tonic)) == 1
    assert scale_consistency(piece(MELODIC, 60 + tonic)) == pytest.approx(6 / 7)


def test_all_twelve_pitch_classes_give_seven_twelfths():
    assert scale_consistency(piece(range(12))) == pytest.approx(7 / 12)


def test_one_note_is_as_consistent_as_can_be():
    assert scale_consistency(piece([3])) == 1


def test_the_mean_leaves_silent_pieces_out_and_counts_them():
    measurement = ScaleConsistency().score([piece(MAJOR), SILENCE, piece(MELODIC)])
    assert measurement.value == pytest.approx((1 + 6 / 7) / 2)
    assert np.isnan(measurement.per_piece).tolist() == [False, True, False]
    assert measurement.detail == {"undefined_pieces": 1}
    assert ScaleConsistency().score([SILENCE]).value is None


@pytest.mark.parametrize("metric", [ScaleConsistency(), ScaleConsistencyGap()])
def test_without_samples_there_is_a_reason(metric):
    assert isinstance(metric, Metric)
    metric.prepare(reference(real_pieces()))
    assert metric.score([]).reason == "there are no samples"


def test_the_gap_to_the_same_pieces_is_zero_and_to_others_of_their_kind_small():
    assert gap_of(real_pieces(), real_pieces()).value == pytest.approx(0, abs=1e-12)
    assert gap_of(real_pieces(seed=1), real_pieces()).value < 0.03


def test_silence_is_farther_from_music_than_any_notes():
    test, chromatic = real_pieces(), piece(range(12))
    silent = gap_of([SILENCE] * 40, test)
    assert silent.value == pytest.approx(np.mean([scale_consistency(p) for p in test]))
    assert silent.value > gap_of([chromatic] * 40, test).value > 0.2
    assert silent.detail == {"undefined_pieces": 40, "sparse_pieces": 40}


def test_a_few_notes_do_not_count_as_music_though_they_are_in_a_scale():
    gaps = []
    for notes in (16, 8, 4, 1, 0):
        few = [p.slice(0, notes).pad(16) for p in real_pieces()]
        gaps.append(gap_of(few, real_pieces()).value)
    assert gaps == sorted(gaps)
    assert gaps[3] > gap_of([piece([*range(12), 1, 3, 6, 8])] * 40, real_pieces()).value
    assert ScaleConsistency().score([p.slice(0, 1) for p in real_pieces()]).value == 1


def test_how_few_notes_are_usual_is_learnt_from_the_tuning_excerpts():
    metric = ScaleConsistencyGap()
    sparse = [p.slice(0, 2).pad(16) for p in real_pieces()]
    compared = Reference(4, 16, 16, train=[], tuning=sparse, test=real_pieces(), prompts=[])
    metric.prepare(compared)
    assert metric.score(sparse).detail["sparse_pieces"] == 0
    assert gap_of(sparse, real_pieces()).detail["sparse_pieces"] == 40


@given(st.integers(0, 39), st.integers(0, 5))
@settings(max_examples=10, deadline=None)
def test_every_silent_piece_makes_the_gap_larger(which, seed):
    for samples in (real_pieces(seed=seed), [piece(MAJOR)] * 40, [piece(range(12))] * 40):
        silenced = [*samples[:which], SILENCE, *samples[which + 1 :]]
        assert gap_of(silenced, real_pieces()).value > gap_of(samples, real_pieces()).value


def test_music_as_often_silent_as_real_music_is_no_farther_from_it():
    test = [*real_pieces(), SILENCE, SILENCE]
    assert gap_of(test, test).value == pytest.approx(0, abs=1e-12)
    assert gap_of(real_pieces(), test).value > 0.01


def test_the_gap_grows_with_wrong_notes():
    rng = np.random.default_rng(0)
    gaps = []
    for share in (0, 0.1, 0.3, 1):
        wrong = [
            piece(np.where(rng.random(16) < share, rng.integers(12, size=16), p.pitch - 60))
            for p in real_pieces()
        ]
        gaps.append(gap_of(wrong, real_pieces()).value)
    assert gaps == sorted(gaps)
    assert gaps[-1] > 0.1


def test_draws_spread_around_the_value_and_are_never_negative():
    measurement = gap_of(real_pieces(20, seed=1), real_pieces())
    assert measurement.draws.shape == (RESAMPLES,)
    assert measurement.draws.mean() == pytest.approx(measurement.value, rel=0.2)
    assert measurement.draws.min() >= 0
    assert 0 < measurement.draws.std() < 2 * measurement.value


def test_a_reference_without_notes_or_pieces_gives_a_reason():
    for test in ([], [SILENCE]):
        assert "no test excerpt" in gap_of(real_pieces(), test).reason


def test_the_same_samples_give_the_same_bits():
    first, second = (gap_of(real_pieces(seed=3), real_pieces()) for _ in range(2))
    assert first.value == second.value
    assert np.array_equal(first.draws, second.draws)
