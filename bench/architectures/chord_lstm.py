"""A two-layer LSTM that names chords, one token per step (Huang & Wu 2016, sections 4 and 5.5).

    chord before -> embedding 128 -> LSTM 2 x 128 -> softmax over chords and the escape

The paper's network knows only the chords of its training pieces. Here one more token, the
escape, stands for all others. As output it means that the frame is spelled out key by key
(`bench.encodings.escape`), as input that an unknown chord sounded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench import training
from bench.contract import Budget, Floats, Likelihood, Log
from bench.encodings.chords import ChordVocabulary
from bench.encodings.escape import Spelling, likeliest_bias, mixture
from bench.music import Score
from bench.music.key import note_name
from bench.music.score import Roll
from bench.seeds import generators
from bench.training import saved, token_model
from bench.training.large_softmax import rows_at_once, surprise
from bench.training.settings import Configured

STEPS, PIECES = 64, 256  # of one forward pass
SHOWN = 400  # the most frequent chords, whose embeddings are shown

Ints = NDArray[np.int64]
State = tuple[Tensor, Tensor]  # (layers, batch, hidden) each


class ChordNetwork(nn.Module):
    """Chords 0..n-1, then the escape; its input has one more token, the beginning of a piece."""

    def __init__(self, chords: int, embedding: int, hidden: int, layers: int) -> None:
        super().__init__()
        self.escape, self.beginning = chords, chords + 1
        self.embed = nn.Embedding(chords + 2, embedding)
        self.lstm = nn.LSTM(embedding, hidden, layers, batch_first=True)
        self.out = nn.Linear(hidden, chords + 1)
        for layer in range(layers):
            # A forget bias of 1, as TensorFlow's BasicLSTMCell. Gates: input, forget, cell, output.
            for name, value in (("bias_ih", 1.0), ("bias_hh", 0.0)):
                bias = getattr(self.lstm, f"{name}_l{layer}")
                nn.init.constant_(bias[hidden : 2 * hidden], value)

    def forward(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """(batch, time) tokens -> (batch, time, hidden) and the state after them."""
        hidden, state = self.lstm(self.embed(tokens), state)
        return hidden, state

    def loss(self, windows: Tensor) -> Tensor:
        """Mean cross-entropy of the tokens 1.. of windows (batch, time + 1); -1 is padding."""
        hidden, _ = self(windows[:, :-1].clamp(min=0))
        targets = windows[:, 1:]
        hidden, targets = hidden[targets >= 0], targets[targets >= 0]  # (tokens, hidden)
        return surprise(self.out, hidden, targets) / len(targets)


class ChordLSTM(Configured):
    """The network, its vocabulary, and what an unknown chord costs."""

    @dataclass(frozen=True)
    class Settings:
        """The paper's network, trained as char-rnn trains."""

        hidden: int = 128  # units of an LSTM layer
        layers: int = 2  # LSTM layers
        embedding: int = 128  # size of a chord's embedding
        batch: int = 50  # windows of an update
        sequence: int = 50  # steps of a window
        rate: float = 0.002  # learning rate of Adam
        factor: float = 0.5  # of the learning rate, where the training error slows
        window: int = 50  # updates whose mean loss is compared with that of as many before
        slow: float = 0.03  # a smaller fall of the loss, as a share of it, is slow
        clip: float = 5.0  # largest norm of the gradient
        patience: int | None = 5  # validations without a gain after which training ends
        smoothing: float = 0.5  # added to the counts of how often each key sounds and rests
        # A sample's chords: drawn from the softmax, the most probable, or each half of the time.
        sampler: Literal["softmax", "argmax", "mixed"] = "softmax"
        train: bool = True  # False: the weights keep their initial values, as a baseline
        most: int | None = None  # a training frame of more keys keeps three of them, at random

    settings: Settings
    likelihood = Likelihood("exact", "frames")
    vocabulary: ChordVocabulary
    spelling: Spelling
    network: ChordNetwork
    escape_bias: float  # added to the escape's logit; fitted on the validation pieces

    @property
    def samples_differ(self) -> str:
        """Samples consist of known chords, drawn by the sampler."""
        return f"the escape is never drawn; sampler: {self.settings.sampler}"

    @property
    def parameter_count(self) -> int:
        """How many numbers the network has to learn."""
        return sum(parameter.numel() for parameter in self.network.parameters())

    @property
    def token_counts(self) -> Ints:
        """(vocabulary,) how often each of the chords occurs in the training pieces."""
        return self.vocabulary.counts

    # -- learning -----------------------------------------------------------------------------

    def build(self) -> ChordNetwork:
        """A network for the vocabulary, newly initialised."""
        s = self.settings
        return ChordNetwork(len(self.vocabulary), s.embedding, s.hidden, s.layers)

    def fit(
        self, train: Sequence[Score], valid: Sequence[Score], budget: Budget, seed: int, log: Log
    ) -> None:
        """Make the vocabulary, train the network, fit the escape's bias on validation pieces."""
        rolls, held_out = ([score.sounding() for score in scores] for scores in (train, valid))
        if self.settings.most is not None:
            rng = np.random.default_rng(0)
            rolls = [thinned(roll, self.settings.most, rng) for roll in rolls]
        self.learn(rolls, held_out, budget, seed, log)

    def learn(
        self, train: Sequence[Roll], valid: Sequence[Roll], budget: Budget, seed: int, log: Log
    ) -> None:
        """As `fit`, from frames of any number of keys."""
        s = self.settings
        self.vocabulary = ChordVocabulary.of(train)
        self.spelling = Spelling.of(np.concatenate(list(train)), s.smoothing)
        self.escape_bias = 0.0
        with training.seeded(seed):
            self.network = self.build().to(training.device())
        if not s.train:
            return
        windows = torch.from_numpy(
            token_model.windows(
                [self.vocabulary.encode(piece) for piece in train],
                self.network.beginning,
                s.sequence,
            )
        )
        # A chord that only one training piece has would be unknown if that piece were held out.
        # Half of the time it is treated as unknown, so that the escape is learnt in its contexts.
        rare = torch.from_numpy(np.append(self.vocabulary.pieces == 1, [False] * 3))
        per_pass = training.batches_per_pass(len(windows), s.batch)

        def loss(step: int) -> Tensor:
            tokens = windows[training.batch(len(windows), s.batch, seed, step)]
            masked = rare[tokens] & (torch.rand(tokens.shape) < 0.5)
            tokens = tokens.masked_fill(masked, self.vocabulary.unknown)
            return self.network.loss(tokens.to(training.device()))

        def validate() -> float:
            escape, named, spelled = self._codes(self.network, valid)
            bias = likeliest_bias(escape, named, spelled)
            return -float(mixture(escape + bias, named, spelled).mean())

        training.train(
            self.network,
            loss,
            torch.optim.Adam(self.network.parameters(), lr=s.rate),
            steps=training.updates(budget, per_pass),
            seed=seed,
            log=log,
            anneal=training.Anneal(s.factor, s.window, s.slow),
            clip=s.clip,
            validate=validate if sum(map(len, valid)) else None,
            every=max(10, per_pass),
            patience=s.patience,
            music_steps=round(sum(map(len, train)) / per_pass),
        )
        self.escape_bias = likeliest_bias(*self._codes(token_model.precise(self.network), valid))

    # -- likelihood ---------------------------------------------------------------------------

    def log_likelihood(self, scores: Sequence[Score]) -> Floats:
        """(pieces,) log p of the pieces' frames in nats."""
        steps = self.log_probabilities([score.sounding() for score in scores])
        return np.array([step.sum() for step in steps])

    def log_probabilities(self, pieces: Sequence[Roll]) -> list[Floats]:
        """log p of every frame (steps,) of every piece, given the frames before it."""
        escape, named, spelled = self._codes(token_model.precise(self.network), pieces)
        ends = np.cumsum([len(piece) for piece in pieces])
        return np.split(mixture(escape + self.escape_bias, named, spelled), ends)[: len(pieces)]

    def _codes(
        self, network: ChordNetwork, pieces: Sequence[Roll]
    ) -> tuple[Floats, Floats, Floats]:
        """The logit of the escape, log p(chord | named) and log p(frame | spelled) of all frames.

        They are in the order of the pieces, although the network reads many pieces at once.
        """
        starts = np.cumsum([0] + [len(piece) for piece in pieces])
        escape, named = np.zeros(starts[-1]), np.zeros(starts[-1])
        tokens = [self.vocabulary.encode(piece) for piece in pieces]
        # The longest first, so that pieces that have ended are the last rows of the batch.
        order = sorted(range(len(pieces)), key=lambda piece: -len(pieces[piece]))
        for group in _parts(order, PIECES):
            state, last = None, np.full(len(group), network.beginning)
            for start in range(0, len(pieces[group[0]]), STEPS):
                group = [piece for piece in group if len(pieces[piece]) > start]
                steps = min(STEPS, len(pieces[group[0]]) - start)
                targets = np.full((len(group), steps), -1)
                for row, piece in enumerate(group):
                    part = tokens[piece][start : start + steps]
                    targets[row, : len(part)] = part
                inputs = np.column_stack([last[: len(group)], np.maximum(targets[:, :-1], 0)])
                last = targets[:, -1]
                if state is not None:
                    state = (
                        state[0][:, : len(group)].contiguous(),
                        state[1][:, : len(group)].contiguous(),
                    )
                with torch.no_grad():
                    hidden, state = network(_tensor(inputs), state)
                    valid = targets >= 0
                    odds, log_p = self._named(network, hidden[_tensor(valid)], targets[valid])
                rows, columns = valid.nonzero()
                places = starts[np.array(group)][rows] + start + columns
                escape[places], named[places] = odds, log_p
        spelled = [self.spelling.log_probability(piece) for piece in pieces]
        return escape, named, np.concatenate([np.zeros(0), *spelled])

    def _named(self, network: ChordNetwork, hidden: Tensor, targets: Ints) -> tuple[Floats, Floats]:
        """(rows,) the logit of the escape and the log p of the chord among the chords."""
        odds, log_p = np.zeros(len(targets)), np.zeros(len(targets))
        rows = rows_at_once(network.out.out_features, hidden.device)
        for start in range(0, len(targets), rows):
            part = slice(start, start + rows)
            logits = network.out(hidden[part])
            total = logits[:, :-1].logsumexp(dim=1)
            chosen = logits.gather(1, _tensor(targets[part])[:, None])[:, 0] - total
            odds[part] = (logits[:, -1] - total).cpu().numpy()
            log_p[part] = np.where(targets[part] < network.escape, chosen.cpu().numpy(), -np.inf)
        return odds, log_p

    # -- generation ---------------------------------------------------------------------------

    def sample(self, prompts: Sequence[Score], steps: int, seed: int) -> list[Score]:
        """Continue the prompts chord by chord, many pieces at once.

        The escape is never drawn: samples consist of chords of the training pieces, as in the
        paper.
        """
        network, continuations = token_model.precise(self.network), []
        streams = generators(prompts, seed)
        for group in _parts(range(len(prompts)), PIECES):
            # (pieces, steps, 2): one number for the chord, one for the mixed sampler's choice.
            draws = np.stack([streams[piece].random((steps, 2)) for piece in group])
            tokens = self._continue(network, [prompts[piece] for piece in group], draws)
            frames = self.vocabulary.decode(tokens)
            continuations += [
                Score.from_rolls(roll, grid=prompts[piece].grid)
                for piece, roll in zip(group, frames, strict=True)
            ]
        return continuations

    @torch.no_grad()
    def _continue(self, network: ChordNetwork, prompts: Sequence[Score], draws: Floats) -> Ints:
        """(pieces, steps) the chords after the prompts."""
        tokens = [
            np.append(network.beginning, self.vocabulary.encode(prompt.sounding()))
            for prompt in prompts
        ]
        shape = (network.lstm.num_layers, len(prompts), network.lstm.hidden_size)
        hidden, cell = torch.zeros((2, *shape), dtype=torch.double, device=training.device())
        for length in sorted({prompt.length for prompt in prompts}):
            rows = [row for row, prompt in enumerate(prompts) if prompt.length == length]
            # The last token is left for the first step below.
            if length:
                inputs = np.stack([tokens[row][:-1] for row in rows])
                _, ended = network(_tensor(inputs))
                hidden[:, rows], cell[:, rows] = ended
        state = (hidden, cell)
        choose = token_model.SAMPLERS[self.settings.sampler]
        chosen = np.zeros(draws.shape[:2], dtype=np.int64)
        last = np.array([row[-1] for row in tokens])
        for step in range(draws.shape[1]):
            output, state = network(_tensor(last[:, None]), state)
            chances = network.out(output[:, 0])[:, :-1].softmax(dim=1)
            last = choose(chances.cpu().numpy(), draws[:, step])
            chosen[:, step] = last
        return chosen

    def note_embedding(self) -> tuple[list[str], Floats]:
        """The notes of the most frequent chords, and (chords, size) their embeddings."""
        return self._embedding(np.ones(len(self.vocabulary), dtype=bool))

    def note_embeddings(self) -> dict[str, tuple[list[str], Floats]]:
        """The same, and that of single notes (figure 8 of the paper)."""
        single = self.vocabulary.chords.sum(axis=1) == 1
        return {"chords": self.note_embedding(), "single notes": self._embedding(single)}

    def _embedding(self, chosen: NDArray[np.bool_]) -> tuple[list[str], Floats]:
        """Names and embeddings of the most frequent of the chosen chords."""
        order = np.argsort(-self.vocabulary.counts, kind="stable")
        order = order[chosen[order]][:SHOWN]
        names = [
            "-".join(note_name(int(key)) for key in np.flatnonzero(self.vocabulary.chords[c]))
            for c in order
        ]
        weights = self.network.embed.weight.detach()[_tensor(order)]
        return [name or "silence" for name in names], weights.double().cpu().numpy()

    # -- saving -------------------------------------------------------------------------------

    def save(self, folder: Path) -> None:
        """Write settings, vocabulary, rates and weights."""
        arrays = token_model.weights(self.network)
        chords = self.vocabulary
        arrays |= {"chords": chords.chords, "counts": chords.counts, "pieces": chords.pieces}
        arrays["rates"] = self.spelling.rates
        values = {"settings": asdict(self.settings), "escape_bias": self.escape_bias}
        saved.save(folder, values, arrays)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The system as it was saved."""
        values, arrays = saved.load(folder)
        system = cls(**values["settings"])
        system.escape_bias = values["escape_bias"]
        system.vocabulary = ChordVocabulary(arrays["chords"], arrays["counts"], arrays["pieces"])
        system.spelling = Spelling(arrays["rates"])
        with training.seeded(0):
            system.network = system.build()
        token_model.restore(system.network, arrays)
        return system


def thinned(roll: Roll, most: int, rng: np.random.Generator) -> Roll:
    """The frames (steps, keys); those of more than `most` keys keep three at random (3.2)."""
    crowded = roll.sum(axis=1) > most
    order = np.where(roll[crowded], rng.random((int(crowded.sum()), roll.shape[1])), 2.0)
    kept = np.zeros_like(roll[crowded])
    np.put_along_axis(kept, order.argsort(axis=1)[:, :3], True, axis=1)
    thin = roll.copy()
    thin[crowded] = kept
    return thin


def _parts(items: Any, size: int) -> Iterator[Any]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _tensor(array: NDArray[Any]) -> Tensor:
    return torch.from_numpy(array).to(training.device())
