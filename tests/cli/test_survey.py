"""`bench survey` from the configuration to the exported table, on real jobs."""

import json

import pytest
from lazy import pd
from typer.testing import CliRunner

from bench.cli.main import app
from bench.errors import BenchError
from bench.survey import admin, demo, listening, login
from bench.survey.config import EXAMPLE, parse_config, read_config
from bench.survey.database.opening import open_store

CONFIG = """
name = "small"
title = "Which do you like?"
run = "runs"
systems = ["random-chords", "markov-chain"]
clips = 2
per_system = 2
seconds = 3.0
tempo = 120
skip_silent = true
[consent]
contact = "somebody@example.org"
"""


@pytest.fixture
def bench(home, monkeypatch):
    """Runs a command of `bench survey` in a home of its own."""
    monkeypatch.chdir(home.path)
    monkeypatch.setenv("BENCH_SURVEY_DIR", str(home.path / "survey"))
    monkeypatch.delenv("BENCH_SURVEY_URL", raising=False)
    monkeypatch.delenv(login.HASH, raising=False)

    def run(*arguments: str, typed: str | None = None):
        result = CliRunner().invoke(app, ["survey", *arguments], input=typed)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


def make_run(out):
    """Writes finished jobs, with as much of their folders as a survey reads."""
    from bench import data
    from bench.jobs import phases
    from bench.jobs.plan import Options, jobs_of
    from bench.jobs.results import JobResult, LikelihoodResult
    from bench.jobs.run_folder import RunFolder
    from bench.protocol import sampling

    systems = ("random-chords", "markov-chain", "human")
    options = Options(
        preset="smoke", data=("toy",), systems=systems, samples=4, steps=32, seeds=1, out=out
    )
    dataset = data.load("toy")
    for job in jobs_of(options):
        folder = RunFolder(out).begin(job)
        prompts = sampling.prompts(dataset, job.protocol)
        fitted = phases.fit(job, folder, dataset)
        sampled = phases.sample(job, folder, dataset, prompts)
        folder.write_result(
            JobResult(fit=fitted, sample=sampled, likelihood=LikelihoodResult(reason="not asked"))
        )
        folder.write_status(state="ok")


def test_a_survey_of_a_run_from_its_configuration_to_its_export(home, bench):
    make_run(home.runs)
    (home.path / "config.toml").write_text(CONFIG)
    output = bench("create", "config.toml").stdout
    assert "each listener rates 8 clips" in output
    assert "bench survey codes small" in output
    codes = bench("codes", "small", "2").stdout.split()
    assert [len(code) for code in codes] == [14, 14]
    links = bench("codes", "small", "1", "--link", "https://x.org/listen").stdout.split()
    assert links[0].startswith("https://x.org/listen?c=")
    assert "/listen" in bench("open", "small").stdout

    store = open_store()
    jobs = {path.name for path in (home.runs / "jobs").iterdir()}
    assert admin.embargoed(store) == jobs  # the job "human" too, since its music is heard
    listener = listening.enter(store, codes[0])
    assert listening.standing(store, listener).survey.minutes == 4
    with pytest.raises(BenchError, match="stay hidden"):
        bench("export", "small")
    assert "1 of 3" in bench("status", "small", "--listeners").stdout
    assert json.loads(bench("status", "small", "--json").stdout)["summary"]["state"] == "open"
    bench("backup", "all.zip")
    bench("delete-participant", typed=codes[1] + "\n")
    bench("close", "small")
    output = bench("export", "small", "--to", "out").stdout
    assert output.startswith("0 ratings")
    assert pd.read_csv("out/small-ratings.csv").empty
    book = json.loads((home.path / "out" / "small-codebook.json").read_text())
    assert book["flow"]["invited"] == 2
    bench("publish", "small")
    assert "published" in bench("list").stdout
    assert "delete a participant" in bench("audit", "small").stdout

    labels = {row.name for row in _systems(store)}
    assert labels >= {"random-chords", "markov-chain", "human", "random notes"}
    small = read_config(home.path / "config.toml")
    for change, message in (
        ({"systems": ("lstm",)}, "no job of 'lstm'.*random-chords"),
        ({"systems": ("human",)}, "human = true"),
        ({"clips": 5}, "Set fewer clips"),
        ({"seconds": 5.0}, r"Set seconds = 4,"),
        ({"run": home.path / "nowhere"}, "not a run folder"),
        ({"systems": ("markov-chain", "markov-chain:corrected")}, "mean the same job"),
    ):
        config = small.model_copy(update={"name": "other"} | change)
        with pytest.raises(BenchError, match=message):
            admin.create(store, config)


def _systems(store):
    from sqlalchemy import select

    from bench.survey.database.tables import system

    with store.reading() as connection:
        return connection.execute(select(system)).all()


def test_the_example_is_a_configuration():
    config = parse_config(EXAMPLE, "the example")
    assert config.questions.scale == {
        1: "completely random noise",
        5: "musically plausible",
        10: "composed by a novice composer",
    }
    assert (config.clips, config.seconds, config.per_system, config.practice) == (12, 20, 3, 2)
    # A commented line shows the default.
    plain = [line[2:] for line in EXAMPLE.splitlines() if line.startswith("# loud")]
    assert plain
    assert config.loudness == -23.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ('name = "Big Name"', "name"),
        ("clips = 1\nper_system = 2", "per_system"),
        ("colour = 1", "colour"),
        ("systems = []", "systems"),
        ("per_system = 12", "at most 30"),
        ("not toml", "not valid TOML"),
    ],
)
def test_a_wrong_configuration_is_refused_with_the_name_of_the_wrong_setting(change, message):
    key = change.split(" ")[0]
    head, tail = EXAMPLE.split("[consent]")
    kept = [line for line in head.splitlines() if not line.startswith((key, "per_system", "clips"))]
    with pytest.raises(BenchError, match=message):
        parse_config("\n".join([*kept, change, "[consent]" + tail]), "it")


def test_the_hash_of_a_configuration_changes_with_every_part_of_it():
    config = parse_config(EXAMPLE, "it")
    assert parse_config(EXAMPLE, "it").sha256 == config.sha256
    for change in ({"seconds": 10.0}, {"title": "Another"}, {"seed": 1}):
        assert config.model_copy(update=change).sha256 != config.sha256


def test_a_password_is_asked_for_twice(bench):
    mistyped = bench("password", typed="correct horse battery\nanother one\n" * 3)
    assert not login.admin_password_set()
    assert "match" in mistyped.output
    bench("password", typed="correct horse battery\n" * 2)
    assert login.check_password("correct horse battery")
    printed = bench("password", "--print", typed="correct horse battery\n" * 2).stdout
    assert printed.splitlines()[-1].startswith("scrypt$")


@pytest.mark.slow
def test_the_demo_makes_a_survey_that_is_marked_as_simulated(home, bench, monkeypatch):
    monkeypatch.setattr(demo, "DATASET", "toy")
    monkeypatch.setattr(demo, "CLIPS", 2)
    monkeypatch.setattr(demo, "SECONDS", 3.0)
    output = bench("demo", "--listeners", "12").stdout
    assert "simulated" in output
    store = open_store()
    summary = admin.summary(store, "demo")
    assert summary.simulated
    assert summary.state == "closed"
    flow = summary.flow
    assert (flow.invited, flow.started, flow.withdrawn) == (12, 11, 1)
    table = admin.export(store, "demo")
    assert table["simulated"].all()
    means = table.groupby("role")["score"].mean()
    assert means["anchor"] < means["system"] < means["human"]
    assert "simulated" in bench("list").stdout
    assert "demo" in (home.path / "survey/demo/surveys/demo/index.html").read_text()
    with pytest.raises(BenchError, match="another name"):
        bench("demo", "--listeners", "12")
    assert "removed" in bench("remove", "demo").stdout
    assert admin.surveys(store) == []
    assert list(store.clips.iterdir()) == []
    assert list((home.path / "survey/demo/surveys").iterdir()) == []
