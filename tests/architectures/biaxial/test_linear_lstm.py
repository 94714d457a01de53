import pytest
import torch
from torch import Tensor

from bench.architectures.biaxial.linear_lstm import LinearLSTM


def naive(layer: LinearLSTM, x: Tensor) -> Tensor:
    """Step by step, derived by autograd."""
    h, c = (part.expand(x.shape[1], -1) for part in layer.start)
    outputs = []
    for step in x:
        gates = step @ layer.weight_ih_l0.t() + h @ layer.weight_hh_l0.t() + layer.bias_ih_l0
        i, f, g, o = gates.chunk(4, dim=1)
        c = f.sigmoid() * c + i.sigmoid() * g
        h = o.sigmoid() * c.tanh()
        outputs.append(h)
    return torch.stack(outputs)


@pytest.fixture
def layer() -> LinearLSTM:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        layer = LinearLSTM(3, 4).double()
        for parameter in layer.parameters():
            torch.nn.init.normal_(parameter)
        return layer


def test_it_equals_a_loop_with_autograd(layer: LinearLSTM) -> None:
    x = torch.randn(7, 3, 3, dtype=torch.double)
    results = []
    for run in (lambda: layer(x)[0], lambda: naive(layer, x)):
        layer.zero_grad()
        outputs = run()
        outputs.square().sum().backward()
        results.append([outputs.detach(), *(p.grad.clone() for p in layer.parameters())])
    for ours, theirs in zip(*results, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-12)


def test_a_sequence_in_two_parts_is_the_whole(layer: LinearLSTM) -> None:
    x = torch.randn(6, 2, 3, dtype=torch.double)
    first, state = layer(x[:2])
    second, _ = layer(x[2:], state)
    assert torch.allclose(torch.cat([first, second]), layer(x)[0], atol=1e-15)


def test_initial_states_are_random_saved_and_not_trained() -> None:
    layer = LinearLSTM(3, 4)
    assert layer.start.abs().sum() > 0
    assert "start" in layer.state_dict()
    assert "start" not in dict(layer.named_parameters())


def test_half_precision_around_it_does_not_reach_its_memory(layer: LinearLSTM) -> None:
    layer = layer.float()
    x = torch.randn(5, 2, 3)
    with torch.autocast("cpu", torch.bfloat16):
        inside = layer(x)[0]
    assert torch.equal(inside, layer(x)[0])
