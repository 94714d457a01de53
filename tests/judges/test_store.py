import json
import os
import threading
import time

import numpy as np
import pytest

from bench import data
from bench.check import toy_dataset
from bench.errors import BenchError
from bench.judges import store
from bench.judges.families import FAMILIES
from bench.judges.judge import divided, fingerprint, usable
from bench.music import Score

LARGEST = 250_000  # bytes of a shipped judge


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(store, "_open", type(store._open)())


@pytest.fixture(scope="module")
def toy():
    return toy_dataset()


@pytest.fixture(scope="module", params=FAMILIES)
def trained(request, toy):
    return store.train_on(request.param, toy)


def test_the_same_pieces_give_the_same_judge_bit_for_bit(trained, toy):
    record, content = trained
    again, same = store.train_on(record.family, toy)
    assert same == content
    assert again.sha256 == record.sha256


def test_neither_threads_nor_the_device_of_a_job_change_a_judge(trained, toy, monkeypatch):
    import torch

    record, content = trained
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    monkeypatch.setenv("BENCH_DEVICE", "cuda")  # where there is none, a network could not be put
    try:
        _, same = store.train_on(record.family, toy)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert same == content
    assert os.environ["BENCH_DEVICE"] == "cuda"


def test_another_seed_gives_another_judge(trained, toy):
    record, content = trained
    assert store.train_on(record.family, toy, seed=1)[1] != content


def test_a_kept_judge_judges_as_before(trained, tmp_path, toy):
    record, content = trained
    store.keep(tmp_path, record, content)
    assert store.read(tmp_path, record.family) == record
    prompts = [piece.slice(0, 16) for piece in toy.split("test")]
    after = [piece.slice(16, 80) for piece in toy.split("test")]
    first, second = (store.open_judge(tmp_path, record).nats(prompts, after) for _ in range(2))
    assert np.array_equal(first, second)
    assert (first > 0).all()


def test_a_file_that_was_changed_is_refused(trained, tmp_path):
    record, content = trained
    store.keep(tmp_path, record, content)
    path = tmp_path / f"{record.family}.safetensors"
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert "not the file" in store.problem(tmp_path, record)
    with pytest.raises(BenchError, match="not the file that its record names"):
        store.open_judge(tmp_path, record)
    path.unlink()
    with pytest.raises(BenchError, match="is missing"):
        store.open_judge(tmp_path, record)


def test_a_record_of_other_pieces_is_found_out(trained, toy):
    record, _ = trained
    assert store.of_another(record, toy) == ""
    other = toy_dataset(pieces=12)
    assert "other pieces" in store.of_another(record, other)


def test_judges_are_trained_once_and_then_read(toy, monkeypatch):
    pieces = toy.split("train")
    first = store.judge_of("feed-forward", pieces, 4, 16)
    assert store.judge_of("feed-forward", pieces, 4, 16) is first
    store._open.clear()

    def never(*_):
        raise AssertionError("it was trained again")

    monkeypatch.setattr(store, "train", never)
    second = store.judge_of("feed-forward", pieces, 4, 16)
    assert second is not first
    folder = store.cache(fingerprint(pieces, 4, 16))
    assert [record.family for _, record in store.trained_here()] == ["feed-forward"]
    # A file that was damaged is no reason to judge by something else.
    (folder / "feed-forward.safetensors").write_bytes(b"")
    store._open.clear()
    with pytest.raises(BenchError, match="delete the judge"):
        store.judge_of("feed-forward", pieces, 4, 16)


def test_two_processes_train_a_judge_once(toy, monkeypatch):
    pieces, calls = toy.split("train"), []
    trained = store.train("feed-forward", pieces, 4, 16)

    def slow(*_):
        calls.append(1)
        time.sleep(0.3)
        return trained

    monkeypatch.setattr(store, "train", slow)
    both = [
        threading.Thread(target=store._made, args=("feed-forward", pieces, 4, 16)) for _ in "ab"
    ]
    for each in both:
        each.start()
    for each in both:
        each.join()
    assert len(calls) == 1


def test_where_nothing_can_be_kept_judges_are_trained_each_time(toy, tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path / "file"))
    assert not isinstance(store.judge_of("feed-forward", toy.split("train"), 4, 16), str)
    assert "Set BENCH_CACHE_DIR" in capsys.readouterr().err
    assert store.trained_here() == []


def test_the_fingerprint_is_of_the_music_alone(toy):
    pieces = toy.split("train")
    same = [Score.silence(40), *reversed(pieces), pieces[0], pieces[1].slice(0, 20)]
    assert fingerprint(same, 4, 16) == fingerprint(pieces, 4, 16)
    assert fingerprint(pieces[1:], 4, 16) != fingerprint(pieces, 4, 16)
    assert fingerprint(pieces, 4, 12) != fingerprint(pieces, 4, 16)


def test_one_in_ten_is_held_out(toy):
    pieces = usable(toy_dataset(pieces=30).split("train"), 16)
    _, held_out = divided(pieces * 4)
    assert len(held_out) == -(-len(pieces) * 4 // 10)
    assert divided(pieces[:1]) == (pieces[:1], [])
    two = divided(pieces[:2])
    assert [len(part) for part in two] == [1, 1]
    assert not {p.content_hash for p in two[0]} & {p.content_hash for p in two[1]}


@pytest.mark.parametrize("pieces", [[], [Score.silence(200)], [Score.silence(3)]])
def test_without_music_there_is_no_judge(pieces):
    for family in FAMILIES:
        assert "no training piece" in store.judge_of(family, pieces, 4, 16)


def test_one_piece_is_enough(toy):
    for family in FAMILIES:
        judge = store.judge_of(family, toy.split("train")[:1], 4, 16)
        nats = judge.nats([Score.silence(0)], [toy.split("test")[0].slice(0, 64)])
        assert np.isfinite(nats).all()


SHIPPED = [
    pytest.param(folder, record, id=f"{record.data}-{record.family}")
    for folder, record in store.shipped()
]


def test_every_pinned_data_set_has_all_judges():
    shipped = {(record.data, record.family) for _, record in store.shipped()}
    names = ("chorales", "jsb", "nottingham", "musedata", "piano-midi")
    assert shipped == {(name, family) for name in names for family in FAMILIES}


@pytest.mark.parametrize(("folder", "record"), SHIPPED)
def test_a_shipped_judge_is_what_its_record_says(folder, record):
    assert store.problem(folder, record) == ""
    assert record.bytes == (folder / f"{record.family}.safetensors").stat().st_size <= LARGEST
    assert folder.name == record.data
    judge = store.open_judge(folder, record)
    assert judge.version == record.version
    assert record.valid_nats_per_step is not None
    assert data.describe(record.data).fingerprint == record.data_fingerprint
    text = (folder / f"{record.family}.json").read_text()
    assert json.loads(text)["sha256"] == record.sha256


@pytest.mark.slow
@pytest.mark.parametrize(("folder", "record"), SHIPPED)
def test_a_shipped_judge_belongs_to_the_training_pieces(folder, record):
    if data.describe(record.data).where is None:
        pytest.skip(f"{record.data} is not here")
    dataset = data.load(record.data)
    assert store.of_another(record, dataset) == ""
    judge = store.judge_of(record.family, dataset.split("train"), dataset.grid, dataset.bar)
    loss = store.valid_nats(judge, dataset)
    assert loss == pytest.approx(record.valid_nats_per_step, rel=1e-3)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_shipped_judge_can_be_rebuilt():
    folder, record = next(each for each in store.shipped() if each[1].data == "jsb")
    if data.describe("jsb").where is None:
        pytest.skip("jsb is not here")
    wrong, words = store.rebuilt(folder, record, data.load("jsb"))
    assert wrong == "", words


class Counted:
    """A stand-in for a judge that says how often it was asked."""

    family, version = "attention", 1

    def __init__(self, weight=1.0):
        self.weight, self.asked = weight, 0

    def arrays(self):
        return {"weight": np.array([self.weight])}

    def listen(self):
        self.asked += 1
        return np.arange(6.0).reshape(2, 3) * self.weight


def heard(judge, pieces):
    return store.remembered(judge, pieces, pieces, judge.listen)


def test_what_a_judge_makes_of_true_continuations_is_computed_once(tmp_path):
    pieces = toy_dataset().split("valid")[:2]
    judge = Counted()
    first = heard(judge, pieces)
    assert np.array_equal(first, heard(judge, pieces))
    assert judge.asked == 1
    assert not np.array_equal(first, heard(Counted(2.0), pieces))  # another judge
    assert heard(judge, pieces[::-1]) is not None
    assert judge.asked == 2  # other music


@pytest.mark.parametrize("content", [b"", b"no array", b"\x93NUMPY\x01\x00v\x00{}"])
def test_a_damaged_memory_is_computed_again(tmp_path, content):
    pieces = toy_dataset().split("valid")[:2]
    judge = Counted()
    first = heard(judge, pieces)
    (path,) = (tmp_path / "cache" / "judges" / "heard").glob("*.npy")
    path.write_bytes(content)
    assert np.array_equal(first, heard(judge, pieces))
    assert judge.asked == 2


def test_a_cache_that_cannot_be_written_is_no_reason_to_fail(tmp_path):
    (tmp_path / "cache").write_text("a file")
    judge = Counted()
    assert heard(judge, toy_dataset().split("valid")[:2]).shape == (2, 3)
