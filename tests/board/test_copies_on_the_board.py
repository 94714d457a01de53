"""A contestant whose samples are not its own is on the board with the evidence, and holds no rank."""

import numpy as np
import pytest
from made_up_jobs import DONE, finish, job, write_copying

from bench import registry
from bench.board.build import board_of, count_stale
from bench.board.rows import read_csv, to_csv
from bench.jobs.job import Card
from bench.jobs.record import records
from bench.jobs.results import SampleResult
from bench.jobs.run_folder import RunFolder

PRESENT = tuple(f"{number:064d}" for number in range(4))
RESULT = DONE.having(sample=SampleResult(hashes=PRESENT))


class Rate:
    """A headline metric of which the higher is the better."""

    name, version, headline, direction = "rate", 1, True, "higher"


@pytest.fixture
def runs(tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "metrics", lambda: {"rate": Rate})
    return RunFolder(tmp_path)


def enter(runs, system, mean, kind="paper", anchor=None, copies=False, **fields):
    """A finished job whose four samples score about `mean`, and what was found of copying."""
    done = job(system, card=Card(title=system, kind=kind, anchor=anchor), **fields)
    values = mean + np.array([-0.03, 0.01, 0.0, 0.02])
    folder = finish(runs, done, {"rate": values}, RESULT)
    write_copying(folder, done, RESULT, copies=copies)
    return folder


@pytest.fixture
def board(runs):
    enter(runs, "noise", 0.1, "floor", 0)
    enter(runs, "human", 0.9, "ceiling", 1, copies=True)
    enter(runs, "cheat", 0.9, copies=True)
    enter(runs, "control-cheat", 0.9, "control", copies=True)
    enter(runs, "honest", 0.6)
    return lambda: board_of(records(runs))


def rows_of(board):
    return {row.system: row for row in board.rows}


def test_a_cheat_has_a_status_a_sentence_and_neither_skill_nor_rank(board):
    cheat, honest = (rows_of(board())[name] for name in ("cheat", "honest"))
    assert cheat.status == "copies"
    assert cheat.copying == (
        "97 % of its notes are those of training piece bwv253 (bars 3 to 10, 2 semitones up)"
    )
    assert cheat.skill is cheat.skill_low is cheat.rank is cheat.rank_low is None
    assert cheat.skill_note == "the samples are copies"
    assert cheat.value("rate") == pytest.approx(0.9)
    assert (honest.status, honest.copying, honest.rank) == ("ok", "", 1)
    assert honest.skill == pytest.approx(0.625)


def test_floor_ceiling_and_controls_are_not_accused_and_controls_not_ranked(board):
    rows = rows_of(board())
    for name in ("noise", "human", "control-cheat"):
        assert (rows[name].status, rows[name].copying, rows[name].rank) == ("ok", "", None)
    assert rows["human"].skill == pytest.approx(1)
    assert rows["control-cheat"].skill == pytest.approx(1)


def test_one_seed_that_copies_is_enough(runs, board):
    enter(runs, "honest", 0.6, seed=1, copies=True)
    row = rows_of(board())["honest"]
    assert (row.status, row.seeds, row.rank) == ("copies", 2, None)


def test_a_cheat_stands_behind_those_with_a_skill_and_is_read_again_from_a_file(board, tmp_path):
    built = board()
    assert [row.system for row in built.rows][-1] == "cheat"
    path = tmp_path / "leaderboard.csv"
    path.write_text(to_csv(built.rows))
    again = rows_of(read_csv(path))
    assert again["cheat"].copying == rows_of(built)["cheat"].copying
    assert not again["cheat"].competes
    lines = path.read_text().splitlines()
    place = lines[0].split(",").index("copying")
    without = "\n".join(
        ",".join(cell for i, cell in enumerate(line.split(",")) if i != place)
        for line in lines
        if "semitones" not in line
    )
    path.write_text(without)
    assert {row.copying for row in read_csv(path).rows} == {""}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda folder: folder.copying.unlink(),
        lambda folder: folder.copying.write_text("{}"),
        lambda folder: folder.copying.write_text(
            folder.copying.read_text().replace('"version": 1', '"version": 0')
        ),
        lambda folder: folder.write_result(
            RESULT.having(sample=SampleResult(hashes=PRESENT[::-1]))
        ),
    ],
    ids=["gone", "damaged", "of an older version", "of other samples"],
)
def test_a_report_that_cannot_be_trusted_leaves_the_row_stale(runs, board, spoil):
    spoil(enter(runs, "cheat", 0.9, copies=True))
    row = rows_of(board())["cheat"]
    assert (row.status, row.copying) == ("ok", "")
    assert "copying" in row.stale.split()
    assert rows_of(board())["honest"].stale == ""
    assert count_stale(runs) == 1
