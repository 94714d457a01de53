"""Every network of every installed system, small: all of it learns, and the loss falls."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bench import registry
from bench.check import NoLog, toy_dataset
from bench.contract import Budget
from bench.training import loop

UPDATES = 15
# Contrastive divergence is a difference of two free energies: its level says nothing.
CONTRASTS = ("RBM", "RnnRbmNetwork")


@dataclass
class Trained:
    """What was seen of one training: parameters without a gradient, the loss before and after."""

    network: str
    idle: list[str]
    before: float
    after: float


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> list[Trained]:
    """All trainings from here on, looked at from outside."""
    seen: list[Trained] = []
    train = loop.train

    def spy(model: nn.Module, loss: Callable[[int], Tensor], *rest: Any, **named: Any) -> Any:
        if not named["steps"]:  # the first look of a training in stages
            return train(model, loss, *rest, **named)

        def level() -> Tensor:
            with loop.seeded(0):
                return torch.stack([loss(step) for step in range(3)]).mean()

        model.train()
        before = level()
        before.backward()  # type: ignore[no-untyped-call]
        idle = [
            name
            for name, value in model.named_parameters()
            if value.grad is None or not value.grad.abs().sum()
        ]
        model.zero_grad()
        outcome = train(model, loss, *rest, **named)
        model.train()
        seen.append(Trained(type(model).__name__, idle, before.item(), level().item()))
        model.eval()
        return outcome

    monkeypatch.setattr(loop, "train", spy)
    return seen


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "installed" in metafunc.fixturenames:
        specs = [s for s in registry.systems().values() if s.budget.unit == "updates"]
        pairs = [(s.id, v) for s in specs if s.budget.smoke for v in s.variants()]
        metafunc.parametrize("installed", pairs, ids=" ".join)


def test_every_parameter_gets_a_gradient_and_the_loss_falls(
    installed: Any, trainings: list[Trained]
) -> None:
    name, variant = installed
    system = registry.systems()[name].build(variant, "small")
    toy = toy_dataset()
    system.fit(toy.split("train"), [], Budget(UPDATES), 0, NoLog())
    assert trainings
    for trained in trainings:
        assert trained.idle == []
        if trained.network not in CONTRASTS:
            assert trained.after < trained.before
