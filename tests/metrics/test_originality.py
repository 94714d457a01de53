import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.contract import Reference
from bench.music import Score
from metrics.originality import (
    NOTES,
    BarCopying,
    CopiedRun,
    NgramCopying,
    Notes,
    bar_contents,
    longest_runs,
    shared_bars,
    shared_ngrams,
)

FEW = st.lists(st.tuples(st.integers(0, 12), st.integers(60, 62)), max_size=14)


def piece(seed, notes=60, steps=64):
    rng = np.random.default_rng(seed)
    return Score.from_notes(
        rng.integers(0, steps, notes), rng.integers(1, 5, notes), rng.integers(50, 75, notes),
        length=steps,
    )  # fmt: skip


def tune(notes):
    """The notes (onset, pitch) as a piece."""
    onset, pitch = np.array(notes, dtype=np.int64).reshape(-1, 2).T
    return Score.from_notes(onset, np.ones_like(onset), pitch, length=20)


def passages(score, length):
    """Every passage as differences, by the definition."""
    steps = list(zip(np.diff(score.onset).tolist(), np.diff(score.pitch).tolist(), strict=True))
    count = len(score) - length + 1
    return [tuple(steps[i : i + length - 1]) for i in range(max(0, count))]


@given(st.lists(FEW, max_size=3), st.lists(FEW, max_size=3))
@settings(deadline=None)
def test_the_longest_run_is_that_of_the_definition(some, others):
    pieces, train = [tune(n) for n in some], [tune(n) for n in others]
    for score, longest in zip(pieces, longest_runs(pieces, train), strict=True):
        if not len(score):
            assert np.isnan(longest)
            continue
        runs = [
            length
            for length in range(1, len(score) + 1)
            for other in train
            if set(passages(score, length)) & set(passages(other, length))
        ]
        assert longest == max(runs, default=0)


@given(st.lists(FEW, max_size=4), st.integers(2, 6))
@settings(deadline=None)
def test_equal_passages_have_equal_numbers_and_others_not(some, length):
    pieces = [tune(notes) for notes in some]
    numbers, owner = Notes(pieces).passages(length)
    expected = [(i, p) for i, score in enumerate(pieces) for p in passages(score, length)]
    assert [i for i, _ in expected] == owner.tolist()
    names = {p: n for (_, p), n in zip(expected, numbers, strict=True)}
    assert [names[p] for _, p in expected] == numbers.tolist()
    assert len(set(names.values())) == len(names)


def test_the_share_of_ngrams_is_that_of_the_definition():
    train, others = [piece(seed) for seed in range(5)], [piece(seed) for seed in range(5, 9)]
    mixed = [Score.from_notes(  # half of a training piece, then something else
        np.append(a.slice(0, 32).onset, b.slice(0, 32).onset + 32),
        np.append(a.slice(0, 32).duration, b.slice(0, 32).duration),
        np.append(a.slice(0, 32).pitch, b.slice(0, 32).pitch),
        length=64,
    ) for a, b in zip(train, others, strict=False)]  # fmt: skip
    known = {p for score in train for p in passages(score, NOTES)}
    for score, share in zip(mixed, shared_ngrams(mixed, train), strict=True):
        expected = np.mean([p in known for p in passages(score, NOTES)])
        assert share == pytest.approx(expected)
        assert 0 < share < 1


def test_copies_are_found_in_every_key_but_bars_only_in_the_same():
    train = [piece(seed) for seed in range(5)]
    moved = [score.transpose(3) for score in train]
    assert shared_ngrams(moved, train).tolist() == [1] * 5
    assert longest_runs(moved, train).tolist() == [len(score) for score in train]
    assert shared_bars(train, train, 16).tolist() == [1] * 5
    assert (shared_bars(moved, train, 16) == 0).all()


def test_bars_are_equal_when_the_same_keys_sound_and_are_struck():
    held = Score.from_notes([0], [32], [60], length=32)
    struck = Score.from_notes([0, 16], [16, 16], [60, 60], length=32)
    first, second = bar_contents(held, 16)
    assert first == second  # a key that sounds when the bar begins counts as struck
    assert bar_contents(struck, 16) == [first, first]
    twice = Score.from_notes([0, 8], [8, 8], [60, 60], length=16)
    assert bar_contents(twice, 16) != [first]
    assert bar_contents(Score.silence(40), 16) == []
    assert len(bar_contents(piece(0, steps=70), 16)) == 4


def reference(test):
    return Reference(4, 16, 64, [piece(seed) for seed in range(5)], [], test, [])


@pytest.mark.parametrize("cls", [NgramCopying, CopiedRun, BarCopying])
def test_the_value_is_the_excess_over_the_test_excerpts(cls):
    metric = cls()
    copies = [piece(seed) for seed in range(5)]
    metric.prepare(reference([piece(seed) for seed in range(20, 30)]))
    measurement = metric.score(copies)
    assert measurement.value == pytest.approx(
        measurement.detail["raw"] - measurement.detail["baseline"]
    )
    assert measurement.value > 0.9
    human = metric.score([piece(seed) for seed in range(30, 40)])
    assert abs(human.value) < measurement.value / 5
    metric.prepare(reference(copies))
    assert metric.score(copies).value == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("cls", [NgramCopying, CopiedRun, BarCopying])
def test_silence_copies_nothing_and_says_so(cls):
    metric = cls()
    metric.prepare(reference([piece(30)]))
    assert metric.score([Score.silence(64)] * 3).reason
    assert metric.score([]).reason == "there are no samples"
    mixed = metric.score([piece(31), Score.silence(64)])
    assert mixed.detail["undefined_pieces"] == 1
    metric.prepare(reference([Score.silence(64)]))
    assert metric.score([piece(31)]).reason.startswith("test excerpts")
