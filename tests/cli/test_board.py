"""The verbs that look at a board, on a run of baselines."""

import csv
import io
import json
import re
from dataclasses import replace

import pytest
from finished_run import SYSTEMS
from made_up_rows import row
from rich.console import Console
from typer.testing import CliRunner

from bench.board import order
from bench.board.rows import Board, read_csv
from bench.cli import printing
from bench.cli.main import app
from bench.protocol import validity


@pytest.fixture
def board(finished):
    """Runs `bench board` on the finished run; what it prints."""

    def run(*arguments):
        done = CliRunner().invoke(app, ["board", "--out", str(finished.runs), *arguments])
        assert done.exit_code == 0, done.output
        return done.stdout

    return run


@pytest.fixture
def path(finished):
    return finished.runs / "leaderboard.csv"


def test_as_csv_it_is_the_file_that_the_run_wrote(board, path):
    assert board("--format", "csv") == path.read_text()
    assert board("--format", "csv", "--file", str(path)) == path.read_text()


def test_as_json_it_has_the_same_rows_and_columns_in_the_same_order(board, path):
    rows = json.loads(board("--format", "json"))
    table = list(csv.DictReader(io.StringIO(path.read_text())))
    assert [row["system"] for row in rows] == [row["system"] for row in table]
    assert all(row.keys() == table[0].keys() for row in rows)
    assert rows == json.loads(board("--format", "json", "--file", str(path)))


def test_as_markdown_it_is_a_table_with_a_line_per_row(board):
    lines = board("--format", "markdown").splitlines()
    assert sum(line.startswith("| ") for line in lines) == len(SYSTEMS) + 2


def test_as_latex_it_is_a_table_whose_names_are_escaped(board):
    latex = board("--format", "latex")
    assert latex.count(r"\\") == len(SYSTEMS) + 1
    assert not re.search(r"(?<!\\)_", latex.split("midrule")[1].split(r"\bottomrule")[0])


def test_on_a_terminal_its_heading_says_what_its_rows_share(board):
    assert "toy · smoke · 4 samples of 32 steps, continuing one bar" in board()


def test_it_is_written_where_it_was_asked_to_be(board, path, tmp_path):
    board("--write", str(tmp_path / "other.csv"))
    assert (tmp_path / "other.csv").read_text() == path.read_text()


def test_verify_says_that_every_row_holds_or_which_one_does_not(finished, path):
    good = finished.bench("verify", str(path))
    assert good.returncode == 0, good.stderr
    assert f"All {len(SYSTEMS)} rows" in good.stdout
    noise = next(row for row in read_csv(path).rows if row.system == "noise")
    forged = finished.path / "forged.csv"
    forged.write_text(path.read_text().replace(f",{noise.nats_per_step},", ",1.5,"))
    bad = finished.bench("verify", str(forged), "--out", str(finished.runs))
    assert bad.returncode == 1
    assert "(noise on toy): the cells are not those that were hashed" in bad.stderr
    assert "(noise on toy): its jobs give other nats_per_step" in bad.stderr
    assert finished.bench("verify", str(forged)).returncode == 1


# -- tables on a terminal --------------------------------------------------------------------------


def shown(rows, headline, lost=(), width=200):
    """What a terminal shows of the rows."""
    screen = {"force_terminal": True, "color_system": "standard"}  # whatever TERM says
    console = Console(width=width, file=io.StringIO(), **screen)
    printing.print_board(console, Board(tuple(rows)).groups, headline, lost)
    return console.file.getvalue()


def test_headline_metrics_that_lost_a_required_property_are_named(tmp_path):
    rows = [row(name, metrics={"gap": value}) for name, value in (("a", 20.0), ("b", 10.0))]
    (tmp_path / validity.FILE).write_text(
        validity.to_csv(
            [
                validity.Row("gap", 1, "property", "human > noise", holds=False),
                validity.Row("other", 1, "property", "human > noise", holds=True),
            ]
        )
    )
    lost = validity.lost(tmp_path / "leaderboard.csv")
    assert lost == {"gap"}
    assert validity.lost(tmp_path / "elsewhere" / "leaderboard.csv") == set()
    assert "gap lost a property required of a metric" in shown(rows, ["gap", "other"], lost)
    assert "lost" not in shown(rows, ["gap", "other"], set())


def test_a_wide_terminal_shows_the_questions_and_a_narrow_one_says_where_they_are():
    rows = [row("a", skill=0.4, skill_likely=0.3, skill_form=0.5), row("b")]
    wide = shown(rows, ["gap"])
    assert "likely" in wide
    assert "form" in wide
    assert "prompt" not in wide  # no row has an answer
    narrow = shown(rows, ["gap"], width=100)
    assert "likely" not in narrow
    assert "`bench board --format csv` has every figure" in narrow


def test_a_metric_that_is_left_out_is_named_once_and_skills_are_not_said_to_be_missing():
    note = "isl: left out, 9 of 9 contestants are at its floor"
    rows = [row(n, skill=s, skill_note=f"judge: a judge of its own family; {note}")
            for n, s in (("a", 0.0), ("b", 0.3))]  # fmt: skip
    text = re.sub(r"\x1b\[[0-9;]*m", "", shown(rows, []))
    assert text.count(f"{note}.") == 1
    assert "No skill" not in text
    assert "own family" not in text


def test_below_the_tables_stand_the_reasons_for_failures_copies_and_missing_skills():
    rows = [
        row("a", skill_note="isl: no value"),
        row("b", skill_note="isl: no value"),
        row("c", status="failed", seeds=0, failure="seed 0: the loss is wrong"),
        row("d", status="copies", copying="97 % of its notes are those of pieces"),
    ]
    text = re.sub(r"\x1b\[[0-9;]*m", "", shown(rows, []))
    assert text.count("No skill where isl: no value.") == 1
    assert "c on toy: seed 0: the loss is wrong" in text
    assert "d on toy copies: 97 % of its notes are those of pieces." in text


def test_the_order_is_tested_on_a_data_set_and_the_table_kept_beside_those_of_others(home):
    made = ("--systems", "markov-chain", "--samples", "4", "--steps", "32")
    study = ("validate", "--order", "--data", "toy", *made)
    ran = home.bench(*study)
    assert ran.returncode == 0, ran.stderr
    assert "bounded (the board's)" in ran.stdout
    assert "control-excerpt: " in ran.stdout
    path = home.path / "runs" / order.FILE
    first = order.read_csv(path)
    other = [replace(line, dataset="another") for line in first]
    path.write_text(order.to_csv([*other, *first]))
    home.bench(*study)
    assert order.read_csv(path) == [*other, *first]


def test_an_unknown_system_is_refused_before_anything_is_made(home):
    ran = home.bench("validate", "--order", "--data", "toy", "--systems", "nobody")
    assert ran.returncode == 2
    assert "nobody" in ran.stderr
