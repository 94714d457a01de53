"""A row whose scores are of an older version of a metric compares with no other, anywhere."""

import io

import numpy as np
import pytest
from lazy import Library
from made_up_jobs import finish, job, seal
from rich.console import Console

from bench.board.build import build
from bench.board.rows import headline_metrics, to_csv
from bench.cli.printing import print_board
from bench.files import read_json
from bench.jobs.run_folder import JobFolder, RunFolder
from dashboards.views import board as board_view
from dashboards.views.job import folders

compare_view = Library("dashboards.views.compare")

QUALITY = {"noise": 0.0, "random-chords": 0.3, "markov-chain": 0.8, "human": 1.0}


@pytest.fixture
def runs(tmp_path):
    """A run of four systems that every headline metric orders alike, by their quality."""
    rng = np.random.default_rng(0)
    runs = RunFolder(tmp_path / "runs")
    for system, quality in QUALITY.items():
        values = {
            metric: (quality if direction == "higher" else 1 - quality) + rng.normal(0, 0.1, 24)
            for metric, direction in headline_metrics().items()
        }
        finish(runs, job(system), values)
    return runs


@pytest.fixture
def older(runs):
    """The same run, but the Markov chain was scored by an older version of one headline metric."""
    (path,) = runs.root.glob("jobs/markov-chain.*")
    folder = JobFolder(path)
    metrics = read_json(folder.scores)["metrics"]
    metrics["pca_distance"]["version"] -= 1
    seal(folder, metrics=metrics)
    return runs


def row_of(board, system):
    return next(row for row in board.rows if row.system == system)


def test_rows_of_one_version_lie_in_one_group_and_are_ranked(runs):
    board = build(runs)
    assert [group.title for group in board.groups] == ["toy smoke"]
    assert row_of(board, "markov-chain").skill == pytest.approx(0.8, abs=0.1)
    ranks = {row.system: row.rank for row in board.rows}
    assert ranks == {"markov-chain": 1, "random-chords": 2, "human": None, "noise": None}
    again = compare_view.rebuilt(board.rows, folders(runs.root))
    assert {name: row.skill for name, row in again.items()} == {
        row.name: row.skill for row in board.rows
    }
    assert compare_view.ties(board.rows, folders(runs.root))[0] == ["markov-chain", "random-chords"]


def test_a_row_of_an_older_metric_version_has_no_skill_and_no_rank_on_the_board(older):
    board = build(older)
    row = row_of(board, "markov-chain")
    assert row.stale == "pca_distance"
    assert (row.skill, row.rank, row.skill_coverage) == (None, None, f"0/{len(headline_metrics())}")
    assert all(row.metric(name).skill is None for name in headline_metrics())
    assert "no floor or no ceiling" in row.skill_note
    assert row_of(board, "random-chords").rank == 1


def test_nor_has_it_any_where_the_dashboard_rebuilds_rows_from_jobs(older):
    board = build(older)
    again = compare_view.rebuilt(board.rows, folders(older.root))
    assert set(again) == set(QUALITY)
    assert (again["markov-chain"].skill, again["markov-chain"].rank) == (None, None)
    assert again["random-chords"].rank == 1
    assert compare_view.ties(board.rows, folders(older.root))[0] == ["random-chords"]


def test_it_lies_in_a_group_of_its_own_on_the_board_and_on_the_dashboard(older):
    board = build(older)
    path = older.root / "leaderboard.csv"
    path.write_text(to_csv(board.rows))
    for groups in (board.groups, board_view.read(path).groups):
        assert [group.names for group in groups] == [
            ["human", "random-chords", "noise"],
            ["markov-chain"],
        ]
        assert len({group.title for group in groups}) == 2
        assert len({group.heading for group in groups}) == 2
        assert "other versions of the metrics" in groups[1].heading


def test_the_terminal_shows_it_in_a_table_of_its_own(older):
    console = Console(width=200, file=io.StringIO())
    print_board(console, build(older).groups, list(headline_metrics()))
    tables = console.file.getvalue().split("toy · smoke · ")[1:]
    assert [("random-chords" in table, "markov-chain" in table) for table in tables] == [
        (True, False),
        (False, True),
    ]
    assert "other versions of the metrics" in " ".join(tables[1].split())  # a title may be folded


def test_the_leaderboard_page_offers_it_as_a_board_of_its_own(older, looking_at):
    pytest.importorskip("streamlit")
    from streamlit.testing.v1 import AppTest

    from dashboards.serve import APP

    path = older.root / "leaderboard.csv"
    path.write_text(to_csv(build(older).rows))
    titles = [group.title for group in build(older).groups]
    looking_at(BENCH_RUNS=older.root, BENCH_BOARD=path)
    app = AppTest.from_file(str(APP), default_timeout=60)
    app.query_params["board"] = titles[1]
    app.run()
    assert not app.exception
    assert app.selectbox(key="board").options == titles
    table = app.dataframe[0].value
    assert list(table["system"]) == ["markov-chain"]
    assert table[["rank", "skill"]].isna().all(axis=None)
