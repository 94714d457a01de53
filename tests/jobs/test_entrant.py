import json

import pytest

from bench.board.rows import read_csv
from bench.check import toy_dataset
from bench.music import from_midi, to_midi

SMALL = ["--data", "toy", "--preset", "smoke", "--samples", "4", "--steps", "32"]


@pytest.fixture
def outside(home):
    """A generator elsewhere: it reads the prompts and repeats each twice."""
    done = home.bench("prompts", "prompts", *SMALL)
    assert done.returncode == 0, done.stderr
    assert "bench score YOUR_FOLDER" in done.stdout
    files = sorted((home.path / "prompts").iterdir())
    assert [file.name for file in files] == ["000.mid", "001.mid", "002.mid", "003.mid"]
    (home.path / "mine").mkdir()
    from bench.music import concatenate

    for file in files:
        bar = from_midi(file)
        assert bar.length == 16
        (home.path / "mine" / file.name).write_bytes(to_midi(concatenate([bar, bar])))
    return home


def test_a_folder_of_midi_becomes_a_row_with_metrics_and_without_likelihood(outside):
    outside.bench(*outside.arguments("noise", "human"))
    done = outside.bench("score", "mine", *SMALL, "--name", "repeater", "--out", "runs")
    assert done.returncode == 0, done.stderr
    rows = {row.system: row for row in read_csv(outside.runs / "leaderboard.csv").rows}
    mine = rows["repeater"]
    assert mine.kind == "external"
    assert mine.status == "ok"
    assert mine.nats_per_step is None
    assert mine.likelihood_note == "samples only: no model to ask"
    assert mine.pieces == 4
    assert mine.metric("pca_distance").skill is not None
    assert mine.skill_note == rows["human"].skill_note
    assert outside.bench("verify", "runs/leaderboard.csv").returncode == 0


def test_the_true_continuations_score_as_the_human_row_does(outside):
    from bench.protocol import sampling

    protocol = sampling.Protocol(samples=4, steps=32, prompt=16)
    for number, prompt in enumerate(sampling.prompts(toy_dataset(), protocol)):
        (outside.path / "mine" / f"{number:03d}.mid").write_bytes(to_midi(prompt.continuation))
    outside.bench(*outside.arguments("noise", "human"))
    outside.bench("score", "mine", *SMALL, "--name", "copy", "--out", "runs")
    rows = {row.system: row for row in read_csv(outside.runs / "leaderboard.csv").rows}
    copy, human = rows["copy"], rows["human"]
    assert copy.metric("pca_distance").skill == human.metric("pca_distance").skill
    for metric in ("scale_consistency", "polyphony"):
        assert copy.value(metric) == human.value(metric)


def test_files_that_begin_with_their_prompt_are_cut(outside):
    from bench.music import concatenate

    for file in sorted((outside.path / "mine").iterdir()):
        piece = from_midi(file)
        file.write_bytes(to_midi(concatenate([piece.slice(0, 16), piece])))
    done = outside.bench(
        "score", "mine", *SMALL, "--name", "whole", "--with-prompts", "--out", "runs"
    )
    assert done.returncode == 0, done.stderr
    outside.bench("score", "mine", *SMALL, "--name", "uncut", "--out", "runs")
    results = {
        path.parent.name.split(".")[0]: json.loads(path.read_text())["sample"]["hashes"]
        for path in outside.runs.glob("jobs/*/result.json")
    }
    assert results["whole"] == results["uncut"]  # a repeater: the same music either way


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda mine: (mine / "003.mid").unlink(), "holds 3 MIDI files"),
        (lambda mine: (mine / "002.mid").write_text("no music"), "002.mid"),
        (
            lambda mine: (mine / "001.mid").write_bytes(
                to_midi(toy_dataset().pieces["toy00"].slice(0, 16))
            ),
            "ends at step 16; 32 are needed",
        ),
    ],
)
def test_a_folder_that_breaks_the_protocol_is_refused_with_the_reason(outside, spoil, message):
    spoil(outside.path / "mine")
    done = outside.bench("score", "mine", *SMALL, "--name", "mine", "--out", "runs")
    assert done.returncode == 2
    assert message in done.stderr
    assert not outside.runs.exists()


@pytest.mark.parametrize("name", ["noise", "../up", "a/b", ""])
def test_names_that_are_taken_or_are_paths_are_refused(outside, name):
    done = outside.bench("score", "mine", *SMALL, "--name", name, "--out", "runs")
    assert done.returncode == 2
    assert "name" in done.stderr
