from dataclasses import replace

import numpy as np
import pytest

from bench.check import toy_dataset, toy_reference
from bench.contract import Metric, Reference
from bench.judges import store
from bench.judges.families import FAMILIES
from bench.music import Score, concatenate
from metrics import judges
from metrics.judges import (
    BACKWARD,
    JudgeAttention,
    JudgeNotes,
    JudgeRecurrent,
    apart,
    chance,
    scaled,
)

METRICS = (JudgeAttention, JudgeRecurrent, JudgeNotes)
STEPS = 32


def piece(level, steps=STEPS):
    """A piece whose stand-in judge is surprised by `level` nats at every step."""
    return Score.from_notes([0], [steps], [20 + level], length=steps)


class Pitched:
    """A stand-in for a judge: as surprised by a piece's bars as their notes are high."""

    family, version = "attention", 0

    def arrays(self):
        return {}

    def bar_nats(self, prompts, continuations):
        return np.array([[16.0 * (p.pitch[0] - 20)] * 2 for p in continuations])


@pytest.fixture
def pitched(monkeypatch, tmp_path):
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(judges, "judge_for", lambda *_: Pitched())


def reference(real, **more):
    prompts = [Score.silence(16)] * len(real)
    return Reference(4, 16, STEPS, [], [], [], prompts, continuations=real, **more)


def score_of(samples, real, cls=JudgeNotes):
    metric = cls()
    assert isinstance(metric, Metric)
    metric.prepare(reference(real))
    return metric.score(samples)


REAL = [piece(level) for level in (10, 20, 20, 30)]


def test_true_continuations_have_no_gap(pitched):
    result = score_of(REAL, REAL)
    assert result.value == 0
    assert result.detail["lean"] == 0
    assert result.draws is not None
    assert (result.draws >= 0).all()


def test_half_as_many_nats_are_as_far_away_as_twice_as_many():
    nats = np.array([5.0, 10, 20, 0, 1e9])
    assert scaled(nats, 10) == pytest.approx([-1 / 3, 0, 1 / 3, -1, 1])


def test_too_likely_and_too_unlikely_both_count(pitched):
    real = [piece(20)] * 4
    low, high = score_of([piece(10)] * 4, real), score_of([piece(40)] * 4, real)
    assert low.value == pytest.approx(high.value) == pytest.approx(1 / 3)
    assert low.detail["lean"] < 0 < high.detail["lean"]


def test_too_likely_bars_do_not_make_up_for_unlikely_ones():
    real = np.zeros((4, 2))
    torn = np.array([[0.5, -0.5]] * 4)
    equal = np.full((1, 4), 1 / 4)
    assert apart(torn, real, equal) == pytest.approx([0.5])


def test_one_outlier_changes_the_gap_by_little(pitched):
    real = [piece(20)] * 20
    changed = [piece(80), *real[1:]]
    assert 0 < score_of(changed, real).value <= 1 / 20


def test_the_gap_is_bounded_whatever_the_samples():
    rng = np.random.default_rng(0)
    real = scaled(rng.random((8, 2)) + 1, 1.5)
    for nats in (np.zeros((8, 2)), np.full((8, 2), 1e12)):
        assert apart(scaled(nats, 1.5), real, np.full((1, 8), 1 / 8))[0] <= 1.2


def test_chance_is_the_gap_of_other_real_pieces():
    rng = np.random.default_rng(0)
    real = rng.normal(size=(64, 8))
    gaps = [
        apart(rng.normal(size=(64, 8)), rng.normal(size=(64, 8)), np.full((1, 64), 1 / 64))[0]
        for _ in range(50)
    ]
    assert chance(real) == pytest.approx(np.mean(gaps), rel=0.2)
    assert chance(real[:3]) == 0


def test_reasons(pitched):
    assert score_of([], REAL).reason == "there are no samples"
    assert "4 prompts for 5 samples" in score_of([piece(20)] * 5, REAL).reason
    assert "no true continuations" in score_of(REAL, []).reason


@pytest.mark.parametrize("cls", METRICS, ids=lambda cls: cls.name)
def test_what_leads_up_to_an_ending_has_no_value(cls, toy):
    compared, real = toy
    metric = cls()
    metric.prepare(replace(compared, backward=True))
    assert metric.score(real).reason == BACKWARD


def test_without_training_music_there_is_no_judge_and_no_value():
    for cls in METRICS:
        assert "no training piece" in score_of(REAL, REAL, cls).reason


def test_each_family_has_one_metric():
    assert {cls.judge for cls in METRICS} == set(FAMILIES)


@pytest.fixture(scope="module")
def toy():
    return toy_reference()


@pytest.mark.parametrize("cls", METRICS, ids=lambda cls: cls.name)
def test_noise_is_farther_than_other_music(cls, toy, tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path))
    compared, real = toy
    rng = np.random.default_rng(0)
    noise = [Score.from_rolls(rng.random((64, 88)) < 0.05) for _ in real]
    metric = cls()
    metric.prepare(compared)
    assert metric.score(real).value == 0
    assert 0 < metric.score([*real[1:], real[0]]).value < metric.score(noise).value <= 2


def test_a_job_s_threads_and_device_do_not_change_a_value(toy, monkeypatch, tmp_path):
    import torch

    compared, real = toy
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path))
    samples = [concatenate([p.slice(0, 16)] * 4) for p in real]

    def value():
        metric = JudgeNotes()
        metric.prepare(replace(compared))
        return metric.score(samples).value

    alone, threads = value(), torch.get_num_threads()
    torch.set_num_threads(2)
    monkeypatch.setenv("BENCH_DEVICE", "cuda")  # where there is none, it could not be used
    monkeypatch.setattr(store, "_open", type(store._open)())
    try:
        assert value() == alone
    finally:
        torch.set_num_threads(threads)


def test_the_reference_names_what_follows_each_prompt():
    compared, real = toy_reference()
    assert list(compared.continuations) == real
    toy = toy_dataset(bars=9, held=True)
    for name, prompt, after in zip(
        compared.prompt_pieces, compared.prompts, compared.continuations, strict=True
    ):
        whole, sought = toy.pieces[name], (prompt.content_hash, after.content_hash)
        assert sought in [
            (
                whole.slice(start, start + 16).content_hash,
                whole.slice(start + 16, start + 80).content_hash,
            )
            for start in range(0, whole.length - 79, 16)
        ]
