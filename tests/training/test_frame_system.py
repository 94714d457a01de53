"""What every system of frames promises, by brute force on pieces of few keys."""

from collections.abc import Callable
from itertools import chain
from typing import Any

import numpy as np
import pytest
import torch
from logs import Log

from bench.architectures.axial import AxialTransformer
from bench.architectures.lstm_2x512 import LSTM2x512
from bench.architectures.onehot_lstm import OneHotLSTM
from bench.architectures.rnn_nade import RnnNade
from bench.architectures.rnn_rbm import RnnRbm
from bench.architectures.sigmoid_lstm import SigmoidLSTM
from bench.architectures.tied_parallel import BiaxialFrames, TiedNade
from bench.contract import Budget
from bench.music import Score
from bench.training.frame_system import FrameSystem, cut, log_odds, starts

ALL = (np.arange(2**8)[:, None] >> np.arange(8) & 1).astype(bool)  # every frame of 8 keys
RNG = np.random.default_rng(0)
TINY = [ALL[RNG.integers(12, size=length)] for length in (9, 14, 3, 21)]
HELD_OUT = [ALL[RNG.integers(16, size=length)] for length in (8, 12)]
# Four chords in a fixed round: the next one is certain.
ROUND = Score.from_notes(
    np.repeat(np.arange(32), 3),
    np.ones(96),
    np.tile([60, 64, 67, 60, 65, 69, 59, 62, 67, 57, 60, 64], 8),
    length=32,
)
DROPS = {"embedding": 6, "hidden": 8, "between": 7, "batch": 4, "sequence": 5}
TIED = {"hidden": 8, "window": 3, "sequence": 5, "batch": 4}
SYSTEMS: dict[str, Callable[..., FrameSystem]] = {
    "sigmoid": lambda **s: SigmoidLSTM(**{"embedding": 6, "hidden": 8, "sequence": 5} | s),
    "2x512": lambda **s: LSTM2x512(**{"hidden": 8, "batch": 4, "sequence": 5} | s),
    "2x512 as published": lambda **s: LSTM2x512(
        **{"hidden": 8, "batch": 4, "sequence": 3, "as_published": True} | s
    ),
    "one-hot simple": lambda **s: OneHotLSTM(
        **DROPS | {"layers": 1, "between": 0, "dropout": (0, 0, 0)} | s
    ),
    "one-hot complex": lambda **s: OneHotLSTM(**DROPS | s),
    "one-hot complex as published": lambda **s: OneHotLSTM(
        **DROPS | {"stride": 2, "always_drops": True, "scores_padding": True} | s
    ),
    "nade": lambda **s: RnnNade(**{"hidden": 8, "units": 6, "sequence": 5, "batch": 4} | s),
    "axial": lambda **s: AxialTransformer(
        **{"size": 8, "heads": 2, "sequence": 5, "batch": 4, "span": 6} | s
    ),
    "tied nade": lambda **s: TiedNade(**TIED | {"units": 6, "reach": 5} | s),
    "biaxial frames": lambda **s: BiaxialFrames(**TIED | {"layers": 2, "note_layers": (5, 4)} | s),
}
NAMES = list(SYSTEMS)


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def tiny(name: str, updates: int = 6, **settings: Any) -> FrameSystem:
    """A small network that has learnt a little; its likelihood in double precision."""
    system = SYSTEMS[name](**settings)
    system.PRECISION = torch.float64  # type: ignore[misc]
    system.learn(TINY, HELD_OUT, Budget(updates), 0, Log())
    return system


@pytest.fixture(params=NAMES)
def system(request: pytest.FixtureRequest) -> FrameSystem:
    return tiny(request.param)


@pytest.mark.parametrize("context", [0, 1, 7])
def test_the_next_frame_has_probability_one_over_all_frames(
    system: FrameSystem, context: int
) -> None:
    past = HELD_OUT[0][:context]
    steps = system.log_probabilities([np.vstack([past, frame]) for frame in ALL])
    assert np.isclose(sum(np.exp(step[-1]) for step in steps), 1, atol=1e-9)


def test_changing_the_future_leaves_past_probabilities_bit_equal(
    system: FrameSystem,
) -> None:
    piece = HELD_OUT[1]
    changed = piece.copy()
    changed[7:] = ~changed[7:]
    before, after = (system.log_probabilities([p])[0] for p in (piece, changed))
    assert (before[:7] == after[:7]).all()
    assert (before[7:] != after[7:]).all()


def test_many_pieces_at_once_are_as_likely_as_one_by_one(
    system: FrameSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    pieces = [*TINY, TINY[0][:0], *HELD_OUT, TINY[1][:1]]
    whole = [system.log_probabilities([piece])[0] for piece in pieces]
    monkeypatch.setattr(type(system), "STEPS", 4)
    monkeypatch.setattr(type(system), "PIECES", 3)
    for alone, together in zip(whole, system.log_probabilities(pieces), strict=True):
        assert alone.shape == together.shape
        assert np.allclose(alone, together, atol=1e-11, rtol=0)


def test_step_by_step_with_carried_state_equals_the_whole_sequence(
    system: FrameSystem,
) -> None:
    network = system.precise()
    frames = torch.from_numpy(np.stack([TINY[3][:12], TINY[1][:12]])).double()
    with torch.no_grad():
        whole, _ = network.read(frames, network.start(torch.zeros(2, dtype=torch.long)))
        state = network.start(torch.zeros(2, dtype=torch.long))
        for step in range(12):
            context, state = network.read(frames[:, step : step + 1], state)
            assert torch.allclose(context[:, 0], whole[:, step], atol=1e-12)


def test_every_parameter_receives_a_gradient(system: FrameSystem) -> None:
    network = system.network.train()
    network.zero_grad()
    network.loss(cut(TINY, starts(TINY, 6), 6)).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("name", NAMES)
def test_a_frame_is_drawn_as_often_as_the_likelihood_says(name: str) -> None:
    system, n = tiny(name, 30), 20_000
    network = system.precise()
    past = torch.from_numpy(TINY[1][None, :6]).double()
    with torch.no_grad():
        context, _ = network.read(past, network.start(torch.zeros(1, dtype=torch.long)))
        every = context[:, -1:].expand(1, len(ALL), *context.shape[2:])
        chances = network.log_probability(every, torch.from_numpy(ALL[None]).double()).exp()[0]
        uniform = torch.from_numpy(np.random.default_rng(1).random((n, network.draws)))
        drawn = network.draw(context[:, -1].expand(n, *context.shape[2:]), uniform)
    assert np.isclose(chances.sum(), 1)
    share = np.bincount(drawn.numpy().astype(int) @ (1 << np.arange(8)), minlength=len(ALL)) / n
    assert (np.abs(share - chances.numpy()) < 5 * np.sqrt(chances.numpy() / n) + 1 / n).all()


def test_what_is_drawn_after_a_prompt_has_heard_all_of_it(
    system: FrameSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, n = system.precise(), 100
    for parameter in network.parameters():  # so that the past weighs heavily
        parameter.data += torch.randn_like(parameter)
    begun = np.repeat(TINY[1][None, :7], n, axis=0)
    uniform = np.stack([np.random.default_rng(k).random(network.draws) for k in range(n)])
    before = torch.from_numpy(np.pad(begun, ((0, 0), (1, 0), (0, 0)))).double()
    with torch.no_grad():
        context, _ = network.read(before, network.start(torch.zeros(n, dtype=torch.long)))
        expected = network.draw(context[:, -1], torch.from_numpy(uniform)).numpy() > 0.5
    monkeypatch.setattr(type(system), "STEPS", 3)
    streams = [np.random.default_rng(k) for k in range(n)]
    drawn = system._continue(network, begun, 1, streams)[:, 0]
    assert (drawn == expected).all()
    assert not torch.equal(context[:, -1], context[:, -2])


def test_predicted_frames_are_drawn_from_what_follows_the_true_frames(system: FrameSystem) -> None:
    """By brute force: the expected number of right keys, over all frames and by the likelihood."""
    piece, places, n = HELD_OUT[1], np.array([0, 1, 6, 11]), 2000
    streams = [np.random.default_rng(number) for number in range(n)]
    drawn = np.stack(system.drawn_frames([piece] * n, [places] * n, streams))
    for step, predicted in zip(places, drawn.transpose(1, 0, 2), strict=True):
        past = piece[:step]
        logs = system.log_probabilities([np.vstack([past, frame]) for frame in ALL])
        chances = np.exp([log[-1] for log in logs])
        for count in (np.logical_and, np.logical_or):
            every = count(ALL, piece[step]).sum(axis=1)
            expected = (chances * every).sum()
            spread = np.sqrt((chances * (every - expected) ** 2).sum() / n)
            mean = count(predicted, piece[step]).sum(axis=1).mean()
            assert abs(mean - expected) < 5 * spread + 1e-9


def test_predicted_frames_depend_on_no_other_piece_and_on_no_later_frame(
    system: FrameSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = [np.arange(len(piece)) for piece in TINY]

    def drawn(pieces: list[Any], chosen: list[Any], first: int = 0) -> list[Any]:
        streams = [np.random.default_rng(first + number) for number in range(len(pieces))]
        return system.drawn_frames(pieces, chosen, streams)

    together = drawn(TINY, places)
    assert [frames.shape for frames in together] == [piece.shape for piece in TINY]
    monkeypatch.setattr(type(system), "STEPS", 4)
    monkeypatch.setattr(type(system), "PIECES", 3)
    for number, (piece, frames) in enumerate(zip(TINY, together, strict=True)):
        (alone,) = drawn([piece], [places[number]], number)
        assert (alone == frames).all()
    changed = TINY[3].copy()
    changed[10:] = ~changed[10:]
    (after,) = drawn([changed], [places[3]], 3)
    assert (after[:11] == together[3][:11]).all()


@pytest.mark.parametrize("name", [n for n in NAMES if n != "2x512 as published"])
def test_the_loss_falls_on_a_round_of_chords(name: str) -> None:
    system, log = SYSTEMS[name](rate=0.02), Log()
    system.fit([ROUND, ROUND.slice(2, 32)], [ROUND], Budget(100), 0, log)
    assert log.curve("valid_loss")[-1] < 0.9 * log.curve("train_loss")[0]


def looks(log: Log) -> list[int]:
    return [step for step, values in log.points if "valid_loss" in values]


@pytest.mark.parametrize("name", ["sigmoid", "2x512"])
def test_networks_that_overfit_at_once_are_validated_often_and_as_patiently(name: str) -> None:
    log, valid = Log(), [ALL[RNG.integers(256, size=20)]]  # nothing to learn from the others
    system = SYSTEMS[name](batch=4, sequence=5, patience=2, rate=0.05)
    system.learn(TINY, valid, Budget(1000), 0, log)
    seen = looks(log)
    assert seen == list(range(5, seen[-1] + 1, 5))  # ten times in what counts as a pass
    losses = [values["valid_loss"] for _, values in log.points if "valid_loss" in values]
    best = seen[int(np.argmin(losses))]
    assert seen[-1] == best + 2 * 50
    assert np.isclose(system.surprise(valid), min(losses), rtol=1e-5)


def test_validation_takes_a_tenth_of_the_updates_time() -> None:
    """Of 50 updates, which learn from 1000 steps and read as fast as 3000, a tenth is 300."""
    for frames, every in ((30, 5), (60, 10), (149, 25), (290, 50), (3000, 50)):
        log, valid = Log(), [np.concatenate([ALL[:1]] * frames)]
        SYSTEMS["sigmoid"](batch=4, sequence=5).learn(TINY, valid, Budget(100), 0, log)
        assert looks(log) == list(range(every, 101, every))


def test_windows_hold_every_frame_once_after_the_one_before() -> None:
    windows = cut(TINY, starts(TINY, 5), 5)
    held = windows.held.bool()
    assert (windows.frames[held].numpy() == np.concatenate(TINY)).all()
    before = [np.vstack([np.zeros((1, 8)), piece[:-1]]) for piece in TINY]
    assert (windows.before[held].numpy() == np.concatenate(before)).all()
    assert windows.steps.tolist() == list(chain(*(range(0, len(p), 5) for p in TINY)))


def test_the_log_odds_are_those_of_the_frames() -> None:
    share = torch.sigmoid(log_odds(TINY)).numpy()
    frames = np.concatenate(TINY)
    assert np.allclose(share, (frames.sum(axis=0) + 0.5) / (len(frames) + 1), atol=1e-6)


def test_samples_of_a_batch_are_those_of_each_prompt_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    pieces = [Score.from_rolls(np.pad(piece, ((0, 0), (40, 40)))) for piece in TINY]
    prompts = [pieces[3].slice(0, 5), pieces[1].slice(0, 8), Score.silence(0), Score.silence(0)]
    for build in [*SYSTEMS.values(), lambda: RnnRbm(hidden=6, recurrent=5)]:
        system = build()
        system.fit(pieces, pieces[:1], Budget(4), 0, Log())
        together = system.sample(prompts, 6, seed=1)
        assert [sample.length for sample in together] == [6] * 4
        assert together[:3] == [system.sample([prompt], 6, seed=1)[0] for prompt in prompts[:3]]
        with monkeypatch.context() as patch:
            patch.setattr(type(system), "PIECES", 1)
            assert together == system.sample(prompts, 6, seed=1)
