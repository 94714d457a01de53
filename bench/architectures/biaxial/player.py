"""Drawing music with a biaxial network: time step by time step, and note by note in each step."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from bench.architectures.biaxial.linear_lstm import LinearLSTM
from bench.architectures.biaxial.network import BiaxialNetwork, State
from bench.training.cuda_graph import Recorded


class Cell:
    """One step of an LSTM layer, with its weights transposed for row vectors.

    The gates are in the order input, forget, output, candidate: one call for the three sigmoids.
    """

    def __init__(self, layer: nn.Module, dtype: torch.dtype) -> None:
        w = {name: value.detach() for name, value in layer.state_dict().items()}
        bias = w["bias_ih_l0"] + w.get("bias_hh_l0", torch.zeros(()).to(w["bias_ih_l0"]))
        i, f, g, o = torch.arange(len(bias), device=bias.device).chunk(4)
        order = torch.cat([i, f, o, g])
        self.inputs = w["weight_ih_l0"][order].t().contiguous().to(dtype)  # (inputs, 4 * hidden)
        self.outputs = w["weight_hh_l0"][order].t().contiguous().to(dtype)  # (hidden, 4 * hidden)
        self.bias = bias[order].to(dtype)
        self.linear = isinstance(layer, LinearLSTM)
        self.start = w.get("start", torch.zeros(2, len(self.outputs)).to(self.bias)).to(dtype)

    def begin(self, *rows: int) -> State:
        """The state of so many rows before the first step."""
        return self.start[0].repeat(*rows, 1), self.start[1].repeat(*rows, 1)

    def step(self, gates: Tensor, memory: Tensor) -> State:
        """Output and memory after one step; the gates (..., 4 * hidden) are overwritten."""
        hidden = memory.shape[-1]
        i, f, o = gates[..., : 3 * hidden].sigmoid_().chunk(3, dim=-1)
        candidate = gates[..., 3 * hidden :]
        memory = (f * memory).addcmul_(i, candidate if self.linear else candidate.tanh_())
        return memory.tanh().mul_(o), memory


class Player:
    """Draws many pieces at once, step by step, with the state of the time layers carried along.

    A piece must not depend on the pieces beside it, not even by rounding. On a CPU the time layers
    are computed by a matrix product per piece, in one call; the note layers together in double
    precision. On a GPU everything is computed together, in double precision.
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

    def begin(self, pieces: int, keys: int) -> list[Tensor]:
        """Initial outputs and memories of the time layers: (groups, rows, hidden) each.

        The rows of a group are the keys of the pieces that are computed together.
        """
        groups, size = (1, pieces) if self.together else (pieces, 1)
        return [part for cell in self.time for part in cell.begin(groups, size * keys)]

    def read(self, states: Tensor, step: Tensor, bar: Tensor, carried: list[Tensor]) -> Tensor:
        """(keys, pieces, gates) what the past adds to the first note layer; updates `carried`."""
        pieces, keys, _ = states.shape
        x = self.features(states, step, bar).to(self.single)
        x, *carried[:] = self.time_step(x.view(*carried[0].shape[:2], -1), *carried)
        past = x.view(pieces, keys, -1).transpose(0, 1)
        gates: Tensor = past.double().contiguous().add_(self.note[0].bias)
        return gates

    def _time_step(self, x: Tensor, *carried: Tensor) -> tuple[Tensor, ...]:
        """(groups, rows, gates) from features (groups, rows, 80), and the time layers' new state.

        The groups share the weights, but each has a matrix product of its own.
        """
        after: list[Tensor] = []
        groups = len(x)
        for output, memory, cell in zip(carried[::2], carried[1::2], self.time, strict=True):
            inputs, outputs = (w.expand(groups, -1, -1) for w in (cell.inputs, cell.outputs))
            gates = torch.baddbmm(cell.bias, x, inputs).baddbmm_(output, outputs)
            after += cell.step(gates, memory)
            x = after[-2]
        return torch.bmm(x, self.project.expand(groups, -1, -1)), *after

    def play(
        self, past: Tensor, before: Tensor, choose: Callable[[int, Tensor, Tensor], Tensor]
    ) -> Tensor:
        """(pieces, keys, 2) the next states, from the lowest note up.

        `choose(note, logits, before)` gives the states (pieces, 2) of one note.
        """
        pieces, drawn = past.shape[1], []
        own = [cell.begin(pieces) for cell in self.note]
        below = past.new_zeros(pieces, 2)
        for note, (gates, earlier) in enumerate(zip(past, before.unbind(1), strict=True)):
            gates = torch.addmm(gates, below, self.below)
            for layer, cell in enumerate(self.note):
                if layer:
                    gates = torch.addmm(cell.bias, own[layer - 1][0], cell.inputs)
                gates.addmm_(own[layer][0], cell.outputs)
                own[layer] = cell.step(gates, own[layer][1])
            logits = torch.addmm(self.dense[1], own[-1][0], self.dense[0])
            below = choose(note, logits, earlier)
            drawn.append(below)
        return torch.stack(drawn, 1)


class Chances:
    """Draws the states of a note from its logits, by uniform numbers drawn beforehand.

    The probability to play is raised to the piece's `exponent` (pieces,), if there is one.
    """

    def __init__(
        self, uniform: Tensor, exponent: Tensor | None, *, certain: bool, restrikes: bool
    ) -> None:
        self.certain, self.restrikes, self.exponent = certain, restrikes, exponent
        self.uniform = uniform.permute(1, 2, 0).contiguous()  # (keys, 2, pieces)

    def choose(self, note: int, logits: Tensor, before: Tensor) -> Tensor:
        """(pieces, 2) play and articulate, given logits and the states one step before."""
        (play, again), (chance, repeats) = self.uniform[note], logits.sigmoid().unbind(1)
        if self.exponent is not None:
            chance = chance**self.exponent
        plays = (play < chance).to(logits.dtype)
        if self.certain and not self.restrikes:
            return torch.stack([plays, plays - plays * before[:, 0]], 1)
        articulates = (again < repeats).to(logits.dtype)
        if self.certain:
            articulates = torch.maximum(articulates, 1 - before[:, 0])
        return torch.stack([plays, plays * articulates], 1)


def adapted(exponent: Tensor, sounding: Tensor) -> Tensor:
    """hexahedria's gen_adaptive: the exponent falls while fewer than two keys sound.

    At or below 0 every key sounds, as in the original.
    """
    return torch.where(sounding < 2, exponent.clamp(max=1) - 0.02, exponent + (1 - exponent) * 0.3)
