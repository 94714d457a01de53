import numpy as np
import pytest

from bench.errors import BenchError
from bench.music import Score
from bench.protocol import frame_accuracy

PIECES = [
    Score.from_notes([0, 0, 2, 3], [2, 4, 1, 2], [60, 64, 67, 60], length=8),
    Score.silence(3),
    Score.from_notes([1], [3], [62], length=4),
]


class Predicts:
    """Predicts the frames that a function makes of the true frames before a step."""

    def __init__(self, frame_after):
        self.frame_after = frame_after

    def next_frames(self, scores, places, seed):
        return [
            np.array([self.frame_after(score.sounding()[:step]) for step in steps], dtype=bool)
            for score, steps in zip(scores, places, strict=True)
        ]


def last(past):
    return past[-1] if len(past) else np.zeros(88, dtype=bool)


def by_hand(pieces, frame_after):
    """The accuracy with sets of keys, step by step."""
    right = wrong = missed = 0
    for piece in pieces:
        frames = piece.sounding()
        for step in range(len(frames)):
            true = set(np.flatnonzero(frames[step]))
            predicted = set(np.flatnonzero(frame_after(frames[:step])))
            right += len(predicted & true)
            wrong += len(predicted - true)
            missed += len(true - predicted)
    return right / (right + wrong + missed)


def some(past):
    frame = np.zeros(88, dtype=bool)
    frame[[39, 41 + len(past) % 3, 43]] = True
    return frame


@pytest.mark.parametrize("frame_after", [last, some])
def test_the_accuracy_is_what_sets_of_keys_give_by_hand(frame_after):
    measured = frame_accuracy.evaluate(Predicts(frame_after), PIECES, 0)
    assert 0 < measured.accuracy < 1
    assert measured.accuracy == pytest.approx(by_hand(PIECES, frame_after))
    assert measured.right.shape == measured.all.shape == (3,)


def test_the_true_frames_are_right_and_their_complement_is_wrong():
    true = {score.content_hash: score.sounding() for score in PIECES}

    class Cheats:
        turned = False

        def next_frames(self, scores, places, seed):
            return [
                true[score.content_hash][steps] ^ self.turned
                for score, steps in zip(scores, places, strict=True)
            ]

    assert frame_accuracy.evaluate(Cheats(), PIECES, 0).accuracy == 1
    Cheats.turned = True
    assert frame_accuracy.evaluate(Cheats(), PIECES, 0).accuracy == 0


def test_silence_that_is_predicted_as_silence_counts_for_nothing():
    silent = Predicts(lambda past: np.zeros(88, dtype=bool))
    assert frame_accuracy.evaluate(silent, [Score.silence(5)], 0).accuracy is None


def test_what_cannot_draw_next_frames_has_no_accuracy():
    assert frame_accuracy.evaluate(object(), PIECES, 0) is None


def test_frames_of_another_shape_are_refused():
    short = Predicts(lambda past: np.zeros(12, dtype=bool))
    with pytest.raises(BenchError, match=r"shape \(8, 12\) for test piece 0"):
        frame_accuracy.evaluate(short, PIECES, 0)


def test_every_frame_is_predicted_where_there_are_few():
    places = frame_accuracy.predicted_places(PIECES)
    assert [steps.tolist() for steps in places] == [[*range(8)], [0, 1, 2], [*range(4)]]


def test_of_many_frames_so_many_are_predicted_on_every_beat():
    pieces = [Score.silence(length) for length in (4000, 12000)]
    places = frame_accuracy.predicted_places(pieces, most=2000)
    assert sum(map(len, places)) == 2000
    assert abs(len(places[0]) - 500) < 100
    beats = np.bincount(np.concatenate(places) % 4)
    assert beats.min() > 420
    again = frame_accuracy.predicted_places(pieces, most=2000)
    assert all((a == b).all() for a, b in zip(places, again, strict=True))
