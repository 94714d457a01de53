"""How fast networks of frames are, compared with naive ways."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bench.architectures.axial import AxialTransformer
from bench.architectures.lstm_2x512 import LSTM2x512, StatefulNetwork
from bench.architectures.rnn_nade import RnnNade, RnnNadeNetwork
from bench.training.frame_system import independent


def test_nade_in_one_pass_against_a_loop_over_keys(seconds, measured) -> None:
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
    took, theirs = seconds(lambda: ours().sum().backward(), lambda: loop().sum().backward())
    measured(
        "training",
        "NADE, loss and gradient",
        size="512 frames of 88 keys, 128 units",
        against="a loop over keys",
        ours=took,
        theirs=theirs,
    )


def test_a_whole_sequence_against_a_loop_over_steps(seconds, measured) -> None:
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
    took, theirs = seconds(lambda: ours().sum().backward(), lambda: loop().sum().backward())
    measured(
        "training",
        "lstm-2x512, forward and backward",
        size="8 windows of 64 steps",
        against="a loop over time steps",
        ours=took,
        theirs=theirs,
    )


def test_carried_state_against_hearing_the_history_again(seconds, measured) -> None:
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
    took, theirs = seconds(ours, again, repeats=1)
    measured(
        "generation",
        "lstm-2x512, state carried",
        size="128 steps of one piece",
        against="the whole history read before every step",
        ours=took,
        theirs=theirs,
        aim=8,
    )


SCORED = {"lstm-2x512": LSTM2x512, "rnn-nade": RnnNade, "axial-transformer": AxialTransformer}


@pytest.mark.parametrize("name", SCORED)
def test_a_batch_of_pieces_against_piece_by_piece(name, seconds, measured) -> None:
    """Untrained; pieces of noise, as long as chorales."""
    system, rng = SCORED[name](), np.random.default_rng(0)
    system.keys = 88
    system.network = system.build()
    pieces = [rng.random((length, 88)) < 0.04 for length in rng.integers(120, 300, 16)]

    def alone() -> list[np.ndarray]:
        network = system.precise(system.PRECISION)
        return [system._log_probabilities(network, [piece])[0] for piece in pieces]

    def ours() -> list[np.ndarray]:
        return system.log_probabilities(pieces)

    close = 1e-6 if system.PRECISION is torch.double else 1e-2
    for together, single in zip(ours(), alone(), strict=True):
        assert np.allclose(together, single, atol=close)
    took, theirs = seconds(ours, alone, repeats=2)
    measured(
        "likelihood",
        f"exact, {name}",
        size=f"{len(pieces)} pieces of 120 to 300 steps",
        against="piece by piece",
        ours=took,
        theirs=theirs,
    )
