import numpy as np
import pytest
import torch

from bench.architectures.rnn_nade import RnnNadeNetwork, SteadyDropout
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


def test_steady_dropout_leaves_out_the_same_units_in_all_steps_of_a_window() -> None:
    seen = SteadyDropout(0.5)(torch.ones(3, 20, 40))
    assert (seen == seen[:, :1]).all()
    assert not torch.equal(seen[0], seen[1])
    assert seen.mean() == pytest.approx(1, abs=0.2)
    assert SteadyDropout(0.5).eval()(torch.ones(1, 2, 3)).eq(1).all()


def test_layers_read_one_after_the_other_and_carry_their_states() -> None:
    nade = RnnNadeNetwork(8, hidden=5, layers=3, units=6, dropout=0.0).double()
    frames = ALL[torch.randint(256, (2, 7))]
    whole, _ = nade.read(frames, nade.start(torch.zeros(2)))
    stacked = torch.nn.LSTM(8, 5, 3, batch_first=True).double()
    for layer, lstm in enumerate([nade.lstm, *nade.upper]):
        for name, value in lstm.named_parameters():
            getattr(stacked, name.replace("l0", f"l{layer}")).data = value
    assert torch.allclose(whole, nade.biases(stacked(frames)[0]), atol=1e-12)
    _, state = nade.read(frames[:, :4], nade.start(torch.zeros(2)))
    assert torch.allclose(nade.read(frames[:, 4:], state)[0], whole[:, 4:], atol=1e-12)
