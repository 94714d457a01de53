import pytest
import torch

from bench.architectures.sigmoid_lstm import SigmoidNetwork


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def test_parameters_are_counted_as_on_the_poster() -> None:
    network = SigmoidNetwork(88, embedding=128, hidden=128, layers=2)
    paper = 88 * 128 + 263_168 + 128 * 88 + 88  # one bias per gate
    assert sum(p.numel() for p in network.parameters()) == paper + 2 * 4 * 128


def test_the_input_is_the_sum_of_the_notes_embeddings() -> None:
    network = SigmoidNetwork(88, embedding=6, hidden=4, layers=1)
    frames = torch.zeros(3, 88)
    frames[0, 40] = frames[1, 44] = frames[2, [40, 44]] = 1
    first, second, both = network.embed(frames)
    assert torch.allclose(first + second, both)
    assert torch.equal(network.embed(torch.zeros(88)), torch.zeros(6))


def test_the_forget_bias_is_one() -> None:
    network = SigmoidNetwork(88, embedding=4, hidden=5, layers=2)
    for layer in range(2):
        biases = [getattr(network.lstm, f"bias_{kind}_l{layer}") for kind in ("ih", "hh")]
        assert torch.equal(sum(biases)[5:10], torch.ones(5))
