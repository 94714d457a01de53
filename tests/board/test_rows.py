import csv
import io
import itertools

import pytest
from made_up_rows import row, spread

from bench.board.build import build
from bench.board.rows import (
    COLUMNS,
    Board,
    MetricCells,
    hash_of,
    read_csv,
    to_csv,
    to_table,
)
from bench.errors import BenchError
from bench.jobs.run_folder import RunFolder

# -- one row ---------------------------------------------------------------------------------------


def test_a_figure_is_found_by_its_name_whether_it_is_a_column_or_a_metric():
    found = row(
        skill=0.5, skill_low=0.4, metrics={"pca_distance": MetricCells(-9.0, -10.0, -8.0, 4.0)}
    )
    assert found.figure("skill") == MetricCells(0.5, 0.4)
    assert found.value("skill") == 0.5
    assert found.figure("pca_distance") == MetricCells(-9.0, -10.0, -8.0, 4.0)
    assert found.value("pca_distance") == -9.0
    assert found.figure("nothing") == MetricCells()
    assert found.value("nothing") is None


def test_the_name_tells_variants_apart():
    assert row("a").name == "a"
    assert row("a", variant="as-published").name == "a (as published)"


def test_changing_a_cell_of_a_metric_keeps_the_others():
    changed = row(metrics={"pca_distance": MetricCells(-9.0, -10.0)})
    changed.set_metric("pca_distance", skill=0.3)
    changed.set_metric("new", skill=None)
    assert changed.metrics == {
        "pca_distance": MetricCells(-9.0, -10.0, skill=0.3),
        "new": MetricCells(),
    }


def test_rows_are_equal_by_their_cells_whatever_was_drawn():
    assert row(draws={"skill": spread(0)}) == row(draws={"skill": spread(1)})
    assert row(skill=0.5) != row(skill=0.4)


def test_the_hash_covers_every_cell_and_no_empty_one():
    plain = row(metrics={"pca_distance": -9.0})
    assert hash_of(plain) == hash_of(
        row(metrics={"pca_distance": -9.0, "other": None}, row_hash="x")
    )
    for other in (
        row(metrics={"pca_distance": -9.1}),
        row(metrics={"pca_distance": MetricCells(-9.0, skill=0.1)}),
        row(metrics={"pca_distance": -9.0}, prompted=False),
        row(metrics={"pca_distance": -9.0}, failure="gone"),
    ):
        assert hash_of(other) != hash_of(plain)


# -- a board as a file -----------------------------------------------------------------------------


def test_rows_come_back_from_a_file_as_they_were(tmp_path):
    rows = (
        row("a", metrics={"pca_distance": MetricCells(-9.5, -10.0, -9.0, 4.0, 0.25)}, skill=0.1),
        row("b", metrics={"polyphony": MetricCells(3.0, pieces=4.0)}, prompted=False),
        row('c, "d"', status="failed", seeds=0, failure="seed 0: no\nluck"),
    )
    path = tmp_path / "board.csv"
    path.write_text(to_csv(rows))
    assert read_csv(path).rows == rows
    assert to_csv(read_csv(path).rows) == path.read_text()


def test_a_board_is_the_same_built_written_and_read(finished):
    path = finished.runs / "leaderboard.csv"
    assert to_csv(build(RunFolder(finished.runs)).rows) == path.read_text()
    assert to_csv(read_csv(path).rows) == path.read_text()


def test_a_metric_has_its_columns_behind_those_of_every_row_and_a_skill_where_it_makes_one():
    rows = [row("a", metrics={"polyphony": 3.0, "pca_distance": -9.0}), row("b")]
    header = next(csv.reader(io.StringIO(to_csv(rows))))
    parts = ("", "_high", "_low", "_pieces")
    pca_distance = sorted(f"pca_distance{part}" for part in (*parts, "_skill"))  # a headline metric
    assert header == [*COLUMNS, *pca_distance, *sorted(f"polyphony{part}" for part in parts)]


def test_every_row_of_a_table_has_every_column():
    table = to_table([row("a", metrics={"pca_distance": -9.0}), row("b")])
    assert table[0].keys() == table[1].keys()
    assert (table[0]["pca_distance"], table[1]["pca_distance"]) == (-9.0, None)
    assert to_table([]) == []
    assert to_csv([]).splitlines() == [",".join(COLUMNS)]


def test_a_board_with_a_missing_column_or_a_word_for_a_number_is_named(tmp_path):
    cells = dict.fromkeys(COLUMNS, "") | {
        "system": "x", "kind": "paper", "variant": "corrected", "dataset": "toy",
        "dataset_version": "1", "preset": "quick", "status": "ok", "seeds": "1", "pieces": "4",
        "steps": "32", "prompted": "true", "budget": "0", "budget_unit": "updates",
        "device": "cpu", "dataset_fingerprint": "f", "jobs": "j", "row_hash": "h",
    }  # fmt: skip
    path = tmp_path / "board.csv"

    def write(cells):
        out = io.StringIO()
        writer = csv.DictWriter(out, cells)
        writer.writeheader()
        writer.writerow(cells)
        path.write_text(out.getvalue())

    write({name: value for name, value in cells.items() if name != "skill"})
    with pytest.raises(BenchError, match="lacks the columns skill"):
        read_csv(path)
    write(cells | {"skill": "good"})
    with pytest.raises(BenchError, match=r"(?s)line 2.*skill"):
        read_csv(path)
    write(cells | {"pca_distance": "good"})
    with pytest.raises(BenchError, match=r"(?s)line 2.*good"):
        read_csv(path)
    write(cells)
    assert read_csv(path).rows[0].skill is None
    with pytest.raises(BenchError, match="cannot be read"):
        read_csv(tmp_path / "none.csv")


def test_a_line_that_is_cut_short_or_too_long_is_refused_by_its_number(tmp_path):
    path = tmp_path / "board.csv"
    whole = to_csv([row("a"), row("b", jobs="b.toy.quick.s0.0123456789")])
    for wrong in (whole[: whole.rindex("89")], whole.rstrip("\n") + ",more\n"):
        path.write_text(wrong)
        with pytest.raises(BenchError, match=r"board\.csv, line 3"):
            read_csv(path)


# -- which rows compare ----------------------------------------------------------------------------


def test_rows_that_share_data_preset_protocol_and_metrics_are_one_group_in_their_order():
    rows = (row("b"), row("a"), row("a", variant="as-published"))
    (group,) = Board(rows).groups
    assert group.rows == rows
    assert group.names == ["b", "a", "a (as published)"]
    assert group.row("a") is rows[1]
    assert group.row("nobody") is None
    assert (group.title, group.remark) == ("toy quick", "")
    assert group.heading == "toy · quick · 4 samples of 32 steps, continuing one bar"


@pytest.mark.parametrize(
    "columns",
    [
        {"dataset": "jsb"}, {"dataset_fingerprint": "g"}, {"preset": "smoke"}, {"pieces": 8},
        {"steps": 64}, {"prompted": False}, {"metric_versions": "pca_distance=2"},
    ],
    ids=str,
)  # fmt: skip
def test_rows_that_differ_in_any_of_these_are_two_groups(columns):
    here = {"metric_versions": "pca_distance=3"}
    groups = Board((row("a", **here), row("b", **(here | columns)))).groups
    assert [group.names for group in groups] == [["a"], ["b"]]
    assert groups[0].title != groups[1].title
    assert groups[0].heading != groups[1].heading


def test_a_row_is_found_in_its_group_though_another_looks_the_same():
    rows = (row("a"), row("a", preset="smoke"), row("a"))
    board = Board(rows)
    assert [board.group_of(each).title for each in rows] == ["toy quick", "toy smoke", "toy quick"]


def test_a_row_without_scores_lies_with_those_it_would_have_been_compared_with():
    scored = {"metric_versions": "pca_distance=3"}
    rows = (row("failed"), row("a", **scored), row("old", metric_versions="pca_distance=2"))
    assert [group.names for group in Board(rows).groups] == [["failed", "a"], ["old"]]
    alone = (row("failed", preset="smoke"), row("a", **scored))
    assert [group.names for group in Board(alone).groups] == [["failed"], ["a"]]


def test_titles_and_headings_are_unique_however_rows_differ():
    rows = [
        row(dataset=data, preset=preset, dataset_fingerprint=fingerprint, steps=steps,
            prompted=prompted, metric_versions=versions)
        for data, preset, fingerprint, steps, prompted, versions in itertools.product(
            ("toy", "jsb"), ("quick", "smoke"), ("0123456789", "abcdef0123"), (32, 64),
            (True, False), ("pca_distance=1", "pca_distance=2", "pca_distance=3"),
        )
    ]  # fmt: skip
    groups = Board(tuple(rows)).groups
    assert len(groups) == len(rows)
    assert len({group.title for group in groups}) == len(groups)
    assert len({group.heading for group in groups}) == len(groups)


def test_the_heading_says_what_tells_a_group_from_one_like_it():
    versions = [
        ("f" * 16, "pca_distance=3"),
        ("f" * 16, "pca_distance=2"),
        ("a" * 16, "pca_distance=3"),
        ("a" * 16, "pca_distance=2"),
    ]
    rows = (row(dataset_fingerprint=data, metric_versions=metrics) for data, metrics in versions)
    first, older, other, both = Board(tuple(rows)).groups
    assert first.remark == ""
    assert older.remark.startswith("other versions of the metrics (")
    assert other.remark == "another version of the data (aaaaaa)"
    assert both.remark.startswith("another version of the data (aaaaaa), other versions of the")
    assert older.title.startswith("toy quick metrics ")
    assert other.title == "toy quick data aaaaaa"


def test_floor_and_ceiling_are_found_where_their_jobs_ended_well():
    rows = (row("a"), row("noise", anchor=0, status="partial"), row("human", anchor=1))
    (group,) = Board(rows).groups
    assert group.anchor(0) is None
    assert group.anchor(1) is rows[2]
