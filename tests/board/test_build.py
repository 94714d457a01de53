from pathlib import Path

import numpy as np
import pytest
from finished_run import SYSTEMS
from made_up_jobs import DONE, finish, job, seal

from bench.board.build import build, count_stale
from bench.board.rows import MetricCells, headline_metrics
from bench.files import read_json, write_json
from bench.jobs.results import AccuracyResult
from bench.jobs.run_folder import RunFolder
from bench.protocol.sampling import Protocol

FILES = ("job.json", "status.json", "result.json", "scores.json", "scores.npz", "copying.json")


@pytest.fixture
def rows(finished):
    """The rows of a run of the baselines and of a system that fails."""
    board = build(RunFolder(finished.runs))
    assert len(board.rows) == len(SYSTEMS)
    return {row.system: row for row in board.rows}


def test_all_seeds_of_a_system_are_one_row(rows):
    assert set(rows) == set(SYSTEMS)
    assert all(len(row.job_ids) == 2 for row in rows.values())
    assert rows["noise"].seeds == 2


def test_a_system_that_fails_is_a_row_that_says_why(rows):
    row = rows["Raises"]
    assert (row.status, row.seeds) == ("failed", 0)
    assert row.failure.count("RuntimeError: the loss") == 2
    assert set(row.metrics.values()) == {MetricCells()}


def test_noise_is_skill_0_and_human_music_skill_1(rows):
    for metric in ("feature_kde", "pca_distance"):
        assert rows["noise"].metric(metric).skill == pytest.approx(0, abs=1e-9)
        assert rows["human"].metric(metric).skill == pytest.approx(1)
    assert (rows["noise"].skill, rows["human"].skill) == (0, 1)


def test_what_was_not_scored_has_no_skill_and_no_note_on_metrics(rows):
    assert rows["Raises"].skill is rows["Raises"].rank is None
    assert rows["Raises"].skill_note == ""  # `failure` says it
    assert rows["Raises"].skill_coverage.startswith("0/")


def test_every_value_lies_within_its_interval(rows):
    checked = 0
    for row in rows.values():
        for name in ("nats_per_step", "bits_per_note", *row.metrics):
            figure = row.figure(name)
            if figure.low is not None:
                assert figure.low <= figure.value + 1e-9, (row.system, name)
                assert figure.value <= figure.high + 1e-9, (row.system, name)
                checked += 1
    assert checked > 100


def test_a_likelihood_says_of_which_kind_it_is_or_why_there_is_none(rows):
    assert rows["noise"].likelihood_kind == "coarse"
    assert rows["markov-chain"].likelihood_kind == "exact"
    assert rows["silence"].nats_per_step is None
    assert "probability 0" in rows["silence"].likelihood_note
    assert rows["noise"].nats_per_step > rows["random-chords"].nats_per_step


def test_the_frame_accuracy_of_a_row_is_the_mean_of_its_seeds(tmp_path):
    runs = RunFolder(tmp_path)
    counts = [((3, 5, 0), (10, 9, 0)), ((4, 4, 0), (10, 10, 2))]
    for seed, (right, either) in enumerate(counts):
        accuracy = AccuracyResult(right=right, all=either)
        finish(runs, job("x", seed=seed), result=DONE.having(accuracy=accuracy))
        finish(runs, job("y", seed=seed), result=DONE.having(accuracy=AccuracyResult()))
        finish(runs, job("z", seed=seed), result=DONE)  # of an older version
    finish(
        runs, job("z", seed=2), result=DONE.having(accuracy=AccuracyResult(right=(1,), all=(2,)))
    )
    x, y, z = sorted(build(runs).rows, key=lambda row: row.system)
    assert x.frame_accuracy == pytest.approx((8 / 19 + 8 / 22) / 2, abs=1e-6)
    assert y.frame_accuracy is z.frame_accuracy is None


def test_a_system_of_tokens_counts_those_of_its_training_pieces(rows):
    row = rows["random-chords"]
    assert 1 < row.vocabulary < row.tokens
    assert rows["noise"].vocabulary is rows["noise"].tokens is None


# -- from jobs that nobody ran ---------------------------------------------------------------------


def values_of(quality, seed=0):
    """Values per sample for every headline metric: 0 is bad, 1 is good."""
    rng = np.random.default_rng(seed)
    return {
        metric: (quality if direction == "higher" else 1 - quality) + rng.normal(0, 0.1, 24)
        for metric, direction in headline_metrics().items()
    }


@pytest.fixture
def runs(tmp_path):
    """A run folder with a floor, a ceiling, and a system of two seeds between them."""
    runs = RunFolder(tmp_path)
    finish(runs, job("noise"), values_of(0.0, 1))
    finish(runs, job("human"), values_of(1.0, 2))
    for seed in (0, 1):
        finish(runs, job("markov-chain", seed=seed), values_of(0.5, 3 + seed))
    return runs


def test_each_file_of_a_job_is_read_once(runs, monkeypatch):
    reads = []
    for name in ("read_text", "read_bytes"):
        plain = getattr(Path, name)

        def counted(path, *arguments, plain=plain, **named):
            reads.append(path)
            return plain(path, *arguments, **named)

        monkeypatch.setattr(Path, name, counted)
    assert [row.rank for row in build(runs).rows] == [None, 1, None]
    folders = [folder.path for folder in runs.folders()]
    assert sorted(reads) == sorted(folder / name for folder in folders for name in FILES)


def test_of_a_system_whose_settings_changed_the_newest_jobs_are_the_row(runs):
    changed = job("markov-chain", settings={"order": 3})
    folder = finish(runs, changed, values_of(0.8, 5))
    status = read_json(folder.status)
    for day, jobs in (("2031-01-01", [changed.id]), ("2019-01-01", None)):
        write_json(folder.status, {**status, "changed": f"{day}T00:00:00+00:00"})
        (row,) = (row for row in build(runs).rows if row.system == "markov-chain")
        assert len(build(runs).rows) == 3
        assert row.job_ids == (jobs or [job("markov-chain", seed=seed).id for seed in (0, 1)])


def test_of_a_system_that_was_given_other_prompts_the_newest_jobs_are_the_row(runs):
    given = Protocol(samples=4, steps=32, prompt=16)
    jobs = [
        job("biaxial-reversed", protocol=given.model_copy(update={"backward": backward}))
        for backward in (False, True)
    ]
    assert jobs[0].id != jobs[1].id
    for day, each in enumerate(jobs, start=1):
        folder = finish(runs, each, values_of(0.5, 9))
        status = read_json(folder.status)
        write_json(folder.status, {**status, "changed": f"2031-01-0{day}T00:00:00+00:00"})
    (row,) = (row for row in build(runs).rows if row.system == "biaxial-reversed")
    assert row.job_ids == [jobs[1].id]
    assert row.rank is None


def test_a_folder_that_holds_no_readable_job_is_passed_over(runs):
    before = build(runs)
    (runs.root / "jobs" / "half-written").mkdir()
    (runs.root / "jobs" / "half-written" / "job.json").write_text('{"system": ')
    assert build(runs) == before


def test_a_job_that_was_not_run_yet_is_a_row_of_its_group(runs):
    runs.begin(job("random-chords"))
    board = build(runs)
    (group,) = board.groups
    assert group.names[-1] == "random-chords"
    assert group.rows[-1].status == "not run"
    assert "seed 0: not run" in group.rows[-1].failure


def test_finished_seeds_count_where_another_failed(runs):
    failed = runs.begin(job("markov-chain", seed=2))
    failed.write_status(state="crashed", phase="fit", error="SIGSEGV")
    (row,) = (row for row in build(runs).rows if row.system == "markov-chain")
    assert (row.status, row.seeds, len(row.job_ids)) == ("partial", 2, 3)
    assert row.failure.startswith("seed 2: crashed in phase 'fit': SIGSEGV (log: jobs/")
    assert row.rank == 1


def test_jobs_with_scores_of_older_metrics_are_counted_and_named_in_their_rows(runs):
    assert count_stale(runs) == 0
    folder = runs.folder(job("markov-chain"))
    metrics = read_json(folder.scores)["metrics"]
    metrics["polyphony"]["version"] -= 1
    seal(folder, metrics=metrics)
    assert count_stale(runs) == 1
    (row,) = (row for row in build(runs).rows if row.system == "markov-chain")
    assert row.stale == "polyphony"


def test_damaged_arrays_leave_a_row_without_scores_and_never_stop_the_board(runs):
    runs.folder(job("markov-chain", seed=1)).score_arrays.write_bytes(b"PK\3\4 cut")
    (row,) = (row for row in build(runs).rows if row.system == "markov-chain")
    assert (row.status, row.skill, row.rank) == ("ok", None, None)
    assert set(row.metrics.values()) == {MetricCells()}
    assert len(row.stale.split()) > 40
