"""How fast a leaderboard is built from its jobs."""

from pathlib import Path

import numpy as np
import pytest

from bench.board.archive import shipped, unpacked
from bench.board.build import build
from bench.board.rows import to_csv
from bench.jobs.run_folder import RunFolder
from bench.jobs.scores import read_scores


@pytest.fixture(scope="module")
def runs():
    """The run folder of the published board."""
    table = shipped()
    return RunFolder(unpacked(table.with_suffix(".tar.xz")))


def loaded(path: Path):
    """The arrays of a job, as numpy reads them."""
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


def test_the_published_board_against_reading_its_arrays_with_numpy(runs, seconds, measured):
    """Arrays are a part of what a board is built from: all else has to fit into what they take."""
    folders = runs.folders()
    for folder in folders[::20]:
        ours, theirs = read_scores(folder).arrays, loaded(folder.score_arrays)
        assert ours.keys() == theirs.keys()
        assert all(np.array_equal(ours[name], theirs[name], equal_nan=True) for name in theirs)
    assert to_csv(build(runs).rows) == shipped().read_text()
    board, arrays, numpys = seconds(
        lambda: build(runs),
        lambda: [read_scores(folder).arrays for folder in folders],
        lambda: [loaded(folder.score_arrays) for folder in folders],
        repeats=5,
    )
    against = "`np.load` of every scores.npz, and nothing else"
    size = f"the published board, {len(folders)} jobs"
    measured("board", "building it", size=size, against=against, ours=board, theirs=numpys)
    measured(
        "board", "its scores and arrays", size=size, against=against, ours=arrays, theirs=numpys
    )
