"""`copying.json`: written by the worker and for entrants, and again when it is of other samples."""

import numpy as np
import pytest
from songs import BAR, song, songs

from bench.contract import Budget
from bench.errors import BenchError
from bench.files import read_json, write_json
from bench.jobs.copying import check_copying, read_copying
from bench.jobs.job import Card, Job
from bench.jobs.plan import Options, jobs_of, plan, systems_of
from bench.jobs.record import JobRecord
from bench.jobs.run_folder import RunFolder
from bench.music import to_midi
from bench.protocol import copy_report
from bench.protocol.sampling import Protocol, prompts

PROTOCOL = Protocol(samples=8, steps=8 * BAR, prompt=BAR)
ASKED = ["--data", "songs", "--preset", "smoke", "--samples", "8", "--steps", str(8 * BAR)]


@pytest.fixture
def singing(home):
    """A home with a data set that is large enough to tell copies from songs."""
    dataset = songs(32, 12)
    home.add(
        "songs", dict(dataset.pieces), train=dataset.train, valid=dataset.valid, test=dataset.test
    )
    return home


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A job on the songs, its folder, and copies of training pieces as its samples."""
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path / "cache"))
    dataset = songs(32, 12)
    done = Job(
        system="x", variant="corrected", class_path="", source="", settings={}, budget=Budget(0),
        dataset="songs", dataset_version=1, dataset_fingerprint=dataset.fingerprint,
        preset="smoke", protocol=PROTOCOL, seed=0, device="cpu", card=Card(title="X", kind="paper"),
    )  # fmt: skip
    folder = RunFolder(tmp_path).begin(done)
    copies = [song(number, 12).slice(BAR, 9 * BAR) for number in range(8)]
    return dataset, done, folder, copies


def test_the_report_is_made_once_and_anew_for_other_samples_and_versions(place, monkeypatch):
    dataset, done, folder, copies = place
    given = prompts(dataset, PROTOCOL)
    first = check_copying(folder, done, dataset, given, copies)
    assert first.verdict == "copies"
    hashes = [sample.content_hash for sample in copies]
    assert read_copying(folder, done, hashes) == first
    made = folder.copying.stat().st_mtime_ns
    assert check_copying(folder, done, dataset, given, copies) == first
    assert folder.copying.stat().st_mtime_ns == made
    others = [song(900 + number, 12).slice(BAR, 9 * BAR) for number in range(8)]
    assert read_copying(folder, done, [sample.content_hash for sample in others]) is None
    assert check_copying(folder, done, dataset, given, others).verdict == "own"
    assert read_copying(folder, done, hashes) is None
    monkeypatch.setattr(copy_report, "VERSION", copy_report.VERSION + 1)
    assert read_copying(folder, done, [sample.content_hash for sample in others]) is None


def test_a_damaged_report_is_none(place):
    _, done, folder, copies = place
    hashes = [sample.content_hash for sample in copies]
    assert read_copying(folder, done, hashes) is None
    for content in ("", "{", "[]", "{}", '{"version": 1, "verdict": "fine"}'):
        folder.copying.write_text(content)
        assert read_copying(folder, done, hashes) is None


def test_the_ceilings_report_leaves_its_own_pieces_out(place):
    dataset, done, folder, _ = place
    given = prompts(dataset, PROTOCOL)
    truth = [prompt.continuation for prompt in given]
    ceiling = done.model_copy(update={"card": Card(title="Human", kind="ceiling")})
    assert check_copying(folder, ceiling, dataset, given, truth).verdict == "own"
    folder.copying.unlink()
    assert check_copying(folder, done, dataset, given, truth).verdict == "copies"


def test_a_run_with_a_cheat_and_an_entrant_that_cheats_says_so_on_the_board(singing):
    from bench.board.rows import read_csv

    run = ["all", *ASKED, "--device", "cpu", "--out", "runs"]
    done = singing.bench(*run, "--systems", "noise,human,control-excerpt")
    assert done.returncode == 0, done.stderr
    (singing.path / "mine").mkdir()
    for number in range(8):
        midi = to_midi(song(number, 12).slice(BAR, 9 * BAR).transpose(2))
        (singing.path / "mine" / f"{number:03d}.mid").write_bytes(midi)
    done = singing.bench("score", "mine", *ASKED, "--name", "thief", "--out", "runs")
    assert done.returncode == 0, done.stderr
    board = read_csv(singing.runs / "leaderboard.csv")
    rows = {row.system: row for row in board.rows}
    assert rows["thief"].status == "copies"
    assert "are those of training piece song" in rows["thief"].copying
    assert "2 semitones up" in rows["thief"].copying
    assert {rows[name].status for name in ("noise", "human", "control-excerpt")} == {"ok"}
    # The control's report is there all the same.
    records = {path.name.split(".")[0]: path for path in (singing.runs / "jobs").iterdir()}
    assert read_json(records["control-excerpt"] / "copying.json")["verdict"] == "copies"
    assert read_json(records["human"] / "copying.json")["verdict"] == "own"
    assert singing.bench("verify", "runs/leaderboard.csv").returncode == 0
    # A report that is gone is made anew, and nothing else.
    options = Options(
        preset="smoke", data=("songs",), systems=("noise",), samples=8, steps=8 * BAR,
        out=singing.runs,
    )  # fmt: skip
    (records["noise"] / "copying.json").unlink()
    assert [job.state for job in plan(options)] == ["rescore"]
    singing.bench(*run, "--systems", "noise")
    assert JobRecord(RunFolder(singing.runs).folder(plan(options)[0].job)).copying is not None
    assert [job.state for job in plan(options)] == ["done"]


def test_controls_are_run_where_they_are_named_or_asked_for():
    def kinds(**asked):
        return [spec.kind for spec in systems_of(Options(**asked))]

    assert "control" not in kinds()
    assert kinds(controls=True).count("control") == 8
    assert len(set(kinds(controls=True))) > 2
    assert kinds(systems=("control-scale",)) == ["control"]
    assert kinds(systems=("control-scale", "noise"), controls=True).count("control") == 8
    assert not set(kinds(systems=("noise",))) - {"floor"}


def test_controls_are_planned_by_the_command_line(singing):
    plain = singing.bench("plan", *ASKED, "--systems", "noise", "--json", "--out", "runs")
    asked = singing.bench(
        "plan", *ASKED, "--systems", "noise", "--controls", "--json", "--out", "runs"
    )
    assert plain.stdout.count('"job"') == 1, plain.stderr
    assert asked.stdout.count('"job"') == 9, asked.stderr


def test_jobs_without_controls_keep_their_ids(singing):
    small = Options(preset="smoke", data=("songs",), systems=("noise",), samples=8, steps=64)
    with_controls = Options(
        preset="smoke", data=("songs",), systems=("noise",), samples=8, steps=64, controls=True
    )
    ids = [job.id for job in jobs_of(small)]
    assert ids == [job.id for job in jobs_of(with_controls)][:1]
    write_json(singing.path / "ids.json", ids)
    assert np.unique(ids).size == 1
    with pytest.raises(BenchError):
        jobs_of(Options(preset="smoke", data=("songs",), systems=("control-nothing",)))
