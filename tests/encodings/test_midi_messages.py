import numpy as np
import pytest

from bench.encodings import midi_messages
from bench.encodings.midi_messages import (
    Grammar,
    MessageVocabulary,
    Spelling,
    messages,
    score_of,
)
from bench.music import Score

RNG = np.random.default_rng(0)


def any_score(keys: tuple[int, int] = (21, 109), length: int = 60) -> Score:
    notes = int(RNG.integers(1, 40))
    return Score.from_notes(
        RNG.integers(0, length, notes),
        RNG.integers(1, 20, notes),
        RNG.integers(*keys, notes),
        length=length,
    )


def test_a_note_is_two_messages_with_the_time_since_the_one_before() -> None:
    score = Score.from_notes([0, 0, 4, 8], [4, 8, 4, 2], [60, 64, 60, 67], length=10)
    c, e, g = 39, 43, 46
    assert messages(score).tolist() == [
        [1, c, 0], [1, e, 0], [0, c, 4], [1, c, 0], [0, c, 4], [0, e, 0], [1, g, 0],
    ]  # fmt: skip


def test_onsets_durations_and_pitches_come_back() -> None:
    for _ in range(200):
        score = any_score()
        back, hanging, idle = score_of(messages(score), score.length, 4)
        assert back == score
        assert (hanging, idle) == ((score.end == score.length).sum(), 0)


def test_notes_that_hang_sound_to_the_end_and_are_counted() -> None:
    rows = np.array([[1, 39, 0], [0, 50, 2], [1, 39, 2], [1, 43, 1]])
    score, hanging, idle = score_of(rows, 9, 4)
    assert np.stack([score.onset, score.duration, score.pitch]).tolist() == [
        [0, 4, 5], [4, 5, 4], [60, 60, 64],
    ]  # fmt: skip
    assert (hanging, idle) == (2, 1)


def test_the_vocabulary_counts_messages_and_the_pieces_that_hold_them() -> None:
    first = np.array([[1, 3, 0], [0, 3, 2], [1, 3, 0]])
    second = np.array([[1, 3, 0], [1, 4, 0]])
    words = MessageVocabulary.of([first, second])
    assert words.rows.tolist() == [[0, 3, 2], [1, 3, 0], [1, 4, 0]]
    assert words.counts.tolist() == [1, 3, 1]
    assert words.pieces.tolist() == [1, 2, 1]
    assert words.encode(np.array([[1, 4, 0], [1, 4, 1]])).tolist() == [2, words.unknown]


def test_the_chances_of_all_waits_sum_to_one() -> None:
    spelling = Spelling.of([np.array([[1, 3, 0], [0, 3, 2], [1, 5, 7]])])
    waits = np.arange(500)
    total = spelling.wait(waits).sum() + spelling.at_least(np.array(500))
    assert np.isclose(total, 1, atol=1e-12)
    assert np.allclose(spelling.at_least(waits[:-1]) - spelling.at_least(waits[1:]),
                       spelling.wait(waits[:-1]))  # fmt: skip


@pytest.mark.parametrize("free", [False, True])
def test_spelled_messages_and_the_end_sum_to_one_wherever_a_piece_stands(
    free: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(midi_messages, "KEYS", 3)
    for _ in range(20):
        score = any_score((21, 24), length=12)
        rows = messages(score)
        words, spelling = MessageVocabulary.of([rows]), Spelling.of([rows])
        rules = Grammar(words, [12], free)
        for row in rows[: RNG.integers(len(rows) + 1)]:
            rules.follow(row[None])
        total = 0.0
        for down in (0, 1):
            for key in range(3):
                for wait in range(12 - rules.time[0]):
                    row = np.array([[down, key, wait]])
                    if allowed(rules, row):
                        total += np.exp(rules.spelled(row, spelling)[0][0])
        total += np.exp(rules.spelled(np.zeros((1, 3), dtype=int), spelling)[1][0])
        assert np.isclose(total, 1, atol=1e-12)


@pytest.mark.parametrize("free", [False, True])
def test_the_positions_along_pieces_are_those_reached_message_by_message(free: bool) -> None:
    scores = [any_score(length=length) for length in (12, 30, 7)]
    pieces = [messages(score) for score in scores]
    words = MessageVocabulary.of(pieces)
    along = Grammar.along(words, pieces, [score.length for score in scores], free)
    place = 0
    for score, rows in zip(scores, pieces, strict=True):
        rules = Grammar(words, [score.length], free)
        for row in [*rows, None]:
            here = np.array([place])
            assert (along.legal(here) == rules.legal()).all()
            assert (along.ending(here) == rules.ending()).all()
            place += 1
            if row is not None:
                rules.follow(row[None])
    assert place == len(along.time)


def allowed(rules: Grammar, row: np.ndarray) -> bool:
    """Whether the message may follow, by the rules' state and not by their `legal`."""
    down, key, wait = row[0]
    if rules.free:
        return True
    if rules.down[0, key] == down:
        return False
    return bool(wait > 0 or down * 3 + key > rules.last[0])
