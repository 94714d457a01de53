import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lazy import muspy

from bench.music import Score, from_midi
from bench.music.muspy_music import from_muspy, to_muspy

NOTE = st.tuples(st.integers(0, 60), st.integers(1, 20), st.integers(21, 108), st.integers(1, 127))


@given(st.lists(NOTE, max_size=30), st.sampled_from([1, 4, 24]))
@settings(deadline=None)
def test_a_piece_comes_back_equal_but_for_silence_at_its_end(notes, grid):
    score = Score.from_notes(*np.array(notes, dtype=np.int64).reshape(-1, 4).T, grid=grid)
    music = to_muspy(score.pad(100))
    assert from_muspy(music) == score
    assert from_muspy(music, length=100) == score.pad(100)
    assert (music.resolution, len(music.tracks)) == (grid, 1)


def test_muspy_reads_our_object_as_valid_music():
    music = to_muspy(Score.from_notes([0, 4], [4, 4], [60, 62]))
    assert music.is_valid()
    roll = muspy.to_pianoroll_representation(music, encode_velocity=False)
    assert np.nonzero(roll[:, 60])[0].tolist() == [0, 1, 2, 3]
    assert np.nonzero(roll[:, 62])[0].tolist() == [4, 5, 6, 7]


def test_drums_are_dropped_and_tracks_merged():
    def track(pitch, is_drum=False):
        note = muspy.Note(time=0, pitch=pitch, duration=2)
        return muspy.Track(is_drum=is_drum, notes=[note])

    music = muspy.Music(resolution=8, tracks=[track(60), track(40, is_drum=True), track(64)])
    assert from_muspy(music) == Score.from_notes([0, 0], [2, 2], [60, 64], [64, 64], grid=8)
    assert from_muspy(muspy.Music(resolution=8)) == Score.silence(0, grid=8)


def test_muspy_reads_the_same_notes_from_the_midi_files_we_write(tmp_path):
    from bench.music import to_midi

    score = Score.from_notes([0, 4, 4], [4, 8, 2], [60, 62, 65], [70, 80, 90], grid=4)
    (tmp_path / "a.mid").write_bytes(to_midi(score))
    music = muspy.read_midi(tmp_path / "a.mid")
    assert from_muspy(music.adjust_resolution(4)) == score == from_midi(tmp_path / "a.mid")


@pytest.mark.parametrize("length", [0, 16])
def test_silence_is_a_track_without_notes(length):
    music = to_muspy(Score.silence(length))
    assert [len(track) for track in music.tracks] == [0]
