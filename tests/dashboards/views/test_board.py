import csv
import io

import numpy as np
import pytest
import synthetic
from made_up_rows import row

from bench.board.rows import Board, read_csv, to_csv
from dashboards.views import board as board_view


@pytest.fixture
def path(tmp_path):
    return synthetic.write(tmp_path / "leaderboard.csv", synthetic.rows(6, ("chorales", "jsb")))


def test_a_whole_board_is_shown_as_it_was_written(path):
    found = board_view.read(path)
    assert found.rows == read_csv(path).rows
    assert found.groups == read_csv(path).groups
    assert found.notes == ()


def test_no_file_and_an_empty_file_and_a_file_of_headers_are_explained(tmp_path):
    path = tmp_path / "leaderboard.csv"
    assert "no leaderboard yet" in board_view.read(path).notes[0]
    for content in ("", "system,kind\n", to_csv([]), "\0\0", "no table at all"):
        path.write_text(content)
        found = board_view.read(path)
        assert found.rows == ()
        assert "no complete row yet" in found.notes[-1]
    path.write_bytes(bytes(range(256)))
    assert board_view.read(path).rows == ()


def test_a_board_cut_anywhere_never_breaks_and_no_figure_is_made_up(path):
    whole = {(row.system, row.dataset): row for row in read_csv(path).rows}
    content = path.read_bytes()
    for end in range(0, len(content), 97):
        path.write_bytes(content[:end])
        found = board_view.read(path)
        assert len(found.rows) <= len(whole)
        wrong = [row for row in found.rows if row != whole.get((row.system, row.dataset))]
        assert not wrong or found.notes, end  # a cut cell is never shown without a word


def test_an_older_schema_leaves_blanks_and_says_which(path):
    lines = [line.split(",") for line in path.read_text().splitlines()]
    place = lines[0].index("parameters")
    path.write_text("\n".join(",".join(c[:place] + c[place + 1 :]) for c in lines) + "\n")
    found = board_view.read(path)
    assert len(found.rows) == 12
    assert all(row.parameters is None for row in found.rows)
    assert [row.skill for row in found.rows] == [
        row.skill for row in synthetic.rows(6, ("chorales", "jsb"))
    ]
    assert "lacks parameters" in found.notes[0]


def test_what_is_no_number_is_blank_and_never_zero(path):
    table = list(csv.DictReader(io.StringIO(to_csv(synthetic.rows(2)))))
    metric = "scale_consistency_gap"
    table[0] |= {"skill": "nan", metric: "inf"}
    table[1] |= {"parameters": "many", f"{metric}_low": "few"}
    out = io.StringIO()
    writer = csv.DictWriter(out, table[0])
    writer.writeheader()
    writer.writerows(table)
    path.write_text(out.getvalue())
    found = board_view.read(path)
    assert found.rows[0].skill is found.rows[0].value(metric) is None
    assert found.rows[1].parameters is found.rows[1].metric(metric).low is None
    assert found.rows[1].value(metric) == synthetic.rows(2)[1].value(metric)
    assert "2 cells could not be read and are blank" in found.notes[0]


def test_a_number_that_is_none_is_blank_in_a_board_that_can_be_read(path):
    rows = synthetic.rows(2)
    rows[0].skill = float("nan")
    rows[0].set_metric("scale_consistency_gap", high=float("inf"))
    found = board_view.read(synthetic.write(path, rows))
    assert found.rows[0].skill is found.rows[0].metric("scale_consistency_gap").high is None
    assert found.rows[1] == rows[1]


def test_a_figure_typed_in_by_hand_is_noted(path):
    rows = synthetic.rows(2)
    rows[0].skill = 0.999
    assert "do not fit their checksum" in board_view.read(synthetic.write(path, rows)).notes[0]


def test_rows_of_other_protocols_lie_in_groups_of_their_own_with_addresses_of_their_own(path):
    rows = synthetic.rows(2)
    other = [synthetic.changed(row, steps=256) for row in rows]
    newer = [synthetic.changed(row, dataset_fingerprint="f" * 16) for row in rows]
    blind = [synthetic.changed(row, prompted=False) for row in rows]
    older = [synthetic.changed(row, metric_versions="isl=1") for row in rows]
    for present in (*rows, *other, *newer, *blind):
        present.metric_versions = "isl=3"
    groups = board_view.read(synthetic.write(path, [*rows, *other, *newer, *blind, *older])).groups
    assert [len(group.rows) for group in groups] == [2, 2, 2, 2, 2]
    assert len({group.title for group in groups}) == 5
    assert len({board_view.file_name(group) for group in groups}) == 5
    assert [group.title for group in Board(tuple(rows)).groups] == ["chorales standard"]


def test_search_and_kinds_narrow_the_rows():
    rows = synthetic.rows(8)
    assert board_view.chosen(rows, [], "") == rows
    papers = board_view.chosen(rows, ["paper"], "")
    assert {row.kind for row in papers} == {"paper"}
    assert [row.system for row in board_view.chosen(rows, [], "SOMEBODY 03")] == ["system-03"]
    assert board_view.chosen(rows, [], "nobody") == []


def test_the_front_holds_exactly_what_nothing_beats():
    rng = np.random.default_rng(0)
    for _ in range(20):
        points = [tuple(map(float, p)) for p in rng.integers(0, 8, (12, 2))]

        def beaten(i, points=points):
            cost, good = points[i]
            return any(
                (c <= cost and g >= good) and (c < cost or g > good)
                for j, (c, g) in enumerate(points)
                if j != i
            )

        best = {points[i] for i in range(len(points)) if not beaten(i)}
        assert {points[i] for i in board_view.front(points)} == best


def test_metrics_are_named_once_and_in_order():
    rows = [row(metrics={"b": 1.0, "c": 2.0}), row(metrics={"a": 1.0, "b": 2.0})]
    assert board_view.metric_names(rows) == ["a", "b", "c"]


def test_a_page_begins_with_rows_that_ended_well_the_floor_and_the_ceiling_last():
    rows = (row("noise", kind="floor"), row("failed", seeds=0), row("b"), row("a"))
    (group,) = Board(rows).groups
    assert [row.system for row in board_view.ended_first(group)] == ["b", "a", "noise"]
    (failed,) = Board((rows[1],)).groups
    assert board_view.ended_first(failed) == [rows[1]]


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({}, "4 samples of 32 steps per seed, continuing one bar of music."),
        ({"prompted": False}, "4 samples of 32 steps per seed, starting from nothing."),
        ({"pieces": 0}, ""),
    ],
    ids=str,
)
def test_what_the_rows_of_a_group_did_is_said_in_words(columns, words):
    (group,) = Board((row(**columns),)).groups
    assert board_view.protocol_of(group) == words
