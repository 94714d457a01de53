import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import registry
from bench.board.rescoring import Checker, alike, close, common_notes, differences
from bench.contract import Measurement
from bench.files import read_json, write_json
from bench.jobs.record import JobRecord
from bench.jobs.run_folder import RunFolder
from bench.jobs.scores import score_of
from bench.music import Score

VALUES = np.array([0.5, np.nan, np.inf, -2.0, 1e-12])


def test_arrays_are_alike_but_for_rounding():
    assert alike(VALUES, VALUES, 0.0)
    assert alike(VALUES, VALUES * (1 + 1e-9), 1e-6)
    assert alike(None, None, 1e-6)


@pytest.mark.parametrize(
    "other",
    [
        None,
        VALUES[:4],
        VALUES.reshape(5, 1),
        np.where(np.isnan(VALUES), 0.0, VALUES),
        np.where(np.isinf(VALUES), 9.0, VALUES),
        np.where(np.isinf(VALUES), -np.inf, VALUES),
        VALUES * 1.001,
        np.full(5, np.nan),
    ],
    ids=range(8),
)
def test_arrays_that_differ_by_more_than_rounding_are_not_alike(other):
    assert not alike(VALUES, other, 1e-6)
    assert not alike(other, VALUES, 1e-6)


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_two_values_are_close_when_their_difference_is_a_millionth(a, b):
    assert close(a, b, 1e-6) == (abs(a - b) <= 1e-6 * abs(b) + 1e-9)


def lines(stored, fresh, tolerance=1e-6):
    score = score_of(1, stored, 4, 0.0)
    arrays = {} if stored.per_piece is None else {"m.per_piece": stored.per_piece}
    return differences("m", score, arrays, fresh, [None] * 4, tolerance)


def test_what_differs_in_a_score_is_named():
    four = np.array([1.0, 2.0, 3.0, 4.0])
    stored = Measurement(2.5, per_piece=four, detail={"raw": 1.0})
    assert lines(stored, stored) == []
    assert lines(stored, Measurement(2.6, per_piece=four, detail={"raw": 1.0})) == [
        "m: 2.5 stored, 2.6 computed"
    ]
    assert lines(stored, Measurement(2.5, per_piece=four[::-1], detail={"raw": 2.0})) == [
        "m, raw: 1 stored, 2 computed",
        "m: other values per sample stored than computed",
    ]
    assert lines(stored, Measurement(None, "no piece has a note")) == [
        "m: 2.5 stored, no value computed (no piece has a note)"
    ]
    assert lines(stored, Measurement(2.6, per_piece=four, detail={"raw": 1.0}), 0.1) == []


def test_pieces_have_their_onsets_and_pitches_in_common_whatever_their_loudness():
    a = Score.from_notes(np.arange(10), np.ones(10, int), np.arange(60, 70))
    b = Score.from_notes(np.arange(10), np.ones(10, int), np.r_[np.arange(60, 69), 90])
    silence = Score.silence(10, a.grid)
    assert common_notes(a, a) == 1
    assert common_notes(a, b) == 0.9
    assert common_notes(a, silence) == common_notes(silence, silence) == 0


@pytest.fixture
def folder(finished):
    jobs = RunFolder(finished.runs).folders()
    return next(f for f in jobs if f.path.name.startswith("random-chords."))


def checked(folder, **options):
    return Checker(**{"systems": False, "seed": 0} | options).check(JobRecord(folder))


def test_scores_that_cannot_be_compared_are_as_reported(folder, monkeypatch):
    content = read_json(folder.scores)
    content["metrics"]["isl"] |= {"version": -1, "value": 3.0}
    content["metrics"]["gone"] = content["metrics"]["polyphony"]
    write_json(folder.scores, {name: content[name] for name in ("metrics", "arrays")})
    result = checked(folder)
    assert result.problems == []
    assert result.metrics == len(registry.metrics()) - 1
    assert result.as_reported[:2] == [
        "what the scores are of: they were written by an older version (unbound)",
        "gone, version 1: it is not installed",
    ]
    assert result.as_reported[2].startswith("isl, version -1: it is version ")


def test_without_the_data_everything_is_as_reported(folder, monkeypatch):
    monkeypatch.setenv("BENCH_DATA_DIR", "/nowhere")
    monkeypatch.setenv("BENCH_CACHE_DIR", "/nowhere")
    (line,) = checked(folder).as_reported
    assert line.startswith("scores and likelihood: toy is not at hand (")


def test_a_metric_that_states_a_wider_tolerance_gets_it(folder, monkeypatch):
    content = read_json(folder.scores)
    content["metrics"]["polyphony"]["value"] *= 1.01
    write_json(folder.scores, {name: content[name] for name in ("metrics", "arrays")})
    assert [line.split(":")[0] for line in checked(folder).problems] == ["polyphony"]
    monkeypatch.setattr(registry.metrics()["polyphony"], "tolerance", 0.05, raising=False)
    assert checked(folder).problems == []
