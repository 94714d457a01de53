import numpy as np
import pytest
import torch

from bench.errors import BenchError
from bench.training.checkpoint import load_tree, save_tree


def tree():
    return {
        "model": {"weight": torch.randn(3, 4), "tied": torch.ones(2)},
        "steps": [1, 2.5, "three", None, True],
        "array": np.arange(6, dtype=np.int16).reshape(2, 3),
        "half": torch.ones(3, dtype=torch.bfloat16),
        "empty": {},
    }


def test_a_tree_comes_back_bit_equal(tmp_path):
    original = tree()
    save_tree(tmp_path / "t.safetensors", original)
    loaded = load_tree(tmp_path / "t.safetensors")
    assert torch.equal(loaded["model"]["weight"], original["model"]["weight"])
    assert loaded["half"].dtype == torch.bfloat16
    assert torch.equal(loaded["half"], original["half"])
    assert np.array_equal(loaded["array"], original["array"])
    assert loaded["array"].dtype == np.int16
    assert loaded["steps"] == [1, 2.5, "three", None, True]
    assert loaded["empty"] == {}


def test_tensors_that_share_memory_are_kept(tmp_path):
    shared = torch.randn(4)
    save_tree(tmp_path / "t.safetensors", {"a": shared, "b": shared, "part": shared[1:3]})
    loaded = load_tree(tmp_path / "t.safetensors")
    assert torch.equal(loaded["a"], loaded["b"])
    assert torch.equal(loaded["part"], shared[1:3])


@pytest.mark.parametrize("keep", [0, 4, 100, -1])
def test_a_truncated_file_is_none_not_a_half_state(tmp_path, keep):
    path = tmp_path / "t.safetensors"
    save_tree(path, tree())
    path.write_bytes(path.read_bytes()[:keep])
    assert load_tree(path) is None


def test_a_missing_file_is_none(tmp_path):
    assert load_tree(tmp_path / "none.safetensors") is None


def test_what_cannot_be_written_plainly_is_refused(tmp_path):
    with pytest.raises(BenchError, match="cannot hold a set"):
        save_tree(tmp_path / "t.safetensors", {"a": {1, 2}})
    with pytest.raises(BenchError, match="keys must be strings"):
        save_tree(tmp_path / "t.safetensors", {"a": {1: 2}})
    assert list(tmp_path.iterdir()) == []
