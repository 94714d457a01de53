from pathlib import Path

import numpy as np
import pytest

from bench.errors import BenchError
from bench.training import saved


def test_values_and_arrays_come_back(tmp_path: Path) -> None:
    values = {"name": "noise", "rate": 0.1, "patience": None, "settings": {"layers": [1, 2]}}
    arrays = {"mask": np.eye(3, dtype=bool)[:, ::2], "counts": np.arange(4), "none": np.zeros(0)}
    saved.save(tmp_path, values, arrays)
    again, loaded = saved.load(tmp_path)
    assert again == values
    assert loaded.keys() == arrays.keys()
    for name, array in arrays.items():
        assert loaded[name].dtype == array.dtype
        assert np.array_equal(loaded[name], array)


@pytest.mark.parametrize("lost", ["system.json", "arrays.safetensors"])
def test_half_a_system_is_none(tmp_path: Path, lost: str) -> None:
    saved.save(tmp_path, {})
    (tmp_path / lost).unlink()
    with pytest.raises(BenchError, match="holds no saved system"):
        saved.load(tmp_path)
