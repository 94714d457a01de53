from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import bench.data
from bench import registry
from bench.data import chorales
from bench.data.corpus import read_files
from bench.data.manifest import read_manifest
from bench.data.similarity import shares, windows
from bench.data.splits import distinct, seeded
from bench.errors import BenchError
from bench.music import LOWEST, Score

MANIFEST = read_manifest(chorales.CHORALES.manifest)
FEW = ["bwv20.7", "bwv36.4-2", "bwv66.6", "bwv269", "bwv299", "bwv431"]


@pytest.fixture(scope="module")
def few():
    return chorales.read(Path(), FEW)


def test_chorales_are_read_as_pinned_and_in_the_order_of_the_catalogue(few):
    assert list(few) == FEW
    pinned = {
        piece: digits for split in MANIFEST.splits.values() for piece, digits in split.items()
    }
    for piece, score in few.items():
        assert score.content_hash.startswith(pinned[piece])


def test_bars_begin_where_bars_should(few):
    # BWV 269 is in 3/4 and begins with an upbeat of a quarter, BWV 66.6 in 4/4 with one of a
    # quarter: two and three quarters of silence come before them.
    assert few["bwv269"].onset[0] == 8
    assert few["bwv66.6"].onset[0] == 12
    assert few["bwv66.6"].length % 16 == 12  # its last bar gives the upbeat back


def test_notes_are_those_of_the_edition(few):
    # BWV 66.6 begins on a chord of A major over the upbeat: C sharp, E, A, A.
    first = few["bwv66.6"].slice(12, 13)
    assert sorted(p % 12 for p in first.pitch) == [1, 4, 9]
    assert set(np.unique(few["bwv66.6"].velocity)) == {80}


def test_the_data_set_loads_without_a_data_folder(monkeypatch, few):
    monkeypatch.delenv("BENCH_DATA_DIR", raising=False)
    source = replace(chorales.CHORALES, read=lambda folder, ids: few)
    monkeypatch.setattr(registry, "datasets", lambda: {"chorales": source})
    assert bench.data.describe("chorales").where
    with pytest.raises(BenchError, match=r"chorales: bwv\S+ is missing"):
        bench.data.load("chorales")


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    broken = tmp_path / "bwv1.mxl"
    broken.write_bytes(b"no music")
    with pytest.raises(BenchError, match=r"bwv1\.mxl"):
        read_files("Reading", [broken])


def test_a_reader_that_dies_is_an_error_and_not_a_hang(tmp_path, monkeypatch):
    monkeypatch.setattr("bench.data.corpus.sys.executable", "/bin/false")
    with pytest.raises(BenchError, match="died"):
        read_files("Reading", [tmp_path / "bwv1.mxl"])


@pytest.fixture(scope="module")
def every():
    return chorales.read(Path(), None)


@pytest.mark.slow
def test_all_chorales_make_the_pinned_data_set(every):
    assert len(every) == 365
    kept = distinct(every)
    assert len(kept) == 360
    splits = seeded(kept)
    assert {split: sorted(ids) for split, ids in splits.items()} == {
        split: sorted(ids) for split, ids in MANIFEST.splits.items()
    }
    assert MANIFEST.wrong(kept) is None
    data = MANIFEST.dataset(kept)
    beginnings: dict[Score, set[str]] = {}
    for split in bench.data.SPLITS:
        for score in data.split(split):
            begin = score.slice(0, 64)
            begin = begin.transpose(LOWEST - int(begin.pitch.min()))
            beginnings.setdefault(begin, set()).add(split)
    assert all(len(splits) == 1 for splits in beginnings.values())
    for held_out in ("valid", "test"):
        for melody, bound in ((False, 0.25), (True, 0.5)):
            share = shares(
                [windows(score, melody=melody) for score in data.split(held_out)],
                [windows(score, melody=melody) for score in data.split("train")],
            )
            assert share.max() < bound


@pytest.mark.slow
def test_chorales_agree_with_an_independent_encoding(every, real_data):
    # The widely used JSON of the same music plays repeats and comes from other editions: it need
    # not agree everywhere, but where it does, our onsets, keys and grid are right.
    import json

    content = json.loads((real_data / "jsb16th" / "jsb-chorales-16th.json").read_text())
    others = []
    for chords in (piece for split in content.values() for piece in split):
        roll = np.zeros((len(chords), 88), dtype=bool)
        for step, chord in enumerate(chords):
            roll[step, [int(p) - 21 for p in chord if p > 0]] = True
        others.append(Score.from_rolls(roll))
    ours = list(every.values())
    for melody, expected in ((False, 0.65), (True, 0.88)):
        share = shares(
            [windows(s, melody=melody) for s in others], [windows(s, melody=melody) for s in ours]
        )
        assert (share.max(axis=1) > 0.5).mean() > expected
