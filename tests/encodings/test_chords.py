import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bench.encodings.chords import ChordVocabulary
from bench.errors import BenchError

pieces = st.lists(
    st.integers(0, 6).flatmap(lambda steps: arrays(bool, (steps, 10))), min_size=1, max_size=4
).filter(lambda rolls: sum(map(len, rolls)) > 0)


def sets(roll: np.ndarray) -> list[tuple[int, ...]]:
    return [tuple(frame.nonzero()[0]) for frame in roll]


@given(pieces)
def test_training_frames_come_back_from_their_tokens(rolls: list[np.ndarray]) -> None:
    vocabulary = ChordVocabulary.of(rolls)
    for roll in rolls:
        assert (vocabulary.decode(vocabulary.encode(roll)) == roll).all()


@given(pieces)
def test_counts_agree_with_sets_of_pitches(rolls: list[np.ndarray]) -> None:
    vocabulary = ChordVocabulary.of(rolls)
    chords = sets(vocabulary.chords)
    assert len(set(chords)) == len(vocabulary)
    assert set(chords) == {chord for roll in rolls for chord in sets(roll)}
    for chord, count, holders in zip(chords, vocabulary.counts, vocabulary.pieces, strict=True):
        assert count == sum(sets(roll).count(chord) for roll in rolls)
        assert holders == sum(chord in sets(roll) for roll in rolls)


@given(pieces, arrays(bool, (8, 10)))
def test_a_frame_of_no_training_piece_is_unknown(
    rolls: list[np.ndarray], frames: np.ndarray
) -> None:
    vocabulary = ChordVocabulary.of(rolls)
    known = set(sets(vocabulary.chords))
    tokens = vocabulary.encode(frames)
    assert [token == vocabulary.unknown for token in tokens] == [
        chord not in known for chord in sets(frames)
    ]


def test_silence_is_a_chord() -> None:
    vocabulary = ChordVocabulary.of([np.zeros((3, 88), dtype=bool)])
    assert len(vocabulary) == 1
    assert vocabulary.counts.tolist() == [3]
    assert vocabulary.encode(np.zeros((1, 88), dtype=bool)).tolist() == [0]


def test_pieces_without_a_step_are_an_error() -> None:
    for nothing in ([], [np.zeros((0, 88), dtype=bool)]):
        with pytest.raises(BenchError, match="every training piece is empty"):
            ChordVocabulary.of(nothing)


def test_musedata_has_the_39289_chords_that_the_paper_counts(muse_data: list[np.ndarray]) -> None:
    assert sum(map(len, muse_data)) == 245_202
    assert len(ChordVocabulary.of(muse_data)) == 39_289


@pytest.fixture
def muse_data() -> list[np.ndarray]:
    from scipy.io import loadmat

    path = Path(os.environ.get("BENCH_DATA_DIR", "absent")) / "icml2012" / "MuseData.mat"
    if not path.is_file():
        pytest.skip("the piano-roll sets are not in BENCH_DATA_DIR")
    return [roll.astype(bool) for roll in loadmat(path)["traindata"][0]]
