import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.music import Score
from bench.music.key import key, note_name

SCALE = {"major": [0, 2, 4, 5, 7, 9, 11, 12], "minor": [0, 2, 3, 5, 7, 8, 11, 12]}


def scale(tonic, mode):
    """A scale that ends on its tonic triad."""
    third = 4 if mode == "major" else 3
    pitch = [60 + tonic + step for step in [*SCALE[mode], 0, third, 7]]
    return Score.from_notes([*range(8), 8, 8, 8], [1] * 8 + [4] * 3, pitch)


@pytest.mark.parametrize("mode", ["major", "minor"])
@pytest.mark.parametrize("tonic", range(12))
def test_a_scale_is_in_its_key(tonic, mode):
    estimated = key(scale(tonic, mode))
    assert (estimated.tonic, estimated.mode) == (tonic, mode)
    assert 0.7 < estimated.clarity <= 1


def test_without_notes_or_a_best_key_there_is_none():
    assert key(Score.silence(16)) is None
    assert key(Score.from_notes(range(12), [2] * 12, range(60, 72))) is None


def test_long_notes_weigh_more_than_many_short_ones():
    long_c = Score.from_notes(
        [0, 0, 0, *range(32, 40)], [32] * 3 + [1] * 8, [60, 64, 67, *[66, 73] * 4]
    )
    assert (key(long_c).tonic, key(long_c).mode) == (0, "major")


@given(st.lists(st.integers(0, 11), min_size=1, max_size=20), st.integers(1, 11))
def test_transposing_moves_the_tonic_and_keeps_mode_and_clarity(classes, up):
    score = Score.from_notes(range(len(classes)), [1] * len(classes), np.array(classes) + 48)
    before, after = key(score), key(score.transpose(up))
    if before is None:
        assert after is None
        return
    assert np.isclose(before.clarity, after.clarity)
    if clear(score):
        assert (after.tonic, after.mode) == ((before.tonic + up) % 12, before.mode)


def clear(score):
    """Whether one key is better than all others: ties are decided by the order of the keys."""
    from bench.music.key import PROFILES

    weights = np.bincount(score.pitch % 12, score.duration, minlength=12)
    first, second = np.sort(np.corrcoef(weights, PROFILES)[0, 1:])[::-1][:2]
    return first - second > 1e-9


def test_music21_finds_the_same_keys_in_chorales():
    from music21 import analysis, corpus, note, stream

    for number in (1.6, 17.7, 66.6, 253, 269, 277, 347, 354):
        notes = corpus.parse(f"bach/bwv{number}").flatten().notes
        columns = [
            (round(chord.offset * 4), round(chord.quarterLength * 4), pitch.midi)
            for chord in notes
            for pitch in chord.pitches
        ]
        score = Score.from_notes(*np.array(columns).T)
        same = stream.Stream()  # without the voices' unisons, which a Score does not have
        for onset, duration, pitch in zip(score.onset, score.duration, score.pitch, strict=True):
            same.insert(onset / 4, note.Note(int(pitch), quarterLength=duration / 4))
        theirs = analysis.discrete.KrumhanslKessler(same).getSolution(same)
        ours = key(score)
        assert (ours.tonic, ours.mode) == (theirs.tonic.pitchClass, theirs.mode)
        assert np.isclose(ours.clarity, theirs.correlationCoefficient)


@pytest.mark.parametrize(("key", "name"), [(0, "A0"), (39, "C4"), (48, "A4"), (87, "C8")])
def test_keys_are_named_as_on_the_keyboard(key, name):
    assert note_name(key) == name
