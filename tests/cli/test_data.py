from __future__ import annotations

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from bench.cli.data import app
from bench.errors import BenchError


@pytest.fixture
def run():
    def call(*arguments: str):
        result = CliRunner().invoke(app, list(arguments))
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return call


def test_the_commands_import_nothing_heavy():
    code = "import bench.cli.data, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"torch", "music21", "scipy", "pandas", "symusic", "muspy", "sklearn", "soundfile"}
    assert not heavy & set(done.stdout.split())


def test_list_says_what_is_here_and_how_to_get_the_rest(run, tiny):
    assert "here      Four tunes" in run("list").output
    tiny.here = False
    listed = run("list").output
    assert "not here" in listed
    assert "tiny: Put tunes.txt there." in listed


def test_list_for_programs_is_json(run, tiny):
    (row,) = json.loads(run("list", "--json").output)
    assert (row["name"], row["counts"]) == ("tiny", {"train": 2, "valid": 1, "test": 1})
    assert row["where"].endswith("tunes.txt")


def test_list_survives_a_set_whose_manifest_is_broken(run, tiny):
    tiny.source.manifest.write_text("{")
    result = run("list")
    assert result.exit_code == 0
    assert "no manifest" in result.stderr


def test_fetch_reads_and_checks(run, tiny):
    assert "tiny: 2/1/1 pieces, all as pinned" in run("fetch", "tiny").output
    with pytest.raises(BenchError, match="Did you mean tiny"):
        run("fetch", "tinny")


def test_verify_goes_on_after_a_failure_and_then_fails(run, tiny):
    assert "all as pinned" in run("verify").output
    tiny.originals["a"] = tiny.originals["b"]
    with pytest.raises(BenchError, match="tiny: a differs"):
        run("verify", "tiny", "tiny")


def test_verify_leaves_out_what_is_not_here(run, tiny):
    tiny.here = False
    assert run("verify").exit_code == 0


def test_audit_shows_what_repeats(run, tiny):
    assert "No piece repeats another." in run("audit", "tiny").output
    audit = json.loads(run("audit", "tiny", "--json").output)
    assert (audit["leaks"], audit["equal"], audit["window"]) == ([], [], 32)


def test_add_reports_and_says_what_comes_next(run, tiny, tmp_path):
    from bench.music import to_midi

    folder = tmp_path / "songs"
    folder.mkdir()
    for name, score in tiny.originals.items():
        (folder / f"{name}.mid").write_bytes(to_midi(score))
    (folder / "broken.mid").write_bytes(b"")
    output = run("add", "mine", str(folder), "--data-dir", str(tmp_path / "elsewhere")).output
    assert "left out  broken.mid" in output
    assert "mine: 2 train, 1 valid, 1 test" in output
    assert "bench data audit mine" in output
    assert "mine" in run("list", "--data-dir", str(tmp_path / "elsewhere")).output
    with pytest.raises(BenchError, match="already"):
        run("add", "tiny", str(folder))
