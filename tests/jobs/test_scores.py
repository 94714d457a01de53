import hashlib
import io

import numpy as np
import pytest
from finished_run import SYSTEMS
from made_up_jobs import finish, job, seal

from bench import registry
from bench.files import read_json, write, write_json
from bench.jobs.record import JobRecord
from bench.jobs.run_folder import RunFolder
from bench.jobs.scores import _unpacked, binding_of, read_scores
from bench.protocol import statistics
from bench.protocol.sampling import Protocol

GOOD = [system for system in SYSTEMS if system != "Raises"]
RNG = np.random.default_rng(0)
ARRAYS = {
    "a.per_piece": np.array([1.0, np.nan, np.inf, -0.0, 1e-300]),
    "a.draws": RNG.normal(size=1000),
    "none": np.zeros(0),
    "one": np.array(3.5),
    "table": RNG.normal(size=(3, 4)),
    "cube": RNG.normal(size=(2, 3, 4)),
    "columns first": np.asfortranarray(RNG.normal(size=(5, 3))),
    "empty table": np.zeros((0, 3)),
    "name/with.dots": np.ones(2),
}


def packed(save=np.savez_compressed, **arrays):
    buffer = io.BytesIO()
    save(buffer, **arrays)
    return buffer.getvalue()


@pytest.fixture
def folder(tmp_path):
    """A finished job with values per sample of two metrics."""
    per_piece = {"polyphony": RNG.normal(size=4), "on_key": np.array([0.5, np.nan, 0.25, 0.75])}
    return finish(RunFolder(tmp_path), job(), per_piece)


def put_arrays(folder, content):
    """These bytes as the folder's arrays, with a hash in its scores that fits."""
    write(folder.score_arrays, content)
    seal(folder, arrays=hashlib.sha256(content).hexdigest())


# -- the arrays ------------------------------------------------------------------------------------


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_are_unpacked_as_numpy_does_it(save):
    content = packed(save, **ARRAYS)
    unpacked = _unpacked(content)
    with np.load(io.BytesIO(content)) as file:
        assert list(unpacked) == file.files == list(ARRAYS)
        for name in file.files:
            assert unpacked[name].dtype == file[name].dtype == np.float64
            assert unpacked[name].shape == file[name].shape
            np.testing.assert_array_equal(unpacked[name], file[name])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\3\4",
        b"no archive",
        packed(words=np.array(["a", "b"])),
        packed(objects=np.array([{}, None], dtype=object)),
        packed(whole=np.arange(3)),
        packed(single=np.zeros(3, np.float32)),
        packed(swapped=np.zeros(3, ">f8" if np.little_endian else "<f8")),
        packed(fields=np.zeros(2, [("x", float), ("y", float)])),
        packed(np.savez, a=np.zeros(9))[:-40],
        packed(np.savez, a=np.zeros(9)).replace(b"'shape': (9,)", b"'shape': (8,)"),
        packed(np.savez, a=np.zeros(9)).replace(b"'descr'", b"'de(cr'"),
        packed(np.savez, a=np.zeros(9)).replace(b"\x93NUMPY\1", b"\x93NUMPY\2"),
    ],
    ids=range(13),
)
def test_bytes_that_are_no_arrays_of_floats_give_none(content):
    assert _unpacked(content) == {}


def test_no_bytes_make_a_traceback():
    whole = packed(**ARRAYS)
    for _ in range(2000):
        content = bytearray(whole)
        for place in RNG.integers(len(whole), size=RNG.integers(1, 6)):
            content[place] = RNG.integers(256)
        _unpacked(bytes(content[: RNG.integers(1, len(whole) + 1)]))


# -- the scores of a job ---------------------------------------------------------------------------


def test_scores_have_values_per_sample_and_draws_of_their_mean(folder):
    scores = read_scores(folder)
    assert set(scores.metrics) == set(registry.metrics())
    assert set(scores.per_piece) == {"polyphony", "on_key"}
    values = scores.per_piece["polyphony"]
    assert scores.metrics["polyphony"].value == pytest.approx(values.mean())
    expected = values[statistics.resamples(4)].mean(axis=1)
    np.testing.assert_allclose(scores.draws["polyphony"], expected, rtol=1e-12)


def test_where_a_resample_holds_no_sample_with_a_value_there_are_no_draws(folder):
    scores = read_scores(folder)
    values = scores.per_piece["on_key"]
    assert np.isnan(values[statistics.resamples(4)]).all(axis=1).any()
    assert set(scores.draws) == {"polyphony"}


def test_draws_of_a_metric_s_own_stand_for_those_of_the_mean(folder):
    own = RNG.normal(size=statistics.RESAMPLES)
    pieces = read_scores(folder).per_piece["polyphony"]
    put_arrays(folder, packed(**{"polyphony.per_piece": pieces, "polyphony.draws": own}))
    np.testing.assert_array_equal(read_scores(folder).draws["polyphony"], own)


@pytest.mark.parametrize("shape", [(), (3,), (1000, 2)])
def test_draws_of_another_number_than_the_resamples_are_left_out(folder, shape):
    pieces = read_scores(folder).per_piece["polyphony"]
    own = np.zeros(shape)
    put_arrays(folder, packed(**{"polyphony.per_piece": pieces, "polyphony.draws": own}))
    assert read_scores(folder).draws == {}


@pytest.mark.parametrize("shape", [(), (4, 2), (0,)])
def test_values_that_are_no_list_of_samples_give_no_draws(folder, shape):
    put_arrays(folder, packed(**{"polyphony.per_piece": np.zeros(shape)}))
    assert read_scores(folder).draws == {}


def test_arrays_of_a_metric_without_a_score_are_not_looked_at(folder):
    put_arrays(folder, packed(**{"unknown.per_piece": np.ones(4)}))
    scores = read_scores(folder)
    assert (scores.per_piece, scores.draws) == ({}, {})


@pytest.mark.parametrize(
    "spoil",
    [
        lambda folder: folder.score_arrays.write_bytes(b"PK"),
        lambda folder: folder.score_arrays.write_bytes(packed(a=np.zeros(3))),  # of another job
        lambda folder: folder.score_arrays.unlink(),
        lambda folder: folder.scores.unlink(),
        lambda folder: folder.scores.write_text("{"),
        lambda folder: folder.scores.write_text("[]"),
        lambda folder: folder.scores.write_text('{"metrics": 3, "arrays": "x"}'),
        lambda folder: folder.scores.write_text('{"metrics": {"isl": {}}, "arrays": "x"}'),
    ],
    ids=range(8),
)
def test_scores_and_arrays_that_do_not_belong_together_are_no_scores(folder, spoil):
    spoil(folder)
    scores = read_scores(folder)
    assert (scores.metrics, scores.arrays, scores.draws) == ({}, {}, {})
    assert scores.stale == list(registry.metrics())


def test_a_foreign_file_with_a_hash_that_fits_leaves_values_without_intervals(folder):
    value = read_scores(folder).metrics["polyphony"].value
    put_arrays(folder, b"no archive")
    scores = read_scores(folder)
    assert scores.metrics["polyphony"].value == value
    assert (scores.arrays, scores.per_piece, scores.draws) == ({}, {}, {})


def test_a_score_of_another_version_and_one_that_is_missing_are_stale(folder):
    metrics = read_json(folder.scores)["metrics"]
    metrics["isl"]["version"] -= 1
    del metrics["polyphony"]
    seal(folder, metrics=metrics)
    assert set(read_scores(folder).stale) == {"isl", "polyphony"}


# -- in a run --------------------------------------------------------------------------------------


def test_metrics_of_another_version_are_scored_again_and_nothing_else_is(finished):
    runs = RunFolder(finished.runs)
    folder = next(f for f in runs.folders() if f.path.name.startswith("noise"))
    before = read_scores(folder)
    metrics = read_json(folder.scores)["metrics"]
    metrics["isl"] |= {"version": -1, "value": 3.0}
    seal(folder, metrics=metrics)
    again = finished.bench(*finished.arguments(*GOOD), "--seeds", "2")
    assert again.returncode == 0, again.stderr
    assert "1 of 10 jobs to run" in again.stdout
    assert folder.log.read_text().count("] fit") == 1
    after = read_scores(folder)
    assert after.metrics["isl"].version == before.metrics["isl"].version
    assert after.metrics["isl"].value == before.metrics["isl"].value
    assert after.metrics["polyphony"] == before.metrics["polyphony"]  # its seconds too
    assert after.arrays.keys() == before.arrays.keys()


# -- what scores are of ----------------------------------------------------------------------------


def test_scores_of_other_samples_are_no_scores(folder):
    sample = folder.read_result().sample.model_copy(update={"hashes": ("another",)})
    folder.write_result(folder.read_result().having(sample=sample))
    assert read_scores(folder).metrics == {}
    assert read_scores(folder).outdated == list(registry.metrics())


@pytest.mark.parametrize(
    "change", [{"dataset_fingerprint": "g"}, {"protocol": Protocol(samples=4, steps=64, prompt=16)}]
)
def test_scores_of_other_data_or_another_protocol_are_no_scores(folder, change):
    assert read_scores(folder, binding_of(job(), ())).metrics
    assert read_scores(folder, binding_of(job(**change), ())).metrics == {}


def test_an_edited_value_is_no_score(folder):
    content = read_json(folder.scores)
    content["metrics"]["polyphony"]["value"] = 0.0
    write_json(folder.scores, content)
    assert read_scores(folder).metrics == {}


def test_scores_of_an_older_version_that_say_not_what_they_are_of_can_be_read_once_more(folder):
    content = read_json(folder.scores)
    write_json(folder.scores, {name: content[name] for name in ("metrics", "arrays")})
    scores = read_scores(folder)
    assert scores.metrics.keys() == registry.metrics().keys()
    assert not scores.bound
    assert scores.stale == []
    assert scores.outdated == list(registry.metrics())
    assert not JobRecord(folder).is_done(job())


def test_a_run_scores_again_what_is_bound_to_nothing_or_to_something_else(finished):
    runs = RunFolder(finished.runs)
    first, second, *_ = (f for f in runs.folders() if f.path.name.startswith(("noise", "markov")))
    before = [read_scores(folder) for folder in (first, second)]
    content = read_json(first.scores)
    write_json(first.scores, {name: content[name] for name in ("metrics", "arrays")})
    forged = read_json(second.scores)["metrics"]
    forged["polyphony"]["value"] = 0.0
    seal(
        second,
        metrics=forged,
        binding={"samples": "of", "dataset": "something", "protocol": "else"},
    )
    again = finished.bench(*finished.arguments(*GOOD), "--seeds", "2")
    assert again.returncode == 0, again.stderr
    assert "2 of 10 jobs to run" in again.stdout
    for folder, scores in zip((first, second), before, strict=True):
        after = read_scores(folder)
        assert after.bound
        assert {n: m.value for n, m in after.metrics.items()} == {
            n: m.value for n, m in scores.metrics.items()
        }
