"""The biaxial network: LSTMs along time, shared by all notes, then LSTMs along the notes.

    80 features of each note -> time LSTMs over the steps -> note LSTMs over the notes, upwards,
    which also read what the note below does -> dense 2 -> play, articulate

Hexahedria (2015), whose code is followed, Svegliato & Witty 2017 (section 3) and Sokolov et al.
2016 (section 2.4.2). The prediction of a note knows all earlier steps and, of the same step, the
notes below it: a chain of conditional probabilities.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from bench.architectures.linear_lstm import LinearLSTM

State = tuple[Tensor, Tensor]  # (1, rows, hidden) each: output, memory
VICINITY = 12  # keys to either side that a note sees
FEATURES = 1 + 12 + 2 * (2 * VICINITY + 1) + 12 + 4 + 1  # 80


class NoteFeatures(nn.Module):
    """What the network is told of each note: 80 numbers, a function of one step's states.

    Position; pitch class (12); play and articulate of the 25 notes around it (50); how many notes
    of each pitch class sound, from its own upwards (12); the sixteenth of the bar in bits, lowest
    first, as -1 and 1 (4); whether the piece has yet to begin (1).
    `scaled`: positions in 0..1, not 0..keys. `wraps`: below the lowest note lies the highest.
    `marks_beginning`: the last feature is used; the original holds it at 0.
    """

    static: Tensor
    classes: Tensor
    turned: Tensor

    def __init__(
        self, lowest: int, keys: int, *, scaled: bool, wraps: bool, marks_beginning: bool
    ) -> None:
        super().__init__()
        self.wraps, self.marks_beginning = wraps, marks_beginning
        position = torch.arange(keys)
        own = (position + lowest) % 12
        classes = nn.functional.one_hot(own, 12).to(torch.get_default_dtype())
        place = position / keys if scaled else position.to(classes.dtype)
        self.register_buffer("static", torch.cat([place[:, None], classes], 1), persistent=False)
        self.register_buffer("classes", classes, persistent=False)
        turned = (own[:, None] + torch.arange(12)) % 12
        self.register_buffer("turned", turned, persistent=False)

    def forward(self, states: Tensor, step: Tensor, bar: Tensor) -> Tensor:
        """(..., keys, 2) states at steps (...), -1 before the piece -> (..., keys, 80)."""
        shape = states.shape[:-1]
        beyond = torch.zeros_like(states[..., :VICINITY, :])
        below = states[..., -VICINITY:, :] if self.wraps else beyond
        around = torch.cat([below, states, beyond], -2).unfold(-2, 2 * VICINITY + 1, 1)
        vicinity = around.transpose(-1, -2).reshape(*shape, -1)  # play, articulate, play, ...
        context = (states[..., 0] @ self.classes)[..., self.turned]
        sixteenth = 16 * (step % bar) // bar
        bits = sixteenth[..., None] >> torch.arange(4, device=step.device) & 1
        begins = (step < 0)[..., None] if self.marks_beginning else torch.zeros_like(bits[..., :1])
        shared = torch.cat([2 * bits - 1, begins], -1).to(states.dtype)[..., None, :]
        return torch.cat(
            [self.static.expand(*shape, -1), vicinity, context, shared.expand(*shape, -1)], -1
        )


class BiaxialNetwork(nn.Module):
    """Time layers, note layers, and a dense layer of two; dropout after every LSTM."""

    def __init__(
        self,
        features: NoteFeatures,
        time_layers: Sequence[int],
        note_layers: Sequence[int],
        dropout: float,
        linear_candidate: bool,
    ) -> None:
        super().__init__()
        self.features, self.dropout = features, dropout
        layer = LinearLSTM if linear_candidate else _lstm
        times = zip([FEATURES, *time_layers], time_layers, strict=False)
        self.time = nn.ModuleList(layer(inputs, hidden) for inputs, hidden in times)
        notes = zip([time_layers[-1] + 2, *note_layers], note_layers, strict=False)
        self.note = nn.ModuleList(layer(inputs, hidden) for inputs, hidden in notes)
        self.dense = nn.Linear(note_layers[-1], 2)
        if linear_candidate:  # theano_lstm: N(0, 1) / outputs
            nn.init.normal_(self.dense.weight, std=0.5)
            nn.init.normal_(self.dense.bias, std=0.5)

    def forward(
        self,
        states: Tensor,
        following: Tensor,
        step: Tensor,
        bar: Tensor,
        carried: list[State] | None = None,
    ) -> tuple[Tensor, list[State]]:
        """(batch, time, keys, 2) the logits of the states that follow, and the time layers' state.

        `states` at steps `step` (batch, time) in bars of `bar` steps (batch, 1); `following` are
        those one step later, of which a note sees the ones below it.
        """
        batch, time, keys, _ = states.shape
        x = self.features(states, step, bar).transpose(0, 1).reshape(time, batch * keys, -1)
        ended = []
        for place, layer in enumerate(self.time):
            x, state = layer(x, carried[place] if carried else None)
            ended.append(state)
            x = self._drop(x)
        x = x.view(time, batch, keys, -1).permute(2, 1, 0, 3)  # (keys, batch, time, hidden)
        below = nn.functional.pad(following[:, :, :-1], (0, 0, 1, 0)).permute(2, 0, 1, 3)
        x = torch.cat([x, below.to(x.dtype)], -1).reshape(keys, batch * time, -1)
        for layer in self.note:
            x = self._drop(layer(x)[0])
        return self.dense(x).view(keys, batch, time, 2).permute(1, 2, 0, 3), ended

    def _drop(self, x: Tensor) -> Tensor:
        """One mask per row for the whole sequence, as theano_lstm draws it."""
        if not self.training or not self.dropout:
            return x
        kept = torch.empty_like(x[:1]).bernoulli_(1 - self.dropout)
        return x * (kept / (1 - self.dropout))


def _lstm(inputs: int, hidden: int) -> nn.LSTM:
    lstm = nn.LSTM(inputs, hidden)
    with torch.no_grad():  # a forget bias of 1: gates are input, forget, candidate, output
        lstm.bias_ih_l0[hidden : 2 * hidden] = 1.0
        lstm.bias_hh_l0[hidden : 2 * hidden] = 0.0
    return lstm


def surprise(logits: Tensor, following: Tensor, free: Tensor) -> Tensor:
    """(batch, time) nats of the states that followed.

    Articulations count only where they are `free` (batch, time, keys): neither silent nor certain.
    """
    bce = nn.functional.binary_cross_entropy_with_logits
    both = bce(logits.to(following.dtype), following, reduction="none")
    return (both[..., 0] + both[..., 1] * free).sum(dim=-1)


# -- generation -----------------------------------------------------------------------------------


class Cell:
    """One step of an LSTM layer, its weights laid out for products from the left."""

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
        """Output and memory after one step whose gates (rows, 4 * hidden) are overwritten."""
        hidden = memory.shape[1]
        gates[:, : 2 * hidden].sigmoid_()
        gates[:, 3 * hidden :].sigmoid_()
        i, f, g, o = gates.split(hidden, dim=1)
        memory = torch.addcmul(f * memory, i, g if self.linear else g.tanh_())
        return o * memory.tanh(), memory


class Player:
    """Composes step after step, many pieces at once, carrying the state of the time layers.

    A piece must not depend, not even by rounding, on the pieces beside it. On a CPU the time
    layers go piece by piece; the note layers go together, in double precision. On a GPU all is
    together and in double precision.
    """

    def __init__(self, network: BiaxialNetwork) -> None:
        where = network.dense.weight.device
        self.features = network.features
        self.together = where.type == "cuda"
        self.single = torch.double if self.together else torch.float
        self.time = [Cell(layer, self.single) for layer in network.time]
        self.note = [Cell(layer, torch.double) for layer in network.note]
        heard = network.time[-1].hidden_size
        # The projection of the time layers' output is made for all notes of a step at once.
        self.project = self.note[0].inputs[:heard].to(self.single)
        self.below = self.note[0].inputs[heard:].contiguous()
        self.dense = (network.dense.weight.detach().double().t(), network.dense.bias.double())

    def begin(self, pieces: int, keys: int) -> list[list[State]]:
        """The time layers' states of every group of pieces that is computed together."""
        groups, size = (1, pieces) if self.together else (pieces, 1)
        return [[cell.begin(size * keys) for cell in self.time] for _ in range(groups)]

    def listen(self, states: Tensor, step: Tensor, bar: Tensor, carried: list[list[State]]) -> Tensor:
        """(keys, pieces, gates) what the notes hear of the past; `carried` goes on by one step."""
        pieces, keys, _ = states.shape
        x = self.features(states, step, bar).to(self.single)
        heard = []
        for group, own in zip(x.view(len(carried), -1, x.shape[-1]), carried, strict=True):
            for layer, cell in enumerate(self.time):
                output, memory = own[layer]
                gates = torch.addmm(cell.bias, group, cell.inputs).addmm_(output, cell.outputs)
                own[layer] = cell.step(gates, memory)
                group = own[layer][0]
            heard.append(group @ self.project)
        all_heard = torch.cat(heard).view(pieces, keys, -1).transpose(0, 1)
        return all_heard.double().contiguous() + self.note[0].bias

    def play(
        self, heard: Tensor, before: Tensor, choose: Callable[[int, Tensor, Tensor], Tensor]
    ) -> Tensor:
        """(pieces, keys, 2) the next states: note after note, upwards.

        `choose(note, logits, before)` makes the states (pieces, 2) of one note.
        """
        keys, pieces, _ = heard.shape
        states = torch.zeros(pieces, keys, 2, dtype=torch.double, device=heard.device)
        own = [cell.begin(pieces) for cell in self.note]
        below = states.new_zeros(pieces, 2)
        for note in range(keys):
            gates = torch.addmm(heard[note], below, self.below)
            for layer, cell in enumerate(self.note):
                if layer:
                    gates = torch.addmm(cell.bias, own[layer - 1][0], cell.inputs)
                gates.addmm_(own[layer][0], cell.outputs)
                own[layer] = cell.step(gates, own[layer][1])
            logits = torch.addmm(self.dense[1], own[-1][0], self.dense[0])
            below = choose(note, logits, before[:, note])
            states[:, note] = below
        return states
