import numpy as np
import pytest

from bench.encodings.note_deltas import Clock, Steps, along, notes, score_of
from bench.music import Score

RNG = np.random.default_rng(0)


def test_every_score_comes_back() -> None:
    for _ in range(200):
        count = int(RNG.integers(0, 40))
        score = Score.from_notes(
            RNG.integers(0, 50, count),
            RNG.integers(1, 20, count),
            RNG.integers(21, 109, count),
            RNG.integers(1, 128, count),
            length=50,
        )
        assert score_of(notes(score), 50, 4) == score
        clock = Clock(50)
        able, least = along(notes(score))
        for place, (wait, key, duration, _) in enumerate(notes(score).tolist()):
            assert wait >= clock.least() == least[place]
            assert clock.keys(wait)[key]
            assert (clock.keys(wait) == able[place]).all()
            clock.strike(wait, key, duration)
        assert clock.least() == least[-1]


def test_keys_rise_within_an_onset_and_none_is_struck_while_it_sounds() -> None:
    clock = Clock(20)
    clock.strike(2, 40, 5)
    assert np.flatnonzero(~clock.keys(0)).tolist() == list(range(41))
    assert np.flatnonzero(~clock.keys(4)).tolist() == [40]
    assert clock.keys(5).all()
    clock.strike(0, 87, 1)
    assert clock.least() == 1


@pytest.mark.parametrize("least", [0, 1, 5, 30])
def test_steps_are_drawn_by_their_chances(least: int) -> None:
    steps = Steps.of([0, 0, 1, 4, 4, 4, 9])
    n = 20000
    drawn = np.array([steps.draw(number, least) for number in RNG.random(n)])
    assert drawn.min() == least
    for number in range(least, least + 12):
        chance = steps.chance(number) / steps.at_least(least)
        assert abs((drawn == number).mean() - chance) < 4 * np.sqrt(chance / n) + 1e-9
    assert np.isclose(sum(steps.chance(k) for k in range(100)) + steps.at_least(100), 1)
