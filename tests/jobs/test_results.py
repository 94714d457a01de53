import json

import pytest
from made_up_jobs import DONE, job

from bench.jobs.results import (
    FitResult,
    JobResult,
    LikelihoodResult,
    SampleResult,
    SnapshotPoint,
    SnapshotResult,
)
from bench.jobs.run_folder import RunFolder


@pytest.fixture
def folder(tmp_path):
    return RunFolder(tmp_path).begin(job())


WHOLE = JobResult(
    fit=FitResult(files={"system.json": "0f"}, seconds=1.5, parameters=7, versions={"torch": "2"}),
    sample=SampleResult(hashes=("a", "b"), seconds=0.5),
    likelihood=LikelihoodResult(
        kind="exact", object="score", nats=(-10.0, -6.0), steps=(4, 4), notes=(3, 5), seconds=0.1
    ),
    snapshots=SnapshotResult(
        asked=3, points=(SnapshotPoint(update=5, metrics={"isl": -9.0, "density": None}),)
    ),
    peak_memory_mb=321,
)


def test_results_come_back_as_they_were_written(folder):
    folder.write_result(WHOLE)
    assert folder.read_result() == WHOLE


def test_before_the_first_phase_there_are_none(folder):
    assert folder.read_result() == JobResult()
    assert not JobResult().complete
    assert JobResult().sample_hashes == ()
    assert JobResult().snapshots_asked == 0


@pytest.mark.parametrize("phase", ["fit", "sample", "likelihood"])
def test_a_result_is_complete_once_every_phase_has_one(phase):
    assert DONE.complete
    assert WHOLE.having(snapshots=None).complete
    assert not WHOLE.having(**{phase: None}).complete


def test_a_phase_that_is_to_be_done_again_is_not_in_the_file(folder):
    folder.write_result(WHOLE.having(sample=None))
    assert set(json.loads(folder.result.read_text())) == {
        "fit", "likelihood", "snapshots", "peak_memory_mb"
    }  # fmt: skip
    assert folder.read_result() == WHOLE.having(sample=None)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[1]",
        "3",
        '{"fit": 3}',
        '{"sample": {"hashes": "ab"}}',
        "\0\0",
        '{"fit": {"files": 1}}',
    ],
)
def test_a_file_that_cannot_be_read_is_no_result(folder, content):
    folder.result.write_text(content)
    assert folder.read_result() == JobResult()


def test_what_a_newer_version_adds_is_passed_over(folder):
    folder.write_result(WHOLE)
    content = json.loads(folder.result.read_text())
    content["fit"]["colour"] = content["colour"] = "blue"
    folder.result.write_text(json.dumps(content))
    assert folder.read_result() == WHOLE


def test_the_loss_is_over_all_steps_of_all_pieces():
    assert WHOLE.likelihood.nats_per_step == 2.0  # 16 nats in 8 steps
    assert LikelihoodResult(reason="none").nats_per_step is None
    assert LikelihoodResult(nats=(-1.0,), steps=(0,)).nats_per_step is None
