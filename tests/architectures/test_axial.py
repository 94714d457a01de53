import numpy as np
import pytest
import torch
from logs import Log

from bench.architectures.axial import AxialNetwork, AxialTransformer
from bench.contract import Budget

ALL = (np.arange(2**8)[:, None] >> np.arange(8) & 1).astype(bool)
RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def network(keys: int = 8, span: int = 6) -> AxialNetwork:
    torch.manual_seed(0)
    made = AxialNetwork(keys, size=8, heads=2, blocks=2, span=span, dropout=0.0).double()
    for parameter in made.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    return made.eval()


def read(net: AxialNetwork, frames: torch.Tensor) -> torch.Tensor:
    return net.read(frames, net.start(torch.zeros(len(frames), dtype=torch.long)))[0]


def test_a_key_is_predicted_from_the_keys_below_it_alone() -> None:
    net, context = network(), read(network(), torch.rand(1, 1, 8).double().round())
    for key in range(8):
        frame = (torch.rand(1, 1, 8) < 0.4).double()
        turned = frame.clone()
        turned[..., key] = 1 - turned[..., key]
        views = net.below(frame), net.below(turned)
        same = (views[0] == views[1]).all(dim=-1)[0, 0]
        assert same.tolist() == [other <= key for other in range(8)]
    assert context.shape == (1, 1, 8, 8)


def test_music_moved_by_some_keys_looks_the_same_from_as_many_keys_further() -> None:
    net = network(24)
    net.pitch.data.zero_()  # all that knows of absolute pitch before the next frame
    frames = torch.zeros(1, 9, 24, dtype=torch.double)
    frames[..., 8:14] = torch.from_numpy(RNG.integers(2, size=(1, 9, 6)))
    moved = frames.roll(5, dims=-1)
    assert torch.allclose(read(net, frames)[:, :, 3:15], read(net, moved)[:, :, 8:20], atol=1e-12)


def test_attention_reaches_no_further_than_its_span() -> None:
    net = network(span=4)
    frames = torch.from_numpy(RNG.integers(2, size=(1, 12, 8))).double()
    changed = frames.clone()
    changed[:, 0] = 1 - changed[:, 0]
    differs = (read(net, frames) != read(net, changed)).any(dim=-1).any(dim=-1)[0]
    assert differs.tolist() == [True] * 7 + [False] * 5  # two blocks of three steps back each


def test_keys_that_no_training_piece_has_sound_independently_and_rarely() -> None:
    pieces = [ALL[RNG.integers(16, size=12)] for _ in range(4)]  # four low keys of eight
    system = AxialTransformer(size=8, heads=2, sequence=6, span=6)
    system.PRECISION = torch.float64
    system.learn(pieces, pieces[:1], Budget(20), 0, Log())
    assert system.network.inside == slice(0, 4)
    past = pieces[0][:3]
    logs = [step[-1] for step in system.log_probabilities([np.vstack([past, f]) for f in ALL])]
    assert np.isclose(np.exp(logs).sum(), 1)
    high = np.exp(logs)[ALL[:, 4:].any(axis=1)].sum()
    assert 0 < high < 0.1


def test_small_sets_are_gone_over_so_many_times_at_most() -> None:
    pieces, log = [ALL[RNG.integers(16, size=12)] for _ in range(4)], Log()
    system = AxialTransformer(size=8, heads=2, sequence=6, span=6, batch=4, passes=3)
    system.learn(pieces, [], Budget(1000), 0, log)
    assert log.checkpoints == 3 * 2


@pytest.mark.parametrize("heads", [1, 4])
def test_parameters_do_not_grow_with_the_square_of_the_keys(heads: int) -> None:
    def count(keys: int) -> int:
        net = AxialNetwork(keys, size=8, heads=heads, blocks=1, span=4, dropout=0.0)
        return sum(parameter.numel() for parameter in net.parameters())

    assert count(80) - count(40) == 40 * (2 * 8 + 2 * 8 + 8 + 1)  # two views, a pitch, a rate
