"""The LSTM under the biaxial networks of 2015-2017: its candidate is linear, without the tanh.

    i, f, o = sigmoid(W x + U h + b)     c = f c + i (W x + U h + b)     h = o tanh(c)

theano_lstm's default activation is the identity, and the original's code sets no other. Initial
states are random constants that are never trained. The fast LSTMs of libraries cannot compute this
cell, so it is a loop. What does not depend on the step before is one matrix product in front of it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

State = tuple[Tensor, Tensor]  # (1, rows, hidden) each: output, memory


class LinearLSTM(nn.Module):
    """One layer with the interface of nn.LSTM: (time, rows, inputs) -> (time, rows, hidden), state.

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
        """The outputs and the state after the last step, in the precision of the weights."""
        rows = x.shape[1]
        h, c = (part[0] for part in state) if state else self.start[:, None].expand(2, rows, -1)
        # Without a tanh the memory can outgrow half precision, which autocast would use.
        with torch.autocast(x.device.type, enabled=False):
            x = x.to(self.bias_ih_l0.dtype)
            recurrent, outputs = self.weight_hh_l0.t(), []
            # unbind, since the gradient of projected[t] would be as large as that of all steps.
            projected = nn.functional.linear(x, self.weight_ih_l0, self.bias_ih_l0)
            for step in projected.unbind():
                i, f, g, o = torch.addmm(step, h, recurrent).chunk(4, dim=1)
                c = torch.addcmul(f.sigmoid() * c, i.sigmoid(), g)
                h = o.sigmoid() * c.tanh()
                outputs.append(h)
        return torch.stack(outputs), (h[None].detach(), c[None].detach())
