from itertools import product

import numpy as np
import pytest
from logs import Log

from baselines import logistic
from baselines.logistic import NoteLogistic
from bench import registry
from bench.check import NoLog, toy_dataset
from bench.contract import Budget
from bench.encodings import note_deltas
from bench.errors import BenchError
from bench.music import Score

RNG = np.random.default_rng(0)


def tiny_scores(count: int, length: int = 3) -> list[Score]:
    return [
        Score.from_notes(
            RNG.integers(0, length, 4),
            RNG.integers(1, length + 1, 4),
            RNG.integers(21, 24, 4),
            length=length,
        )
        for _ in range(count)
    ]


def every_score(keys: int, length: int) -> list[Score]:
    lines = [
        line
        for line in product("-xo", repeat=length)
        if all(s != "o" or (i and line[i - 1] != "-") for i, s in enumerate(line))
    ]
    scores = []
    for chosen in product(lines, repeat=keys):
        sounding, onsets = np.zeros((2, length, 88), dtype=bool)
        for key, line in enumerate(chosen):
            sounding[:, key] = [s != "-" for s in line]
            onsets[:, key] = [s == "x" for s in line]
        scores.append(Score.from_rolls(sounding, onsets))
    return scores


@pytest.mark.parametrize("features", ["one-hot", "raw"])
def test_all_pieces_together_have_probability_one(
    features: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (logistic, note_deltas):
        monkeypatch.setattr(module, "KEYS", 3)
    monkeypatch.setattr(logistic, "NONE", 3)
    system = NoteLogistic(features=features)  # type: ignore[arg-type]
    system.fit(tiny_scores(12), [], Budget(30), 0, NoLog())
    scores = every_score(3, 3)
    assert len(scores) == 13**3
    assert np.isclose(np.exp(system.log_likelihood(scores)).sum(), 1, atol=1e-9)


def test_what_is_drawn_is_what_the_likelihood_says(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (logistic, note_deltas):
        monkeypatch.setattr(module, "KEYS", 2)
    monkeypatch.setattr(logistic, "NONE", 2)
    system, scores, n = NoteLogistic(), every_score(2, 2), 3000
    system.fit(scores, [], Budget(30), 0, NoLog())
    drawn = [s.content_hash for s in system.sample([Score.silence(0)] * n, 2, seed=0)]
    for score, nats in zip(scores, system.log_likelihood(scores), strict=True):
        chance = float(np.exp(nats))
        share = drawn.count(score.content_hash) / n
        assert abs(share - chance) < 4.5 * np.sqrt(chance / n) + 1e-4


def test_a_note_that_repeats_the_note_ten_before_is_always_predicted() -> None:
    scores = []
    for _ in range(30):
        pitch = np.tile(RNG.integers(50, 60, 10), 6)
        scores.append(Score.from_notes(np.arange(60), np.ones(60), pitch, length=60))
    keys, right = scores[0].pitch.astype(int) - 21, {}
    for variant in ("corrected", "as-published"):
        system = registry.system("note-logistic").build(variant)
        system.fit(scores, [], Budget(200), 0, NoLog())
        predicted = system.log_chances(system.before(keys)).argmax(axis=1)
        right[variant] = np.mean(predicted[10:] == keys[10:])
    assert right["corrected"] == 1
    assert right["as-published"] < 0.9  # with pitch as a number, log-odds are linear in it


@pytest.mark.parametrize("features", ["one-hot", "raw"])
def test_it_never_predicts_worse_than_the_most_frequent_key(features: str) -> None:
    train, log = toy_dataset().split("train"), Log()
    NoteLogistic(features=features).fit(train, train, Budget(100), 0, log)  # type: ignore[arg-type]
    assert log.curve("valid_accuracy")[-1] >= log.curve("majority_accuracy")[-1]


def test_unknown_keys_are_unlikely_but_possible_and_all_sum_to_one() -> None:
    system, toy = NoteLogistic(), toy_dataset()
    system.fit(toy.split("train"), [], Budget(5), 0, NoLog())
    chances = np.exp(system.log_chances(np.array([[88] * 10, [3] * 10])))
    assert np.allclose(chances.sum(axis=1), 1)
    assert (chances > 0).all()
    assert np.isclose(chances[0, 87], 1 / 88 / (system.counts.sum() + 1))


def test_two_keys_and_one_key() -> None:
    two = Score.from_notes([0, 1, 2, 3], [1] * 4, [60, 62, 60, 60], length=4)
    system = NoteLogistic()
    system.fit([two], [], Budget(50), 0, NoLog())
    chances = np.exp(system.log_chances(np.full((1, 10), 88)))[0]
    assert np.isclose(chances.sum(), 1)
    assert chances[39] > chances[41]  # 60 begins, and is commoner
    with pytest.raises(BenchError, match="fewer than two keys"):
        system.fit([Score.from_notes([0], [1], [60])], [], Budget(5), 0, NoLog())


def test_unknown_features_are_refused() -> None:
    with pytest.raises(BenchError, match="choose one-hot or raw"):
        NoteLogistic(features="two-hot")  # type: ignore[arg-type]
