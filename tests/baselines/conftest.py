import os
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.check import NoLog
from bench.music import Score


@pytest.fixture
def quiet() -> NoLog:
    """A log that keeps nothing."""
    return NoLog()


@pytest.fixture
def icml2012() -> Callable[[str], dict[str, list[Score]]]:
    """The splits of one of the four piano-roll sets of Boulanger-Lewandowski et al. 2012."""

    def read(name: str) -> dict[str, list[Score]]:
        from scipy.io import loadmat

        path = Path(os.environ.get("BENCH_DATA_DIR", "absent")) / "icml2012" / f"{name}.mat"
        if not path.is_file():
            pytest.skip("the piano-roll sets are not in BENCH_DATA_DIR")
        rolls, grid = loadmat(path), 1 if name == "JSB_Chorales" else 2
        return {
            split: [Score.from_rolls(roll, grid=grid) for roll in rolls[f"{split}data"][0]]
            for split in ("train", "valid", "test")
        }

    return read
