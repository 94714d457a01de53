import tarfile

import pytest
from finished_run import SYSTEMS

from bench.board import archive as archives
from bench.board.rows import hash_of, read_csv, to_csv
from bench.board.verify import verify
from bench.errors import BenchError
from bench.jobs.run_folder import RunFolder


def names_in(archive):
    with tarfile.open(archive) as tar:
        return tar.getnames()


def test_a_board_is_handed_on_with_all_it_follows_from(finished, tmp_path):
    table, archive = archives.publish(RunFolder(finished.runs), tmp_path / "handed on")
    rows = read_csv(table).rows
    assert {row.system for row in rows} == set(SYSTEMS) - {"Raises"}
    own = {row.system: row for row in read_csv(finished.runs / "leaderboard.csv").rows}
    assert all(row == own[row.system] for row in rows)
    assert archives.archive_of(table) == archive
    assert verify(table, RunFolder(archives.unpacked(archive))) == []
    done = finished.bench("verify", str(table))
    assert done.returncode == 0
    assert "rebuilt from" in done.stdout


def test_a_changed_cell_does_not_follow_from_the_archive(finished, tmp_path):
    table, _ = archives.publish(RunFolder(finished.runs), tmp_path)
    rows = read_csv(table).rows
    rows[0].skill = 0.9
    rows[0].row_hash = hash_of(rows[0])
    table.write_text(to_csv(rows))
    done = finished.bench("verify", str(table))
    assert done.returncode == 1
    assert "give other" in done.stderr


def test_neither_networks_nor_other_peoples_music_are_in_it(finished, tmp_path):
    _, archive = archives.publish(RunFolder(finished.runs), tmp_path)
    names = names_in(archive)
    assert any("random-chords" in name and name.endswith(".mid") for name in names)
    assert not any("human" in name and name.endswith(".mid") for name in names)
    assert not any(
        "/system/" in name or name.endswith((".safetensors", "log.txt")) for name in names
    )


def test_the_same_jobs_give_the_same_bytes(finished):
    runs = RunFolder(finished.runs)
    again = [archives.packed(runs.root, runs.folders()) for _ in range(2)]
    assert again[0] == again[1]


def test_what_the_metrics_were_found_to_be_worth_goes_along(finished, tmp_path):
    (finished.runs / "validity.csv").write_text("metric\n")
    _, archive = archives.publish(RunFolder(finished.runs), tmp_path)
    assert (archives.unpacked(archive) / "validity.csv").read_text() == "metric\n"


def test_a_broken_archive_and_an_empty_run_are_one_clear_sentence(home, tmp_path):
    broken = tmp_path / "leaderboard.tar.xz"
    broken.write_bytes(b"no archive")
    with pytest.raises(BenchError, match="cannot be unpacked"):
        archives.unpacked(broken)
    with pytest.raises(BenchError, match="No job"):
        archives.publish(RunFolder(tmp_path / "nowhere"), tmp_path)
