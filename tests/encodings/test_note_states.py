import numpy as np
import pytest

from bench.encodings import note_states
from bench.music import Score


def music(seed: int) -> Score:
    rng = np.random.default_rng(seed)
    return Score.from_notes(
        rng.integers(0, 30, 60), rng.integers(1, 9, 60), rng.integers(21, 109, 60), length=32
    )


@pytest.mark.parametrize("seed", range(4))
def test_a_score_comes_back(seed: int) -> None:
    score = music(seed)
    assert note_states.decode(note_states.encode(score), score.grid) == score


def test_on_a_part_of_the_keyboard_the_other_keys_are_lost() -> None:
    score = music(0)
    inside = (score.pitch >= 24) & (score.pitch <= 101)
    decoded = note_states.decode(note_states.encode(score, 24, 78), 4, 24)
    assert (decoded.pitch == score.pitch[inside]).all()
    assert (decoded.duration == score.duration[inside]).all()


def test_restruck_is_where_a_key_that_sounded_is_struck() -> None:
    score = Score.from_notes([0, 2, 5], [2, 2, 1], [60, 60, 60], length=6)
    again = note_states.restruck(note_states.encode(score))
    assert np.argwhere(again).tolist() == [[2, 60 - 21]]


def test_held_frames_are_those_of_one_note_per_run() -> None:
    score = music(1)
    frames = note_states.held(note_states.encode(score))
    assert np.array_equal(frames, note_states.encode(Score.from_rolls(score.sounding())))
