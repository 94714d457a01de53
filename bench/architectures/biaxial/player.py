"""Drawing music with a biaxial network: time step by time step, and note by note in each step."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from bench.architectures.biaxial.linear_lstm import LinearLSTM
from bench.architectures.biaxial.network import BiaxialNetwork, State
from bench.training.cuda_graph import Recorded


class Cell:
    """One step of an LSTM layer, with its weights transposed for row vectors."""

    def __init__(self, layer: nn.Module, dtype: torch.dtype) -> None:
        w = {name: value.detach() for name, value in layer.state_dict().items()}
        self.inputs = w["weight_ih_l0"].t().contiguous()  # (inputs, 4 * hidden)
        self.outputs = w["weight_hh_l0"].t().contiguous()  # (hidden, 4 * hidden)
        self.bias = w["bias_ih_l0"] + w.get("bias_hh_l0", torch.zeros(()).to(w["bias_ih_l0"]))
        self.inputs, self.outputs, self.bias = (
            x.to(dtype) for x in (self.inputs, self.outputs, self.bias)
        )
        self.linear = isinstance(layer, LinearLSTM)
        self.start = w.get("start", torch.zeros(2, len(self.outputs)).to(self.bias)).to(dtype)

    def begin(self, rows: int) -> State:
        """The state of `rows` rows before the first step."""
        return self.start[0].repeat(rows, 1), self.start[1].repeat(rows, 1)

    def step(self, gates: Tensor, memory: Tensor) -> State:
        """Output and memory after one step; the gates (rows, 4 * hidden) are overwritten."""
        hidden = memory.shape[1]
        gates[:, : 2 * hidden].sigmoid_()
        gates[:, 3 * hidden :].sigmoid_()
        i, f, g, o = gates.chunk(4, dim=1)
        memory = torch.addcmul(f * memory, i, g if self.linear else g.tanh_())
        return o * memory.tanh(), memory


class Player:
    """Draws many pieces at once, step by step, with the state of the time layers carried along.

    A piece must not depend on the pieces beside it, not even by rounding. On a CPU the time layers
    are computed piece by piece, the note layers together in double precision. On a GPU everything
    is computed together, in double precision.
    """

    def __init__(self, network: BiaxialNetwork) -> None:
        self.features = network.features
        self.together = network.dense.weight.device.type == "cuda"
        self.single = torch.double if self.together else network.dense.weight.dtype
        self.time = [Cell(layer, self.single) for layer in network.time]
        self.note = [Cell(layer, torch.double) for layer in network.note]
        hidden = network.time[-1].hidden_size
        # The time layers' output is projected for all notes of a step at once.
        self.project = self.note[0].inputs[:hidden].to(self.single)
        self.below = self.note[0].inputs[hidden:].contiguous()
        self.dense = (network.dense.weight.detach().double().t(), network.dense.bias.double())
        self.time_step = Recorded(self._time_step)

    def begin(self, pieces: int, keys: int) -> list[list[Tensor]]:
        """Initial outputs and memories of the time layers, for each group computed together."""
        groups, size = (1, pieces) if self.together else (pieces, 1)
        return [
            [part for cell in self.time for part in cell.begin(size * keys)] for _ in range(groups)
        ]

    def read(
        self, states: Tensor, step: Tensor, bar: Tensor, carried: list[list[Tensor]]
    ) -> Tensor:
        """(keys, pieces, gates) what the past adds to the first note layer; updates `carried`."""
        pieces, keys, _ = states.shape
        x = self.features(states, step, bar).to(self.single)
        parts = []
        for number, group in enumerate(x.view(len(carried), -1, x.shape[-1])):
            part, *carried[number] = self.time_step(group, *carried[number])
            parts.append(part)
        past = torch.cat(parts).view(pieces, keys, -1).transpose(0, 1)
        gates: Tensor = past.double().contiguous() + self.note[0].bias
        return gates

    def _time_step(self, x: Tensor, *carried: Tensor) -> tuple[Tensor, ...]:
        """(rows, gates) from features (rows, 80), and the time layers' new outputs and memories."""
        after: list[Tensor] = []
        for output, memory, cell in zip(carried[::2], carried[1::2], self.time, strict=True):
            gates = torch.addmm(cell.bias, x, cell.inputs).addmm_(output, cell.outputs)
            after += cell.step(gates, memory)
            x = after[-2]
        return x @ self.project, *after

    def play(
        self, past: Tensor, before: Tensor, choose: Callable[[int, Tensor, Tensor], Tensor]
    ) -> Tensor:
        """(pieces, keys, 2) the next states, from the lowest note up.

        `choose(note, logits, before)` gives the states (pieces, 2) of one note.
        """
        keys, pieces, _ = past.shape
        states = torch.zeros(pieces, keys, 2, dtype=torch.double, device=past.device)
        own = [cell.begin(pieces) for cell in self.note]
        below = states.new_zeros(pieces, 2)
        for note in range(keys):
            gates = torch.addmm(past[note], below, self.below)
            for layer, cell in enumerate(self.note):
                if layer:
                    gates = torch.addmm(cell.bias, own[layer - 1][0], cell.inputs)
                gates.addmm_(own[layer][0], cell.outputs)
                own[layer] = cell.step(gates, own[layer][1])
            logits = torch.addmm(self.dense[1], own[-1][0], self.dense[0])
            below = choose(note, logits, before[:, note])
            states[:, note] = below
        return states


class Chances:
    """Draws the states of a note from its logits, by uniform numbers drawn beforehand.

    The probability to play is raised to the piece's `exponent` (pieces,).
    """

    def __init__(
        self, uniform: Tensor, exponent: Tensor, *, certain: bool, restrikes: bool
    ) -> None:
        self.certain, self.restrikes, self.exponent = certain, restrikes, exponent
        self.uniform = uniform.transpose(0, 1).contiguous()  # (keys, pieces, 2)

    def choose(self, note: int, logits: Tensor, before: Tensor) -> Tensor:
        """(pieces, 2) play and articulate, given logits and the states one step before."""
        p = logits.sigmoid()
        chances = torch.stack([p[:, 0] ** self.exponent, p[:, 1]], dim=1)
        states = (self.uniform[note] < chances).to(p.dtype)
        if self.certain:
            begins = 1 - before[:, 0]
            states[:, 1] = torch.maximum(states[:, 1], begins) if self.restrikes else begins
        states[:, 1] *= states[:, 0]
        return states


def adapted(exponent: Tensor, sounding: Tensor) -> Tensor:
    """hexahedria's gen_adaptive: the exponent falls while fewer than two keys sound.

    At or below 0 every key sounds, as in the original.
    """
    return torch.where(sounding < 2, exponent.clamp(max=1) - 0.02, exponent + (1 - exponent) * 0.3)
