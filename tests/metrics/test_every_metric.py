"""What every metric of the suite promises, whatever it measures."""

import dataclasses
import tomllib
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from bench import check, registry
from bench.contract import Metric, Reference
from bench.music import Score

PROJECT = Path(__file__).parents[2] / "pyproject.toml"
ENTRIES = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]["entry-points"]
CLASSES = {name: registry.load_object(path) for name, path in ENTRIES["musicbench.metrics"].items()}
OWN = {name: cls for name, cls in CLASSES.items() if not name.startswith("muspy_")}
HEADLINES = [
    "feature_kde",
    "judge_attention",
    "judge_notes",
    "judge_recurrent",
    "pca_distance",
    "polyphony_gap",
    "prompt_fit_gap",
    "scale_consistency_gap",
    "structure_gap",
]


def piece(seed, steps=128, grid=4):
    """Chords of three voices that move in quarters."""
    rng = np.random.default_rng(seed)
    chords = np.array([[48, 64, 67], [53, 65, 69], [43, 62, 71], [45, 60, 64]])
    count = -(-steps // grid)
    pitch = chords[rng.integers(4, size=count)] + rng.integers(-2, 3)
    length = rng.integers(1, 2 * grid + 1, (count, 3))
    onset = np.repeat(np.arange(count) * grid, 3)
    return Score.from_notes(onset, length.ravel(), pitch.ravel(), length=steps, grid=grid)


def reference(grid=4, steps=128):
    def some(first, count, length=steps):
        return [piece(seed, length, grid) for seed in range(first, first + count)]

    bar = 4 * grid
    return Reference(
        grid, bar, steps, some(0, 12, steps + bar), some(20, 5), some(30, 8), some(40, 6, bar)
    )


def score_of(cls, samples, compared):
    metric = cls()
    metric.prepare(compared)
    return metric.score(samples)


@pytest.mark.parametrize(("name", "cls"), CLASSES.items())
def test_it_keeps_the_contract(name, cls):
    assert isinstance(cls(), Metric)
    assert cls.name == name
    assert [finding for finding in check.check_metric(cls) if not finding.kept] == []


@pytest.mark.parametrize("cls", CLASSES.values(), ids=CLASSES)
def test_no_samples_are_a_reason(cls):
    assert score_of(cls, [], reference()).reason == "there are no samples"


@pytest.mark.parametrize("cls", OWN.values(), ids=OWN)
@pytest.mark.parametrize(("grid", "steps"), [(1, 32), (2, 64), (4, 24), (4, 6), (4, 1)])
def test_any_grid_and_length_has_an_outcome(cls, grid, steps):
    compared = reference(grid, steps)
    samples = [piece(seed, steps, grid) for seed in range(50, 56)]
    for given in (
        samples,
        [Score.silence(steps, grid)] * 6,
        [*samples[:3], Score.silence(0, grid)],
    ):
        measurement = score_of(cls, given, compared)
        assert measurement.value is not None or measurement.reason
        assert measurement.draws is None or np.isfinite(measurement.draws).all()
        assert all(np.isfinite(value) for value in measurement.detail.values())


@pytest.mark.parametrize("cls", OWN.values(), ids=OWN)
def test_an_empty_reference_has_an_outcome(cls):
    bare = Reference(4, 16, 128, [], [], [], [])
    measurement = score_of(cls, [piece(seed) for seed in range(6)], bare)
    assert measurement.value is not None or measurement.reason


@pytest.mark.parametrize("cls", OWN.values(), ids=OWN)
def test_the_order_of_equal_calls_does_not_matter_and_the_samples_stay_as_they_are(cls):
    compared = reference()
    samples = [piece(seed) for seed in range(50, 56)]
    before = [score.content_hash for score in samples]
    first = score_of(cls, samples, compared)
    score_of(cls, [Score.silence(128)] * 6, compared)
    again = score_of(cls, [piece(seed) for seed in range(50, 56)], reference())
    assert first.value == again.value
    assert dict(first.detail) == dict(again.detail)
    assert [score.content_hash for score in samples] == before


def test_few_metrics_enter_the_skill():
    assert sorted(name for name, cls in CLASSES.items() if cls.headline) == HEADLINES


@pytest.mark.slow
def test_ten_thousand_pieces_fit_in_two_gigabytes(capsys):
    test = [piece(seed, 256) for seed in range(60, 160)]
    compared = dataclasses.replace(reference(steps=256), test=test)
    samples = [piece(seed, 256) for seed in range(10_000)]
    # Judges and prompt_fit need as many prompts as samples: no data set gives so many.
    prompted = {"judge_attention", "judge_recurrent", "judge_notes", "prompt_fit", "prompt_fit_gap"}
    tracemalloc.start()
    for cls in [cls for name, cls in OWN.items() if name not in prompted]:
        measurement = score_of(cls, samples, compared)
        assert measurement.value is not None, (cls.name, measurement.reason)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    with capsys.disabled():
        print(f"\nThe metrics take {peak / 1e9:.2f} GB of memory for 10,000 pieces.")
    assert peak < 2e9
