from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest

import bench.data
from bench.data.icml2012 import JSB
from bench.data.manifest import read_manifest
from bench.data.rolls import read_rolls
from bench.errors import BenchError
from bench.music.key import key

# pieces, steps and silent steps of each split, and the keys of train: counted from the files
COUNTS = {
    "jsb": ((229, 13_807, 18), (76, 4_602, 29), (77, 4_725, 17), (43, 96)),
    "nottingham": ((694, 176_561, 487), (173, 45_513, 51), (170, 44_463, 19), (31, 93)),
    "musedata": ((524, 245_202, 12_962), (135, 82_755, 4_412), (124, 64_339, 5_042), (21, 96)),
    "piano-midi": ((87, 75_911, 4_917), (12, 8_540, 251), (25, 19_036, 652), (21, 108)),
}


@pytest.mark.parametrize("name", COUNTS)
def test_pieces_steps_and_silences_are_those_of_the_published_files(name, real_data):
    data = bench.data.load(name)
    assert data.fingerprint == bench.data.describe(name).fingerprint
    *expected, keys = COUNTS[name]
    for split, counts in zip(bench.data.SPLITS, expected, strict=True):
        rolls = [score.sounding() for score in data.split(split)]
        silent = sum(int((~roll.any(axis=1)).sum()) for roll in rolls)
        assert (len(rolls), sum(map(len, rolls)), silent) == counts
    train = np.concatenate([score.pitch for score in data.split("train")])
    assert (train.min(), train.max()) == keys


@pytest.mark.parametrize("name", [*COUNTS, "chorales"])
def test_pieces_are_in_c_where_their_authors_transposed_them(name, real_data):
    keys = [key(piece) for piece in bench.data.load(name).split("train")]
    share = np.mean([each.tonic == 0 for each in keys if each])
    assert bench.data.describe(name).in_c == (share > 0.7)
    assert not 0.3 < share < 0.7


def test_musedata_train_has_39_289_distinct_frames(real_data):
    rolls = np.concatenate([s.sounding() for s in bench.data.load("musedata").split("train")])
    assert len(np.unique(np.packbits(rolls, axis=1), axis=0)) == 39_289


@pytest.mark.parametrize("name", COUNTS)
def test_a_piece_has_the_very_rolls_of_the_file(name, real_data):
    from scipy.io import loadmat

    data = bench.data.load(name)
    content = loadmat(str(bench.data.describe(name).where))
    for split in bench.data.SPLITS:
        for score, roll in zip(data.split(split), content[f"{split}data"][0], strict=True):
            assert np.array_equal(score.sounding(), roll)


def test_likelihood_of_a_note_unigram_is_the_published_one(real_data):
    # Boulanger-Lewandowski et al. 2012, table 1: one probability per key, nats per frame.
    published = {"piano-midi": 11.05, "nottingham": 10.25, "musedata": 11.51, "jsb": 11.06}
    for name, value in published.items():
        data = bench.data.load(name)
        train, test = (
            np.concatenate([s.sounding() for s in data.split(split)]) for split in ("train", "test")
        )
        p = np.clip(train.mean(axis=0), 1e-7, 1)
        nats = -(test * np.log(p) + ~test * np.log1p(-p)).sum() / len(test)
        assert nats == pytest.approx(value, abs=0.02)


def test_the_equal_pieces_of_the_standard_splits_are_known_and_no_others():
    known = {
        name: len(read_manifest(JSB.manifest.with_name(f"{name}.json")).known_duplicates)
        for name in COUNTS
    }
    assert known == {"jsb": 0, "nottingham": 2, "musedata": 0, "piano-midi": 0}


PIECES = {"train": [[(60, 64), (60,), ()]], "valid": [[(21,)]], "test": [[[108]]]}


def test_an_original_pickle_gives_the_same_rolls(tmp_path):
    path = tmp_path / "JSB Chorales.pickle"
    path.write_bytes(pickle.dumps(PIECES, protocol=0))
    rolls = read_rolls(path)
    assert rolls["train"][0].shape == (3, 88)
    assert [list(np.flatnonzero(step)) for step in rolls["train"][0]] == [[39, 43], [39], []]
    assert JSB.find(tmp_path) == path
    assert list(JSB.read(tmp_path, None)) == ["train-000", "valid-000", "test-000"]


class Dangerous:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_that_would_run_something_is_refused_and_runs_nothing(tmp_path, protocol):
    path = tmp_path / "Nottingham.pickle"
    path.write_bytes(pickle.dumps(PIECES | {"more": Dangerous(tmp_path / "ran")}, protocol))
    with pytest.raises(BenchError, match="wants to run"):
        read_rolls(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "content",
    [
        pickle.dumps(PIECES | {"train": [[(130,)]]}),
        pickle.dumps(PIECES | {"train": [["ab"]]}),
        pickle.dumps([1, 2]),
        pickle.dumps({"train": []}),
        pickle.dumps(PIECES)[:-9],
        b"",
        b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f",
    ],
)
@pytest.mark.parametrize("name", ["a.pickle", "a.mat"])
def test_what_is_no_piano_roll_file_is_refused(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(BenchError, match="no piano-roll file of 2012"):
        read_rolls(path)


def test_the_download_is_the_file_that_was_pinned(real_data):
    import hashlib

    for name in COUNTS:
        (download,) = bench.data.library.source_of(name).downloads
        content = (real_data / download.path).read_bytes()
        assert len(content) == download.size
        assert hashlib.sha256(content).hexdigest() == download.sha256
        assert len(download.urls) == 2
