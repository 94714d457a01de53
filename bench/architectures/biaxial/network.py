"""The biaxial network: LSTMs along time, shared by all notes, then LSTMs along the notes.

    80 features of each note -> time LSTMs over the steps -> note LSTMs over the notes, upwards,
    which also read the states of the note below -> dense 2 -> play, articulate

Hexahedria (2015), whose code is followed here; Svegliato & Witty 2017 (section 3); Sokolov et al.
2016 (section 2.4.2). A note is predicted from all earlier steps and from the notes below it in the
same step: a chain of conditional probabilities.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from bench.architectures.biaxial.linear_lstm import LinearLSTM

State = tuple[Tensor, Tensor]  # (1, rows, hidden) each: output, memory
VICINITY = 12  # keys to either side that a note sees
FEATURES = 1 + 12 + 2 * (2 * VICINITY + 1) + 12 + 4 + 1  # 80


class NoteFeatures(nn.Module):
    """The network's input for each note: 80 numbers, a function of one step's states.

    Position; pitch class (12); play and articulate of the 25 notes around it (50); how many notes
    of each pitch class sound, beginning with its own (12); the sixteenth of the bar in bits, lowest
    first, as -1 and 1 (4); whether this is before the piece begins (1).
    `scaled`: positions in 0..1, not 0..keys. `wraps`: the highest notes are below the lowest.
    `marks_beginning`: the last feature is used; in the original it is always 0.
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
        states, shape = states.to(self.classes.dtype), states.shape[:-1]
        beyond = states.new_zeros(*shape[:-1], VICINITY, 2)
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
        """(batch, time, keys, 2) the logits of the next states, and the time layers' state.

        `states` are at steps `step` (batch, time), in bars of `bar` steps (batch, 1). `following`
        are the states one step later, of which each note reads those of the note below it.
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
        for name, value in (("bias_ih_l0", 1.0), ("bias_hh_l0", 0.0)):
            getattr(lstm, name)[hidden : 2 * hidden] = value
    return lstm


def surprise(logits: Tensor, following: Tensor, free: Tensor) -> Tensor:
    """(batch, time) -log p of the states that followed, in nats.

    An articulation counts only where it is `free` (batch, time, keys): neither silent nor certain.
    """
    if logits.dtype == torch.bfloat16:
        logits = logits.float()
    bce = nn.functional.binary_cross_entropy_with_logits
    both = bce(logits, following.to(logits.dtype), reduction="none")
    return (both[..., 0] + both[..., 1] * free).sum(dim=-1)
