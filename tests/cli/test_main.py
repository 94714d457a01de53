import csv
import io
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bench.cli import main
from bench.cli.main import app
from bench.cli.run_options import RunArguments
from bench.errors import BenchError
from bench.jobs.plan import Options, jobs_of

HEAVY = {
    "torch",
    "pandas",
    "scipy",
    "muspy",
    "streamlit",
    "music21",
    "sklearn",
    "matplotlib",
    "symusic",
}


def verbs():
    """Every verb and sub-verb there is."""
    paths = [[]]
    for command in app.registered_commands:
        paths.append([command.name or command.callback.__name__.replace("_", "-")])
    for group in app.registered_groups:
        paths.append([group.name])
        paths += [
            [group.name, c.name or c.callback.__name__.replace("_", "-")]
            for c in group.typer_instance.registered_commands
        ]
    return paths


HELP = """
import contextlib, io, json, sys
from bench.cli.main import main

answers = {}
for verb in json.loads(sys.argv[1]):
    sys.argv = ["bench", *verb, "--help"]
    loaded, out = set(sys.modules), io.StringIO()
    try:
        with contextlib.redirect_stdout(out):
            main()
    except SystemExit as end:
        status = end.code
    answers[" ".join(verb)] = status, out.getvalue(), sorted(set(sys.modules) - loaded)
print(json.dumps([sorted(loaded), answers]))
"""


@pytest.fixture(scope="module")
def answers():
    """What each verb answers to --help, and what it loads for that, in one fresh process."""
    arguments = [sys.executable, "-c", HELP, json.dumps(verbs())]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    loaded, answers = json.loads(done.stdout)
    assert not HEAVY & set(loaded)
    return answers


@pytest.mark.parametrize("verb", verbs(), ids=" ".join)
def test_help_answers_without_loading_anything_heavy(verb, answers):
    status, output, loaded = answers[" ".join(verb)]
    assert status in (0, None)
    assert f"Usage: {' '.join(['bench', *verb])} " in output
    assert not HEAVY & set(loaded)


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["show", "markov-chian"], "Did you mean markov-chain"),
        (["plan", "--systems", "random-chord"], "Did you mean random-chords"),
        (["plan", "--data", "choral"], "Did you mean chorales"),
        (["plan", "--preset", "smok"], "Did you mean smoke"),
        (["plan", "--engine", "process"], "Did you mean processes"),
        (["plan", "--variant", "corected"], "Did you mean corrected"),
        (["plan", "--device", "gpu"], "cpu"),
        (["board", "--format", "mark"], "markdown"),
        (["check", "markov"], "Did you mean markov-chain"),
        (["plan", "--sed", "3"], "--seeds"),
        (["lits"], "list"),
        (["list", "system"], "systems"),
        (["plan", "--seeds", "0"], "greater than or equal to 1"),
        (["all", "--systems", "nowhere.py:Model"], "nowhere.py does not exist"),
        (["verify", "nowhere.csv"], "cannot be read"),
        (["score", "nowhere", "--data", "toy", "--name", "x", "--preset", "smoke"], "is no folder"),
        (["board", "--out", "nowhere"], "`bench all` runs some"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_people_mistype_is_answered_with_what_they_meant(home, arguments, hint):
    done = home.bench(*arguments)
    assert done.returncode == 2
    assert hint in done.stderr
    assert "Traceback" not in done.stderr


def test_before_any_run_the_published_board_is_shown_and_called_so(home):
    done = home.bench("board", "--format", "csv")
    assert done.returncode == 0, done.stderr
    assert "published board" in done.stderr
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert {"chorales", "jsb"} <= {row["dataset"] for row in rows}
    assert not home.runs.exists()


@pytest.mark.parametrize("what", ["systems", "metrics", "data", "presets"])
def test_every_listing_has_json_and_every_name_in_it_can_be_shown(home, what):
    rows = json.loads(home.bench("list", what, "--json").stdout)
    assert rows
    shown = home.bench("list", what)
    assert shown.returncode == 0
    for row in rows[:2]:
        assert row["name"] in shown.stdout
        about = json.loads(home.bench("show", row["name"], "--json").stdout)
        assert row["name"] in about.values() or row["name"] in str(about)


def test_doctor_says_what_is_here(home):
    done = home.bench("doctor", "--json", "--out", str(home.path))
    signs = {sign["what"]: sign for sign in json.loads(done.stdout)}
    assert {"torch", "GPU", "soundfont", "data: toy"} <= set(signs)
    assert signs["soundfont"]["well"]


def test_a_plan_lists_jobs_runs_nothing_and_counts_what_is_done(home):
    run = home.arguments("noise", "silence")
    planned = json.loads(home.bench("plan", *run[1:], "--json").stdout)
    assert [job["state"] for job in planned] == ["new", "new"]
    assert not home.runs.exists()
    home.bench(*home.arguments("noise"))
    planned = json.loads(home.bench("plan", *run[1:], "--json").stdout)
    assert [job["state"] for job in planned] == ["done", "new"]
    assert "1 of 2 jobs to run" in home.bench("plan", *run[1:]).stdout


def test_version_is_printed(home):
    assert home.process("--version").stdout.startswith("musicbench ")


def test_the_package_is_importable_only_beside_its_siblings(tmp_path):
    other = tmp_path / "metrics"
    other.mkdir()
    (other / "__init__.py").touch()
    root = Path(__file__).parents[2]
    code = f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(root)!r}]; import bench"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "package 'metrics' is hidden by another one" in done.stderr


def test_an_error_keeps_its_brackets(monkeypatch, capsys):
    def run():
        raise BenchError('pip install "musicbench[ray]"')

    monkeypatch.setattr(main, "app", run)
    with pytest.raises(SystemExit):
        main.main()
    assert capsys.readouterr().err == 'Error: pip install "musicbench[ray]"\n'


def test_tensorboard_that_is_not_installed_is_told_before_anything_runs(monkeypatch):
    monkeypatch.setattr("bench.cli.run_options.find_spec", lambda name: None)
    with pytest.raises(BenchError, match=r"pip install 'musicbench\[tensorboard\]'"):
        RunArguments(preset="smoke", device="cpu", tensorboard=True).options()


def test_what_changes_no_result_changes_no_job():
    options = Options(preset="smoke", systems=("noise",))
    (plain,), (with_events,) = jobs_of(options), jobs_of(replace(options, tensorboard=True))
    assert with_events.tensorboard
    assert with_events.id == plain.id
