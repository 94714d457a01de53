"""Ratios of speed within one run, against the naive way written out here. Run by hand:
`pytest tests/benchmarks -s`."""

import time
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bench.architectures.frame_system import independent
from bench.architectures.lstm_2x512 import LSTM2x512, StatefulNetwork
from bench.architectures.rnn_nade import RnnNadeNetwork


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


def seconds(work: Callable[[], object], times: int = 3) -> float:
    """The quickest of several runs, in CPU time."""
    taken = []
    for _ in range(times):
        begun = time.process_time()
        work()
        taken.append(time.process_time() - begun)
    return min(taken)


def report(what: str, naive: float, ours: float) -> float:
    print(f"\n{what}: {naive:.3f} s against {ours:.3f} s, {naive / ours:.1f} times")
    return naive / ours


def test_nade_in_one_pass_beats_a_loop_over_keys() -> None:
    nade = RnnNadeNetwork(88, hidden=128, layers=1, units=128, dropout=0.0)
    frames = (torch.rand(512, 88) < 0.045).float()
    context = torch.randn(512, 88 + 128)

    def loop() -> Tensor:
        b, a = context.split([88, 128], dim=-1)
        logs = torch.zeros(512)
        for key in range(88):
            logit = b[:, key] + a.sigmoid() @ nade.v[key]
            logs = logs + independent(logit[:, None], frames[:, key : key + 1])
            a = a + frames[:, key, None] * nade.w[key]
        return logs

    def ours() -> Tensor:
        return nade.log_probability(context, frames)

    assert torch.allclose(loop(), ours(), atol=1e-4)
    ratio = report(
        "NADE, loss and gradient of 512 frames",
        seconds(lambda: loop().sum().backward()),
        seconds(lambda: ours().sum().backward()),
    )
    assert ratio > 1.5


def test_a_whole_sequence_beats_a_loop_over_steps() -> None:
    network = StatefulNetwork(88, hidden=512, dropout=0.0, lanes=8)
    cells = [nn.LSTMCell(88, 512), nn.LSTMCell(512, 512)]
    for cell, lstm in zip(cells, (network.lower, network.upper), strict=True):
        cell.load_state_dict({k.removesuffix("_l0"): v for k, v in lstm.state_dict().items()})
    frames = (torch.rand(8, 64, 88) < 0.05).float()

    def loop() -> Tensor:
        states = [(torch.zeros(8, 512), torch.zeros(8, 512)) for _ in cells]
        outputs = []
        for step in range(64):
            x = frames[:, step]
            for layer, cell in enumerate(cells):
                states[layer] = cell(x, states[layer])
                x = states[layer][0]
            outputs.append(network.out(x))
        return torch.stack(outputs, dim=1)

    def ours() -> Tensor:
        return network.out(network.read(frames, network.start(torch.zeros(8)))[0])

    assert torch.allclose(loop(), ours(), atol=1e-4)
    ratio = report(
        "LSTM, 8 windows of 64 steps, forth and back",
        seconds(lambda: loop().sum().backward()),
        seconds(lambda: ours().sum().backward()),
    )
    assert ratio > 1


def test_carried_state_beats_hearing_the_history_again() -> None:
    system, steps = LSTM2x512(), 128
    system.keys = 88
    system.network = system.build()
    network = system.precise()

    @torch.no_grad()
    def again() -> np.ndarray:
        stream = np.random.default_rng(0)
        heard = torch.zeros(1, 1, 88, dtype=torch.double)
        for _ in range(steps):
            context, _ = network.read(heard, network.start(torch.zeros(1)))
            uniform = torch.from_numpy(stream.random((1, 88)))
            frame = network.draw(context[:, -1], uniform)
            heard = torch.cat([heard, frame[:, None]], dim=1)
        return heard[0, 1:].numpy() > 0.5

    def ours() -> np.ndarray:
        begun = np.zeros((1, 0, 88), dtype=bool)
        return system._continue(network, begun, steps, [np.random.default_rng(0)])[0]

    assert (again() == ours()).all()
    ratio = report("Generation of 128 steps", seconds(again, times=1), seconds(ours, times=1))
    assert ratio > 8
