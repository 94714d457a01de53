"""A two-layer LSTM over whole MIDI messages (Huang & Wu 2016, sections 3.1, 4 and 5.2).

    message before -> embedding 128 -> LSTM 2 x 128 -> softmax over messages and the escape

The paper's network knows only the messages of its training pieces. Here one more word, the escape,
stands for all others; the message is then spelled out (`bench.encodings.midi_messages`). With the
escape and the grammar every piece has a probability, and they sum to 1 over all pieces.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
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
from bench.music import Score
from bench.music.key import note_name
from bench.seeds import generators
from bench.training import saved, token_model
from bench.training.large_softmax import rows_at_once
from bench.training.settings import Configured
from bench.training.text import Examples, Text

SHOWN = 400  # the most frequent messages, whose embeddings are shown
SURE = 30.0  # the logit of the escape where no known message may follow

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
State = tuple[Tensor, Tensor]  # (layers, batch, hidden) each


class MessageNetwork(nn.Module):
    """Words 0..n-1, then the escape; its input has one more word, the beginning of a piece."""

    def __init__(self, words: int, embedding: int, hidden: int, layers: int) -> None:
        super().__init__()
        self.unknown, self.beginning, self.width = words, words + 1, hidden
        self.embed = nn.Embedding(words + 2, embedding)
        self.lstm = nn.LSTM(embedding, hidden, layers, batch_first=True)
        self.project = nn.Linear(hidden, words + 1)
        for layer in range(layers):
            # A forget bias of 1, as TensorFlow's BasicLSTMCell. Gates: input, forget, cell, output.
            for name, value in (("bias_ih", 1.0), ("bias_hh", 0.0)):
                bias = getattr(self.lstm, f"{name}_l{layer}")
                nn.init.constant_(bias[hidden : 2 * hidden], value)

    def forward(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """(batch, time) words -> (batch, time, hidden) and the state after them."""
        hidden, state = self.lstm(self.embed(tokens), state)
        return hidden, state

    def loss(self, examples: Examples) -> Tensor:
        """Mean -log p of what follows, among the words that may follow, and the escape."""
        hidden, _ = self(examples.inputs)
        return examples.surprise(self.project, hidden)

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


@dataclass(frozen=True, eq=False)
class WordRules:
    """The grammar at each place of a text; the escape may stand anywhere."""

    grammar: Grammar

    def legal(self, rows: Ints) -> Bools:
        """(rows, words + 1) which words may stand there, and the escape."""
        return np.pad(self.grammar.legal(rows), ((0, 0), (0, 1)), constant_values=True)

    def ending(self, rows: Ints) -> Bools:
        """(rows, words + 1) which words end the piece; the escape where no known word could."""
        late = self.grammar.ending(rows) & self.grammar.legal(rows)
        return np.column_stack([late, ~late.any(axis=1)])


class MidiLSTM(Configured):
    """The network, its vocabulary, and what an unknown message costs."""

    @dataclass(frozen=True)
    class Settings:
        """The paper's network, trained as char-rnn trains."""

        hidden: int = 128  # units of an LSTM layer
        layers: int = 2  # LSTM layers
        embedding: int = 128  # size of a message's embedding
        batch: int = 50  # windows of an update
        sequence: int = 50  # messages of a window
        rate: float = 0.002  # learning rate of Adam
        factor: float = 0.5  # of the learning rate, where the training error slows
        window: int = 50  # updates whose mean loss is compared with that of as many before
        slow: float = 0.03  # a smaller fall of the loss, as a share of it, is slow
        clip: float = 5.0  # largest norm of the gradient
        patience: int | None = 5  # validations without a gain after which training ends
        # A sample's words: drawn from the softmax, the most probable, or each half of the time.
        sampler: Literal["softmax", "argmax", "mixed"] = "softmax"
        grammar: bool = True  # False: any message may follow any other, as in the paper
        train: bool = True  # False: the weights keep their initial values, as a baseline

    settings: Settings
    vocabulary: MessageVocabulary
    spelling: Spelling
    network: MessageNetwork
    escape_bias: float  # added to the escape's logit; fitted on the validation pieces

    @property
    def likelihood(self) -> Likelihood:
        """Exact; without the grammar a bound, since messages that no piece has take probability."""
        return Likelihood("exact" if self.settings.grammar else "upper", "score")

    @property
    def samples_differ(self) -> str:
        """Samples consist of known messages, drawn by the sampler."""
        return f"the escape is never drawn; sampler: {self.settings.sampler}"

    @property
    def parameter_count(self) -> int:
        """How many numbers the network has to learn."""
        return sum(parameter.numel() for parameter in self.network.parameters())

    @property
    def token_counts(self) -> Ints:
        """(vocabulary,) how often each of the messages occurs in the training pieces."""
        return self.vocabulary.counts

    # -- learning -----------------------------------------------------------------------------

    def build(self) -> MessageNetwork:
        """A network for the vocabulary, newly initialised."""
        s = self.settings
        return MessageNetwork(len(self.vocabulary), s.embedding, s.hidden, s.layers)

    def fit(
        self, train: Sequence[Score], valid: Sequence[Score], budget: Budget, seed: int, log: Log
    ) -> None:
        """Make the vocabulary, train the network, fit the escape's bias on validation pieces."""
        s = self.settings
        rows = [messages(score) for score in train]
        self.vocabulary, self.spelling = MessageVocabulary.of(rows), Spelling.of(rows)
        self.escape_bias = 0.0
        with training.seeded(seed):
            self.network = self.build()
        self.network.to(training.device()).eval()
        if not s.train or not len(self.vocabulary):
            return
        lengths = [score.length for score in train]
        rules = WordRules(Grammar.along(self.vocabulary, rows, lengths)) if s.grammar else None
        words = [self.vocabulary.encode(row) for row in rows]
        text = Text.of(words, self.network.beginning, rules)
        windows = token_model.windows(text.pieces, 0, s.sequence)
        held_out = [score for score in valid if score.length]
        # A message that only one training piece has would be unknown if that piece were held out.
        # Half of the time it is treated as unknown, so that the escape is learnt in its contexts.
        rare = np.append(self.vocabulary.pieces == 1, [False] * 3)
        per_pass = training.batches_per_pass(len(windows), s.batch)

        def loss(step: int) -> Tensor:
            places = windows[training.batch(len(windows), s.batch, seed, step)]
            tokens = text.tokens_at(places)
            masked = rare[tokens] & (torch.rand(tokens.shape) < 0.5).numpy()
            tokens = np.where(masked, self.vocabulary.unknown, tokens)
            return self.network.loss(text.examples(places, tokens))

        def validate() -> float:
            return self._fit_escape(held_out) / sum(score.length for score in held_out)

        steps = training.updates(budget, per_pass)
        per_step = token_model.tokens_per_step(train, text.size)
        training.train(
            self.network,
            loss,
            torch.optim.Adam(self.network.parameters(), lr=s.rate),
            steps=steps,
            seed=seed,
            log=log,
            anneal=training.Anneal(s.factor, s.window, s.slow),
            clip=s.clip,
            validate=validate if held_out and steps >= per_pass else None,
            every=max(10, per_pass),
            patience=s.patience,
            music_steps=round(s.batch * s.sequence / per_step),
            per_step=per_step,
        )
        self._fit_escape(held_out)

    def _fit_escape(self, scores: Sequence[Score]) -> float:
        """Choose the escape's bias by the scores; their nats with it."""
        escape, named, spelled, _ = self._codes(scores)
        self.escape_bias = likeliest_bias(escape, named, spelled)
        return -float(mixture(escape + self.escape_bias, named, spelled).sum())

    # -- likelihood ---------------------------------------------------------------------------

    def log_likelihood(self, scores: Sequence[Score]) -> Floats:
        """(pieces,) log p of the pieces in nats."""
        escape, named, spelled, piece = self._codes(scores)
        nats = mixture(escape + self.escape_bias, named, spelled)
        return np.bincount(piece, weights=nats, minlength=len(scores)).astype(np.float64)

    @torch.no_grad()
    def _codes(self, scores: Sequence[Score]) -> tuple[Floats, Floats, Floats, Ints]:
        """For every message and every piece's end: the logit of the escape, log p among the known
        messages that may follow, log p when spelled out, and the number of the piece."""
        network = token_model.precise(self.network)
        rows = [messages(score) for score in scores]
        codes: list[NDArray[Any]] = [np.zeros((4, 0))]
        for group in token_model.groups([len(row) + 1 for row in rows], network.width):
            words = [np.append(network.beginning, self.vocabulary.encode(rows[p])) for p in group]
            for piece, inputs, hidden in zip(group, words, network.hidden(words), strict=True):
                length = scores[piece].length
                if not length:
                    continue
                rules = Grammar.along(
                    self.vocabulary, [rows[piece]], [length], free=not self.settings.grammar
                )
                message, end = rules.spelled(
                    np.concatenate([rows[piece], [[0, 0, length]]]), self.spelling
                )
                spelled = np.append(message[:-1], end[-1])
                word = np.append(inputs[1:], -1)
                step = rows_at_once(len(self.vocabulary), hidden.device)
                for start in range(0, len(word), step):
                    part = np.arange(start, min(len(word), start + step))
                    logs = network.project(hidden[part]).cpu().numpy()
                    escape, named = self._named(logs, rules, part, word[part])
                    codes.append(
                        np.stack([escape, named, spelled[part], np.full_like(part, piece)])
                    )
        escape, named, spelled, piece = np.concatenate(codes, axis=1)
        return escape, named, spelled, piece.astype(np.int64)

    def _named(self, logs: Floats, rules: Grammar, rows: Ints, word: Ints) -> tuple[Floats, Floats]:
        """(rows,) the logit of the escape and log p of the word, or of ending where it is -1."""
        if not len(self.vocabulary):
            return np.full(len(rows), SURE), np.full(len(rows), -np.inf)
        legal = rules.legal(rows)
        wanted = np.arange(len(self.vocabulary)) == word[:, None]
        wanted[word < 0] = rules.ending(rows[word < 0])
        total = token_model.log_sum(logs[:, :-1], legal)
        possible = np.isfinite(total)
        part = token_model.log_sum(logs[:, :-1], legal & wanted)
        named = np.where(possible, part - np.where(possible, total, 0.0), -np.inf)
        escape = np.where(possible, logs[:, -1] - np.where(possible, total, 0.0), SURE)
        return escape, named

    # -- generation ---------------------------------------------------------------------------

    def sample(self, prompts: Sequence[Score], steps: int, seed: int) -> list[Score]:
        """Continue the prompts message by message, many pieces at once.

        The escape is never drawn: samples consist of messages of the training pieces, as in the
        paper. Notes that no message releases end with the piece; their number is printed.
        """
        network, streams = token_model.precise(self.network), generators(prompts, seed)
        continuations, hanging, idle = [], 0, 0
        for start in range(0, len(prompts), token_model.PIECES):
            group = prompts[start : start + token_model.PIECES]
            rows = [messages(prompt) for prompt in group]
            lengths = [prompt.length for prompt in group]
            ends = [length + steps for length in lengths]
            rules = Grammar(self.vocabulary, ends, free=not self.settings.grammar)
            _follow_all(rules, rows)
            rules.begin(lengths)
            drawn = token_model.draw(
                network,
                [np.append(network.beginning, self.vocabulary.encode(row)) for row in rows],
                rules,
                streams[start : start + token_model.PIECES],
                token_model.SAMPLERS[self.settings.sampler],
            )
            for prompt, before, after in zip(group, rows, drawn, strict=True):
                whole = np.concatenate([before, self.vocabulary.rows[after]])
                piece, unreleased, unmatched = score_of(whole, prompt.length + steps, prompt.grid)
                hanging, idle = hanging + unreleased, idle + unmatched
                continuations.append(piece.slice(prompt.length, prompt.length + steps))
        print(f"{hanging} notes released by the end of {len(prompts)} pieces, {idle} idle releases")
        return continuations

    def note_embedding(self) -> tuple[list[str], Floats]:
        """The most frequent messages, and (messages, size) their embeddings."""
        return self._embedding(np.ones(len(self.vocabulary), dtype=bool))

    def note_embeddings(self) -> dict[str, tuple[list[str], Floats]]:
        """The same, and that of the messages after one wait, the most usual that is not 0.

        Figure 6 of the paper has one wait alone, so that each key has one message on and one off.
        """
        waits = self.vocabulary.rows[:, 2]
        usual = int(np.bincount(waits, self.vocabulary.counts * (waits > 0), 1).argmax())
        unit = "step" if usual == 1 else "steps"
        one_wait = self._embedding(waits == usual, with_wait=False)
        return {"messages": self.note_embedding(), f"messages after {usual} {unit}": one_wait}

    def _embedding(self, chosen: Bools, *, with_wait: bool = True) -> tuple[list[str], Floats]:
        """Labels such as "C4 on +2" and embeddings of the most frequent of the chosen messages."""
        order = np.argsort(-self.vocabulary.counts, kind="stable")
        order = order[chosen[order]][:SHOWN]
        labels = [
            f"{note_name(key)} {'on' if down else 'off'}" + (f" +{wait}" if with_wait else "")
            for down, key, wait in self.vocabulary.rows[order].tolist()
        ]
        weights = self.network.embed.weight.detach().double().cpu().numpy()
        return labels, weights[order]

    # -- saving -------------------------------------------------------------------------------

    def save(self, folder: Path) -> None:
        """Write settings, vocabulary, waits and weights."""
        arrays = token_model.weights(self.network)
        words = self.vocabulary
        arrays |= {"rows": words.rows, "counts": words.counts, "pieces": words.pieces}
        arrays["waits"] = self.spelling.waits
        values = {"settings": asdict(self.settings), "escape_bias": self.escape_bias}
        saved.save(folder, values, arrays)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The system as it was saved."""
        values, arrays = saved.load(folder)
        system = cls(**values["settings"])
        system.escape_bias = values["escape_bias"]
        system.vocabulary = MessageVocabulary(arrays["rows"], arrays["counts"], arrays["pieces"])
        system.spelling = Spelling(arrays["waits"])
        system.network = system.build()
        token_model.restore(system.network, arrays)
        return system


def _follow_all(rules: Grammar, rows: Sequence[Ints]) -> None:
    """Advance every piece by all of its messages."""
    done = rules.done
    for place in range(max((len(row) for row in rows), default=0)):
        rules.done = done | np.array([place >= len(row) for row in rows])
        rules.follow(np.array([r[place] if place < len(r) else (0, 0, 0) for r in rows]))
    rules.done = done
