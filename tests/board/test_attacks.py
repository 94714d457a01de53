"""Seven ways to forge a row, each on a run folder and on an archive published from it."""

from __future__ import annotations

import shutil

import made_up_jobs
import numpy as np
import pytest

from bench import data
from bench.board import archive as archives
from bench.board.build import build
from bench.board.rows import to_csv
from bench.board.verify import Depth, verification
from bench.files import read_json, write, write_json
from bench.jobs import scores
from bench.jobs.results import AccuracyResult
from bench.jobs.run_folder import RunFolder
from bench.jobs.samples import read_samples, write_samples
from bench.music import Score
from bench.protocol import sampling

ALL = Depth(every=True, load_systems=True)


class Run:
    """A finished run whose files an attacker edits; then the board is made anew."""

    def __init__(self, runs, to):
        self.runs, self.to = RunFolder(runs), to

    def job(self, system):
        return next(f for f in self.runs.folders() if f.path.name.startswith(f"{system}."))

    def score_again(self, folder):
        """Score the folder's samples honestly, whatever they are now."""
        job = folder.read_job()
        dataset = data.load(job.dataset)
        prompts = sampling.prompts(dataset, job.protocol)
        folder.scores.unlink()
        samples = read_samples(folder, folder.read_result().sample_hashes)
        reference = sampling.reference(dataset, job.protocol, prompts)
        scores.score_samples(folder, samples, lambda: reference)

    def keep_scores(self, folder, hashes):
        """Bind the folder's scores to samples of these hashes."""
        old = scores.Scores(
            {n: scores.MetricScore(**m) for n, m in read_json(folder.scores)["metrics"].items()},
            folder.score_arrays.read_bytes(),
        )
        result = folder.read_result()
        folder.write_result(
            result.having(sample=result.sample.model_copy(update={"hashes": tuple(hashes)}))
        )
        binding = scores.binding_of(folder.read_job(), hashes)
        scores.write_scores(folder, binding, old.metrics, old.arrays)

    def checks(self):
        """The verification of the run's board, and that of an archive published from it."""
        board = self.runs.root / "leaderboard.csv"
        write(board, to_csv(build(self.runs).rows))
        yield verification(board, self.runs, ALL)
        table, archive = archives.publish(self.runs, self.to)
        unpacked = RunFolder(archives.unpacked(archive))
        yield verification(table, unpacked, Depth(every=True))

    def problems(self):
        """What each of the two finds."""
        return [check.problems for check in self.checks()]


@pytest.fixture
def attacked(finished, tmp_path):
    return Run(finished.runs, tmp_path / "published")


def test_an_honest_run_holds_and_says_what_was_only_reported(attacked):
    own, published = attacked.checks()
    assert own.problems == published.problems == []
    assert (own.rescored, published.rescored) == (own.rows, published.rows) == (6, 5)
    assert own.metrics == published.metrics > 300
    assert set(own.as_reported) == {"it did not finish"}
    likelihood = "likelihood: the trained system is not in the folder"
    assert set(published.as_reported) == {likelihood}


def test_forged_values_in_scores_with_every_hash_computed_anew_are_found(attacked):
    folder = attacked.job("random-chords")
    metrics = read_json(folder.scores)["metrics"]
    for name in ("isl", "polyphony_gap", "two_sample"):
        metrics[name]["value"] = 0.0
    made_up_jobs.seal(folder, metrics=metrics)
    for problems in attacked.problems():
        assert {line.split(": ")[1] for line in problems} >= {"polyphony_gap", "two_sample"}
        assert all("(random-chords on toy)" in line for line in problems)
        assert all("stored" in line for line in problems)


def test_a_forged_report_on_copying_is_found(attacked):
    folder = attacked.job("random-chords")
    report = read_json(folder.copying)
    forged = "own" if report["verdict"] != "own" else "unknown"
    write_json(folder.copying, report | {"verdict": forged})
    for problems in attacked.problems():
        (line,) = problems
        assert "(random-chords on toy)" in line
        assert f"copying: the report says '{forged}'" in line


def test_swapped_samples_with_their_hashes_are_found(attacked):
    a, b = attacked.job("random-chords"), attacked.job("markov-chain")
    hashes = [folder.read_result().sample_hashes for folder in (a, b)]
    spare = a.path / "spare"
    shutil.move(a.samples, spare)
    shutil.move(b.samples, a.samples)
    shutil.move(spare, b.samples)
    attacked.keep_scores(a, hashes[1])
    attacked.keep_scores(b, hashes[0])
    for problems in attacked.problems():
        named = {line.split(" (")[1].split(" ")[0] for line in problems}
        assert named == {"random-chords", "markov-chain"}


def test_one_edited_midi_file_is_found(attacked):
    folder = attacked.job("random-chords")
    (folder.samples / "002.mid").write_bytes((folder.samples / "001.mid").read_bytes())
    for problems in attacked.problems():
        (line,) = problems
        assert line.endswith("samples/002.mid is gone or was changed since it was sampled.")


def test_edited_nats_are_found_by_the_trained_system_and_else_are_as_reported(attacked):
    folder = attacked.job("markov-chain")
    result = folder.read_result()
    nats = tuple(value / 2 for value in result.likelihood.nats)
    likelihood = result.likelihood.model_copy(update={"nats": nats})
    folder.write_result(result.having(likelihood=likelihood))
    own, published = attacked.checks()
    assert own.problems
    assert all("nats stored" in line and "(markov-chain" in line for line in own.problems)
    assert published.problems == []
    assert published.as_reported["likelihood: the trained system is not in the folder"] >= 2


def test_a_forged_frame_accuracy_is_found_by_the_keys_that_sound_or_by_the_system(attacked):
    folder = attacked.job("markov-chain")
    result = folder.read_result()
    pieces = len(result.likelihood.steps)
    forged = AccuracyResult(right=(0,) * pieces, all=(100_000,) * pieces)
    folder.write_result(result.having(accuracy=forged))
    own, published = attacked.checks()
    assert any("accuracy: 0.0 stored, None computed again" in line for line in own.problems)
    assert published.problems == []
    assert published.as_reported["frame accuracy: the trained system is not in the folder"] == 1
    perfect = AccuracyResult(right=(100_000,) * pieces, all=(100_000,) * pieces)
    folder.write_result(result.having(accuracy=perfect))
    for problems in attacked.problems():
        assert any(line.endswith("not of the test pieces: other keys") for line in problems)


def test_forged_values_per_sample_with_the_digest_computed_anew_are_found(attacked):
    folder = attacked.job("random-chords")
    stored = scores.read_scores(folder)
    arrays = dict(stored.arrays)
    drawn = [key for key in arrays if key.endswith(".draws")]
    name = max(drawn, key=lambda key: float(np.std(arrays[key])))  # some are constant
    arrays[name] = arrays[name].mean() + 0.001 * (arrays[name] - arrays[name].mean())
    arrays["on_key.per_piece"] = np.sort(arrays["on_key.per_piece"] + 0.01)
    binding = scores.binding_of(folder.read_job(), folder.read_result().sample_hashes)
    scores.write_scores(folder, binding, stored.metrics, arrays)
    for problems in attacked.problems():
        assert [line.split(": ", 1)[1] for line in problems if "on_key" in line] == [
            "on_key: other values per sample stored than computed"
        ]
        assert any("other resampled values" in line for line in problems)


def test_human_continuations_under_a_system_s_name_are_found(attacked):
    """Scored honestly they agree with their scores: what gives them away is what they are."""
    folder = attacked.job("random-chords")
    job = folder.read_job()
    prompts = sampling.prompts(data.load("toy"), job.protocol)
    human = [prompt.continuation.slice(0, job.protocol.steps) for prompt in prompts]
    louder = [
        Score(s.onset, s.duration, s.pitch, np.full(len(s), 99), s.length, s.grid) for s in human
    ]
    write_samples(folder.samples, louder)
    attacked.keep_scores(folder, [score.content_hash for score in louder])
    attacked.score_again(folder)
    for problems in attacked.problems():
        (line,) = problems
        assert line.endswith("4 of 4 samples are the true continuations of the data set")


def test_rows_that_are_not_chosen_are_not_scored_again(attacked):
    board = attacked.runs.root / "leaderboard.csv"
    chosen = [verification(board, attacked.runs, Depth(rows=2, seed=seed)) for seed in (1, 1)]
    assert [check.rescored for check in chosen] == [2, 2]
    assert chosen[0] == chosen[1]
    assert chosen[0].chance == pytest.approx(1 / 3)


def test_what_the_command_prints_says_what_was_computed_again_and_what_was_not(finished):
    done = finished.bench(
        "verify", str(finished.runs / "leaderboard.csv"), "--rows", "1", "--seed", "7"
    )
    assert done.returncode == 0, done.stderr
    assert "of 1 of 6 rows, chosen with --seed 7." in done.stdout
    assert "found with a chance of 17%; --all scores every row again" in done.stdout
    assert "As reported in all rows: costs" in done.stdout
