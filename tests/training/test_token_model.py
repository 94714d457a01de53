import numpy as np
import pytest
import torch
from torch import nn

from bench.training import token_model

RNG = np.random.default_rng(0)


def test_windows_hold_every_token_once_as_target_after_what_came_before() -> None:
    rows = token_model.windows([np.array([5, 6, 7, 8, 9]), np.array([4]), np.array([], int)], 0, 2)
    assert rows.tolist() == [[0, 5, 6], [6, 7, 8], [8, 9, -1], [0, 4, -1]]


def test_random_windows_are_parts_of_the_sequences() -> None:
    sequence = np.arange(1, 30)
    rows = token_model.random_windows([sequence, sequence[:3]], 0, 5, 200, RNG)
    assert {row[0] for row in rows.tolist()} == set(range(25))
    for row in rows:
        known = row[row >= 0]
        assert (np.diff(known) == 1).all()


def test_the_loss_is_the_mean_surprise_of_the_targets_also_of_many_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = nn.Linear(6, 40).double()
    hidden = torch.randn(3, 7, 6, dtype=torch.double)
    targets = torch.randint(-1, 40, (3, 7))
    logs = out(hidden).log_softmax(-1).gather(2, targets.clamp(min=0)[..., None])[..., 0]
    for large in (2**11, 40):
        monkeypatch.setattr(token_model, "LARGE", large)
        assert torch.isclose(token_model.surprise(out, hidden, targets), -logs[targets >= 0].mean())


def test_samplers_take_the_likeliest_token_a_draw_or_one_of_both() -> None:
    chances = np.tile([0.1, 0.25, 0.0, 0.15, 0.0], (8000, 1))  # they sum to one half
    numbers = RNG.random((8000, 2))
    share = {
        name: np.bincount(choose(chances, numbers), minlength=5) / 8000
        for name, choose in token_model.SAMPLERS.items()
    }
    assert np.allclose(share["softmax"], [0.2, 0.5, 0, 0.3, 0], atol=0.03)
    assert share["argmax"].tolist() == [0, 1, 0, 0, 0]
    assert np.allclose(share["mixed"], [0.1, 0.75, 0, 0.15, 0], atol=0.03)


def test_a_token_without_a_chance_is_never_drawn() -> None:
    numbers = np.array([[0.0, 0], [np.nextafter(1, 0), 0]])
    assert token_model.softmax(np.tile([0, 0.3, 0.7, 0], (2, 1)), numbers).tolist() == [1, 2]
