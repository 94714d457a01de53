import numpy as np
import pytest
import torch
from torch import nn

from bench import registry
from bench.architectures.note_lstm import (
    NoteLSTM,
    NoteNetwork,
    between,
    beyond,
    bumps,
    draw_number,
    features,
    polynomial,
)
from bench.check import NoLog, toy_dataset, toy_prompts
from bench.contract import Budget
from bench.encodings.note_deltas import Clock, notes
from bench.errors import BenchError
from bench.music import Score

LOSSES = [bumps, polynomial]


def cost(loss, *semitones: float) -> list[float]:
    return loss(torch.tensor(semitones, dtype=torch.double)).tolist()


def fitted(updates: int = 50, **settings: object) -> NoteLSTM:
    system, toy = NoteLSTM(**settings), toy_dataset()  # type: ignore[arg-type]
    system.fit(toy.split("train"), toy.split("valid"), Budget(updates), 0, NoLog())
    return system


def test_parameters_are_counted_as_in_the_paper() -> None:
    network = NoteNetwork(48, 24, hard=False, draws=False)
    sizes = {
        name: sum(p.numel() for p in part.parameters()) for name, part in network.named_children()
    }
    assert sizes["from_input"] + sizes["from_state"] == 9984
    assert sizes["dense"] == 1176
    assert sizes["out"] == 75
    assert fitted(0, feedback="regression").parameter_count == 11_235
    assert fitted(0).parameter_count == 11_235 + 4  # how sharp the distribution is


def test_with_ordinary_gates_it_is_pytorchs_lstm() -> None:
    network, lstm = (
        NoteNetwork(6, 4, hard=False, draws=False).double(),
        nn.LSTM(3, 6, batch_first=True).double(),
    )
    with torch.no_grad():
        lstm.weight_ih_l0.copy_(network.from_input.weight)
        lstm.weight_hh_l0.copy_(network.from_state.weight)
        lstm.bias_ih_l0.copy_(network.from_input.bias)
        lstm.bias_hh_l0.zero_()
    past = torch.randn(5, 3, 3, dtype=torch.double)
    expected = network.out(network.dense(lstm(past)[1][0][0]))
    assert torch.allclose(network(past), expected, atol=1e-14)


def test_hard_gates_are_keras() -> None:
    gate = NoteNetwork(2, 2, hard=True, draws=False).gate(torch.tensor([-3.0, 0.0, 1.0, 4.0]))
    assert torch.allclose(gate, torch.tensor([0.0, 0.5, 0.7, 1.0]))


@pytest.mark.parametrize("loss", LOSSES)
def test_consonant_errors_cost_less_than_any_dissonant_one(loss) -> None:
    good = cost(loss, 4, 7, -5, -8, 12, -12, 0)
    bad = cost(loss, 1, 2, 3, 5, 6, 8, 9, 10, 11, -4, -7, -1, -2, -3, -6)
    assert max(good) < min(bad)


def test_the_truth_costs_least_and_lies_in_the_middle_of_a_hollow() -> None:
    far = np.linspace(-60, 60, 12001)
    costs = np.array(cost(bumps, *far))
    assert far[costs.argmin()] == pytest.approx(0, abs=1e-9)
    assert costs.min() == pytest.approx(0, abs=1e-6)
    at = torch.zeros(1, requires_grad=True)
    bumps(at).sum().backward()
    assert at.grad is not None
    assert abs(at.grad.item()) < 1e-6


@pytest.mark.parametrize("loss", LOSSES)
def test_the_loss_is_finite_and_grows_with_every_octave(loss) -> None:
    assert (np.diff(cost(loss, 12, 24, 36, 48, 600)) > 0).all()
    assert (np.diff(cost(loss, -12, -24, -36, -48, -600)) > 0).all()
    at = torch.linspace(-200, 200, 4001, requires_grad=True)
    loss(at).sum().backward()
    assert at.grad is not None
    assert at.grad.isfinite().all()


def test_the_polynomial_is_the_one_that_was_measured() -> None:
    from numpy.polynomial import Polynomial

    inside = np.linspace(-12, 12, 97)
    values = np.array(cost(polynomial, *inside))
    fit = Polynomial.fit(inside, values, 24)
    assert np.abs(fit(inside) - values).max() < 1e-6  # of degree 24
    whole = np.arange(-11, 12)
    good = np.isin(whole % 12, (0, 4, 7))
    at = np.array(cost(polynomial, *whole))
    assert at[good].max() <= 0.41
    assert at[~good].min() >= 0.69
    assert cost(polynomial, 0)[0] > values.min()  # why it is not the corrected one
    assert cost(polynomial, 12 + 1e-9)[0] == pytest.approx(cost(polynomial, 12)[0], abs=1e-6)


def test_without_the_pitch_the_loss_is_a_fifth_of_the_squares() -> None:
    system = fitted(0)
    system.scale = np.ones(3)
    target = torch.randn(7, 3)
    predicted = target + torch.tensor([0.0, 2.0, 3.0])
    assert float(system.cost(predicted, target)) == pytest.approx(0.2 * (4 + 9), abs=1e-4)


@pytest.mark.parametrize(("mean", "spread"), [(60.2, 3.0), (-40.0, 0.5), (300.0, 1.0), (5, 40)])
def test_the_shares_of_all_numbers_sum_to_one(mean: float, spread: float) -> None:
    numbers = torch.arange(-3000, 3000, dtype=torch.double)
    shares = between(numbers, numbers + 1, mean, spread)
    assert shares.isfinite().all()
    assert shares.exp().sum().item() == pytest.approx(1, abs=1e-12)
    tail = beyond(torch.tensor(10.0, dtype=torch.double), mean, spread).item()
    assert shares[numbers >= 10].logsumexp(0).item() == pytest.approx(tail, abs=1e-9)


@pytest.mark.parametrize("end", [np.inf, 5])
def test_numbers_are_drawn_by_their_shares(end: float) -> None:
    n, rng = 20000, np.random.default_rng(0)
    drawn = np.array([draw_number(number, 1.3, 2.0, 1, end) for number in rng.random(n)])
    numbers = torch.arange(1, 200 if end == np.inf else 5, dtype=torch.double)
    shares = between(numbers, numbers + 1, 1.3, 2.0).softmax(0)
    assert drawn.max() < end
    for number, share in zip(numbers[:7].tolist(), shares.tolist(), strict=False):
        assert abs((drawn == number).mean() - share) < 4 * np.sqrt(share / n)
    assert draw_number(0.5, 0.0, 1.0, 900) == 900  # hardly anything is left above
    assert draw_number(0.5, 900.0, 1.0, 1, 128) == 127


def test_the_likelihood_is_the_product_over_notes_of_what_their_costs_say() -> None:
    """Note by note, with a Clock; the normal shares from scipy."""
    from scipy.stats import norm

    system, score = fitted(), toy_dataset().split("test")[0].slice(0, 20)
    network, clock, total = system.network.double(), Clock(20), 0.0
    weights = network.sharpness.exp().tolist()
    loud, late = (x.item() for x in system.spreads(network))
    past, rows = np.zeros((3, 3)), notes(score)
    for wait, key, duration, velocity in [*rows.tolist(), [0, 0, 0, 0]]:
        with torch.no_grad():
            out = network(torch.from_numpy(past[None]))[0].numpy() * system.scale + system.centre
        waits = norm(out[2] * 4, late * 4)
        least, rest = clock.least(), 20 - clock.time
        if duration == 0:
            total += np.log(waits.sf(rest - 0.5) / waits.sf(least - 0.5))
            break
        total += np.log((waits.cdf(wait + 0.5) - waits.cdf(wait - 0.5)) / waits.sf(least - 0.5))
        far = torch.from_numpy(out[0] - np.arange(21.0, 109.0))
        octaves = np.sqrt(1 + (far.numpy() / 12) ** 2) - 1
        energy = weights[0] * (bumps(far).numpy() - 0.05 * octaves) + weights[1] * octaves
        chances = np.exp(-energy) * clock.keys(wait)
        total += np.log(chances[key] / chances.sum())
        loudness = norm(out[1], loud)
        shares = loudness.cdf(np.arange(1, 128) + 0.5) - loudness.cdf(np.arange(1, 128) - 0.5)
        total += np.log(shares[velocity - 1] / shares.sum())
        left = rest - wait
        table = system.durations
        total += np.log(
            (table.at_least(left) if duration >= left else table.chance(duration))
            / table.at_least(1)
        )
        clock.strike(wait, key, duration)
        note = (np.array([key + 21, velocity, wait / 4]) - system.centre) / system.scale
        past = np.concatenate([past[1:], note[None]])
    assert system.log_likelihood([score])[0] == pytest.approx(total, rel=1e-6)


def test_keys_are_drawn_by_their_chances() -> None:
    system, prompt = fitted(200), toy_prompts()[0]
    samples = system.sample([prompt] * 4000, 1, 0)
    drawn = np.array([int(s.pitch[0]) for s in samples if len(s) == 1])
    assert len(drawn) > 400

    def ending_with(pitch: int) -> Score:
        notes = [*prompt.onset, 16], [*prompt.duration, 1], [*prompt.pitch, pitch]
        return Score.from_notes(*notes, [*prompt.velocity, 80], length=17)

    likely = np.exp(system.log_likelihood([ending_with(pitch) for pitch in range(21, 109)]))
    likely /= likely.sum()
    share = np.bincount(drawn - 21, minlength=88) / len(drawn)
    assert (np.abs(share - likely) < 4.5 * np.sqrt(likely / len(drawn)) + 1e-3).all()


def test_pieces_of_one_step_have_at_most_probability_one() -> None:
    system = fitted()
    pieces = [Score.silence(1)]
    for velocity in (79, 80, 81):
        pieces += [Score.from_notes([0], [1], [p], [velocity], length=1) for p in range(21, 109)]
    assert 0.1 < np.exp(system.log_likelihood(pieces)).sum() < 1


def test_features_are_pitch_velocity_and_wait_in_quarters() -> None:
    score = Score.from_notes([0, 2, 2], [1, 1, 1], [60, 64, 67], [70, 80, 90], length=8, grid=4)
    assert features(score).tolist() == [[60, 70, 0], [64, 80, 0.5], [67, 90, 0]]


def test_the_catalogue_keeps_the_papers_loss_gates_and_feedback_only_as_published() -> None:
    spec = registry.system("note-lstm")
    published, corrected = spec.build("as-published"), spec.build()
    for system, choices in (
        (published, ("polynomial", "hard-sigmoid", "regression")),
        (corrected, ("bumps", "sigmoid", "draw")),
    ):
        s = system.settings
        assert (s.loss, s.gates, s.feedback) == choices
        assert (s.hidden, s.dense) == (48, 24)
        assert system.build().hard == (s.gates == "hard-sigmoid")


def test_a_regression_fed_back_comes_to_a_standstill_and_what_is_drawn_does_not() -> None:
    prompt, pitches = toy_prompts()[:1], []
    for feedback in ("regression", "draw"):
        (sample,) = fitted(feedback=feedback).sample(prompt, 80, 0)
        pitches.append(set(sample.pitch[len(sample) // 2 :].tolist()))
    assert len(pitches[0]) == 1
    assert len(pitches[1]) > 3


def test_corrected_the_same_prompt_goes_on_in_many_ways() -> None:
    system = fitted()
    samples = system.sample(toy_prompts()[:1] * 2, 40, 0) + system.sample(toy_prompts()[:1], 40, 1)
    assert samples[0] != samples[1]
    assert samples[0] != samples[2]
    assert len({int(d) for sample in samples for d in sample.duration}) > 1


def test_the_loss_counts_errors_in_semitones_not_in_deviations() -> None:
    system = fitted(0)
    system.scale = np.array([5.0, 1.0, 1.0])
    target, predicted = torch.zeros(1, 3), torch.zeros(1, 3)
    predicted[0, 0] = 7 / 5  # of a standard deviation: a fifth
    assert float(system.cost(predicted, target)) == pytest.approx(cost(bumps, 7)[0], abs=1e-5)


def test_bumps_have_the_values_of_their_formula() -> None:
    for distance in np.linspace(-30, 30, 241):
        nearest = [(distance - good + 6) % 12 - 6 for good in (0, 4, 7)]
        expected = 1 - sum(np.exp(-(r**2) / 0.5) for r in nearest)
        expected += 0.05 * (np.sqrt(1 + (distance / 12) ** 2) - 1)
        assert cost(bumps, distance)[0] == pytest.approx(expected, abs=1e-12)
    assert cost(bumps, 12)[0] == pytest.approx(0.021, abs=5e-4)


def test_as_published_it_is_without_chance_but_for_the_notes_it_starts_from() -> None:
    system = fitted(loss="polynomial", gates="hard-sigmoid", feedback="regression")
    assert system.likelihood.kind == "none"
    with pytest.raises(BenchError, match="a point, no distribution"):
        system.log_likelihood([])
    prompt = toy_prompts()[0]
    assert len(prompt) >= 3
    assert system.sample([prompt], 40, 0) == system.sample([prompt], 40, 1)
    (sample,) = system.sample([prompt], 40, 0)
    onsets = np.append(np.unique(sample.onset), 40)
    following = onsets[np.searchsorted(onsets, sample.onset) + 1]
    assert (sample.end <= following).all()  # until the next onset


def test_the_loss_falls() -> None:
    toy = toy_dataset().split("test")
    assert fitted(400).log_likelihood(toy).sum() > fitted(0).log_likelihood(toy).sum()
