import itertools

import numpy as np
import pytest

from bench.contract import Metric, Reference
from bench.music import Score
from metrics import isl
from metrics.isl import REDRAWN, Isl, attacks, key_rates, log_kernels, transitions

CHORDS = np.array([[48, 60, 64, 67], [53, 57, 65, 69], [43, 59, 62, 67], [45, 57, 60, 64]])


def piece(seed, steps=64):
    """Four voices in eighths that move among four chords, some notes held, some missing."""
    rng = np.random.default_rng(seed)
    pitch = CHORDS[rng.integers(4, size=steps // 2)].ravel()
    onset = np.repeat(np.arange(0, steps, 2), 4)
    keep = rng.random(len(onset)) < 0.9
    return Score.from_notes(onset[keep], rng.integers(2, 5, keep.sum()), pitch[keep], length=steps)


REAL = [piece(seed) for seed in range(12)]
REFERENCE = Reference(
    grid=4,
    bar=16,
    steps=64,
    train=[piece(seed, 128) for seed in range(20, 26)],
    tuning=[piece(seed) for seed in range(30, 36)],
    test=[piece(seed) for seed in range(40, 46)],
    prompts=[],
)


def score_of(samples, reference=REFERENCE):
    metric = Isl()
    assert isinstance(metric, Metric)
    metric.prepare(reference)
    return metric.score(samples)


def test_a_transition_is_what_sounds_before_an_attack_and_at_it():
    score = Score.from_notes([0, 3, 3, 5], [4, 1, 2, 2], [60, 62, 64, 60], length=9)
    steps = attacks([score])
    assert steps.tolist() == [[0, 3], [0, 5]]  # not the first step: nothing comes before it
    roll = score.sounding()
    bits = transitions([score], steps)
    assert np.array_equal(bits[0], np.append(roll[2], roll[3]))
    assert np.array_equal(bits[1], np.append(roll[4], roll[5]))


def kernels(points, centres, redrawn, rates):
    """The same bit by bit: kept, or drawn anew."""
    drawn = np.where(points, rates, 1 - rates)[:, None]
    kept = (points[:, None] == centres).astype(float)
    return ((1 - redrawn) * kept + redrawn * drawn).prod(axis=2)


@pytest.mark.parametrize("redrawn", [0.01, 0.3, 1.0])
def test_kernels_are_products_over_bits_that_are_kept_or_drawn_anew(redrawn):
    rng = np.random.default_rng(0)
    points, centres, rates = rng.random((5, 9)) < 0.4, rng.random((6, 9)) < 0.4, rng.random(9)
    expected = kernels(points, centres, redrawn, rates)
    assert np.allclose(np.exp(log_kernels(points, centres, redrawn, rates)), expected, rtol=1e-12)


def test_the_density_sums_to_one_over_all_vectors():
    everything = np.array(list(itertools.product([False, True], repeat=7)))
    rates = np.linspace(0.01, 0.9, 7)
    total = np.exp(log_kernels(everything, everything[[3, 77, 100]], 0.13, rates)).sum(axis=0)
    assert total == pytest.approx([1, 1, 1])


def test_rates_are_those_of_training_transitions_and_never_certain():
    # Notes begin at 2 and 4 of the first piece, at 3 of the second; at 0 nothing comes before.
    train = [
        Score.from_notes([0, 2, 4], [3, 2, 1], [60, 64, 67], length=6),
        Score.from_notes([0, 3], [4, 1], [60, 62], length=4),
        Score.silence(8),
    ]
    before, at = {60: 2, 64: 1}, {60: 2, 62: 1, 64: 1, 67: 1}  # of three transitions
    counts = [sounding.get(key, 0) for sounding in (before, at) for key in range(21, 109)]
    assert key_rates(train).tolist() == [(count + 0.5) / 4 for count in counts]


def test_the_value_is_the_mean_log_density_of_the_chosen_transitions_at_the_likeliest_kernel():
    measurement = score_of(REAL)
    centres = transitions(REAL, isl.choose(REAL, int(measurement.detail["centres"])))
    points = isl.draw(REFERENCE.test, isl.MOST_POINTS)
    tuning = isl.draw(REFERENCE.tuning, isl.MOST_TUNING)
    rates = key_rates(REFERENCE.train)

    def mean_log(some, redrawn):
        return np.log(kernels(some, centres, redrawn, rates).mean(axis=1)).mean()

    best = max(REDRAWN, key=lambda redrawn: mean_log(tuning, redrawn))
    assert measurement.detail["redrawn"] == best
    assert measurement.value == pytest.approx(mean_log(points, best), abs=1e-9)


def test_every_system_gives_equally_many_transitions_whatever_it_plays():
    rng = np.random.default_rng(0)
    dense = [Score.from_rolls(rng.random((64, 88)) < 0.2) for _ in range(12)]
    counts = {score_of(s).detail["centres"] for s in (REAL, dense, [Score.silence(64)] * 12)}
    assert len(counts) == 1
    rate = len(attacks(REFERENCE.tuning)) / (6 * 63)
    assert counts == {float(int(rate * 12 * 63 / 2))}


def test_missing_transitions_are_silent_ones():
    sparse = [*REAL[:2], *[Score.silence(64)] * 10]
    measurement = score_of(sparse)
    count = int(measurement.detail["centres"])
    present = transitions(sparse, isl.choose(sparse, count))
    assert 0 < len(present) < count
    assert measurement.detail["missing"] == pytest.approx(1 - len(present) / count)
    centres = np.vstack([present, np.zeros((count - len(present), 176), dtype=bool)])
    points = isl.draw(REFERENCE.test, isl.MOST_POINTS)
    density = kernels(points, centres, measurement.detail["redrawn"], key_rates(REFERENCE.train))
    expected = np.log(density.mean(axis=1)).mean()
    assert measurement.value == pytest.approx(expected, abs=1e-9)


def test_samples_that_say_nothing_about_music_score_like_independent_keys_and_so_does_silence():
    points = isl.draw(REFERENCE.test, isl.MOST_POINTS)
    rates = key_rates(REFERENCE.train)
    independent = np.log(np.where(points, rates, 1 - rates)).sum(axis=1).mean()
    rng = np.random.default_rng(0)
    anything = [Score.from_rolls(rng.random((64, 88)) < 0.3) for _ in range(12)]
    one_chord = [Score.from_notes([0], [64], [60])] * 12
    for samples in ([Score.silence(64)] * 12, one_chord, anything):
        measurement = score_of(samples)
        assert measurement.value == pytest.approx(independent, abs=0.2)
        assert measurement.detail["independent"] == pytest.approx(independent)
    assert score_of([Score.silence(64)] * 12).detail["missing"] == 1
    assert score_of(REAL).value > independent + 5


def test_the_skill_of_training_music_is_one():
    excerpts = [p.slice(start, start + 64) for p in REFERENCE.train for start in (0, 64)]
    measurement = score_of(excerpts)
    assert measurement.detail["skill"] == pytest.approx(1, abs=0.1)
    assert measurement.detail["independent"] < measurement.detail["train"]


def test_notes_that_disappear_lower_it():
    values = []
    for share in (0, 0.3, 0.6, 0.9, 1):
        rng = np.random.default_rng(1)
        fewer = []
        for p in REAL:
            keep = rng.random(len(p)) >= share
            fewer.append(
                Score.from_notes(p.onset[keep], p.duration[keep], p.pitch[keep], length=64)
            )
        values.append(score_of(fewer).value)
    assert values == sorted(values, reverse=True)


def test_the_test_excerpts_do_not_choose_the_kernel():
    other = Reference(4, 16, 64, REFERENCE.train, REFERENCE.tuning, REFERENCE.test[:3], [])
    assert score_of(REAL, other).detail["redrawn"] == score_of(REAL).detail["redrawn"]


def test_draws_are_centred_on_the_value_and_repeatable():
    first, second = score_of(REAL), score_of(list(REAL))
    assert first.draws.mean() == pytest.approx(first.value)
    assert 0 < first.draws.std() < 2
    assert first.value == second.value
    assert np.array_equal(first.draws, second.draws)
    assert np.ptp(score_of(REAL[:1]).draws) == 0


def test_what_cannot_be_compared_gives_a_reason():
    assert score_of([]).reason == "there are no samples"
    for test, tuning in (([], REAL), (REAL, []), ([Score.silence(64)], REAL)):
        bare = Reference(4, 16, 64, REFERENCE.train, tuning, test, [])
        assert "too few" in score_of(REAL, bare).reason
    assert score_of([Score.silence(0)]).value is not None
