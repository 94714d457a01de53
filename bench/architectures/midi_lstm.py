"""A two-layer LSTM over whole MIDI messages (Huang & Wu 2016, sections 3.1, 4 and 5.2).

    message before -> embedding 128 -> LSTM 2 x 128 -> softmax over messages and the escape

The paper's network knows only the messages of its training pieces. Here one more word, the escape,
stands for all others; what it is followed by is spelled out (`bench.encodings.midi_messages`). With
that and the grammar every piece has a probability, and those of all pieces sum to 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench import training
from bench.contract import Budget, Floats, Likelihood, Log
from bench.encodings.escape import likeliest_bias, mixture
from bench.encodings.midi_messages import (
    Grammar,
    MessageVocabulary,
    Spelling,
    messages,
    score_of,
)
from bench.errors import BenchError
from bench.music import Score
from bench.seeds import generators
from bench.training import saved, token_model

SURE = 30.0  # the logit of an escape where no known message may follow

Ints = NDArray[np.int64]
State = tuple[Tensor, Tensor]  # (layers, batch, hidden) each


class MessageNetwork(nn.Module):
    """Words 0..n-1, then the escape; as input also the beginning of a piece."""

    def __init__(self, words: int, embedding: int, hidden: int, layers: int) -> None:
        super().__init__()
        self.unknown, self.beginning, self.width = words, words + 1, hidden
        self.embed = nn.Embedding(words + 2, embedding)
        self.lstm = nn.LSTM(embedding, hidden, layers, batch_first=True)
        self.project = nn.Linear(hidden, words + 1)
        for layer in range(layers):
            # TensorFlow's BasicLSTMCell: a forget bias of 1. Gates: input, forget, cell, output.
            for name, value in (("bias_ih", 1.0), ("bias_hh", 0.0)):
                bias = getattr(self.lstm, f"{name}_l{layer}")
                nn.init.constant_(bias[hidden : 2 * hidden], value)

    def forward(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """(batch, time) words -> (batch, time, hidden) and the state after them."""
        hidden, state = self.lstm(self.embed(tokens), state)
        return hidden, state

    def loss(self, windows: Tensor) -> Tensor:
        """Mean cross-entropy of the words 1.. of windows (batch, time + 1); -1 is no word."""
        hidden, _ = self(windows[:, :-1].clamp(min=0))
        return token_model.surprise(self.project, hidden, windows[:, 1:])

    def out(self, hidden: Tensor) -> Tensor:
        """(..., hidden) -> (..., words) logits of the known words."""
        logits: Tensor = self.project(hidden)[..., :-1]
        return logits

    def hidden(self, inputs: Sequence[Ints]) -> list[Tensor]:
        """(length, hidden) of every sequence."""
        rows = [token_model.tensor(sequence) for sequence in inputs]
        hidden, _ = self(nn.utils.rnn.pad_sequence(rows, batch_first=True))
        return [part[: len(row)] for part, row in zip(hidden, rows, strict=True)]

    def read(self, inputs: Sequence[Ints]) -> tuple[Tensor, State]:
        """(sequences, hidden) after the last word of each, and the state."""
        rows = [self.embed(token_model.tensor(sequence)) for sequence in inputs]
        _, state = self.lstm(nn.utils.rnn.pack_sequence(rows, enforce_sorted=False))
        return state[0][-1], state

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """The same after one more word each."""
        hidden, state = self(tokens[:, None], state)
        return hidden[:, 0], state

    def keep(self, state: State, rows: Tensor) -> State:
        """The state of these sequences only."""
        return state[0][:, rows].contiguous(), state[1][:, rows].contiguous()


class MidiLSTM:
    """The network, its vocabulary, and what an unknown message costs.

    `sampler`: a draw from the `softmax`, its `argmax`, or `mixed`: either, by the toss of a coin.
    With `grammar` off any message may follow any, as in the paper. With `train` off the weights
    stay as they were drawn: the paper's untrained network.
    """

    vocabulary: MessageVocabulary
    spelling: Spelling
    network: MessageNetwork
    escape_bias: float  # added to the escape's logit, by the validation pieces

    def __init__(
        self,
        *,
        hidden: int = 128,
        layers: int = 2,
        embedding: int = 128,
        batch: int = 50,
        sequence: int = 50,
        rate: float = 0.002,
        decay: float = 0.97,
        decay_every: int = 665,
        clip: float = 5.0,
        patience: int | None = 5,
        sampler: Literal["softmax", "argmax", "mixed"] = "softmax",
        grammar: bool = True,
        train: bool = True,
    ) -> None:
        if sampler not in token_model.SAMPLERS:
            raise BenchError(f"sampler = '{sampler}': choose {', '.join(token_model.SAMPLERS)}.")
        self.settings: dict[str, Any] = {
            "hidden": hidden,
            "layers": layers,
            "embedding": embedding,
            "batch": batch,
            "sequence": sequence,
            "rate": rate,
            "decay": decay,
            "decay_every": decay_every,
            "clip": clip,
            "patience": patience,
            "sampler": sampler,
            "grammar": grammar,
            "train": train,
        }
        self.shape = (embedding, hidden, layers)
        self.batch, self.sequence = batch, sequence
        self.rate, self.decay, self.decay_every = rate, decay, decay_every
        self.clip, self.patience = clip, patience
        self.sampler, self.grammar, self.trains = sampler, grammar, train
        self.likelihood = Likelihood("exact" if grammar else "upper", "score")

    @property
    def parameter_count(self) -> int:
        """How many numbers the network has to learn."""
        return sum(parameter.numel() for parameter in self.network.parameters())

    # -- learning -----------------------------------------------------------------------------

    def fit(
        self, train: Sequence[Score], valid: Sequence[Score], budget: Budget, seed: int, log: Log
    ) -> None:
        """Name the training messages, train the network, weigh the escape by the validation."""
        rows = [messages(score) for score in train]
        self.vocabulary, self.spelling = MessageVocabulary.of(rows), Spelling.of(rows)
        self.escape_bias = 0.0
        with training.seeded(seed):
            self.network = MessageNetwork(len(self.vocabulary), *self.shape)
        self.network.to(training.device()).eval()
        if not self.trains or not len(self.vocabulary):
            return
        words = [self.vocabulary.encode(row) for row in rows]
        windows = torch.from_numpy(
            token_model.windows(words, self.network.beginning, self.sequence)
        )
        held_out = token_model.windows(
            [self.vocabulary.encode(messages(score)) for score in valid],
            self.network.beginning,
            self.sequence,
        )
        # A message of a single training piece would be unknown had that piece been held out. Half
        # of the time it counts as such, so that the escape is learnt in its contexts.
        rare = torch.from_numpy(np.append(self.vocabulary.pieces == 1, [False] * 3))
        per_pass = training.batches_per_pass(len(windows), self.batch)

        def loss(step: int) -> Tensor:
            tokens = windows[training.batch(len(windows), self.batch, seed, step)]
            once = rare[tokens] & (torch.rand(tokens.shape) < 0.5)
            tokens = tokens.masked_fill(once, self.vocabulary.unknown)
            return self.network.loss(tokens.to(training.device()))

        def validate() -> float:
            return token_model.mean_loss(self.network, held_out, self.batch)

        steps = training.updates(budget, per_pass)
        training.train(
            self.network,
            loss,
            torch.optim.Adam(self.network.parameters(), lr=self.rate),
            steps=steps,
            seed=seed,
            log=log,
            schedule=lambda step: self.decay ** (step // self.decay_every),
            clip=self.clip,
            validate=validate if len(held_out) and steps >= per_pass else None,
            every=max(10, per_pass),
            patience=self.patience,
            music_steps=token_model.music_steps(train, words, self.batch * self.sequence),
        )
        escape, named, spelled, _ = self._codes(valid)
        self.escape_bias = likeliest_bias(escape, named, spelled)

    # -- likelihood ---------------------------------------------------------------------------

    def log_likelihood(self, scores: Sequence[Score]) -> Floats:
        """(pieces,) log p of the pieces in nats."""
        escape, named, spelled, piece = self._codes(scores)
        nats = mixture(escape + self.escape_bias, named, spelled)
        return np.bincount(piece, weights=nats, minlength=len(scores)).astype(np.float64)

    @torch.no_grad()
    def _codes(self, scores: Sequence[Score]) -> tuple[Floats, Floats, Floats, Ints]:
        """For every message, and for each piece's end: the logit of the escape, log p of it among
        the known messages that may follow, log p of it spelled out, and whose it is."""
        network = token_model.precise(self.network)
        rows = [messages(score) for score in scores]
        words = [self.vocabulary.encode(row) for row in rows]
        found: list[NDArray[Any]] = [np.zeros((4, 0))]
        for group in token_model.groups([len(row) + 1 for row in rows], network.width):
            held = network.hidden([np.append(network.beginning, words[piece]) for piece in group])
            lengths = [scores[piece].length for piece in group]
            rules = Grammar(self.vocabulary, lengths, free=not self.grammar)
            for place in range(max(len(rows[piece]) for piece in group) + 1):
                here = [
                    at
                    for at, piece in enumerate(group)
                    if place <= len(rows[piece]) and not rules.done[at]
                ]
                if not here:
                    break
                now = np.zeros((len(group), 3), dtype=np.int64)
                ends = np.array([place == len(rows[group[at]]) for at in here])
                for at, end in zip(here, ends, strict=True):
                    now[at] = (0, 0, lengths[at]) if end else rows[group[at]][place]
                word = [
                    -1 if end else words[group[at]][place]
                    for at, end in zip(here, ends, strict=True)
                ]
                logits = network.project(torch.stack([held[at][place] for at in here]))
                logs = logits.cpu().numpy()
                escape, named = self._named(logs, rules, np.array(here), np.array(word))
                message, end_cost = rules.spelled(now, self.spelling)
                spelled = np.where(ends, end_cost[here], message[here])
                found.append(np.stack([escape, named, spelled, np.array(group)[here]]))
                rules.follow(now)
        escape, named, spelled, piece = np.concatenate(found, axis=1)
        return escape, named, spelled, piece.astype(np.int64)

    def _named(self, logs: Floats, rules: Grammar, here: Ints, word: Ints) -> tuple[Floats, Floats]:
        """(rows,) the logit of the escape and log p of the word, or of ending where it is -1."""
        if not len(self.vocabulary):
            return np.full(len(here), SURE), np.full(len(here), -np.inf)
        legal, late = rules.legal()[here], rules.ending()[here]
        wanted = np.where(word[:, None] < 0, late, np.arange(len(self.vocabulary)) == word[:, None])
        total = token_model.log_sum(logs[:, :-1], legal)
        possible = np.isfinite(total)
        part = token_model.log_sum(logs[:, :-1], legal & wanted)
        named = np.where(possible, part - np.where(possible, total, 0.0), -np.inf)
        escape = np.where(possible, logs[:, -1] - np.where(possible, total, 0.0), SURE)
        return escape, named

    # -- generation ---------------------------------------------------------------------------

    def sample(self, prompts: Sequence[Score], steps: int, seed: int) -> list[Score]:
        """Message after message, many pieces at once. The escape is never drawn: samples hold
        messages of the training pieces only, as the paper's do. Notes that hang are released by
        the end; how many is printed."""
        network, streams = token_model.precise(self.network), generators(prompts, seed)
        continuations, hanging, idle = [], 0, 0
        for start in range(0, len(prompts), token_model.PIECES):
            group = prompts[start : start + token_model.PIECES]
            rows = [messages(prompt) for prompt in group]
            lengths = [prompt.length for prompt in group]
            rules = Grammar(
                self.vocabulary, [length + steps for length in lengths], free=not self.grammar
            )
            _follow_all(rules, rows)
            rules.begin(lengths)
            drawn = token_model.draw(
                network,
                [np.append(network.beginning, self.vocabulary.encode(row)) for row in rows],
                rules,
                streams[start : start + token_model.PIECES],
                token_model.SAMPLERS[self.sampler],
            )
            for prompt, said, then in zip(group, rows, drawn, strict=True):
                whole = np.concatenate([said, self.vocabulary.rows[then]])
                piece, hung, nothing = score_of(whole, prompt.length + steps, prompt.grid)
                hanging, idle = hanging + hung, idle + nothing
                continuations.append(piece.slice(prompt.length, prompt.length + steps))
        print(f"{hanging} notes released by the end of {len(prompts)} pieces, {idle} idle releases")
        return continuations

    # -- keeping ------------------------------------------------------------------------------

    def save(self, folder: Path) -> None:
        """Write settings, vocabulary, waits and weights."""
        arrays = token_model.weights(self.network)
        words = self.vocabulary
        arrays |= {"rows": words.rows, "counts": words.counts, "pieces": words.pieces}
        arrays["waits"] = self.spelling.waits
        saved.save(folder, {"settings": self.settings, "escape_bias": self.escape_bias}, arrays)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The system as it was saved."""
        values, arrays = saved.load(folder)
        system = cls(**values["settings"])
        system.escape_bias = values["escape_bias"]
        system.vocabulary = MessageVocabulary(arrays["rows"], arrays["counts"], arrays["pieces"])
        system.spelling = Spelling(arrays["waits"])
        system.network = MessageNetwork(len(system.vocabulary), *system.shape)
        token_model.restore(system.network, arrays)
        return system


def _follow_all(rules: Grammar, rows: Sequence[Ints]) -> None:
    """Let every piece go on by all of its messages."""
    done = rules.done
    for place in range(max((len(row) for row in rows), default=0)):
        rules.done = done | np.array([place >= len(row) for row in rows])
        rules.follow(np.array([r[place] if place < len(r) else (0, 0, 0) for r in rows]))
    rules.done = done
