"""What the board makes of training runs: intervals, `spread`, `same_as`."""

import numpy as np
import pytest
from made_up_jobs import finish, job

from bench.board import compare
from bench.board.build import build
from bench.board.ranking import tied
from bench.board.rows import headline_metrics, read_csv, to_csv
from bench.contract import Budget
from bench.jobs.job import Card
from bench.jobs.results import FitResult, JobResult, LikelihoodResult, SampleResult
from bench.jobs.run_folder import RunFolder


def values_of(quality, seed=0):
    """Values per sample for every headline metric: 0 is bad, 1 is good."""
    rng = np.random.default_rng(seed)
    return {
        metric: (quality if direction == "higher" else 1 - quality) + rng.normal(0, 0.1, 24)
        for metric, direction in headline_metrics().items()
    }


def result(*, samples=(), files=(), nats=(), parameters=None):
    likelihood = LikelihoodResult()
    if nats:
        steps = (32,) * len(nats)
        likelihood = LikelihoodResult(
            kind="exact", object="frames", nats=nats, steps=steps, notes=steps
        )
    return JobResult(
        fit=FitResult(seconds=1.0, files=dict(files), parameters=parameters),
        sample=SampleResult(seconds=1.0, hashes=tuple(samples)),
        likelihood=likelihood,
    )


@pytest.fixture
def runs(tmp_path):
    """A run folder with a floor and a ceiling."""
    runs = RunFolder(tmp_path)
    finish(runs, job("noise"), values_of(0.0, 1))
    finish(runs, job("human"), values_of(1.0, 2))
    return runs


def trained(runs, name, *qualities, **fields):
    """A trained system with one seed for each quality."""
    for seed, quality in enumerate(qualities):
        files = {"network": f"{name} {seed}"}
        number = sum(map(ord, name)) + seed
        done = job(name, seed=seed, **fields)
        finish(runs, done, values_of(quality, number), result(files=files.items()))


def rows_of(runs):
    return {row.system: row for row in build(runs).rows}


def width(row):
    return row.skill_high - row.skill_low


def test_each_row_says_where_its_spread_over_training_runs_comes_from(runs):
    trained(runs, "single", 0.5)
    finish(runs, job("random-chords", budget=Budget(0)), values_of(0.4, 8))
    rows = rows_of(runs)
    assert {name: row.spread for name, row in rows.items()} == {
        "noise": "none", "human": "none", "random-chords": "none", "single": "assumed",
    }  # fmt: skip
    assert width(rows["single"]) > 1.3 * width(rows["random-chords"])
    trained(runs, "several", 0.4, 0.5, 0.6)
    rows = rows_of(runs)
    assert (rows["several"].spread, rows["single"].spread) == ("own", "pooled")


def test_the_spread_of_other_presets_of_the_data_set_is_used_where_the_group_has_none(runs):
    trained(runs, "single", 0.5)
    before = width(rows_of(runs)["single"])
    trained(runs, "wild", 0.1, 0.5, 0.9, preset="quick")
    finish(runs, job("noise", preset="quick"), values_of(0.0, 1))
    finish(runs, job("human", preset="quick"), values_of(1.0, 2))
    single = rows_of(runs)["single"]
    assert single.spread == "pooled"
    assert width(single) > before


def test_a_failed_row_has_no_spread(runs):
    runs.begin(job("failed")).write_status(state="failed", phase="fit", error="no")
    assert rows_of(runs)["failed"].spread == ""


def test_seeds_that_differ_widen_every_interval_and_seeds_that_agree_do_not(runs):
    trained(runs, "calm", 0.5, 0.5, 0.5)
    trained(runs, "wild", 0.2, 0.5, 0.8)
    rows = rows_of(runs)
    assert width(rows["wild"]) > 1.5 * width(rows["calm"])
    name = next(iter(headline_metrics()))
    wild, calm = (rows[system].metric(name) for system in ("wild", "calm"))
    assert wild.high - wild.low > 1.5 * (calm.high - calm.low)


def test_a_system_that_saves_the_same_files_under_every_seed_is_not_trained_by_it(runs):
    for seed in (0, 1):
        same = result(files={"network": "one"}.items())
        finish(runs, job("fixed", seed=seed), values_of(0.5, seed), same)
    assert rows_of(runs)["fixed"].spread == "none"


@pytest.mark.parametrize("seeds", [1, 2])
def test_what_others_trained_is_never_taken_for_untrained(runs, seeds):
    """No budget, no parameters, the same files: all of these its author says."""
    card = Card(title="theirs", kind="external")
    for seed in range(seeds):
        same = result(files={"network": "one"}.items())
        theirs = job("theirs", seed=seed, budget=Budget(0), card=card)
        finish(runs, theirs, values_of(0.5, seed), same)
    row = rows_of(runs)["theirs"]
    assert row.spread == "assumed"
    assert row.evidence.retraining["skill"].variance > 0


def test_a_baseline_whose_weights_a_seed_draws_counts_as_trained(runs):
    network = result(parameters=900, files={"network": "a"}.items())
    finish(runs, job("midi-lstm-untrained", budget=Budget(0)), values_of(0.2, 5), network)
    assert rows_of(runs)["midi-lstm-untrained"].spread == "assumed"


def test_likelihoods_know_the_training_runs_too(runs):
    rng = np.random.default_rng(0)
    pieces = rng.normal(-300, 10, 20)
    for name, spread in (("calm", 0.0), ("wild", 60.0)):
        for seed in range(3):
            nats = tuple(pieces + spread * (seed - 1) + rng.normal(size=20))
            files = {"network": f"{name} {seed}"}
            done = result(nats=nats, files=files.items())
            finish(runs, job(name, seed=seed), values_of(0.5, seed), done)
    rows = rows_of(runs)
    for figure in ("nats_per_step", "bits_per_note"):
        calm, wild = (rows[name].figure(figure) for name in ("calm", "wild"))
        assert wild.high - wild.low > 3 * (calm.high - calm.low)
    figures = {each.figure: each for each in compare.compare(rows["calm"], rows["wild"])}
    assert figures["nats_per_step"].better == ""
    assert figures["nats_per_step"].low < 0 < figures["nats_per_step"].high


def test_identical_contestants_are_ranked_once(runs):
    for name, quality in (("b-same", 0.5), ("a-same", 0.5), ("other", 0.5)):
        samples = (name,) if name == "other" else ("1", "2")
        finish(runs, job(name), values_of(quality, 3), result(samples=samples))
    rows = rows_of(runs)
    assert {name: row.same_as for name, row in rows.items() if row.same_as} == {"b-same": "a-same"}
    assert (rows["b-same"].rank, rows["b-same"].rank_low, rows["b-same"].rank_high) == (None,) * 3
    assert rows["b-same"].skill == rows["a-same"].skill
    assert sorted(row.system for row in tied(list(rows.values()))[0]) == ["a-same", "other"]
    assert {rows["a-same"].rank_high, rows["other"].rank_high} == {2}


def test_contestants_are_identical_only_if_they_are_under_every_seed_that_both_have(runs):
    hashes = {"a": ("1", "2"), "b": ("1", "3"), "c": ("1",), "d": ("4",)}
    for name, seeds in hashes.items():
        for seed, samples in enumerate(seeds):
            files = {"network": f"{name} {seed}"}
            done = result(samples=(samples,), files=files.items())
            finish(runs, job(name, seed=seed), values_of(0.5, seed), done)
    rows = rows_of(runs)
    assert {name: row.same_as for name, row in rows.items() if row.same_as} == {"c": "a"}


def test_a_contestant_that_makes_what_the_floor_makes_is_still_ranked(runs):
    finish(runs, job("silence"), values_of(0.0, 7), result(samples=("0",)))
    finish(runs, job("collapsed"), values_of(0.0, 7), result(samples=("0",)))
    row = rows_of(runs)["collapsed"]
    assert (row.same_as, row.rank) == ("", 1)


def test_a_variant_as_published_equals_the_corrected_one_not_the_other_way_round(runs):
    for variant in ("as-published", "corrected"):
        finish(runs, job("x", variant=variant), values_of(0.5, 3), result(samples=("1",)))
    rows = {row.variant: row for row in build(runs).rows if row.system == "x"}
    assert (rows["as-published"].same_as, rows["corrected"].same_as) == ("x", "")
    assert rows["corrected"].rank == 1


def test_a_board_file_keeps_spread_and_same_as_and_an_older_one_lacks_them(runs, tmp_path):
    trained(runs, "single", 0.5)
    rows = build(runs).rows
    table = tmp_path / "leaderboard.csv"
    table.write_text(to_csv(rows))
    assert [row.spread for row in read_csv(table).rows] == [row.spread for row in rows]
    lines = [line.split(",") for line in table.read_text().splitlines()]
    kept = [n for n, name in enumerate(lines[0]) if name not in ("spread", "same_as")]
    table.write_text("\n".join(",".join(line[n] for n in kept) for line in lines) + "\n")
    assert [row.spread for row in read_csv(table).rows] == [""] * 3


def test_the_ranks_of_a_board_follow_the_skill(runs):
    for number, quality in enumerate(np.linspace(0.2, 0.8, 7)):
        trained(runs, f"system{number}", *([quality] * (1 + number % 3)))
    ranked = [row for row in build(runs).rows if row.rank is not None]
    assert len(ranked) == 7
    assert [row.rank for row in ranked] == sorted(row.rank for row in ranked)
    assert all(row.rank_low <= row.rank <= row.rank_high for row in ranked)
