import tarfile

import pytest

from bench.board import archive as published
from bench.board import build as board
from bench.errors import BenchError
from bench.jobs.run_folder import Store

SYSTEMS = ("noise", "human", "random-chords", "Raises")


@pytest.fixture
def finished(home):
    """A run of baselines and of one that fails."""
    home.bench(*home.arguments(*SYSTEMS))
    return home


def names_in(archive):
    with tarfile.open(archive) as tar:
        return tar.getnames()


def test_a_board_is_handed_on_with_all_it_follows_from(finished, tmp_path):
    table, archive = published.publish(Store(finished.runs), tmp_path / "handed on")
    rows = board.read_csv(table)
    assert {row["system"] for row in rows} == {"noise", "human", "random-chords"}
    own = {row["system"]: row for row in board.read_csv(finished.runs / "leaderboard.csv")}
    assert all(row["skill"] == own[row["system"]]["skill"] for row in rows)
    assert published.archive_of(table) == archive
    assert board.verify(table, Store(published.unpacked(archive))) == []
    done = finished.bench("verify", str(table))
    assert done.returncode == 0
    assert "rebuilt from" in done.stdout


def test_a_changed_cell_does_not_follow_from_the_archive(finished, tmp_path):
    table, _ = published.publish(Store(finished.runs), tmp_path)
    rows = board.read_csv(table)
    rows[0]["skill"] = 0.9
    rows[0]["row_hash"] = board.hash_of(rows[0])
    table.write_text(board.to_csv(rows))
    done = finished.bench("verify", str(table))
    assert done.returncode == 1
    assert "give other" in done.stderr


def test_neither_networks_nor_other_peoples_music_are_in_it(finished, tmp_path):
    _, archive = published.publish(Store(finished.runs), tmp_path)
    names = names_in(archive)
    assert any("random-chords" in name and name.endswith(".mid") for name in names)
    assert not any("human" in name and name.endswith(".mid") for name in names)
    assert not any(
        "/system/" in name or name.endswith((".safetensors", "log.txt")) for name in names
    )


def test_the_same_jobs_give_the_same_bytes(finished):
    store = Store(finished.runs)
    again = [published.packed(store.root, store.folders()) for _ in range(2)]
    assert again[0] == again[1]


def test_what_the_metrics_were_found_to_be_worth_goes_along(finished, tmp_path):
    (finished.runs / "validity.csv").write_text("metric\n")
    _, archive = published.publish(Store(finished.runs), tmp_path)
    assert (published.unpacked(archive) / "validity.csv").read_text() == "metric\n"


def test_a_broken_archive_and_an_empty_run_are_one_clear_sentence(home, tmp_path):
    broken = tmp_path / "leaderboard.tar.xz"
    broken.write_bytes(b"no archive")
    with pytest.raises(BenchError, match="cannot be unpacked"):
        published.unpacked(broken)
    with pytest.raises(BenchError, match="No job"):
        published.publish(Store(tmp_path / "nowhere"), tmp_path)
