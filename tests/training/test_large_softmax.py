import pytest
import torch
from torch import nn

from bench.training import large_softmax
from bench.training.large_softmax import surprise

SEEDED = torch.Generator().manual_seed(0)


@pytest.mark.parametrize("rows", [1, 3, 64])
def test_loss_and_gradients_are_those_of_the_plain_softmax(
    rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(large_softmax, "rows_at_once", lambda tokens, device: rows)
    out = nn.Linear(5, 11).double()
    hidden = torch.randn(8, 5, generator=SEEDED).double().requires_grad_()
    targets = torch.randint(11, (8,), generator=SEEDED)
    results = []
    for loss in (
        nn.functional.cross_entropy(out(hidden), targets, reduction="sum"),
        surprise(out, hidden, targets),
    ):
        gradients = torch.autograd.grad(loss / 7, [hidden, out.weight, out.bias])
        results.append([loss.detach(), *gradients])
    for plain, large in zip(*results, strict=True):
        assert torch.allclose(plain, large, atol=1e-12)


def test_logits_of_any_size_are_safe() -> None:
    out = nn.Linear(1, 3)
    with torch.no_grad():
        out.weight.copy_(torch.tensor([[1e4], [0.0], [-1e4]]))
        out.bias.zero_()
    hidden = torch.ones(2, 1, requires_grad=True)
    loss = surprise(out, hidden, torch.tensor([0, 2]))
    loss.backward()
    assert torch.allclose(loss, torch.tensor(2e4))
    assert hidden.grad is not None
    assert hidden.grad.isfinite().all()


def test_in_half_precision_it_stays_near() -> None:
    out = nn.Linear(16, 50)
    hidden, targets = torch.randn(40, 16, generator=SEEDED), torch.arange(40)
    exact = surprise(out, hidden, targets)
    with torch.autocast("cpu", torch.bfloat16):
        near = surprise(out, hidden.bfloat16().requires_grad_(), targets)
    near.backward()
    assert near.dtype == torch.float32
    assert torch.isclose(near, exact, rtol=0.01)
    assert out.weight.grad is not None
