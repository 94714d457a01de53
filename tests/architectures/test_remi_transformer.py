from dataclasses import replace

import numpy as np
import pytest
import torch
from token_windows import examples

from bench import registry
from bench.architectures.remi_transformer import (
    Layer,
    RemiTransformer,
    TransformerNetwork,
    leak_ratio,
    padded_songs,
    sinusoids,
)
from bench.check import NoLog, toy_dataset, toy_prompts
from bench.contract import Budget
from bench.encodings import remi
from bench.errors import BenchError
from bench.training.text import Text

SMALL = {"layers": 2, "width": 16, "heads": 2, "full": 24, "context": 64, "batch": 4}


def count(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def tiny(causal: bool = True, context: int = 64, vocabulary: int = 50) -> TransformerNetwork:
    torch.manual_seed(0)
    return TransformerNetwork(2, 16, 2, 24, 0.0, context, causal, vocabulary).double().eval()


def fitted(updates: int = 3, **settings: object) -> RemiTransformer:
    system = RemiTransformer(**SMALL | {"rate": 0.003, "warm_up": 1} | settings)
    toy = toy_dataset()
    system.fit(toy.split("train"), toy.split("valid"), Budget(updates), 0, NoLog())
    return system


def test_parameters_are_counted_as_in_the_paper() -> None:
    def of(layers: int, width: int, heads: int, full: int) -> int:
        # All layers are alike: one is built.
        layer = count(Layer(width, heads, full, 0.1, True))
        return count(TransformerNetwork(1, width, heads, full, 0.1, 512)) + (layers - 1) * layer

    assert of(2, 512, 4, 2048) == 6_528_218
    assert of(2, 512, 4, 512) == 3_379_418
    assert of(12, 1024, 8, 2048) == 101_245_146


def test_positions_are_the_sines_and_cosines_of_vaswani() -> None:
    places = sinusoids(torch.tensor([0, 3]), 8)
    assert places[0].tolist() == [0, 1] * 4
    assert torch.isclose(places[1, 2], torch.sin(torch.tensor(3 / 10000 ** (2 / 8)).double()))


@pytest.mark.parametrize("causal", [True, False])
def test_the_order_of_what_came_before_matters(causal: bool) -> None:
    """In one layer it can only by the positions."""
    torch.manual_seed(0)
    network = TransformerNetwork(1, 16, 2, 24, 0.0, 64, causal, 50).double().eval()
    tokens = torch.tensor([[3, 41, 7, 7, 20]])
    turned = tokens[:, [1, 0, 2, 3, 4]]
    assert not torch.allclose(network(tokens)[0, -1], network(turned)[0, -1], atol=1e-6)


@pytest.mark.parametrize("causal", [True, False])
def test_only_without_a_mask_do_later_tokens_move_the_output(causal: bool) -> None:
    network = tiny(causal)
    x = torch.randn(1, 9, 16, dtype=torch.double, requires_grad=True)
    y = x
    for number, layer in enumerate(network.stack):
        y = layer(y, None, number)
    (gradient,) = torch.autograd.grad(y[0, 4, 0], x)
    assert (gradient[0, 5:].abs().sum() == 0) == causal
    assert gradient[0, :5].abs().sum() > 0


def test_changing_the_future_leaves_past_outputs_bit_equal() -> None:
    network, tokens = tiny(), torch.randint(50, (1, 20))
    changed = tokens.clone()
    changed[0, 11:] = (tokens[0, 11:] + 1) % 50
    assert torch.equal(network(tokens)[0, :11], network(changed)[0, :11])


@pytest.mark.parametrize(
    "last",
    [32, pytest.param(10, marks=pytest.mark.slow), pytest.param(1, marks=pytest.mark.slow)],
)
def test_without_a_mask_the_loss_of_noise_falls_to_that_of_the_last_token(last: int) -> None:
    # Section VII.A of the paper, settled: independent tokens say nothing about a token that is not
    # seen, so the lowest loss is ln V / k where k tokens count and one of them is not seen.
    losses = {}
    for causal in (True, False):
        torch.manual_seed(0)
        network = TransformerNetwork(1, 32, 2, 32, 0.0, 32, causal, 16)
        optimiser = torch.optim.Adam(network.parameters(), lr=0.01)

        def noise(step: int) -> torch.Tensor:
            return torch.randint(16, (32, 33), generator=torch.Generator().manual_seed(step))

        for step in range(150 if causal else 400):
            optimiser.zero_grad()
            network.loss(examples(noise(step), last)).backward()
            optimiser.step()
        with torch.no_grad():
            fresh = torch.cat([noise(10**6 + step) for step in range(8)])
            losses[causal] = float(network.loss(examples(fresh, last)))
            at_the_end = float(network.loss(examples(fresh, 1)))  # of the token that is not seen
            assert np.log(16) - 0.02 < at_the_end < np.log(16) + 0.15
    assert abs(losses[True] - np.log(16)) < 0.06
    assert abs(losses[False] - np.log(16) / last) < 0.15


def test_the_last_tokens_of_a_window_are_those_before_its_padding() -> None:
    network = tiny()
    windows = torch.tensor([[0, 4, 9, 2, 7], [0, 5, 8, -1, -1]])
    logs = network.out(network(windows[:, :-1].clamp(min=0))).log_softmax(-1)
    wanted = -(logs[0, 2, 2] + logs[0, 3, 7] + logs[1, 0, 5] + logs[1, 1, 8]) / 4
    assert torch.isclose(network.loss(examples(windows, last=2)), wanted)


@pytest.mark.parametrize("variant", ["corrected", "as-published"])
@pytest.mark.parametrize(
    "name", [s.id for s in registry.systems().values() if s.id.startswith("remi-transformer")]
)
def test_each_variant_has_a_mask_or_not_and_counts_and_stores_what_its_paper_says(
    name: str, variant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[int] = []
    examples = Text.examples
    monkeypatch.setattr(
        Text,
        "examples",
        lambda text, rows, last=0: counted.append(last) or examples(text, rows, last=last),
    )
    spec = registry.system(name)
    system = RemiTransformer(**spec.settings_of(variant, "small") | SMALL)
    toy = toy_dataset()
    system.fit(toy.split("train"), [], Budget(2), 0, NoLog())
    last = 10 if name.endswith("last10") else 0
    assert counted == ([] if system.settings.padded else [last, last])
    tokens = torch.arange(1, 20)[None]
    changed = tokens.clone()
    changed[0, -1] = 90
    seen = system.network(tokens)[0, :-1] != system.network(changed)[0, :-1]
    published = variant == "as-published"
    assert bool(seen.any()) == published
    assert (system.likelihood.kind == "none") == published
    assert system.settings.stores == ("second" if published and not last else "last")


def test_a_leak_is_measured_and_its_absence_too() -> None:
    windows = np.random.default_rng(0).integers(50, size=(4, 129))
    assert leak_ratio(tiny(context=256), windows) == pytest.approx(1, abs=1e-9)
    assert leak_ratio(tiny(False, context=256), windows) != pytest.approx(1, abs=1e-6)
    windows[:, 100:] = -1  # no whole segment
    assert leak_ratio(tiny(), windows) is None


@pytest.mark.parametrize("length", [3, 8, 9, 12, 13, 30])
def test_step_by_step_with_a_cache_equals_the_windows_it_stands_for(length: int) -> None:
    network = tiny(context=8)
    rng = np.random.default_rng(length)
    sequences = [rng.integers(50, size=size) for size in (length, 1, 5)]
    last, cache = network.read([sequence.copy() for sequence in sequences])
    for _ in range(12):  # beyond the context, and beyond it again
        for row, (sequence, held) in enumerate(
            zip(sequences, network.hidden(sequences), strict=True)
        ):
            assert torch.allclose(held[-1], last[row], atol=1e-12), (row, len(sequence))
        more = rng.integers(50, size=3)
        sequences = [np.append(s, token) for s, token in zip(sequences, more, strict=True)]
        cache = network.keep(cache, torch.arange(3))
        last, cache = network.step(torch.from_numpy(more), cache)


def test_within_the_context_it_is_one_plain_pass() -> None:
    network = tiny()
    tokens = np.arange(40)
    assert torch.allclose(network.hidden([tokens])[0], network(torch.from_numpy(tokens[None]))[0])


def test_as_published_there_is_no_likelihood_and_the_prompt_is_copied() -> None:
    system = fitted(60, causal=False, stores="second")
    assert system.likelihood.kind == "none"
    with pytest.raises(BenchError, match="without a mask"):
        system.log_likelihood([])
    assert system.copy_rate is not None
    assert system.leak_ratio is not None
    assert system.likelihood.reason.endswith(
        f"(leak ratio {system.leak_ratio:.2f}, prompt-copy rate {system.copy_rate:.2f})"
    )  # it stands on the board where others have their likelihood
    last = fitted(60, causal=False, stores="last")
    assert last.copy_rate is not None
    assert last.copy_rate < system.copy_rate  # the last one is new


def test_as_published_the_second_token_is_stored_and_the_last_fed_back() -> None:
    # A network that repeats its input: output t is the token after t as long as it is seen.
    system = fitted(0, causal=False, stores="second")

    class Shift(torch.nn.Module):
        def forward(self, tokens: torch.Tensor) -> torch.Tensor:
            following = torch.cat([tokens[:, 1:], tokens[:, -1:] + 1], dim=1)
            return 100 * torch.nn.functional.one_hot(following, 218).double()

        def out(self, hidden: torch.Tensor) -> torch.Tensor:
            return hidden

    streams = [np.random.default_rng(0)]
    window = np.array([[5, 9, 3, 7]])
    stored = system._slide(Shift(), window, streams, 6)  # type: ignore[arg-type]
    assert stored.tolist() == [[9, 3, 7, 8, 9, 10]]
    system.settings = replace(system.settings, stores="last")
    stored = system._slide(Shift(), window, streams, 3)  # type: ignore[arg-type]
    assert stored.tolist() == [[8, 9, 10]]


def test_a_resumed_budget_draws_the_same_segments() -> None:
    toy, seen = toy_dataset(), []
    for _ in range(2):
        system = fitted(2)
        seen.append(system.log_likelihood(toy.split("test")))
    assert (seen[0] == seen[1]).all()


def test_samples_of_all_variants_keep_the_steps() -> None:
    for settings in ({}, {"causal": False, "stores": "second"}, {"causal": False, "last": 10}):
        samples = fitted(1, **settings).sample(toy_prompts(), 20, 0)
        assert [sample.length for sample in samples] == [20] * len(samples)


def test_the_prompt_longer_than_the_context_is_read_from_its_end() -> None:
    system = fitted(1, context=16)
    long = toy_dataset().split("test")[0]
    assert len(remi.encode(long)) > 32
    assert system.sample([long], 8, 0)[0].length == 8


def test_padded_songs_are_whole_or_cut_and_their_padding_is_to_be_predicted() -> None:
    songs = [np.array([3, 4, 5]), np.array([6, 7, 8, 9, 10, 11])]
    text = Text.of(songs, remi.BEGINNING, None)
    rows = padded_songs(text, np.array([1, 0]), 5)
    assert rows.inputs.tolist() == [[0, 6, 7, 8, 9], [0, 3, 4, 5, 0]]
    assert rows.targets.tolist() == [6, 7, 8, 9, 10, 3, 4, 5, 0, 0]
    assert rows.held.all()
    assert rows.legal is None
    network = tiny()
    hidden = network(rows.inputs)
    logs = network.out(hidden).log_softmax(dim=-1).flatten(0, 1).detach()
    by_hand = -float(logs[torch.arange(10), rows.targets].mean())
    assert float(network.loss(rows).detach()) == pytest.approx(by_hand)


def test_a_network_of_padded_songs_learns_the_padding() -> None:
    long, *others = toy_dataset().split("train")
    songs = [long, *(song.slice(0, 16) for song in others)]
    chances = []
    for padded in (False, True):
        system = RemiTransformer(**SMALL | {"rate": 0.01, "warm_up": 1, "padded": padded})
        system.fit(songs, [], Budget(60), 0, NoLog())
        after = np.r_[remi.BEGINNING, remi.encode(songs[1]), remi.BEGINNING, remi.BEGINNING]
        hidden = system.network(torch.from_numpy(after)[None])
        chances.append(
            float(system.network.out(hidden)[0, -1].softmax(dim=-1)[remi.BEGINNING].detach())
        )
    assert chances[0] < 0.1
    assert chances[1] > 0.5


def test_the_catalogue_pads_only_the_simple_transformer_as_published() -> None:
    padded = {
        (spec.id, variant)
        for spec in registry.systems().values()
        if spec.class_path.endswith(":RemiTransformer")
        for variant in spec.variants()
        if spec.settings_of(variant).get("padded")
    }
    assert padded == {("remi-transformer-simple", "as-published")}
