import hashlib
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.music import HIGHEST, KEYS, LOWEST, Score, concatenate

NOTE = st.tuples(
    st.integers(-3, 60),
    st.integers(-1, 20),
    st.integers(LOWEST - 3, HIGHEST + 3),
    st.integers(0, 130),
)


GRIDS = st.sampled_from([1, 2, 4, 8, 12, 24])


@st.composite
def scores(draw):
    columns = np.array(draw(st.lists(NOTE, max_size=30)), dtype=np.int64).reshape(-1, 4).T
    return Score.from_notes(*columns, length=draw(st.integers(0, 80)), grid=draw(GRIDS))


def one_note(**changes):
    fields = {
        "onset": [4],
        "duration": [2],
        "pitch": [60],
        "velocity": [80],
        "length": 8,
        "grid": 4,
    }
    return Score(**fields | changes)


@given(st.lists(NOTE, max_size=30), st.one_of(st.none(), st.integers(0, 80)))
def test_from_notes_makes_a_valid_piece_of_any_notes(notes, length):
    score = Score.from_notes(*np.array(notes, dtype=np.int64).reshape(-1, 4).T, length=length)
    assert len(score) <= len(notes)
    assert length is None or score.length == length


@given(scores())
def test_from_notes_changes_nothing_of_a_valid_piece(score):
    notes = (score.onset, score.duration, score.pitch, score.velocity)
    assert Score.from_notes(*notes, length=score.length, grid=score.grid) == score


@given(scores(), st.randoms())
def test_the_order_of_notes_given_does_not_matter(score, random):
    order = list(range(len(score)))
    random.shuffle(order)
    notes = (a[order] for a in (score.onset, score.duration, score.pitch, score.velocity))
    assert Score.from_notes(*notes, length=score.length, grid=score.grid) == score


@given(st.lists(NOTE, max_size=30), st.integers(1, 80))
def test_from_notes_sounds_where_a_plain_loop_over_the_notes_says(notes, length):
    score = Score.from_notes(*np.array(notes, dtype=np.int64).reshape(-1, 4).T, length=length)
    struck = {}
    for onset, duration, pitch, _ in notes:
        if LOWEST <= pitch <= HIGHEST and 0 <= onset < length:
            longest = max(struck.get((pitch, onset), 0), duration, 1)
            struck[pitch, onset] = longest
    expected = np.zeros((length, KEYS), dtype=bool)
    onsets = np.zeros_like(expected)
    for (pitch, onset), duration in struck.items():
        again = min((o for p, o in struck if p == pitch and o > onset), default=length)
        expected[onset : min(onset + duration, again, length), pitch - LOWEST] = True
        onsets[onset, pitch - LOWEST] = True
    assert (score.sounding() == expected).all()
    assert (score.onsets() == onsets).all()


@given(scores())
def test_rolls_keep_everything_but_velocity(score):
    back = Score.from_rolls(score.sounding(), score.onsets(), grid=score.grid)
    for name in ("onset", "duration", "pitch", "length", "grid"):
        assert np.array_equal(getattr(back, name), getattr(score, name))


@given(scores())
def test_a_roll_without_onsets_holds_what_sounds_on(score):
    back = Score.from_rolls(score.sounding())
    assert (back.sounding() == score.sounding()).all()
    assert len(back) <= len(score)


@given(scores(), st.integers(-30, 30))
def test_transposing_up_and_down_changes_nothing(score, semitones):
    try:
        moved = score.transpose(semitones)
    except ValueError:
        keys = score.pitch + semitones
        assert keys.min() < LOWEST or keys.max() > HIGHEST
    else:
        assert moved.transpose(-semitones) == score


@given(scores(), st.integers(0, 80))
def test_the_two_halves_joined_sound_like_the_whole(score, cut):
    cut = min(cut, score.length)
    halves = score.slice(0, cut), score.slice(cut, score.length)
    whole = concatenate(halves)
    assert whole.length == score.length
    assert (whole.sounding() == score.sounding()).all()
    new = whole.onsets() & ~score.onsets()
    new[cut : cut + 1] = False  # what the cut goes through begins anew, and nothing else
    assert not new.any()
    assert not (score.onsets() & ~whole.onsets()).any()


@given(scores(), st.integers(-5, 90), st.integers(-5, 90))
def test_a_slice_sounds_like_the_steps_it_is_made_of(score, start, stop):
    inside = slice(max(start, 0), max(stop, 0))
    assert (score.slice(start, stop).sounding() == score.sounding()[inside]).all()


@given(scores(), st.integers(0, 100))
def test_padding_adds_silence_and_never_cuts(score, length):
    padded = score.pad(length)
    assert padded.length == max(length, score.length)
    assert padded.slice(0, score.length) == score
    assert not padded.sounding()[score.length :].any()


@given(scores(), scores())
def test_hashes_are_equal_exactly_when_the_pieces_are(score, other):
    same = all(
        np.array_equal(getattr(score, name), getattr(other, name))
        for name in ("onset", "duration", "pitch", "velocity", "length", "grid")
    )
    assert (score == other) == same == (score.content_hash == other.content_hash)


@pytest.mark.parametrize(
    "change",
    [
        {"onset": [3]},
        {"duration": [3]},
        {"pitch": [61]},
        {"velocity": [81]},
        {"length": 9},
        {"grid": 8},
    ],
)
def test_any_difference_changes_the_hash(change):
    assert one_note(**change).content_hash != one_note().content_hash


def test_the_hash_is_the_same_on_every_machine():
    assert one_note().content_hash == one_note(onset=np.array([4], dtype=">i2")).content_hash
    content = b"score 1\n" + struct.pack("<3q", 4, 8, 1) + struct.pack("<4i", 4, 2, 60, 80)
    assert one_note().content_hash == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"pitch": [20]}, "pitch"),
        ({"pitch": [109]}, "pitch"),
        ({"velocity": [0]}, "velocity"),
        ({"velocity": [128]}, "velocity"),
        ({"duration": [0]}, "duration"),
        ({"onset": [-1]}, "onset"),
        ({"duration": [5]}, "end"),
        ({"onset": [2**31 - 1]}, "end"),
        ({"onset": [2**32 + 4]}, "onset"),
        ({"onset": [0.5]}, "onset"),
        ({"pitch": [float("nan")]}, "pitch"),
        ({"onset": [4, 5]}, "duration"),
        ({"onset": [[4]]}, "onset"),
        ({"grid": 0}, "grid"),
        ({"length": -1, "onset": [], "duration": [], "pitch": [], "velocity": []}, "length"),
        ({"length": 2**31}, "length"),
    ],
)
def test_each_broken_rule_is_named(change, named):
    with pytest.raises(ValueError, match=named):
        one_note(**change)


@pytest.mark.parametrize(
    ("onset", "pitch", "named"),
    [
        ([4, 2], [60, 60], "order"),
        ([4, 4], [62, 60], "order"),
        ([4, 5], [60, 60], "overlaps"),
        ([4, 4], [60, 60], "overlaps"),
    ],
)
def test_broken_rules_between_notes_are_named(onset, pitch, named):
    with pytest.raises(ValueError, match=f"note 1.*{named}|note 0.*{named}"):
        Score(onset, [2, 2], pitch, [80, 80], 8)


def test_a_length_that_is_no_whole_number_is_refused():
    with pytest.raises(TypeError):
        one_note(length=8.0)


def test_small_integer_types_of_other_libraries_do_not_wrap():
    keys = np.array([100, 100], dtype=np.int8)
    loud = np.array([100, 90], dtype=np.uint8)
    score = Score.from_notes(np.array([0, 0], np.int8), np.array([1, 1], np.int8), keys, loud)
    assert score.pitch.tolist() == [100]
    assert score.velocity.tolist() == [100]  # of two as long as each other the louder


def test_nobody_can_change_a_piece():
    score, onset = one_note(), np.array([4])
    with pytest.raises(ValueError, match="read-only"):
        score.onset[0] = 0
    kept = one_note(onset=onset)
    onset[0] = 0
    assert kept == score


def test_pieces_on_different_grids_are_not_joined():
    with pytest.raises(ValueError, match=r"\[4, 8\]"):
        concatenate([one_note(), one_note(grid=8)])
    with pytest.raises(ValueError, match="at least one"):
        concatenate([])


def test_a_roll_of_the_wrong_width_is_refused():
    with pytest.raises(ValueError, match="88"):
        Score.from_rolls(np.zeros((4, 128)))
