"""The LSTM under the biaxial networks of 2015-2017: its candidate is linear, without the tanh.

    i, f, o = sigmoid(W x + U h + b)     c = f c + i (W x + U h + b)     h = o tanh(c)

theano_lstm's default activation is the identity, and nobody set another. Initial states are
random constants that are never trained. No library's fast LSTM can compute this one: forward and
backward are written out here, with everything that does not depend on the previous step in one
matrix product.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

State = tuple[Tensor, Tensor]  # (1, rows, hidden) each: output, memory


class LinearLSTM(nn.Module):
    """One layer, called as nn.LSTM is: (time, rows, inputs) -> (time, rows, hidden), last state.

    Gates in PyTorch's order: input, forget, candidate, output. The state gets no gradient.
    """

    start: Tensor

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.hidden_size = hidden
        # theano_lstm: every array is N(0, 1) / its first dimension, which is one gate's size here.
        self.weight_ih_l0 = nn.Parameter(torch.randn(4 * hidden, inputs) / hidden)
        self.weight_hh_l0 = nn.Parameter(torch.randn(4 * hidden, hidden) / hidden)
        self.bias_ih_l0 = nn.Parameter(torch.randn(4 * hidden) / hidden)
        self.register_buffer("start", torch.randn(2, hidden) / (2 * hidden))

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """The outputs and the state after the last step."""
        if state is None:
            rows = x.shape[1]
            state = self.start[0].expand(1, rows, -1), self.start[1].expand(1, rows, -1)
        outputs, memory = _LinearLSTM.apply(  # type: ignore[no-untyped-call]
            x, self.weight_ih_l0, self.weight_hh_l0, self.bias_ih_l0, state[0][0], state[1][0]
        )
        return outputs, (outputs[-1:].detach(), memory[None])


class _LinearLSTM(torch.autograd.Function):
    """All steps at once, with the backward pass written out."""

    @staticmethod
    @torch.amp.custom_fwd(device_type="cuda", cast_inputs=torch.float32)  # type: ignore[untyped-decorator]
    def forward(
        ctx: Any, x: Tensor, w: Tensor, u: Tensor, b: Tensor, h: Tensor, c: Tensor
    ) -> tuple[Tensor, Tensor]:
        time, rows, inputs = x.shape
        hidden = h.shape[1]
        gates = torch.addmm(b, x.reshape(-1, inputs), w.t()).view(time, rows, 4 * hidden)
        outputs = x.new_empty(time + 1, rows, hidden)
        memories = x.new_empty(time + 1, rows, hidden)
        squashed = x.new_empty(time, rows, hidden)  # tanh of the memories
        outputs[0], memories[0] = h, c
        u_t = u.t().contiguous()
        for t in range(time):
            gate = gates[t]
            gate.addmm_(outputs[t], u_t)
            gate[:, : 2 * hidden].sigmoid_()
            gate[:, 3 * hidden :].sigmoid_()
            i, f, g, o = torch.split(gate, hidden, dim=1)
            torch.mul(f, memories[t], out=memories[t + 1])
            memories[t + 1].addcmul_(i, g)
            torch.tanh(memories[t + 1], out=squashed[t])
            torch.mul(o, squashed[t], out=outputs[t + 1])
        ctx.save_for_backward(x, w, u, gates, outputs, memories, squashed)
        last = memories[-1].clone()
        ctx.mark_non_differentiable(last)
        return outputs[1:], last

    @staticmethod
    @torch.amp.custom_bwd(device_type="cuda")  # type: ignore[untyped-decorator]
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, w, u, gates, outputs, memories, squashed = ctx.saved_tensors
        time, rows, hidden = squashed.shape
        d_gates = torch.empty_like(gates)
        d_h, d_c = x.new_zeros(rows, hidden), x.new_zeros(rows, hidden)
        for t in range(time - 1, -1, -1):
            i, f, g, o = torch.split(gates[t], hidden, dim=1)
            d_i, d_f, d_g, d_o = torch.split(d_gates[t], hidden, dim=1)
            d_h += gradients[0][t]
            d_c.addcmul_(d_h * o, 1 - squashed[t] * squashed[t])
            torch.mul(d_h * squashed[t], o * (1 - o), out=d_o)
            torch.mul(d_c * memories[t], f * (1 - f), out=d_f)
            torch.mul(d_c * g, i * (1 - i), out=d_i)
            torch.mul(d_c, i, out=d_g)
            d_c *= f
            torch.mm(d_gates[t], u, out=d_h)
        flat = d_gates.view(time * rows, 4 * hidden)
        d_x = (flat @ w).view_as(x) if ctx.needs_input_grad[0] else None
        d_w = flat.t() @ x.reshape(time * rows, -1)
        d_u = flat.t() @ outputs[:-1].reshape(time * rows, hidden)
        return d_x, d_w, d_u, flat.sum(dim=0), None, None
