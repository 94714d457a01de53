from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from logs import Log
from numpy.typing import NDArray

from bench import registry
from bench.architectures.lstm_2x512 import LSTM2x512, StatefulNetwork, lane_order, scale_free
from bench.contract import Budget
from bench.errors import BenchError
from bench.training.frame_system import cut

RNG = np.random.default_rng(0)
PIECES = [RNG.random((length, 8)) < 0.3 for length in (9, 14, 3, 21, 12, 5)]


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def test_parameters_are_counted_as_in_the_paper() -> None:
    network = StatefulNetwork(88, hidden=512, dropout=0.2, lanes=32)
    count = sum(parameter.numel() for parameter in network.parameters())
    assert count == 3_375_192 + 2 * 4 * 512  # PyTorch's second bias


def test_keras_cross_entropy_is_scale_free() -> None:
    chances = torch.rand(5, 88, dtype=torch.double) + 0.1
    frames = (torch.rand(5, 88) < 0.05).double()
    assert torch.allclose(scale_free(0.01 * chances, frames), scale_free(chances, frames))


def test_keras_cross_entropy_asks_nothing_of_silence() -> None:
    chances = torch.rand(5, 88, requires_grad=True)
    loss = scale_free(chances, torch.zeros(5, 88)).sum()
    loss.backward()
    assert loss == 0
    assert chances.grad is not None
    assert (chances.grad == 0).all()


@pytest.mark.parametrize("notes", [1, 2, 3, 7])
def test_keras_cross_entropy_is_k_ln_k_at_best(notes: int) -> None:
    frame = torch.zeros(88, dtype=torch.double)
    frame[:notes] = 1
    assert np.isclose(scale_free(frame, frame).item(), notes * np.log(notes), atol=1e-5)
    for _ in range(20):
        chances = frame + 0.2 * torch.rand(88, dtype=torch.double)
        assert scale_free(chances, frame) > notes * np.log(notes)


def test_only_as_published_does_nothing_hold_the_level_of_the_chances() -> None:
    network = StatefulNetwork(8, hidden=5, dropout=0.0, lanes=2)
    torch.nn.init.zeros_(network.out.weight)
    windows = cut(PIECES, np.array([[3, 0], [1, 0]]), 4)
    published, corrected = [], []
    for level in (-1.0, -6.0):
        torch.nn.init.constant_(network.out.bias, level)
        published.append(network.last_only(windows).item())
        corrected.append(network.continue_lanes(windows, restart=True).item())
    notes = windows.frames[:, -1].sum(dim=-1).mean().item()
    assert np.allclose(published, notes * np.log(8), atol=1e-5)  # each key has an eighth
    assert abs(corrected[0] - corrected[1]) > 1


def test_as_published_windows_are_whole_begin_every_nine_steps_and_follow_no_piece(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []
    loss = StatefulNetwork.last_only

    def spy(network: StatefulNetwork, windows: Any) -> torch.Tensor:
        seen.append((windows.held, windows.steps))
        return loss(network, windows)

    monkeypatch.setattr(StatefulNetwork, "last_only", spy)
    pieces = [RNG.random((60, 8)) < 0.3 for _ in range(4)]
    defects = registry.system("lstm-2x512").as_published.settings
    system = LSTM2x512(hidden=4, batch=4, sequence=32, **defects)
    system.learn(pieces, pieces, Budget(16), 0, Log())
    steps = torch.stack([begin for _, begin in seen])  # (updates, lanes)
    assert all(held.shape[1] == 32 and held.all() for held, _ in seen)
    assert sorted(set(steps.flatten().tolist())) == [0, 9, 18, 27]
    assert (steps[1:] != steps[:-1] + 32).any()  # what a lane would read if it went on


def test_corrected_a_state_never_passes_from_one_piece_to_another() -> None:
    network = StatefulNetwork(8, hidden=5, dropout=0.0, lanes=2)
    first, second = (cut(PIECES, np.array([[piece, 0]]), 4) for piece in (1, 3))
    fresh = network.continue_lanes(second, restart=True)
    network.continue_lanes(first, restart=True)
    assert torch.equal(network.continue_lanes(second, restart=False), fresh)
    network.left[:] = 0
    fresh = network.last_only(second)
    network.last_only(first)
    assert not torch.equal(network.last_only(second), fresh)  # as published it does


def test_each_lane_reads_pieces_from_beginning_to_end() -> None:
    updates = lane_order(PIECES, length=4, lanes=3, seed=0, turn=0)
    whole = sorted((piece, s) for piece in range(6) for s in range(0, len(PIECES[piece]), 4))
    assert sorted(map(tuple, np.concatenate(updates).tolist())) == whole
    for before, after in pairwise(updates):
        assert len(after) <= len(before)
        for (piece, start), (following, at) in zip(before, after, strict=False):
            assert (following, at) == (piece, start + 4) or at == 0
    other = lane_order(PIECES, length=4, lanes=3, seed=0, turn=1)
    assert [u.tolist() for u in other] != [u.tolist() for u in updates]


def test_windows_go_on_from_the_state_that_was_left() -> None:
    network = StatefulNetwork(8, hidden=5, dropout=0.0, lanes=2).double()
    pieces = [PIECES[3][:12], PIECES[1][:12]]
    losses = []
    for start in (0, 4, 8):
        windows = cut(pieces, np.array([[0, start], [1, start]]), 4)
        windows = type(windows)(*(part.double() for part in vars(windows).values()))
        losses.append(network.continue_lanes(windows, restart=start == 0))
    whole = cut(pieces, np.array([[0, 0], [1, 0]]), 12)
    whole = type(whole)(*(part.double() for part in vars(whole).values()))
    assert torch.isclose(torch.stack(losses).mean(), network.loss(whole), atol=1e-12)


@pytest.mark.parametrize("as_published", [False, True])
def test_a_resumed_run_ends_as_an_unbroken_one(as_published: bool) -> None:
    def learn(log: Log) -> dict[str, torch.Tensor]:
        system = LSTM2x512(hidden=6, batch=3, sequence=4, as_published=as_published)
        system.learn(PIECES, [], Budget(9), 0, log)
        return system.network.state_dict()

    first = Log(keep=True)
    whole = learn(first)
    rest = Log(first.states[4])
    resumed = learn(rest)
    assert (first.checkpoints, rest.checkpoints) == (9, 4)  # it did not begin anew
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_as_published_the_upper_layer_forgets_and_the_lower_keeps_what_was_left() -> None:
    network = StatefulNetwork(8, hidden=5, dropout=0.0, lanes=3)
    windows = cut(PIECES, np.array([[1, 0], [3, 3]]), 4)
    network.last_only(windows)
    left = network.left.clone()
    assert (left[:2, :2] != 0).all()
    assert (left[2:] == 0).all()
    assert (left[:, 2] == 0).all()
    network.last_only(windows)
    assert not torch.equal(network.left[:2, :2], left[:2, :2])


def test_pieces_shorter_than_a_window_are_named_as_published() -> None:
    system = LSTM2x512(hidden=4, as_published=True)
    with pytest.raises(BenchError, match="No training piece has the 32 steps"):
        system.learn(PIECES, [], Budget(1), 0, Log())


def triads(seed: int, steps: int = 48) -> NDArray[np.bool_]:
    """Three of twelve keys at every step; they move every four, up by a second, fourth or fifth."""
    rng = np.random.default_rng(seed)
    root = int(rng.integers(12)) + np.cumsum(rng.choice([2, 5, 7], steps // 4))
    roll = np.zeros((steps, 12), dtype=bool)
    for voice in (0, 4, 7):
        roll[np.arange(steps), np.repeat((root + voice) % 12, 4)] = True
    return roll


@pytest.mark.slow
def test_as_published_samples_drift_to_silence_as_training_goes_on() -> None:
    """At three times its rate, to be there sooner; corrected, they stay as full as the music."""
    music = [triads(seed) for seed in range(24)]

    def keys_per_step(updates: int, as_published: bool) -> float:
        system = LSTM2x512(hidden=32, sequence=8, rate=0.003, as_published=as_published)
        system.learn(music, [], Budget(updates), 0, Log())
        begun = np.stack([piece[:8] for piece in music])
        streams = [np.random.default_rng(piece) for piece in range(len(music))]
        drawn = system._continue(system.precise(), begun, 48, streams)
        return float(drawn.sum(axis=-1).mean())

    published = [keys_per_step(updates, as_published=True) for updates in (50, 200, 500)]
    corrected = [keys_per_step(updates, as_published=False) for updates in (50, 500)]
    assert published[0] > published[1] > published[2]
    assert published[2] < 1  # of the music's 3
    assert np.allclose(corrected, 3, atol=0.4)
