from __future__ import annotations

import numpy as np
import pytest

import bench.data
from bench.data import folders
from bench.errors import BenchError
from bench.music import Score, concatenate, to_midi


def tune(seed: int, notes: int = 40) -> Score:
    rng = np.random.default_rng(seed)
    return Score.from_notes(
        np.arange(notes) * 2, rng.integers(1, 3, notes), rng.integers(40, 90, notes)
    )


@pytest.fixture
def midi(tmp_path, monkeypatch):
    """A folder of ten tunes, and an empty data folder."""
    monkeypatch.setenv("BENCH_DATA_DIR", str(tmp_path / "data"))
    folder = tmp_path / "songs"
    (folder / "more").mkdir(parents=True)
    for i in range(10):
        (folder / ("more" if i > 7 else "") / f"{i}.mid").write_bytes(to_midi(tune(i)))
    return folder


def test_a_folder_becomes_a_data_set_like_any_other(midi):
    added = bench.data.add("my-songs", midi)
    assert not added.left_out
    assert not added.repeated
    assert "my-songs" in bench.data.names()
    data = bench.data.load("my-songs")
    assert {split: len(data.split(split)) for split in bench.data.SPLITS} == {
        "train": 8,
        "valid": 1,
        "test": 1,
    }
    assert data.pieces["more/9"] == tune(9)
    info = bench.data.describe("my-songs")
    assert info.fingerprint == data.fingerprint == added.manifest.fingerprint
    assert info.title == "MIDI files of songs"
    assert bench.data.verify("my-songs").fingerprint == data.fingerprint


def test_all_pieces_are_on_one_grid_even_those_that_were_written_on_another(midi):
    (midi / "coarse.mid").write_bytes(
        to_midi(Score.from_notes([0, 1, 2], [1, 1, 3], [60, 62, 59], grid=1))
    )
    bench.data.add("mine", midi)
    data = bench.data.load("mine")
    assert {score.grid for score in data.pieces.values()} == {data.grid} == {4}
    assert list(data.pieces["coarse"].onset) == [0, 4, 8]


def test_the_midi_files_are_needed_no_longer(midi):
    bench.data.add("mine", midi)
    for path in midi.rglob("*.mid"):
        path.unlink()
    assert len(bench.data.load("mine").pieces) == 10


def test_the_same_folder_and_seed_give_the_same_splits(midi):
    first = bench.data.add("one", midi, seed=3).manifest.splits
    assert bench.data.add("two", midi, seed=3).manifest.splits == first
    others = [bench.data.add(f"s{seed}", midi, seed=seed).manifest.splits for seed in range(4)]
    assert any(other != first for other in others)


def test_broken_files_and_repeats_are_left_out_and_named(midi):
    (midi / "broken.mid").write_bytes(b"MThd and then nothing")
    (midi / "empty.mid").write_bytes(b"")
    (midi / "notes.txt").write_text("no music")
    (midi / "z higher.mid").write_bytes(to_midi(tune(0).transpose(2)))
    added = bench.data.add("mine", midi)
    assert sorted(left.file.name for left in added.left_out) == ["broken.mid", "empty.mid"]
    assert all(left.file.name in left.reason for left in added.left_out)
    assert added.repeated == ("z higher",)
    assert len(bench.data.load("mine").pieces) == 10


def test_folders_named_as_splits_are_the_splits(midi):
    for i in range(10):
        split = "train" if i < 6 else "valid" if i < 8 else "test"
        (midi / split).mkdir(exist_ok=True)
        (midi / ("more" if i > 7 else "") / f"{i}.mid").rename(midi / split / f"{i}.mid")
    (midi / "train" / "copy of 9.mid").write_bytes(to_midi(tune(9).transpose(-1)))
    (midi / "elsewhere.mid").write_bytes(to_midi(tune(20)))
    added = bench.data.add("mine", midi)
    data = bench.data.load("mine")
    assert data.train == tuple(f"train/{i}" for i in range(6))
    assert data.test == ("test/8", "test/9")
    assert added.repeated == ("train/copy of 9",)
    assert [left.file.name for left in added.left_out] == ["elsewhere"]


def test_pieces_that_share_much_are_in_one_split(midi):
    for i in range(5):
        (midi / f"long{i}.mid").write_bytes(to_midi(concatenate([tune(0), tune(50 + i)])))
    splits = bench.data.add("mine", midi).manifest.splits
    family = {"0", *(f"long{i}" for i in range(5))}
    assert sum(bool(family & splits[split].keys()) for split in splits) == 1


@pytest.mark.parametrize(
    "name", ["../evil", "a/b", "", ".", "..", "UPPER", "with space", "-x", "a" * 65, "a\n", "ü"]
)
def test_a_name_that_is_no_plain_word_is_refused(midi, tmp_path, name):
    with pytest.raises(BenchError, match="cannot be the name of a data set"):
        bench.data.add(name, midi)
    assert not (tmp_path / "data").exists()


def test_the_name_of_an_installed_set_is_taken(midi):
    with pytest.raises(BenchError, match="already"):
        bench.data.add("chorales", midi, force=True)


def test_a_set_is_replaced_only_by_force(midi, tmp_path):
    bench.data.add("mine", midi)
    (midi / "0.mid").unlink()
    with pytest.raises(BenchError, match="--force"):
        bench.data.add("mine", midi)
    assert len(bench.data.load("mine").pieces) == 10
    bench.data.add("mine", midi, force=True)
    assert len(bench.data.load("mine").pieces) == 9
    assert len(list((tmp_path / "data" / "added" / "mine").iterdir())) == 2


def test_a_folder_that_makes_no_data_set_says_why(midi, tmp_path):
    with pytest.raises(BenchError, match="no folder"):
        bench.data.add("mine", tmp_path / "absent")
    small = tmp_path / "small"
    small.mkdir()
    with pytest.raises(BenchError, match="gives 0 different pieces"):
        bench.data.add("mine", small)
    (small / "bad.mid").write_bytes(b"x")
    for i in range(2):
        (small / f"{i}.mid").write_bytes(to_midi(tune(i)))
    with pytest.raises(BenchError, match=r"gives 2 different pieces(.|\n)*bad\.mid"):
        bench.data.add("mine", small)
    for i in range(2, 5):
        (small / f"{i}.mid").write_bytes(to_midi(concatenate([tune(0), tune(1), tune(i)])))
    with pytest.raises(BenchError, match="share so much"):
        bench.data.add("mine", small)


def test_a_damaged_set_is_named_and_does_not_affect_the_others(midi, tmp_path, capsys):
    bench.data.add("mine", midi)
    bench.data.add("other", midi, seed=1)
    (pieces,) = (tmp_path / "data" / "added" / "mine").glob("*.npz")
    pieces.write_bytes(b"damaged")
    with pytest.raises(
        BenchError, match=r"mine: .* is missing.*bench data add mine FOLDER --force"
    ):
        bench.data.load("mine")
    (tmp_path / "data" / "added" / "mine" / "manifest.json").write_text("{")
    assert "other" in bench.data.names()
    assert "mine" in capsys.readouterr().err
    assert bench.data.load("other")


def test_a_data_folder_that_cannot_be_written_says_what_to_do(midi, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BenchError, match="--data-dir"):
        bench.data.add("mine", midi, tmp_path / "file")


def test_folders_come_from_the_environment(monkeypatch, tmp_path):
    monkeypatch.delenv("BENCH_DATA_DIR", raising=False)
    monkeypatch.setenv("BENCH_CACHE_DIR", "/somewhere")
    assert str(folders.data_dir()) == "/somewhere/data"
    monkeypatch.delenv("BENCH_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert str(folders.cache_dir()) == "/xdg/musicbench"
    monkeypatch.setenv("BENCH_DATA_DIR", "/data")
    assert str(folders.data_dir()) == "/data"
    assert str(folders.cache_dir()) == "/xdg/musicbench"
