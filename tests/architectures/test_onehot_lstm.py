import numpy as np
import pytest
import torch

from bench import registry
from bench.architectures.onehot_lstm import OneHotLSTM, OneHotNetwork
from bench.check import NoLog
from bench.contract import Budget
from bench.training.frame_system import Windows

SIMPLE = {"embedding": 128, "hidden": 512, "layers": 1, "between": 0, "dropout": (0.0, 0.0, 0.0)}
COMPLEX = {"embedding": 512, "hidden": 1024, "layers": 2, "between": 512}
SMALL = {"embedding": 5, "hidden": 6, "layers": 2, "between": 7, "dropout": (0.3, 0.3, 0.5)}


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def count(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_parameters_are_counted_as_in_the_paper() -> None:
    # With both biases of each gate, as PyTorch has them.
    assert count(OneHotNetwork(88, always_drops=False, **SIMPLE)) == 1_371_352
    dense = 88 * 512 + 512 + 1024 * 512 + 512 + 512 * 88 + 88
    lstm = 4 * 1024 * (512 + 1024 + 2) + 4 * 1024 * (1024 + 1024 + 2)
    network = OneHotNetwork(88, always_drops=False, dropout=(0.3, 0.3, 0.5), **COMPLEX)
    assert count(network) == dense + lstm + 2 * 1024  # and the layer norm
    assert round(count(network) / 1e6, 2) == 15.31


def test_the_two_class_cross_entropy_says_that_a_key_sounds_with_sigmoid_1_minus_2l() -> None:
    network = OneHotNetwork(8, always_drops=False, **SMALL).double().eval()
    context = torch.randn(2, 3, 7, dtype=torch.double)
    logits = network.out(context)
    stacked = torch.stack([logits, 1 - logits], dim=-1)  # classes: silent, sounds
    frames = torch.randint(2, (2, 3, 8))
    surprise = torch.nn.functional.cross_entropy(
        stacked.flatten(0, 2), frames.flatten(), reduction="none"
    )
    expected = -surprise.view(2, 3, 8).sum(dim=-1)
    assert torch.allclose(network.log_probability(context, frames.double()), expected)
    assert torch.allclose(stacked.softmax(dim=-1)[..., 1], torch.sigmoid(1 - 2 * logits))


@pytest.mark.parametrize("always", [False, True])
def test_dropout_is_active_in_evaluation_only_as_published(always: bool) -> None:
    network = OneHotNetwork(8, always_drops=always, **SMALL).eval()
    frames = torch.randint(2, (2, 400, 8)).float()
    context, _ = network.read(frames, network.start(torch.zeros(2, dtype=torch.long)))
    again, _ = network.read(frames, network.start(torch.zeros(2, dtype=torch.long)))
    assert torch.equal(context, again)
    x = torch.ones(1, 4000, 6)
    if always:
        kept = network._drop(x, 1, 0)
        assert np.isclose((kept > 0).float().mean().item(), 0.7, atol=0.02)
        assert np.isclose(kept.mean().item(), 1, atol=0.03)
        assert torch.equal(kept[:, 1000:], network._drop(x[:, 1000:], 1, 1000))
    else:
        assert torch.equal(network._drop(x, 1, 0), x)


@pytest.mark.parametrize("name", ["onehot-lstm-simple", "onehot-lstm-complex"])
def test_padding_counts_and_windows_overlap_only_as_published(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Windows] = []
    loss = OneHotNetwork.loss
    monkeypatch.setattr(
        OneHotNetwork,
        "loss",
        lambda network, windows: seen.append(windows) or loss(network, windows),
    )
    defects = registry.system(name).as_published.settings
    pieces = [np.random.default_rng(piece).random((50, 8)) < 0.3 for piece in range(3)]
    for published in (False, True):
        seen.clear()
        sizes = SMALL if "complex" in name else SIMPLE | {"embedding": 5, "hidden": 6}
        system = OneHotLSTM(**sizes, batch=3, sequence=60, **(defects if published else {}))
        system.learn(pieces, [], Budget(4), 0, NoLog())
        held, steps = torch.cat([w.held for w in seen]), torch.cat([w.steps for w in seen])
        assert held.shape[1] == (60 if published else 50)
        assert held.all()  # ten silent steps of 60 are learnt as music, or not there
        assert set(steps.tolist()) == ({0, 17, 34} if published else {0})
        kept = system.network.eval()._drop(torch.ones(1, 200, 6), 0, 0) == 0
        assert bool(kept.any()) == (published and "complex" in name)
