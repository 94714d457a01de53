from itertools import combinations

import numpy as np
import pytest
import torch

from bench.architectures import tonicnet
from bench.architectures.tonicnet import (
    ESCAPE,
    OTHER,
    PITCH,
    REST,
    SILENCE,
    Grammar,
    TonicNet,
    TonicNetwork,
    chord_of,
    frames_of,
    one_cycle,
    repeats,
    tokens_of,
    transpose,
)
from bench.check import NoLog, toy_dataset
from bench.contract import Budget
from bench.music import Score

SMALL = {"embedding": 8, "hidden": 12, "layers": 2, "counter": 3, "sequence": 16}
RNG = np.random.default_rng(0)


def frame(*keys: int) -> np.ndarray:
    roll = np.zeros((1, 88), dtype=bool)
    roll[0, list(keys)] = True
    return roll


def fitted(updates: int = 20) -> TonicNet:
    system, toy = TonicNet(**SMALL, rate=0.01), toy_dataset()
    system.fit(toy.split("train"), toy.split("valid"), Budget(updates), 0, NoLog())
    return system


@pytest.mark.parametrize(
    ("pitches", "chord"),
    [
        ([48, 64, 67, 72], 0),  # C major
        ([52, 60, 67], 0),  # on its third
        ([57, 60, 64], 12 + 9),  # A minor
        ([55, 59, 65, 74], 7),  # G7: the triad with a pitch class beside it
        ([59, 62, 65], 24 + 11),  # B diminished
        ([56, 60, 64], 36 + 8),  # augmented: the bass is the root
        ([60, 67], OTHER),
        ([], SILENCE),
    ],
)
def test_the_chord_follows_from_the_keys(pitches: list[int], chord: int) -> None:
    assert chord_of([pitch - 21 for pitch in pitches]) == chord


@pytest.mark.parametrize(
    ("keys", "voices"),
    [
        ((30, 40, 50, 60), (60, 30, 50, 40)),
        ((30, 40, 50), (50, 30, 40, None)),
        ((30, 40), (40, 30, None, None)),
        ((30,), (30, None, None, None)),
        ((), (None,) * 4),
    ],
)
def test_the_outer_keys_are_soprano_and_bass(
    keys: tuple[int, ...], voices: tuple[int | None, ...]
) -> None:
    expected = [REST if voice is None else PITCH + voice for voice in voices]
    assert tokens_of(frame(*keys))[0, 1:].tolist() == expected


def test_frames_of_at_most_four_keys_come_back_and_keep_the_grammar() -> None:
    rolls = [frame(*RNG.choice(88, size, replace=False)) for size in (0, 1, 2, 3, 4) * 10]
    roll = np.concatenate(rolls)
    tokens = tokens_of(roll)
    assert (frames_of(tokens) == roll).all()
    rules = Grammar([len(roll)], escape=False)
    for token in tokens.ravel():
        assert rules.legal()[0, token]
        assert not rules.ending()[0, token]
        rules.take(np.array([token]))
    assert not rules.done[0]
    assert rules.ending().all()


def test_the_positions_along_a_piece_are_those_reached_token_by_token() -> None:
    roll = np.concatenate([frame(*RNG.choice(88, RNG.integers(7), replace=False)) for _ in "x" * 9])
    tokens = tokens_of(roll).ravel()
    along, rules = Grammar.along(tokens, len(roll)), Grammar([len(roll)], escape=True)
    legal, ending = along.legal(), along.ending()
    for place in range(len(tokens) + 1):
        assert (legal[place] == rules.legal()[0]).all()
        assert (ending[place] == rules.ending()[0]).all()
        rules.take(tokens[place : place + 1])


def test_what_the_grammar_allows_has_just_one_encoding() -> None:
    rules, drawn = Grammar([40], escape=False), []
    while not rules.done[0]:
        legal = rules.legal()[0] * RNG.random(tonicnet.TOKENS)
        drawn.append(int(legal.argmax()))
        rules.take(np.array(drawn[-1:]))
    tokens = np.array(drawn[:-1]).reshape(40, 5)
    assert (tokens_of(frames_of(tokens))[:, 1:] == tokens[:, 1:]).all()


def test_repetitions_count_how_long_a_voice_has_stood() -> None:
    tokens = np.array([[1, 60, 55, 57, 56], [1, 61, 55, 57, 56], [2, 61, 55, 58, 56]])
    assert repeats(tokens).tolist() == [[0] * 5, [1, 0, 1, 1, 1], [0, 1, 2, 0, 2]]


def test_transposed_tokens_are_those_of_the_transposed_frames() -> None:
    roll = np.concatenate(
        [frame(30, 42, 46, 49), frame(33, 45), frame(), frame(20, 30, 40, 50, 60)]
    )
    moved = transpose(tokens_of(roll), 5)
    assert (moved == tokens_of(np.roll(roll, 5, axis=1))).all()
    assert (transpose(tokens_of(roll), 80) == tokens_of(roll)).all()


def test_step_by_step_equals_the_whole_sequence_also_side_by_side() -> None:
    torch.manual_seed(0)
    network = TonicNetwork(8, 12, 2, 3, 0.3).double().eval()
    roll = np.concatenate([frame(30, 42, 46, 49)] * 3 + [frame(30, 42)] * 2)
    tokens = tokens_of(roll).ravel()
    sequences = [np.append(tonicnet.BEGINNING, tokens[:15]), np.array([tonicnet.BEGINNING])]
    last, state = network.read(sequences)
    for _ in range(10):
        for row, sequence in enumerate(sequences):
            assert torch.allclose(network.hidden([sequence])[0][-1], last[row], atol=1e-13)
        more = np.array([tokens[len(s) - 1] for s in sequences])
        sequences = [np.append(s, token) for s, token in zip(sequences, more, strict=True)]
        last, state = network.step(torch.from_numpy(more), network.keep(state, torch.arange(2)))


def test_all_small_frames_together_have_less_than_probability_one() -> None:
    system = fitted()
    pieces = [
        Score.from_rolls(frame(*keys)) for n in range(2) for keys in combinations(range(88), n)
    ]
    assert 0 < np.exp(system.log_likelihood(pieces)).sum() < 1


def test_a_crowded_frame_escapes_and_is_unlikely_but_possible() -> None:
    system = fitted()
    crowd = Score.from_rolls(np.repeat(frame(20, 30, 40, 50, 60, 70), 3, axis=0))
    nats = system.log_likelihood([crowd, Score.silence(3)])
    assert np.isfinite(nats).all()
    assert nats[0] < nats[1]
    assert tokens_of(frame(20, 30, 40, 50, 60))[0, 0] == ESCAPE


def test_dropout_is_the_same_at_every_step() -> None:
    network = TonicNetwork(8, 12, 2, 3, 0.5).train()
    kept = network._drop(torch.ones(4, 9, 12))
    assert set(kept.unique().tolist()) == {0.0, 2.0}
    assert (kept == kept[:, :1]).all()


def test_the_loss_falls_and_the_rate_makes_one_cycle() -> None:
    toy = toy_dataset().split("test")
    assert fitted(60).log_likelihood(toy).sum() > 0.8 * fitted(0).log_likelihood(toy).sum()
    rates = [one_cycle(step, 100) for step in range(100)]
    assert np.argmax(rates) == 29
    assert rates[29] == pytest.approx(1)
    assert rates[0] < 0.06
    assert rates[-1] < 0.01
