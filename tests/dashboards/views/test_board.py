import itertools

import numpy as np
import pytest
import synthetic

from bench.board import build as board
from dashboards.views import board as board_view


@pytest.fixture
def path(tmp_path):
    return synthetic.write(tmp_path / "leaderboard.csv", synthetic.rows(6, ("chorales", "jsb")))


def test_a_whole_board_is_shown_as_it_was_written(path):
    found = board_view.read(path)
    assert list(found.rows) == board.read_csv(path)
    assert found.notes == ()


def test_no_file_and_an_empty_file_and_a_file_of_headers_are_explained(tmp_path):
    path = tmp_path / "leaderboard.csv"
    assert "no leaderboard yet" in board_view.read(path).notes[0]
    for content in ("", "system,kind\n", board.to_csv([]), "\0\0", "no table at all"):
        path.write_text(content)
        found = board_view.read(path)
        assert found.rows == ()
        assert "no complete row yet" in found.notes[-1]
    path.write_bytes(bytes(range(256)))
    assert board_view.read(path).rows == ()


def test_a_board_cut_anywhere_never_breaks_and_no_figure_is_made_up(path):
    whole = {(r["system"], r["dataset"]): r for r in board.read_csv(path)}
    content = path.read_bytes()
    for end in range(0, len(content), 97):
        path.write_bytes(content[:end])
        found = board_view.read(path)
        assert len(found.rows) <= len(whole)
        wrong = [r for r in found.rows if r != whole.get((r["system"], r["dataset"]))]
        assert not wrong or found.notes, end  # a cut cell is never shown without a word


def test_an_older_schema_leaves_blanks_and_says_which(path):
    lines = [line.split(",") for line in path.read_text().splitlines()]
    place = lines[0].index("parameters")
    path.write_text("\n".join(",".join(c[:place] + c[place + 1 :]) for c in lines) + "\n")
    found = board_view.read(path)
    assert len(found.rows) == 12
    assert all(row["parameters"] is None for row in found.rows)
    assert [row["skill"] for row in found.rows] == [
        row["skill"] for row in synthetic.rows(6, ("chorales", "jsb"))
    ]
    assert "lacks parameters" in found.notes[0]


def test_what_is_no_number_is_blank_and_never_zero(path):
    rows = synthetic.rows(2)
    rows[0]["skill"], rows[1]["parameters"] = float("nan"), "many"
    synthetic.write(path, rows)
    found = board_view.read(path)
    assert found.rows[0]["skill"] is None
    assert found.rows[1]["parameters"] is None
    assert found.notes


def test_a_figure_typed_in_by_hand_is_noted(path):
    rows = synthetic.rows(2)
    rows[0]["skill"] = 0.999
    assert "do not fit their checksum" in board_view.read(synthetic.write(path, rows)).notes[0]


def test_rows_of_other_protocols_lie_in_tables_of_their_own_with_addresses_of_their_own():
    rows = synthetic.rows(2)
    other = [{**row, "steps": 256} for row in rows]
    newer = [{**row, "dataset_fingerprint": "f" * 16} for row in rows]
    blind = [{**row, "prompted": False} for row in rows]
    found = board_view.tables([*rows, *other, *newer, *blind])
    assert [len(table.rows) for table in found] == [2, 2, 2, 2]
    assert len({table.title for table in found}) == 4
    assert [table.title for table in board_view.tables(rows)] == ["chorales standard"]


def test_search_and_kinds_narrow_the_rows():
    rows = synthetic.rows(8)
    assert board_view.chosen(rows, [], "") == rows
    papers = board_view.chosen(rows, ["paper"], "")
    assert {row["kind"] for row in papers} == {"paper"}
    assert [row["system"] for row in board_view.chosen(rows, [], "SOMEBODY 03")] == ["system-03"]
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


def test_names_and_addresses_tell_variants_apart():
    row = synthetic.rows(1)[0]
    both = [row, {**row, "variant": "as-published"}]
    assert len({board_view.name_of(r) for r in both}) == 2
    for one, other in itertools.pairwise(board_view.metric_names(both)):
        assert one < other
