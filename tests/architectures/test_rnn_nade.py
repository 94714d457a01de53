import numpy as np
import pytest
import torch

from bench.architectures.rnn_nade import RnnNadeNetwork
from bench.training.frame_system import independent

ALL = torch.from_numpy((np.arange(2**8)[:, None] >> np.arange(8) & 1).astype(float))


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def network(keys: int = 8) -> RnnNadeNetwork:
    made = RnnNadeNetwork(keys, hidden=5, layers=1, units=6, dropout=0.0).double()
    torch.nn.init.normal_(made.w)
    torch.nn.init.normal_(made.v)
    return made


def test_all_frames_together_have_probability_one_whatever_the_biases() -> None:
    nade, biases = network(), 2 * torch.randn(5, 1, 8 + 6, dtype=torch.double)
    every = biases.expand(5, len(ALL), 14)
    total = nade.log_probability(every, ALL.expand(5, -1, -1)).exp().sum(dim=1)
    assert torch.allclose(total, torch.ones(5, dtype=torch.double))


def test_without_weights_every_frame_costs_ln_2_per_key() -> None:
    nade = network()
    for parameter in nade.parameters():
        torch.nn.init.zeros_(parameter)
    context, _ = nade.read(ALL[None], nade.start(torch.zeros(1)))
    logs = nade.log_probability(context, ALL[None])
    assert torch.allclose(logs, torch.full_like(logs, -8 * np.log(2)))


def test_hidden_units_that_change_after_sounding_keys_equal_those_of_every_key() -> None:
    nade = network(88)
    frames = (torch.rand(40, 88) < 0.06).double()
    frames[3], frames[4] = 0, 1
    biases = torch.randn(40, 88 + 6, dtype=torch.double)
    b, c = biases.split([88, 6], dim=1)
    below = torch.ones(88, 88, dtype=torch.double).tril(-1)  # keys below each key
    a = c[:, None] + (below * frames[:, None]) @ nade.w  # (frames, keys, units) as in the paper
    direct = independent(b + (a.sigmoid() * nade.v).sum(dim=-1), frames)
    assert torch.allclose(nade.log_probability(biases[None], frames[None])[0], direct)


def test_the_probability_of_a_sample_is_the_product_of_the_chances_it_was_drawn_with() -> None:
    nade, biases = network(), torch.randn(7, 14, dtype=torch.double)
    logs = torch.zeros(7, dtype=torch.double)
    uniform = torch.rand(7, 8, dtype=torch.double)
    frame = nade.draw(biases, uniform)
    for row in range(7):
        for key in range(8):
            # The chance of a key, by bisection: the number below which it is drawn to sound.
            low, high = 0.0, 1.0
            for _ in range(50):
                middle = (low + high) / 2
                probe = uniform[row : row + 1].clone()
                probe[0, key] = middle
                sounds = nade.draw(biases[row : row + 1], probe)[0, key] > 0
                low, high = (middle, high) if sounds else (low, middle)
            logs[row] += np.log(low if frame[row, key] else 1 - low)
    assert torch.allclose(nade.log_probability(biases[:, None], frame[:, None])[:, 0], logs)
