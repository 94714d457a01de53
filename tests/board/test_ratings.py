"""What the board takes from the files of closed surveys: their section `board`, and nothing else."""

import pytest
from made_up_rows import row

from bench.board.ratings import FOLDER, fill_ratings
from bench.board.rows import SURVEYED
from bench.files import write_json

CELLS = {
    "human_rating": 5.1234567, "human_rating_low": 4.5, "human_rating_high": 5.5,
    "believability": 0.25, "survey": "autumn",
}  # fmt: skip
EMPTY = (None, None, None, None, "")


@pytest.fixture
def rows():
    return [
        row("a"),
        row("b"),
        row("people", anchor=1),
        row("people", anchor=1, preset="smoke", jobs="people.smoke"),
    ]


def keep(runs, name="autumn", ended="2030-01-01", **board):
    """A survey's results in the run folder."""
    content = {"about": {"name": name}, "ended": ended, "board": board, "studies": "not read here"}
    write_json(runs / FOLDER / f"{name}.json", content)


def cells(row):
    return tuple(getattr(row, name) for name in SURVEYED)


def test_a_rated_job_fills_its_row_rounded_as_all_figures_are(rows, tmp_path):
    keep(tmp_path, **{"a.job": CELLS})
    fill_ratings(rows, tmp_path)
    assert cells(rows[0]) == (5.12346, 4.5, 5.5, 0.25, "autumn")
    assert {cells(row) for row in rows[1:]} == {EMPTY}


def test_human_music_is_rated_beside_rated_systems_alone(rows, tmp_path):
    human = CELLS | {"human_rating": 8.0}
    keep(tmp_path, **{"human.toy": human})
    fill_ratings(rows, tmp_path)
    assert {cells(row) for row in rows} == {EMPTY}
    keep(tmp_path, **{"human.toy": human, "a.job": CELLS})
    fill_ratings(rows, tmp_path)
    assert [row.human_rating for row in rows] == [5.12346, None, 8.0, None]


def test_of_two_surveys_the_one_that_ended_later_counts(rows, tmp_path):
    keep(tmp_path, "a-second", "2030-02-01", **{"a.job": CELLS | {"survey": "a-second"}})
    keep(tmp_path, "b-first", "2030-01-01", **{"a.job": CELLS, "b.job": CELLS})
    fill_ratings(rows, tmp_path)
    assert [row.survey for row in rows[:2]] == ["a-second", "autumn"]


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "3", '{"board": {}}', '{"ended": "x", "board": {"a.job": {}}}']
)
def test_a_file_that_cannot_be_read_is_as_if_it_were_not_there(rows, tmp_path, content):
    keep(tmp_path, **{"a.job": CELLS})
    (tmp_path / FOLDER / "broken.json").write_text(content)
    fill_ratings(rows, tmp_path)
    assert rows[0].survey == "autumn"
    assert cells(rows[1]) == EMPTY
