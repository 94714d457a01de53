from typing import Any

import numpy as np
import pytest
import torch
from logs import Log, Stopped
from torch import Tensor, nn

from bench import training
from bench.contract import Budget
from bench.errors import BenchError
from bench.training.checkpoint import load_tree, save_tree


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(5, 8)
        self.lstm = nn.LSTM(8, 8, num_layers=2, dropout=0.3, batch_first=True)
        self.out = nn.Linear(8, 5)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.out(self.lstm(self.embed(tokens))[0])


DATA = torch.from_numpy(np.random.default_rng(0).integers(0, 5, (20, 9)).cumsum(axis=1) % 5)
STEPS = 37


def cost(network: nn.Module, tokens: Tensor) -> Tensor:
    return nn.functional.cross_entropy(
        network(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten()
    )


def run(log: Log, optimiser: str = "AdamW", seed: int = 3, **settings: Any) -> nn.Module:
    with training.seeded(seed):
        network = Network()
    options = {"AdamW": {"lr": 0.02}, "SGD": {"lr": 0.3}, "Adadelta": {"lr": 1.0}}[optimiser]
    training.train(
        network,
        lambda step: cost(network, DATA[training.batch(15, 4, seed, step)]),
        getattr(torch.optim, optimiser)(network.parameters(), **options),
        steps=STEPS,
        seed=seed,
        log=log,
        schedule=lambda step: 0.97**step,
        clip=1.0,
        music_steps=32,
        **{"validate": lambda: cost(network, DATA[15:]).item(), "every": 5} | settings,
    )
    return network


def equal(first: nn.Module, second: nn.Module) -> bool:
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_two_runs_are_bit_equal_and_another_seed_is_not() -> None:
    assert equal(run(Log()), run(Log()))
    assert not equal(run(Log()), run(Log(), seed=4))


@pytest.mark.parametrize("optimiser", ["AdamW", "SGD", "Adadelta"])
@pytest.mark.parametrize("kill_at", [1, 18, 20, STEPS])
def test_a_resumed_run_is_bit_equal_to_an_unbroken_one(optimiser: str, kill_at: int) -> None:
    whole, broken = Log(), Log(stop_at=kill_at)
    with pytest.raises(Stopped):
        run(broken, optimiser)
    assert equal(run(broken, optimiser), run(whole, optimiser))
    assert broken.checkpoints == whole.checkpoints == STEPS  # it did not begin anew
    assert broken.curves == whole.curves


def annealed(losses: list[float], anneal: training.Anneal, log: Log) -> None:
    """Train one number whose loss is what the list says."""
    parameter = nn.Linear(1, 1, bias=False)
    training.train(
        parameter,
        lambda step: losses[step] + 0 * parameter.weight.sum(),
        torch.optim.SGD(parameter.parameters(), lr=1.0),
        steps=len(losses),
        seed=0,
        log=log,
        anneal=anneal,
    )


def test_the_rate_falls_where_the_training_error_slows() -> None:
    # Means of windows of two: 10, 6 (falls), 5.9 (slows), 5 (falls), 5 (slows), 9 (rises), 1.
    losses = [9.0, 11, 7, 5, 5.8, 6, 5, 5, 4, 6, 9, 9, 1, 1, 1]
    log = Log()
    annealed(losses, training.Anneal(factor=0.5, window=2, slow=0.1), log)
    rates = [log.curves["rate"][step] for step in range(1, len(losses) + 1)]
    assert rates == [1.0] * 6 + [0.5] * 4 + [0.25] * 2 + [0.125] * 3


@pytest.mark.parametrize("kill_at", [1, 3, 4, 11, 12, 30, STEPS])
def test_annealing_goes_on_as_it_was_after_a_kill(kill_at: int) -> None:
    settings = {"anneal": training.Anneal(factor=0.7, window=4, slow=0.2)}
    whole, broken = Log(), Log(stop_at=kill_at)
    with pytest.raises(Stopped):
        run(broken, **settings)
    assert equal(run(broken, **settings), run(whole, **settings))
    assert broken.curves == whole.curves
    last = whole.curves["rate"][STEPS] / (0.02 * 0.97 ** (STEPS - 1))
    assert last < 0.71  # it was annealed at all


def test_a_checkpoint_survives_its_file_with_what_annealing_knows(tmp_path: Any) -> None:
    settings = {"anneal": training.Anneal(factor=0.7, window=4, slow=0.2)}
    whole, broken = Log(), Log(stop_at=10)
    with pytest.raises(Stopped):
        run(broken, **settings)
    save_tree(tmp_path / "state", broken.state)
    broken.state = load_tree(tmp_path / "state")
    assert equal(run(broken, **settings), run(whole, **settings))


def test_the_callers_random_state_is_unchanged() -> None:
    torch.manual_seed(0)
    untouched = torch.rand(3)
    torch.manual_seed(0)
    run(Log())
    assert torch.equal(torch.rand(3), untouched)


def test_training_lowers_the_loss_and_says_how_far_it_is() -> None:
    log = Log()
    run(log)
    losses = log.curves["train_loss"]
    assert list(losses) == list(range(1, STEPS + 1))
    assert losses[STEPS] < losses[1]
    assert log.reports[-1] == (STEPS, STEPS, STEPS * 32)
    assert np.isclose(log.curves["rate"][STEPS], 0.02 * 0.97 ** (STEPS - 1))


def test_the_best_weights_on_the_validation_pieces_are_kept() -> None:
    answers = iter([3.0, 1.0, 2.0, 2.0, 2.0])
    weights: list[dict[str, Tensor]] = []
    parameter = nn.Linear(1, 1)

    def validate() -> float:
        weights.append({k: v.clone() for k, v in parameter.state_dict().items()})
        return next(answers)

    outcome = training.train(
        parameter,
        lambda step: parameter(torch.ones(1)).square().sum(),
        torch.optim.SGD(parameter.parameters(), lr=0.1),
        steps=100,
        seed=0,
        log=Log(),
        validate=validate,
        every=2,
        patience=3,
    )
    assert outcome == training.Outcome(steps=10, best_step=4, best_loss=1.0)
    assert torch.equal(parameter.weight, weights[1]["weight"])
    assert not parameter.training


def test_a_stopped_run_stays_stopped_when_resumed() -> None:
    broken, whole, worse = Log(stop_at=15), Log(), iter(range(100))
    settings = {"patience": 2, "validate": lambda: float(next(worse))}
    with pytest.raises(Stopped):
        run(broken, **settings)
    network = run(broken, **settings)
    assert next(worse) == 3  # not called again
    worse = iter(range(100))
    assert equal(network, run(whole, **settings))


def test_divergence_names_the_update_and_what_to_do() -> None:
    parameter = nn.Linear(1, 1)
    with pytest.raises(BenchError, match=r"loss is nan at update 4\. Lower the learning rate"):
        training.train(
            parameter,
            lambda step: parameter(torch.ones(1)).sum() * (float("nan") if step == 3 else 1.0),
            torch.optim.SGD(parameter.parameters(), lr=0.1),
            steps=2000,
            seed=0,
            log=Log(),
        )


def test_diverged_weights_are_never_checkpointed() -> None:
    parameter, log = nn.Linear(1, 1), Log(stop_at=6)
    with pytest.raises(BenchError, match="update 4"):
        training.train(
            parameter,
            lambda step: parameter(torch.ones(1)).sum() * (float("nan") if step == 3 else 1.0),
            torch.optim.SGD(parameter.parameters(), lr=0.1),
            steps=2000,
            seed=0,
            log=log,
        )
    assert log.state is None


def test_an_impossible_validation_piece_is_an_error() -> None:
    with pytest.raises(BenchError, match="validation loss is inf"):
        run(Log(), validate=lambda: float("inf"))


def test_the_gradient_is_cut_to_the_clip() -> None:
    parameter = nn.Linear(1, 1)
    before = parameter.weight.item()
    training.train(
        parameter,
        lambda step: 1e6 * parameter(torch.ones(1)).sum(),
        torch.optim.SGD(parameter.parameters(), lr=1.0),
        steps=1,
        seed=0,
        log=Log(),
        clip=0.5,
    )
    assert np.isclose(before - parameter.weight.item(), 0.5 / np.sqrt(2))


def test_batches_hold_every_item_once_per_pass_in_changing_order() -> None:
    passes = [
        np.concatenate([training.batch(10, 4, 7, step) for step in range(turn * 3, turn * 3 + 3)])
        for turn in range(2)
    ]
    assert training.batches_per_pass(10, 4) == 3
    assert all(sorted(items) == list(range(10)) for items in passes)
    assert passes[0].tolist() != passes[1].tolist()


def test_a_budget_in_passes_becomes_updates() -> None:
    assert training.updates(Budget(3, "passes"), per_pass=7) == 21
    assert training.updates(Budget(3, "updates"), per_pass=7) == 3


def test_the_device_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BENCH_DEVICE", raising=False)
    assert training.device() == torch.device("cpu")
    monkeypatch.setenv("BENCH_DEVICE", "tpu")
    with pytest.raises(BenchError, match="set it to cpu or cuda"):
        training.device()
    monkeypatch.setenv("BENCH_DEVICE", "cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(BenchError, match="finds no GPU"):
        training.device()
