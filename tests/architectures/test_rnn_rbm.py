import numpy as np
import pytest
import torch
from logs import Log
from torch.nn.functional import softplus

from bench.architectures.rnn_rbm import (
    RnnRbm,
    RnnRbmNetwork,
    annealed,
    free_energy,
    gibbs,
    log_partition,
)
from bench.contract import Budget
from bench.training.frame_system import Windows

ALL = torch.from_numpy((np.arange(2**8)[:, None] >> np.arange(8) & 1).astype(float))
HIDDEN = ALL[: 2**5, :5]  # every state of 5 hidden units


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def rbm(scale: float = 0.7) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(1)
    drawn = [torch.randn(8, size, generator=random, dtype=torch.double) for size in (5, 1)]
    hidden = torch.randn(5, generator=random, dtype=torch.double)
    return scale * drawn[0], drawn[1][:, 0], hidden


def energy(v: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
    """(frames, states) as the definition has it."""
    w, b_v, b_h = rbm()
    return -(v @ b_v)[:, None] - (h @ b_h)[None] - v @ w @ h.T


def test_the_free_energy_sums_out_the_hidden_units() -> None:
    assert torch.allclose(free_energy(ALL, *rbm()), -torch.logsumexp(-energy(ALL, HIDDEN), dim=1))


def test_the_partition_function_is_the_same_from_both_sides() -> None:
    w, b_v, b_h = rbm()
    visible = torch.logsumexp(-free_energy(ALL, w, b_v, b_h), dim=0)
    hidden = torch.logsumexp(-free_energy(HIDDEN, w.T, b_h, b_v), dim=0)
    assert torch.isclose(visible, hidden, atol=1e-12)


def test_a_gibbs_step_leaves_the_distribution_as_it_is() -> None:
    w, b_v, b_h = rbm()
    p = torch.softmax(-free_energy(ALL, w, b_v, b_h), dim=0)

    def chances(odds: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
        return (odds[:, None] * states - softplus(odds)[:, None]).sum(dim=-1).exp()

    step = chances(b_h + ALL @ w, HIDDEN) @ chances(b_v + HIDDEN @ w.T, ALL)
    assert torch.allclose(p @ step, p, atol=1e-14)
    n = 100_000  # and the sampler takes that step
    start = ALL[torch.multinomial(p, n, replacement=True)]
    random = torch.Generator().manual_seed(0)
    u = torch.rand(n, 13, generator=random, dtype=torch.double)
    after = gibbs(start, w, b_v, b_h, u[:, :5], u[:, 5:]).numpy() @ (1 << np.arange(8))
    share = np.bincount(after.astype(int), minlength=256) / n
    assert (np.abs(share - p.numpy()) < 5 * np.sqrt(p.numpy() / n) + 1 / n).all()


def test_the_softplus_is_stable_far_out() -> None:
    x = torch.tensor([-1e4, 1e4], dtype=torch.double)
    value = free_energy(
        torch.zeros(2, 1).double(), torch.ones(1, 1).double(), x[:, None] * 0, x[:, None]
    )
    assert value.tolist() == [0, -1e4]


def network(**sizes: int) -> RnnRbmNetwork:
    sizes = {"learning": 2, "generating": 3, "betas": 200, "chains": 1} | sizes
    made = RnnRbmNetwork(8, 4, 5, **sizes).double()
    w, b_v, b_h = rbm()
    made.w.data = w
    made.biases.bias.data = torch.cat([b_v, b_h])
    torch.nn.init.normal_(made.rnn.weight_ih_l0)
    torch.nn.init.normal_(made.biases.weight)
    return made


def test_an_annealed_chain_draws_what_the_rbm_holds_wherever_the_data_are() -> None:
    (w, b_v, b_h), n = rbm(), 20_000
    p = torch.softmax(-free_energy(ALL, w, b_v, b_h), dim=0).numpy()
    drawn = annealed(w, b_v.expand(n, 8), b_h.expand(n, 5), 60)
    share = np.bincount(drawn.numpy().astype(int) @ (1 << np.arange(8)), minlength=256) / n
    assert (np.abs(share - p) < 5 * np.sqrt(p / n) + 1 / n).all()


@pytest.mark.parametrize(("scale", "tolerance"), [(0.1, 0.01), (0.5, 0.05), (1.0, 0.2)])
def test_annealed_importance_sampling_finds_the_partition_function(
    scale: float, tolerance: float
) -> None:
    random = torch.Generator().manual_seed(0)
    w = scale * torch.randn(88, 12, generator=random, dtype=torch.double)
    b_v = torch.randn(3, 88, generator=random, dtype=torch.double) - 3
    b_h = torch.randn(3, 12, generator=random, dtype=torch.double)
    states = torch.from_numpy((np.arange(2**12)[:, None] >> np.arange(12) & 1).astype(float))
    exact = torch.stack(
        [
            torch.logsumexp(-free_energy(states, w.T, h, v), dim=0)
            for v, h in zip(b_v, b_h, strict=True)
        ]
    )
    estimates = log_partition(w, b_v, b_h, 1000, 60, random)
    assert (estimates - exact).abs().max() < tolerance


def test_the_estimate_of_many_chains_is_the_exact_likelihood() -> None:
    net = network(betas=500, chains=100)
    frames = ALL[torch.randint(256, (1, 9), generator=torch.Generator().manual_seed(3))]
    context, _ = net.read(frames, net.start(torch.zeros(1)))
    b_v, b_h = context[0].split([8, 5], dim=-1)
    every = -free_energy(ALL[:, None], net.w, b_v, b_h)  # (256, 9)
    exact = -free_energy(frames[0], net.w, b_v, b_h) - every.logsumexp(dim=0)
    assert torch.allclose(net.log_probability(context, frames)[0], exact, atol=0.05)
    assert torch.equal(net.log_probability(context, frames), net.log_probability(context, frames))


@pytest.mark.parametrize("from_data", [True, False])
def test_the_gradient_vanishes_on_the_models_own_samples_and_not_on_others(
    from_data: bool,
) -> None:
    net, (w, b_v, b_h) = network(), rbm()
    net.from_data, net.learning = from_data, 2 if from_data else 60
    torch.nn.init.zeros_(net.biases.weight)  # a static RBM
    p = torch.softmax(-free_energy(ALL, w, b_v, b_h), dim=0)
    sizes, n = [], 200_000
    for chances in (p, torch.ones(256).double() / 256):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            frames = ALL[torch.multinomial(chances, n, replacement=True)][:, None]
            held = torch.ones(n, 1, dtype=torch.double)
            net.zero_grad()
            net.loss(Windows(frames * 0, frames, held, torch.zeros(n))).backward()
        sizes.append(net.w.grad.abs().max().item())
    assert sizes[0] < 5 / np.sqrt(n)
    assert sizes[1] > 0.05


def test_the_past_sets_the_biases_of_a_frame_as_the_formula_says() -> None:
    net, frames = network(), ALL[torch.randint(256, (1, 6))]
    context, _ = net.read(frames, net.start(torch.zeros(1)))
    w_vu, w_uu, *biases = net.rnn.all_weights[0]
    u = torch.zeros(4, dtype=torch.double)
    for step in range(6):
        u = torch.tanh(sum(biases) + w_vu @ frames[0, step] + w_uu @ u)
        expected = net.biases.bias + net.biases.weight @ u
        assert torch.allclose(context[0, step], expected, atol=1e-12)


def test_without_recurrent_weights_every_frame_meets_the_same_rbm() -> None:
    net, (w, b_v, b_h) = network(betas=500, chains=100), rbm()
    torch.nn.init.zeros_(net.biases.weight)
    frames = ALL[torch.randint(256, (2, 6), generator=torch.Generator().manual_seed(3))]
    context, _ = net.read(frames, net.start(torch.zeros(2)))
    assert torch.equal(context, torch.cat([b_v, b_h]).expand(2, 6, 13))
    static = torch.log_softmax(-free_energy(ALL, w, b_v, b_h), dim=0)
    places = (frames @ (2.0 ** torch.arange(8, dtype=torch.double))).long()
    assert torch.allclose(net.log_probability(context, frames), static[places], atol=0.05)


def test_a_chain_of_many_steps_draws_what_the_rbm_holds() -> None:
    net, (w, b_v, b_h), n = network(generating=60), rbm(), 20_000
    p = torch.softmax(-free_energy(ALL, w, b_v, b_h), dim=0).numpy()
    uniform = torch.from_numpy(np.random.default_rng(0).random((n, net.draws)))
    drawn = net.draw(torch.cat([b_v, b_h]).expand(n, 13), uniform)
    share = np.bincount(drawn.detach().numpy().astype(int) @ (1 << np.arange(8)), minlength=256) / n
    assert (np.abs(share - p) < 5 * np.sqrt(p / n) + 1 / n).all()


@pytest.mark.parametrize(
    ("keys", "hidden", "published"),
    [(88, 150, 56_138), (176, 256, 116_388)],
    ids=["tutorial", "Sokolov et al."],
)
def test_parameters_are_counted_as_published(keys: int, hidden: int, published: int) -> None:
    made = RnnRbmNetwork(keys, 100, hidden, learning=15, generating=25, betas=10, chains=1)
    assert sum(p.numel() for p in made.parameters()) == published + 100  # PyTorch's second bias


def test_it_begins_as_in_the_tutorial() -> None:
    made = RnnRbmNetwork(88, 100, 150, learning=15, generating=25, betas=10, chains=1)
    for bias in (made.rnn.bias_ih_l0, made.rnn.bias_hh_l0, made.biases.bias):
        assert (bias == 0).all()
    for weight in (made.rnn.weight_ih_l0, made.rnn.weight_hh_l0, made.biases.weight):
        assert np.isclose(weight.detach().std(), 1e-4, rtol=0.05)
    assert np.isclose(made.w.detach().std(), 0.01, rtol=0.05)
    assert made.draws == 25 * (88 + 150)


def test_dropout_falls_on_what_the_recurrent_network_reads_and_says_in_training_alone() -> None:
    made = RnnRbmNetwork(
        8, 4, 5, learning=2, generating=3, betas=20, chains=1, dropout=0.5, input_dropout=0.5
    )
    torch.nn.init.normal_(made.biases.weight)
    torch.nn.init.normal_(made.rnn.weight_ih_l0)
    frames = torch.ones(1, 6, 8)
    begun = made.start(torch.zeros(1))
    first, second = (made.read(frames, begun)[0] for _ in range(2))
    assert not torch.equal(first, second)
    made.eval()
    assert torch.equal(made.read(frames, begun)[0], made.read(frames, begun)[0])


def test_validation_reports_what_the_likelihood_will_be() -> None:
    pieces = [ALL[np.random.default_rng(k).integers(16, size=40)].numpy() > 0 for k in range(4)]
    system, log = RnnRbm(hidden=8, recurrent=6, batch=2, sequence=20, betas=200), Log()
    system.learn(pieces, pieces[:2], Budget(30), 0, log)
    reported = log.curve("valid_loss")[-1]
    logs = np.concatenate(system.log_probabilities(pieces[:2]))
    assert reported == pytest.approx(-logs.mean(), abs=0.05)
    assert system.surprise(pieces[:2]) == system.surprise(pieces[:2])


def test_validation_looks_at_some_frames_of_every_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    pieces = [ALL[np.random.default_rng(k).integers(256, size=40)].numpy() > 0 for k in range(4)]
    system = RnnRbm(hidden=8, recurrent=6, batch=2, sequence=20, betas=50)
    system.learn(pieces, [], Budget(1), 0, Log())
    seen = []
    monkeypatch.setattr(system, "WATCHED", 16)
    estimate = system.network.log_probability

    def spy(context: torch.Tensor, frames: torch.Tensor) -> torch.Tensor:
        seen.append(frames[0].numpy() > 0)
        return estimate(context, frames)

    monkeypatch.setattr(system.network, "log_probability", spy)
    with torch.no_grad():
        system.network.eval()
        system.surprise(pieces)
    assert (np.concatenate(seen) == np.concatenate(pieces)[::10]).all()


def test_it_learns_and_its_estimate_follows_the_true_likelihood() -> None:
    frames = ALL.numpy().astype(bool)
    pieces = [frames[np.tile([3, 24, 129, 68], 6)]] * 4  # a round of four chords
    losses = []
    for updates in (1, 250):
        system = RnnRbm(hidden=8, recurrent=12, betas=100, chains=5, rate=0.02, sequence=24)
        system.learn(pieces, pieces[:1], Budget(updates), 0, Log())
        (steps,) = system.log_probabilities(pieces[:1])
        net = system.precise()
        windows = torch.from_numpy(np.pad(pieces[0], ((1, 0), (0, 0)))[None, :-1]).double()
        context, _ = net.read(windows, net.start(torch.zeros(1)))
        b_v, b_h = context[0].split([8, 8], dim=-1)
        total = (-free_energy(ALL[:, None], net.w, b_v, b_h)).logsumexp(dim=0)
        mine = torch.from_numpy(pieces[0]).double()
        exact = -free_energy(mine, net.w, b_v, b_h) - total
        assert abs(steps.mean() - exact.mean().item()) < 0.1
        losses.append(-exact.mean().item())
    assert losses[1] < 0.5 * losses[0]
