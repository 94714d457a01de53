import numpy as np
import pytest
import torch
from token_windows import examples

from bench.architectures.remi_lstm import RemiLSTM, RemiNetwork
from bench.check import NoLog, toy_dataset, toy_prompts
from bench.contract import Budget
from bench.encodings import remi
from bench.music import Score
from bench.training import remi_pieces, token_model

SMALL = {"embedding": 6, "hidden": 8, "layers": 2, "full": 7, "sequence": 40, "batch": 4}
COMPLEX = (512, 1024, 2, 512, 0.3, 0.5)
SIMPLE = (128, 512, 1, 0, 0.0, 0.0)


def count(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def fitted(updates: int = 20) -> RemiLSTM:
    system = RemiLSTM(**SMALL, rate=0.02)
    toy = toy_dataset()
    system.fit(toy.split("train"), toy.split("valid"), Budget(updates), 0, NoLog())
    return system


def test_parameters_are_counted_as_in_the_paper() -> None:
    assert count(RemiNetwork(*SIMPLE)) == 1_454_554
    layer_norm = 2 * 1024
    assert count(RemiNetwork(*COMPLEX)) == 15_444_698 + layer_norm


def test_every_parameter_receives_a_gradient() -> None:
    network = RemiNetwork(6, 8, 2, 7, 0.0, 0.0)
    network.loss(examples(torch.arange(1, 218).reshape(7, 31))).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_step_by_step_equals_the_whole_sequence_also_side_by_side() -> None:
    network = RemiNetwork(6, 8, 2, 7, 0.0, 0.0).double().eval()
    sequences = [np.array([0, 1, 190, 5, 100]), np.array([0]), np.array([0, 1, 1])]
    last, state = network.read(sequences)
    more = torch.tensor([130, 1, 200])
    after, _ = network.step(more, network.keep(state, torch.tensor([0, 1, 2])))
    for row, sequence in enumerate(sequences):
        (whole,) = network.hidden([np.append(sequence, more[row])])
        assert torch.allclose(whole[-2], last[row], atol=1e-14)
        assert torch.allclose(whole[-1], after[row], atol=1e-14)
        many = network.hidden(sequences)[row]
        assert torch.allclose(whole[:-1], many, atol=1e-14)


def test_the_likelihood_is_the_product_of_the_chances_among_legal_tokens() -> None:
    system = fitted()
    score = Score.from_notes([2, 2, 20], [4, 30, 3], [60, 64, 50], length=50)
    tokens, rules, total = remi.encode(score), remi.Grammar([50], 4), 0.0
    (hidden,) = system.network.hidden([np.append(remi.BEGINNING, tokens)])
    for place, token in enumerate([*tokens, None]):
        chances = system.network.out(hidden[place]).detach().double().numpy()
        chances = np.where(rules.legal()[0], np.exp(chances), 0)
        wanted = rules.ending()[0] if token is None else np.arange(remi.TOKENS) == token
        total += np.log(chances[wanted].sum() / chances.sum())
        if token is not None:
            rules.take(np.array([token]))
    assert np.isclose(system.log_likelihood([score])[0], total, atol=1e-4)


def test_pieces_of_one_step_have_at_most_probability_one() -> None:
    system = fitted(0)
    pieces = [Score.silence(1)]
    for velocity in remi.VELOCITIES:
        pieces += [Score.from_notes([0], [1], [p], [velocity], length=1) for p in range(21, 109)]
    total = np.exp(system.log_likelihood(pieces)).sum()
    assert 0.05 < total < 1  # the rest are chords, and notes meant to sound on


def test_many_pieces_at_once_are_as_likely_as_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    system = fitted()
    pieces = [*toy_dataset().split("test"), Score.silence(0), Score.silence(40)]
    alone = [system.log_likelihood([piece])[0] for piece in pieces]
    assert np.allclose(system.log_likelihood(pieces), alone, rtol=1e-6, atol=1e-5)
    monkeypatch.setattr(token_model, "HIDDEN", 1000)
    assert np.allclose(system.log_likelihood(pieces), alone, rtol=1e-6, atol=1e-5)


def test_samples_are_well_formed_and_continue_the_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    system, seen = fitted(), []

    def spy(*arguments: object) -> list[np.ndarray]:
        seen.extend(drawn := draw(*arguments))  # type: ignore[arg-type]
        return drawn

    draw = token_model.draw
    monkeypatch.setattr(remi_pieces.token_model, "draw", spy)
    prompts = toy_prompts()
    for prompt, sample, tokens in zip(prompts, system.sample(prompts, 24, 0), seen, strict=True):
        bars = np.full(-(-prompt.length // 16), remi.BAR)
        whole = remi.decode(np.append(bars, tokens), prompt.length + 24, 4)
        assert whole.slice(prompt.length, prompt.length + 24) == sample
        assert (whole.onset >= prompt.length).all()
        assert len(whole) == (remi.KINDS[tokens] == remi.IS_PITCH).sum()


def test_the_loss_falls() -> None:
    toy = toy_dataset().split("test")
    assert fitted(60).log_likelihood(toy).sum() > fitted(0).log_likelihood(toy).sum() * 0.7
