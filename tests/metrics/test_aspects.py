import itertools

import numpy as np
import pytest

from bench.contract import Reference
from bench.music import Score, concatenate
from metrics.aspects import (
    Chords,
    Rhythm,
    chords,
    dynamics,
    harmonies,
    metre,
    on_key,
    plain_words,
    recurrence,
)

MAJOR, HARMONIC_MINOR = [0, 2, 4, 5, 7, 9, 11], [0, 2, 3, 5, 7, 8, 11]


def scale(classes, base=60):
    """The scale up, with its tonic chord held at the end."""
    pitch = [*(np.array(classes) + base), base, base + classes[2], base + 7]
    onset = [*range(0, 14, 2), 14, 14, 14]
    return Score.from_notes(onset, [2] * 7 + [18] * 3, pitch, length=32)


@pytest.mark.parametrize("base", range(55, 67))
def test_major_and_harmonic_minor_are_on_key_in_every_key(base):
    assert on_key(scale(MAJOR, base)) == 1
    assert on_key(scale(HARMONIC_MINOR, base)) == 1


def test_foreign_notes_are_off_key_by_how_long_they_sound():
    score = scale(MAJOR)
    foreign = Score.from_notes(
        [*score.onset, 0], [*score.duration, 8], [*score.pitch, 61], length=32
    )
    assert on_key(foreign) == pytest.approx(1 - 8 / foreign.duration.sum())
    assert np.isnan(on_key(Score.silence(8)))


def test_dynamics_are_the_spread_of_velocities():
    score = Score.from_notes([0, 1, 2], [1, 1, 1], [60, 60, 60], [40, 60, 80])
    assert dynamics(score) == pytest.approx(np.std([40, 60, 80]))
    assert np.isnan(dynamics(Score.silence(8)))


def bar(seed):
    rng = np.random.default_rng(seed)
    return Score.from_notes(rng.integers(0, 16, 6), [1] * 6, rng.integers(50, 70, 6), length=16)


def test_metre_is_the_correlation_with_one_bar_later():
    score = concatenate([bar(0), bar(1), bar(2)])
    begun = np.bincount(score.onset, minlength=48)
    assert metre(score, 16) == pytest.approx(np.corrcoef(begun[:-16], begun[16:])[0, 1])
    assert metre(concatenate([bar(0)] * 3), 16) == pytest.approx(1)
    assert np.isnan(metre(bar(0), 16))
    assert np.isnan(metre(Score.silence(64), 16))


def test_recurrence_looks_for_the_most_similar_earlier_bar():
    a, b, c = bar(0), bar(1), bar(2)
    rolls = [p.sounding().ravel() for p in (a, b, c)]

    def like(x, y):
        return (x & y).sum() / (x | y).sum()

    expected = (
        like(rolls[0], rolls[1]) + 1 + max(like(rolls[2], rolls[0]), like(rolls[2], rolls[1]))
    )
    assert recurrence(concatenate([a, b, a, c]), 16) == pytest.approx(expected / 3)
    assert np.isnan(recurrence(a, 16))


def test_rhythms_are_familiar_when_some_training_bar_has_them():
    metric = Rhythm()
    metric.prepare(Reference(4, 16, 64, [concatenate([bar(0), bar(1)])], [], [], []))
    measurement = metric.score(
        [concatenate([bar(0).transpose(2), bar(5), bar(1), Score.silence(16)])]
    )
    assert measurement.value == pytest.approx(2 / 3)
    assert metric.score([Score.silence(64)]).value is None


def test_harmonies_are_the_pitch_classes_at_each_attack():
    score = Score.from_notes([0, 0, 4], [8, 8, 4], [60, 76, 67], length=8)
    assert harmonies(score).tolist() == [1 | 1 << 4, 1 | 1 << 4 | 1 << 7]


def test_triads_and_sevenths_in_every_key_and_position_are_chords():
    names = ["037", "047", "036", "048", "047a", "047b", "037a", "036a", "0369"]
    known = {
        frozenset((root + int(i, 16)) % 12 for i in name) for name in names for root in range(12)
    }
    for size in (3, 4):
        for classes in itertools.combinations(range(12), size):
            score = Score.from_notes([0] * size, [4] * size, np.array(classes) + 60)
            assert chords(score) == ((frozenset(classes) in known), 1)


def test_single_notes_and_intervals_do_not_count_as_wrong_chords():
    score = Score.from_notes([0, 4, 4, 8, 8, 8], [4] * 6, [60, 60, 66, 60, 64, 67])
    assert chords(score) == (1, pytest.approx(1 / 3))
    metric = Chords()
    metric.prepare(Reference(4, 16, 64, [], [], [], []))
    measurement = metric.score([Score.from_notes([0], [4], [60])])
    assert (measurement.value, measurement.detail["of_all_attacks"]) == (None, 0)


def test_plain_words_compare_with_human_music():
    human = {"on_key": 0.93, "dynamics": 0.0, "metre": 0.7, "chords": 0.8}
    sentence = plain_words({"on_key": 0.7, "dynamics": 0.0, "metre": 0.72, "chords": None}, human)
    assert sentence == (
        "Wanders off its key (0.70, human 0.93); a steady metre (0.72, human 0.70);"
        " no chords to speak of."
    )
    assert plain_words(human, human).startswith("Keeps to its key")
    assert plain_words({}, {}) == "Nothing to compare."
