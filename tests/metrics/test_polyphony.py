import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lazy import muspy, stats

from bench.contract import Metric, Reference
from bench.music import Score
from bench.music.muspy_music import to_muspy
from bench.protocol.statistics import RESAMPLES
from metrics.polyphony import (
    Polyphony,
    PolyphonyGap,
    PolyphonyRate,
    keys_per_step,
    polyphony,
    polyphony_rate,
)

SILENCE = Score.silence(16)
NOTE = st.tuples(st.integers(0, 30), st.integers(1, 12), st.integers(55, 65))


def chord(keys, steps=16):
    return Score.from_notes([0] * keys, [steps] * keys, range(60, 60 + keys))


def reference(test):
    return Reference(grid=4, bar=16, steps=16, train=[], tuning=[], test=test, prompts=[])


def gap_of(samples, test):
    metric = PolyphonyGap()
    metric.prepare(reference(test))
    return metric.score(samples)


def real_pieces(count=30, seed=0):
    """Pieces of some three or four voices in quarters, some of them resting."""
    rng = np.random.default_rng(seed)
    pieces = []
    for _ in range(count):
        onset = np.repeat(np.arange(0, 16, 4), 4)[rng.random(16) < 0.85]
        pieces.append(
            Score.from_notes(onset, [4] * len(onset), rng.integers(48, 80, len(onset)), length=16)
        )
    return pieces


@given(st.lists(NOTE, max_size=40))
@settings(deadline=None)
def test_keys_per_step_are_those_of_the_roll(notes):
    score = Score.from_notes(*np.array(notes, dtype=np.int64).reshape(-1, 3).T).pad(50)
    assert np.array_equal(keys_per_step(score), score.sounding().sum(axis=1))


@given(st.lists(NOTE, min_size=1, max_size=40))
@settings(deadline=None)
def test_polyphony_is_that_of_muspy(notes):
    score = Score.from_notes(*np.array(notes).T)
    assert polyphony(score) == pytest.approx(muspy.polyphony(to_muspy(score)))


@given(st.lists(NOTE, min_size=1, max_size=40))
@settings(deadline=None)
def test_the_rate_is_that_of_muspy_with_its_threshold_put_right(notes):
    score = Score.from_notes(*np.array(notes).T)
    expected = muspy.polyphony_rate(to_muspy(score), threshold=1)  # muspy counts what is above it
    assert polyphony_rate(score) == pytest.approx(expected)


def test_two_keys_together_are_polyphonic_and_silence_at_the_end_counts():
    assert polyphony_rate(chord(1)) == 0
    assert polyphony_rate(chord(2)) == 1
    assert polyphony_rate(chord(2).pad(32)) == 0.5
    assert polyphony(chord(2).pad(32)) == 2


def test_silence_has_a_rate_of_zero_and_no_polyphony():
    assert PolyphonyRate().score([SILENCE, chord(2)]).value == 0.5
    measurement = Polyphony().score([SILENCE, chord(3)])
    assert (measurement.value, measurement.detail) == (3, {"undefined_pieces": 1})
    assert Polyphony().score([SILENCE]).value is None
    assert PolyphonyRate().score([Score.silence(0)]).value is None


@pytest.mark.parametrize("metric", [Polyphony(), PolyphonyRate(), PolyphonyGap()])
def test_without_samples_there_is_a_reason(metric):
    assert isinstance(metric, Metric)
    metric.prepare(reference(real_pieces()))
    assert metric.score([]).reason == "there are no samples"


def test_the_gap_is_the_distance_between_all_steps():
    samples, test = real_pieces(20, seed=1), real_pieces()
    steps = [np.concatenate([keys_per_step(p) for p in pieces]) for pieces in (samples, test)]
    measurement = gap_of(samples, test)
    assert measurement.value == pytest.approx(stats.wasserstein_distance(*steps))
    assert measurement.detail["silent_steps"] == pytest.approx(np.mean(steps[0] == 0))
    assert gap_of(test, test).value == 0


def test_the_gap_of_silence_is_the_polyphony_it_lacks_and_worse_than_noise():
    test = real_pieces()
    silent = gap_of([SILENCE] * 30, test).value
    mean = np.mean([keys_per_step(p) for p in test])
    assert silent == pytest.approx(mean)
    rng = np.random.default_rng(0)
    noise = [Score.from_rolls(rng.random((16, 88)) < mean / 88) for _ in range(30)]
    assert silent > gap_of(noise, test).value > 2 * gap_of(real_pieces(seed=1), test).value


def test_clusters_between_silences_do_not_count_as_an_even_texture():
    mixed = [chord(8), SILENCE] * 10
    assert np.mean([keys_per_step(p) for p in mixed]) == 4
    assert gap_of(mixed, [chord(4)] * 20).value == 4
    assert gap_of([chord(4)] * 20, [chord(4)] * 20).value == 0


def test_the_gap_grows_as_notes_are_dropped():
    rng, gaps = np.random.default_rng(0), []
    for share in (0, 0.2, 0.5, 0.9):
        thinned = []
        for p in real_pieces():
            keep = rng.random(len(p)) >= share
            thinned.append(
                Score.from_notes(p.onset[keep], p.duration[keep], p.pitch[keep], length=p.length)
            )
        gaps.append(gap_of(thinned, real_pieces()).value)
    assert gaps == sorted(gaps)


def test_draws_spread_around_the_value_and_are_never_negative():
    measurement = gap_of(real_pieces(20, seed=1), real_pieces())
    assert measurement.draws.shape == (RESAMPLES,)
    assert measurement.draws.mean() == pytest.approx(measurement.value, rel=0.2)
    assert measurement.draws.min() >= 0
    assert 0 < measurement.draws.std() < 2 * measurement.value


def test_what_cannot_be_compared_gives_a_reason():
    assert "no test excerpts" in gap_of([SILENCE], []).reason
    assert "no steps" in gap_of([SILENCE, Score.silence(0)], real_pieces()).reason


def test_the_same_samples_give_the_same_bits():
    first, second = (gap_of(real_pieces(seed=3), real_pieces()) for _ in range(2))
    assert first.value == second.value
    assert np.array_equal(first.draws, second.draws)
