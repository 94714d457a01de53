import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bench.encodings.frames import pack, stack
from bench.music import Score

rolls = st.integers(0, 12).flatmap(lambda steps: arrays(bool, (steps, 88)))


@given(rolls)
def test_frames_come_back_from_a_score(roll: np.ndarray) -> None:
    assert (Score.from_rolls(roll).sounding() == roll).all()


@given(rolls)
def test_a_score_without_re_onsets_comes_back_from_its_frames(roll: np.ndarray) -> None:
    score = Score.from_rolls(roll, grid=2)
    assert Score.from_rolls(score.sounding(), grid=2) == score


def test_a_re_onset_is_lost_in_frames_and_nothing_else() -> None:
    struck_twice = Score.from_notes([0, 2], [2, 2], [60, 60])
    assert Score.from_rolls(struck_twice.sounding()) == Score.from_notes([0], [4], [60])


@given(arrays(bool, (5, 7)))
def test_packed_frames_are_equal_exactly_where_the_frames_are(roll: np.ndarray) -> None:
    same = (roll[:, None] == roll[None]).all(axis=-1)
    assert ((pack(roll)[:, None] == pack(roll)[None]) == same).all()


def test_stack_puts_pieces_one_after_the_other() -> None:
    pieces = [Score.from_notes([0], [1], [60]), Score.silence(2)]
    assert stack(pieces).shape == (3, 88)
    assert stack(pieces)[0].nonzero()[0].tolist() == [39]
    assert stack([]).shape == (0, 88)
