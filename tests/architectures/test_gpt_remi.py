import numpy as np
import pytest
import torch
from token_windows import examples

from bench.architectures.gpt_remi import GPTNetwork, GPTRemi, cosine, rotate, transposed
from bench.check import NoLog, toy_dataset
from bench.contract import Budget
from bench.music import Score
from bench.training import remi_pieces, token_model


def tiny(context: int = 64) -> GPTNetwork:
    torch.manual_seed(0)
    network = GPTNetwork(2, 16, 2, 24, 0.0, context, 50).double().eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)  # large enough for a difference to show
    return network


def test_it_has_the_size_that_it_says() -> None:
    with torch.device("meta"):
        network = GPTNetwork(8, 512, 8, 2048, 0.1, 512)
    layer = 4 * 512 * 512 + 2 * 512 * 2048 + 2048 + 512 + 4 * 512
    assert sum(p.numel() for p in network.parameters()) == 8 * layer + 2 * 512 + 2 * 218 * 512


def test_shifting_all_positions_changes_nothing() -> None:
    network, tokens = tiny(), torch.randint(50, (2, 30))
    assert torch.allclose(network(tokens), network(tokens, shift=1000), atol=1e-9)
    turned = network(tokens.flip(1)).flip(1)
    assert not torch.allclose(network(tokens), turned, atol=1e-3)


def test_the_order_of_what_came_before_matters() -> None:
    """In one layer it can only by the positions."""
    torch.manual_seed(0)
    network = GPTNetwork(1, 16, 2, 24, 0.0, 64, 50).double().eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    tokens = torch.tensor([[3, 41, 7, 7, 20]])
    moved = network(tokens)[0, -1] - network(tokens[:, [1, 0, 2, 3, 4]])[0, -1]
    assert moved.abs().max() > 1e-4


def test_rotation_keeps_lengths_and_sees_only_distances() -> None:
    x, y = torch.randn(2, 1, 1, 1, 8, dtype=torch.double)
    turn = torch.arange(4, dtype=torch.double)
    assert torch.isclose(rotate(x, 3 * turn).norm(), x.norm())
    near = (rotate(x, 5 * turn) * rotate(y, 2 * turn)).sum()
    far = (rotate(x, 13 * turn) * rotate(y, 10 * turn)).sum()
    assert torch.isclose(near, far)


def test_noise_cannot_be_predicted_from_what_is_seen() -> None:
    """On independent tokens a network that sees none of the future stays at ln V."""
    torch.manual_seed(0)
    network = GPTNetwork(1, 32, 2, 32, 0.0, 32, 16)
    optimiser = torch.optim.Adam(network.parameters(), lr=0.01)
    fresh = torch.randint(16, (256, 33))
    for _ in range(100):
        optimiser.zero_grad()
        network.loss(examples(torch.randint(16, (32, 33)))).backward()
        optimiser.step()
    with torch.no_grad():
        assert abs(float(network.loss(examples(fresh))) - np.log(16)) < 0.06


def test_changing_the_future_leaves_past_outputs_bit_equal() -> None:
    network, tokens = tiny(), torch.randint(50, (1, 20))
    changed = tokens.clone()
    changed[0, 11:] = (tokens[0, 11:] + 1) % 50
    assert torch.equal(network(tokens)[0, :11], network(changed)[0, :11])
    assert not torch.equal(network(tokens)[0, 11:], network(changed)[0, 11:])


@pytest.mark.parametrize("length", [3, 8, 13])
def test_step_by_step_with_a_cache_equals_the_windows_it_stands_for(length: int) -> None:
    network = tiny(context=8)
    rng = np.random.default_rng(length)
    sequences = [rng.integers(50, size=size) for size in (length, 1, 5)]
    last, cache = network.read(sequences)
    for _ in range(12):
        for row, held in enumerate(network.hidden(sequences)):
            assert torch.allclose(held[-1], last[row], atol=1e-9)
        more = rng.integers(50, size=3)
        sequences = [np.append(s, token) for s, token in zip(sequences, more, strict=True)]
        last, cache = network.step(torch.from_numpy(more), cache)


@pytest.mark.parametrize("semitones", [5, -3, 0, 41, -29])
def test_transposed_windows_are_those_of_the_transposed_piece_by_the_same_rules(
    semitones: int,
) -> None:
    score = Score.from_notes([2, 2, 20, 20], [4, 30, 3, 9], [60, 64, 50, 67], length=50)
    text, moved = (remi_pieces.text([s]) for s in (score, score.transpose(semitones)))
    rows = token_model.windows(text.pieces, 0, 9)
    shifted = transposed(text, rows, np.full(len(rows), semitones))
    for part, wanted in zip(
        vars(shifted).values(), vars(moved.examples(rows)).values(), strict=True
    ):
        assert torch.equal(part, wanted)


def test_a_window_stays_where_a_pitch_would_leave_the_keyboard() -> None:
    score = Score.from_notes([2, 40], [4, 3], [60, 90], length=50)
    text = remi_pieces.text([score])
    rows = token_model.windows(text.pieces, 0, 7)
    shifted = transposed(text, rows, np.full(len(rows), 20)).inputs
    first, second = text.examples(rows).inputs
    assert not torch.equal(shifted[0], first)
    assert torch.equal(shifted[1], second)


def test_the_rate_rises_then_falls_to_a_tenth() -> None:
    rates = [cosine(step, 1000, 100) for step in range(1000)]
    assert np.argmax(rates) in (99, 100)
    assert rates[0] == pytest.approx(0.01)
    assert rates[-1] == pytest.approx(0.1, abs=1e-3)
    assert cosine(0, 1, 100) == 1.0


def test_the_loss_falls() -> None:
    toy, likely = toy_dataset(), []
    for updates in (0, 60):
        system = GPTRemi(layers=1, width=32, heads=2, full=32, context=64, rate=0.01)
        system.fit(toy.split("train"), toy.split("valid"), Budget(updates), 0, NoLog())
        likely.append(system.log_likelihood(toy.split("test")).sum())
    assert likely[1] > 0.6 * likely[0]


def test_so_many_pieces_are_drawn_at_once_as_their_caches_fit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    toy = toy_dataset()
    system = GPTRemi(layers=1, width=8, heads=2, full=8, context=32, batch=2)
    system.fit(toy.split("train"), [], Budget(1), 0, NoLog())
    prompts = [piece.slice(0, 16) for piece in toy.split("train")]
    together, network = system.sample(prompts, 16, seed=0), system.network
    cache = network.cache(1, next(network.parameters()))
    held = sum(part.numel() for part in (*cache.keys, *cache.values))
    assert token_model.at_once(network) == 64
    asked = []
    make = network.cache
    monkeypatch.setattr(GPTNetwork, "cache", lambda _, n, like: asked.append(n) or make(n, like))
    monkeypatch.setattr(token_model, "CARRIED", 3 * held)
    assert system.sample(prompts, 16, seed=0) == together
    assert max(asked) == 3
