from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import bench.data
from bench import registry
from bench.data.manifest import pin, read_manifest
from bench.data.pieces import read_pieces, write_pieces
from bench.errors import BenchError
from bench.music import Score


def cache_file(tmp_path: Path) -> Path:
    (path,) = (tmp_path / "cache" / "pieces").iterdir()
    return path


def test_importing_the_data_sets_imports_nothing_heavy():
    code = "import bench.data, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"torch", "music21", "scipy", "pandas", "symusic", "muspy", "rich", "sklearn"}
    heavy |= {"pooch", "requests"}
    assert not heavy & set(done.stdout.split())


def test_describing_a_data_set_reads_no_piece(tiny):
    info = bench.data.describe("tiny")
    assert info.counts == {"train": 2, "valid": 1, "test": 1}
    assert info.fingerprint == bench.data.load("tiny").fingerprint
    assert tiny.readings == 1


def test_a_second_load_comes_from_the_cache_and_is_equal(tiny):
    first, second = bench.data.load("tiny"), bench.data.load("tiny")
    assert tiny.readings == 1
    assert first.fingerprint == second.fingerprint
    assert second.split("train") == [tiny.originals["a"], tiny.originals["b"]]


def test_a_missing_data_set_says_what_to_do_and_where(tiny, tmp_path):
    tiny.here = False
    with pytest.raises(BenchError, match=r"Put tunes.txt there") as caught:
        bench.data.load("tiny")
    assert str(tmp_path / "data") in str(caught.value)
    assert bench.data.describe("tiny").here == "not here: Put tunes.txt there."


@pytest.mark.parametrize(("here", "calls"), [(None, 1), ("tunes.txt", 1), ("tunes.pickle", 0)])
def test_fetching_downloads_unless_the_originals_lie_there_in_another_form(
    tiny, tmp_path, monkeypatch, here, calls
):
    file = bench.data.Download("tunes.txt", "0" * 64, 1, ("http://127.0.0.1:9/",))
    place = [tmp_path / "data" / here if here else None]
    source = replace(tiny.source, downloads=(file,), find=lambda folder: place[0])
    monkeypatch.setattr(registry, "datasets", lambda: {"tiny": source})
    downloads = []

    def download(file, folder):
        downloads.append((file, folder))
        place[0] = folder / file.path

    monkeypatch.setattr("bench.data.library.download", download)
    assert len(bench.data.fetch("tiny").pieces) == 4
    assert downloads == [(file, tmp_path / "data")] * calls


def test_a_data_set_in_the_cache_needs_no_originals(tiny):
    bench.data.load("tiny")
    tiny.here = False
    assert len(bench.data.load("tiny").pieces) == 4


def test_an_unknown_name_brings_the_nearest(tiny):
    with pytest.raises(BenchError, match="Did you mean tiny"):
        bench.data.load("tyni")


def test_a_piece_that_differs_from_its_manifest_is_named(tiny):
    tiny.originals["c"] = tiny.originals["c"].transpose(1)
    with pytest.raises(BenchError, match="tiny: c differs from the pinned piece"):
        bench.data.load("tiny")


def test_a_piece_that_is_missing_is_named(tiny):
    del tiny.originals["d"]
    with pytest.raises(BenchError, match="tiny: d is missing"):
        bench.data.load("tiny")


def test_a_mismatch_under_another_version_of_the_reader_names_both(tiny, pinned_with, monkeypatch):
    source = pinned_with(tiny, numpy="0.1")
    monkeypatch.setattr(registry, "datasets", lambda: {"tiny": source})
    assert bench.data.load("tiny")  # another version that reads the same is welcome
    cached = next((Path(bench.data.cache_dir()) / "pieces").iterdir())
    cached.unlink()
    tiny.originals["a"] = tiny.originals["d"]
    with pytest.raises(BenchError, match=rf"a differs.*numpy {np.__version__}.*numpy==0\.1"):
        bench.data.load("tiny")


DAMAGE = {
    "truncated": lambda content: content[: len(content) // 2],
    "empty": lambda content: b"",
    "foreign": lambda content: b"not even a zip file",
    "one byte changed": lambda content: content[:300] + bytes([content[300] ^ 1]) + content[301:],
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_cache_is_made_anew(tiny, tmp_path, damage):
    whole = bench.data.load("tiny")
    path = cache_file(tmp_path)
    path.write_bytes(DAMAGE[damage](path.read_bytes()))
    assert bench.data.load("tiny").fingerprint == whole.fingerprint
    assert tiny.readings == 2
    bench.data.load("tiny")
    assert tiny.readings == 2


def test_a_cache_of_valid_but_wrong_pieces_is_not_trusted(tiny, tmp_path):
    whole = bench.data.load("tiny")
    path = cache_file(tmp_path)
    write_pieces(path, {name: score.transpose(1) for name, score in whole.pieces.items()})
    assert bench.data.load("tiny").fingerprint == whole.fingerprint


def test_a_pickle_in_the_cache_is_never_opened(tiny, tmp_path):
    whole = bench.data.load("tiny")
    path = cache_file(tmp_path)
    with np.load(path) as file:
        arrays = dict(file)
    arrays["onset"] = np.array([{"not": "a number"}], dtype=object)
    np.savez(path, allow_pickle=True, **arrays)
    assert read_pieces(path) is None
    assert bench.data.load("tiny").fingerprint == whole.fingerprint


def test_a_cache_that_cannot_be_written_costs_only_time(tiny, tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path / "file"))
    assert len(bench.data.load("tiny").pieces) == 4
    assert "BENCH_CACHE_DIR" in capsys.readouterr().err


def test_nothing_is_loaded_while_sealed(tiny):
    with bench.data.seal(), bench.data.seal():
        pass
    with bench.data.seal():
        with pytest.raises(BenchError, match="may not load data while it learns"):
            bench.data.load("tiny")
        with pytest.raises(BenchError, match="may not load data while it learns"):
            bench.data.verify("tiny")
    assert bench.data.load("tiny")


def test_the_seal_is_lifted_when_learning_fails(tiny):
    with pytest.raises(RuntimeError, match="diverged"), bench.data.seal():
        raise RuntimeError("diverged")
    assert bench.data.load("tiny")


def test_verifying_reads_the_originals_though_the_cache_is_right(tiny):
    bench.data.load("tiny")
    tiny.originals["b"] = tiny.originals["b"].transpose(-1)
    with pytest.raises(BenchError, match="tiny: b differs"):
        bench.data.verify("tiny")


def test_readers_see_whole_pieces_while_two_processes_write_them(tmp_path, tiny):
    path = tmp_path / "pieces.npz"
    write_pieces(path, tiny.originals)
    code = (
        "import sys, pathlib; from bench.data.pieces import read_pieces, write_pieces\n"
        "path = pathlib.Path(sys.argv[1]); pieces = read_pieces(path)\n"
        "for _ in range(60): write_pieces(path, pieces)"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, str(path)]) for _ in range(2)]
    while any(writer.poll() is None for writer in writers):
        assert read_pieces(path) == tiny.originals
    assert [writer.returncode for writer in writers] == [0, 0]
    assert [file.name for file in tmp_path.iterdir() if file.suffix == ".npz"] == ["pieces.npz"]


def test_pieces_survive_the_file_bit_for_bit(tmp_path):
    pieces = {
        "none": Score.silence(0),
        "silence": Score.silence(7, grid=2),
        "é/ü": Score.from_notes([0, 3], [2, 9], [21, 108], [1, 127], length=40, grid=12),
    }
    write_pieces(tmp_path / "p.npz", pieces)
    assert read_pieces(tmp_path / "p.npz") == pieces


def test_splits_that_share_a_piece_cannot_be_pinned(tiny):
    pieces = tiny.originals | {"copy": tiny.originals["a"]}
    splits = {"train": ["a"], "valid": ["copy"], "test": ["c"]}
    facts = {"name": "x", "version": 1, "grid": 4, "bar": 16, "object": "score"}
    with pytest.raises(BenchError, match="splits overlap: copy in valid is a in train"):
        pin(pieces, splits, **facts)
    assert pin(pieces, splits, **facts, known_duplicates=(("a", "copy"),))
    with pytest.raises(BenchError, match="splits overlap"):
        pin(pieces, {"train": ["a"], "valid": ["a"], "test": ["c"]}, **facts)


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.pop("splits"),
        lambda m: m.update(splits=[1]),
        lambda m: m.update(more=1),
        lambda m: m.update(fingerprint="../../elsewhere"),
        lambda m: m["splits"]["train"].update(a=""),
        lambda m: m["splits"]["train"].update(a=5),
        lambda m: m.clear(),
    ],
)
def test_a_broken_manifest_says_which_file(tiny, change):
    content = json.loads(tiny.source.manifest.read_text())
    change(content)
    tiny.source.manifest.write_text(json.dumps(content))
    with pytest.raises(BenchError, match=r"tiny\.json is no manifest"):
        bench.data.load("tiny")


@pytest.mark.parametrize("name", sorted(registry.datasets()))
def test_every_installed_manifest_agrees_with_its_source(name):
    source = registry.datasets()[name]
    manifest = read_manifest(source.manifest)
    assert (manifest.name, manifest.version) == (source.name, source.version)
    assert (manifest.grid, manifest.bar, manifest.object) == (
        source.grid,
        source.bar,
        source.object,
    )
    assert source.name == name
    assert source.title
    assert source.licence
    assert source.citation
    assert source.obtain
    assert all(manifest.counts.values())
