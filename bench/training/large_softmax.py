"""The cross-entropy of a softmax over tens of thousands of tokens, without storing all logits.

A batch of 2500 chords of MuseData has 2500 x 39 289 logits, 0.4 GB, and autograd would keep
several copies. Here a few rows at a time go through the softmax, and their gradient is computed
at the same time: this takes a tenth of the memory, and about as long.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

LOGITS = {"cpu": 2**20, "cuda": 2**26}  # in memory at a time


def rows_at_once(tokens: int, device: torch.device) -> int:
    """How many rows go together through a softmax over this many tokens."""
    return max(64, LOGITS[device.type] // tokens)


def surprise(
    out: nn.Linear, hidden: Tensor, targets: Tensor, legal: Tensor | None = None
) -> Tensor:
    """Sum of -log p(target) over the rows of (rows, hidden); p is the softmax of `out(hidden)`.

    With `legal` (rows, tokens) the softmax is over these tokens.
    """
    rows = rows_at_once(out.out_features, hidden.device)
    total: Tensor = _Surprise.apply(hidden, out.weight, out.bias, targets, legal, rows)  # type: ignore[no-untyped-call]
    return total


class _Surprise(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor,
        targets: Tensor,
        legal: Tensor | None,
        rows: int,
    ) -> Tensor:
        to_hidden = torch.empty_like(hidden)
        to_weight, to_bias = torch.zeros_like(weight), torch.zeros_like(bias)
        total = bias.new_zeros(())
        for start in range(0, len(targets), rows):
            part, tokens = hidden[start : start + rows], targets[start : start + rows, None]
            # Autocast may have made the products in half precision; the rest is in full precision.
            logits = (part @ weight.t()).to(bias.dtype) + bias
            if legal is not None:
                logits.masked_fill_(~legal[start : start + rows], -torch.inf)
            log_total = logits.logsumexp(dim=1, keepdim=True)
            total += (log_total - logits.gather(1, tokens)).sum()
            # d surprise / d logits = softmax - one-hot
            excess = (logits - log_total).exp_()
            excess.scatter_add_(1, tokens, -torch.ones_like(tokens, dtype=excess.dtype))
            to_hidden[start : start + rows] = excess @ weight
            to_weight += excess.t() @ part
            to_bias += excess.sum(dim=0)
        ctx.save_for_backward(to_hidden, to_weight, to_bias)
        return total

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        to_hidden, to_weight, to_bias = ctx.saved_tensors
        (scale,) = upstream
        weights = scale * to_weight, scale * to_bias
        return scale.to(to_hidden.dtype) * to_hidden, *weights, None, None, None
