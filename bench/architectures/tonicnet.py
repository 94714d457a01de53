"""TonicNet: a small GRU that names the chord, then the voices, of every step (Peracha 2019).

    token before -> embedding 256 | how often it was repeated -> embedding 32
    -> GRU 3 x 256 -> joined with the repetition again -> softmax over chords and pitches

A step is five tokens: [chord, soprano, bass, alto, tenor]. A Score has no voices, so they are
assigned here: of the sounding keys the highest is the soprano, the lowest the bass, the two between
are alto and tenor; other voices rest. The chord follows from the keys. A frame of at most four keys
therefore has exactly one encoding. A key struck again while it sounds is lost, as in the original.
A frame of more keys is an escape token, and is then spelled out key by key.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench import training
from bench.contract import Budget, Floats, Likelihood, Log
from bench.encodings.escape import Spelling
from bench.encodings.frames import stack
from bench.music import KEYS, Score
from bench.music.score import Roll
from bench.seeds import generators
from bench.training import distributed, saved, token_model
from bench.training.settings import Configured
from bench.training.text import Examples

VOICES = 5  # tokens of a step: the chord and four voices
TRIADS = ((0, 4, 7), (0, 3, 7), (0, 3, 6), (0, 4, 8))  # major, minor, diminished, augmented
OTHER, SILENCE, ESCAPE, REST = 48, 49, 50, 51  # after the triads on 12 roots
PITCH = 52
TOKENS = PITCH + KEYS
BEGINNING = TOKENS
REPEATS = 80  # of the counter: 0 to 79 repetitions; more count as 79

Ints = NDArray[np.int64]


# -- tokens ---------------------------------------------------------------------------------------


def chord_of(keys: Sequence[int]) -> int:
    """The chord of the keys (from 0): a triad, with at most one pitch class more, or OTHER."""
    if not keys:
        return SILENCE
    classes = {(key + 9) % 12 for key in keys}  # key 0 is an A
    bass = (keys[0] + 9) % 12
    for root in [bass, *range(12)]:
        for kind, triad in enumerate(TRIADS):
            chord = {(root + step) % 12 for step in triad}
            if chord <= classes and len(classes) <= 4:
                return kind * 12 + int(root)
    return OTHER


def tokens_of(frames: Roll) -> Ints:
    """(steps, 5) the tokens of frames (steps, keys)."""
    known: dict[tuple[int, ...], list[int]] = {}
    rows = []
    for frame in frames:
        keys = tuple(np.flatnonzero(frame).tolist())
        if keys not in known:
            known[keys] = _tokens_of(keys)
        rows.append(known[keys])
    return np.array(rows, dtype=np.int64).reshape(-1, VOICES)


def _tokens_of(keys: tuple[int, ...]) -> list[int]:
    chord = chord_of(keys) if len(keys) <= 4 else ESCAPE
    bass, *upper = keys or (None,)
    # Soprano, alto and tenor are the other keys from the top down.
    soprano, alto, tenor = [*upper[::-1], None, None, None][:3]
    if soprano is None:
        soprano, bass = bass, None
    voices = (soprano, bass, alto, tenor)
    return [chord, *(REST if key is None else PITCH + key for key in voices)]


def frames_of(tokens: Ints) -> Roll:
    """(steps, keys) the frames of tokens (steps, 5)."""
    frames = np.zeros((len(tokens), KEYS), dtype=bool)
    steps, voices = np.nonzero(tokens[:, 1:] >= PITCH)
    frames[steps, tokens[steps, voices + 1] - PITCH] = True
    return frames


def transpose(tokens: Ints, semitones: int) -> Ints:
    """The tokens shifted by some semitones, unchanged where one would leave the keyboard."""
    pitches = tokens >= PITCH
    moved = tokens + semitones
    if (moved[pitches] < PITCH).any() or (moved[pitches] >= TOKENS).any():
        return tokens
    triads = tokens // 12 * 12 + moved % 12
    return np.where(pitches & (tokens < TOKENS), moved, np.where(tokens < OTHER, triads, tokens))


def repeats(tokens: Ints) -> Ints:
    """(steps, 5) for how many steps before this one its voice has had the same token."""
    counts = np.zeros_like(tokens)
    for step in range(1, len(tokens)):
        counts[step] = np.where(tokens[step] == tokens[step - 1], counts[step - 1] + 1, 0)
    return np.minimum(counts, REPEATS - 1)


class Grammar:
    """The state of several pieces, and which tokens may follow: voices must not cross."""

    def __init__(self, lengths: Sequence[int], escape: bool) -> None:
        rows = len(lengths)
        self.length, self.escape = np.array(lengths, dtype=np.int64), escape
        self.done = self.length == 0
        self.place = np.zeros(rows, dtype=np.int64)  # tokens so far
        self.voices = np.full((rows, VOICES), REST)  # of the current step

    @classmethod
    def along(cls, tokens: Ints, steps: int) -> Grammar:
        """The positions in one piece (5 steps tokens): before each of its tokens, and its end."""
        rules = cls([steps] * (len(tokens) + 1), escape=True)
        rules.place = np.arange(len(tokens) + 1)
        for voice in range(VOICES):
            current = np.repeat(tokens[voice::VOICES], VOICES)
            rules.voices[voice + 1 :, voice] = current[: len(tokens) - voice]
        return rules

    def legal(self) -> NDArray[np.bool_]:
        """(pieces, tokens) which tokens may follow."""
        allowed = np.zeros((len(self.done), TOKENS), dtype=bool)
        voice = self.place % VOICES
        allowed[voice == 0, :ESCAPE] = True
        allowed[voice == 0, ESCAPE] = self.escape
        soprano, bass, alto = (self.voices[:, which, None] for which in (1, 2, 3))
        pitches = np.arange(PITCH, TOKENS)
        allowed_pitches = {  # of each voice
            1: np.ones((len(voice), KEYS), dtype=bool),
            2: pitches < soprano,
            3: (pitches < soprano) & (pitches > bass) & (bass != REST),
            4: (pitches < alto) & (pitches > bass) & (bass != REST),
        }
        for which, able in allowed_pitches.items():
            rows = voice == which
            allowed[rows, REST] = True
            allowed[rows, PITCH:] = able[rows]
        return allowed

    def ending(self) -> NDArray[np.bool_]:
        """(pieces, tokens) all tokens, where the piece is complete."""
        complete = self.place >= VOICES * self.length
        return np.repeat(complete[:, None], TOKENS, axis=1)

    def take(self, tokens: Ints) -> None:
        """Advance every piece that is not done by one token."""
        self.done = self.done | (self.place >= VOICES * self.length)
        going = np.flatnonzero(~self.done)
        self.voices[going, self.place[going] % VOICES] = tokens[going]
        self.place[going] += 1


# -- the network ----------------------------------------------------------------------------------


class State:
    """The layers' states, and what the repetition counter needs."""

    def __init__(self, layers: list[Tensor], tokens: Tensor, counts: Tensor, voice: int) -> None:
        self.layers, self.tokens, self.counts, self.voice = layers, tokens, counts, voice


class TonicNetwork(nn.Module):
    """Shapes: tokens and repetitions (batch, time), hidden vectors (batch, time, width)."""

    def __init__(
        self, embedding: int, hidden: int, layers: int, counter: int, dropout: float
    ) -> None:
        super().__init__()
        self.embed = nn.Embedding(TOKENS + 1, embedding)
        self.count = nn.Embedding(REPEATS, counter)
        self.stack = nn.ModuleList(
            nn.GRU(embedding + counter if number == 0 else hidden, hidden, batch_first=True)
            for number in range(layers)
        )
        self.width, self.dropout = hidden + counter, dropout
        self.out = nn.Linear(self.width, TOKENS)

    def _drop(self, x: Tensor) -> Tensor:
        """Variational dropout: one mask for all steps of a sequence."""
        if not self.training or not self.dropout:
            return x
        mask = torch.rand_like(x[:, :1]) >= self.dropout
        return x * mask / (1 - self.dropout)

    def forward(
        self, tokens: Tensor, counts: Tensor, state: list[Tensor] | None = None
    ) -> tuple[Tensor, list[Tensor]]:
        """(batch, time, width) and the layers' state after the last token."""
        counted = self.count(counts)
        x, ended = torch.cat([self.embed(tokens), counted], dim=-1), []
        for number, layer in enumerate(self.stack):
            x, last = layer(self._drop(x), None if state is None else state[number])
            ended.append(last)
        return torch.cat([self._drop(x), counted], dim=-1), ended

    def loss(self, examples: Examples, counts: Tensor) -> Tensor:
        """Mean -log p of what follows, among the tokens that may follow."""
        hidden, _ = self(examples.inputs, counts)
        return examples.surprise(self.out, hidden)

    def hidden(self, inputs: Sequence[Ints]) -> list[Tensor]:
        """(length, width) of every sequence."""
        rows = [token_model.tensor(sequence) for sequence in inputs]
        counts = [token_model.tensor(_counts(sequence)) for sequence in inputs]
        padded = (nn.utils.rnn.pad_sequence(part, batch_first=True) for part in (rows, counts))
        hidden, _ = self(*padded)
        return [part[: len(row)] for part, row in zip(hidden, rows, strict=True)]

    def read(self, inputs: Sequence[Ints]) -> tuple[Tensor, State]:
        """(sequences, width) after the last token of each, and the state."""
        hidden = [torch.zeros(0)] * len(inputs)
        layers = [torch.zeros(0)] * len(inputs)
        for length in sorted({len(sequence) for sequence in inputs}):
            rows = [row for row, sequence in enumerate(inputs) if len(sequence) == length]
            tokens = token_model.tensor(np.stack([inputs[row] for row in rows]))
            counts = token_model.tensor(np.stack([_counts(inputs[row]) for row in rows]))
            held, ended = self(tokens, counts)
            for place, row in enumerate(rows):
                hidden[row] = held[place, -1]
                layers[row] = torch.stack([layer[:, place] for layer in ended])
        last = np.full((len(inputs), VOICES), -1)
        counted = np.zeros((len(inputs), VOICES), dtype=np.int64)
        for row, sequence in enumerate(inputs):
            if len(sequence) > 1:
                last[row], counted[row] = sequence[-VOICES:], _counts(sequence)[-VOICES:]
        whole = torch.stack(layers, dim=2)  # (layers, 1, sequences, hidden)
        state = State(list(whole), token_model.tensor(last), token_model.tensor(counted), voice=0)
        return torch.stack(hidden), state

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """The same after one more token each."""
        voice = state.voice
        same = state.tokens[:, voice] == tokens
        count = torch.where(same, (state.counts[:, voice] + 1).clamp(max=REPEATS - 1), 0)
        state.tokens[:, voice], state.counts[:, voice] = tokens, count
        hidden, layers = self(tokens[:, None], count[:, None], state.layers)
        following = (voice + 1) % VOICES
        return hidden[:, 0], State(layers, state.tokens, state.counts, following)

    def keep(self, state: State, rows: Tensor) -> State:
        """The state of these sequences only."""
        layers = [layer[:, rows].contiguous() for layer in state.layers]
        return State(layers, state.tokens[rows], state.counts[rows], state.voice)


def _counts(sequence: Ints) -> Ints:
    """(tokens,) the repetitions of a sequence whose first token is the beginning."""
    missing = -(len(sequence) - 1) % VOICES
    whole = np.append(sequence[1:], np.full(missing, -1)).reshape(-1, VOICES)
    return np.append(0, repeats(whole).ravel())[: len(sequence)]


class TonicNet(Configured):
    """The network, trained by Adam with one cycle of the learning rate on transposed pieces."""

    @dataclass(frozen=True)
    class Settings:
        """The original's sizes; the catalogue says what differs and why."""

        embedding: int = 256  # size of a token's embedding
        hidden: int = 256  # units of a GRU layer
        layers: int = 3  # GRU layers
        counter: int = 32  # size of the repetition's embedding
        dropout: float = 0.1  # before each GRU layer and after the last
        batch: int = 16  # windows of an update
        sequence: int = 128  # steps of a window
        rate: float = 0.002  # highest learning rate of Adam
        clip: float = 5.0  # largest norm of the gradient
        transpose: int = 6  # semitones by which pieces are shifted at most
        smoothing: float = 0.5  # added to the counts of how often each key sounds and rests
        patience: int | None = None  # validations without a gain after which training ends

    settings: Settings
    likelihood = Likelihood("upper", "frames")
    samples_differ = "the escape is never drawn"
    network: TonicNetwork
    spelling: Spelling

    @property
    def parameter_count(self) -> int:
        """How many numbers the network has to learn."""
        return sum(parameter.numel() for parameter in self.network.parameters())

    # -- learning -----------------------------------------------------------------------------

    def build(self) -> TonicNetwork:
        """The network, newly initialised."""
        s = self.settings
        return TonicNetwork(s.embedding, s.hidden, s.layers, s.counter, s.dropout)

    def fit(
        self, train: Sequence[Score], valid: Sequence[Score], budget: Budget, seed: int, log: Log
    ) -> None:
        """Train the network on windows of the pieces; keep the best weights by validation loss."""
        s = self.settings
        with training.seeded(seed):
            self.network = self.build().to(training.device())
        self.spelling = Spelling.of(stack(train), s.smoothing)
        pieces = [tokens_of(score.sounding()) for score in train if score.length]
        held_out = [score for score in valid if score.length]
        # A piece counts once for every window's length of it; the window itself is at random.
        windows = [piece for piece in pieces for _ in range(0, len(piece), s.sequence)]
        per_pass = training.batches_per_pass(len(windows), s.batch)

        def loss(step: int) -> Tensor:
            rng = np.random.default_rng([seed, step])
            chosen = []
            for number in training.whole_batch(len(windows), s.batch, seed, step):
                piece = windows[number]
                start = int(rng.integers(max(1, len(piece) - s.sequence + 1)))
                shift = int(rng.integers(-s.transpose, s.transpose + 1))
                chosen.append((transpose(piece, shift), start))
            return self.network.loss(*examples_of(distributed.part(chosen), s.sequence))

        def validate() -> float:
            return token_model.nats_per_step(self, held_out)

        steps = training.updates(budget, per_pass)
        training.train(
            self.network,
            loss,
            torch.optim.Adam(self.network.parameters(), lr=s.rate),
            steps=steps,
            seed=seed,
            log=log,
            schedule=lambda step: one_cycle(step, steps),
            clip=s.clip,
            validate=validate if held_out and steps >= per_pass else None,
            every=per_pass,
            patience=s.patience,
            music_steps=s.batch * s.sequence,
            per_step=VOICES,
        )

    # -- likelihood ---------------------------------------------------------------------------

    def log_likelihood(self, scores: Sequence[Score]) -> Floats:
        """(pieces,) log p of the pieces' frames in their only encoding, in nats.

        A bound: chords that do not fit the voices after them waste probability.
        """
        frames = [score.sounding() for score in scores]
        tokens = [tokens_of(piece).ravel() for piece in frames]
        nats = token_model.log_likelihood(
            self.network,
            tokens,
            BEGINNING,
            lambda piece: Grammar.along(tokens[piece], len(frames[piece])),
        )
        for place, piece in enumerate(frames):
            crowded = piece[piece.sum(axis=1) > 4]
            nats[place] += self.spelling.log_probability(crowded).sum()
        return nats

    # -- generation ---------------------------------------------------------------------------

    def sample(self, prompts: Sequence[Score], steps: int, seed: int) -> list[Score]:
        """Continue the prompts token by token, many pieces at once. The escape is never drawn."""
        network, streams = token_model.precise(self.network), generators(prompts, seed)
        continuations = []
        for start in range(0, len(prompts), token_model.PIECES):
            group = prompts[start : start + token_model.PIECES]
            drawn = token_model.draw(
                network,
                [np.append(BEGINNING, tokens_of(prompt.sounding()).ravel()) for prompt in group],
                Grammar([steps] * len(group), escape=False),
                streams[start : start + token_model.PIECES],
            )
            continuations += [
                Score.from_rolls(frames_of(tokens.reshape(-1, VOICES)), grid=prompt.grid)
                for tokens, prompt in zip(drawn, group, strict=True)
            ]
        return continuations

    # -- saving -------------------------------------------------------------------------------

    def save(self, folder: Path) -> None:
        """Write settings, weights and the keys' rates."""
        arrays = token_model.weights(self.network) | {"rates": self.spelling.rates}
        saved.save(folder, {"settings": asdict(self.settings)}, arrays)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The system as it was saved."""
        values, arrays = saved.load(folder)
        system = cls(**values["settings"])
        system.spelling = Spelling(arrays["rates"])
        system.network = system.build()
        token_model.restore(system.network, arrays)
        return system


def examples_of(windows: Sequence[tuple[Ints, int]], steps: int) -> tuple[Examples, Tensor]:
    """Windows of pieces (steps, 5), each from a step on, and (windows, 5 steps) the repetitions."""
    tokens = np.full((len(windows), VOICES * steps + 1), -1)
    counts = np.zeros_like(tokens)
    legal = []
    for row, (piece, start) in enumerate(windows):
        flat = np.append(BEGINNING, piece.ravel())
        counted = np.append(0, repeats(piece).ravel())
        part = slice(VOICES * start, VOICES * (start + steps) + 1)
        tokens[row, : len(flat[part])] = flat[part]
        counts[row, : len(flat[part])] = counted[part]
        legal.append(Grammar.along(flat[part][1:], steps).legal()[:-1])
    held = tokens[:, 1:] >= 0
    nowhere = np.zeros((0, TOKENS), dtype=bool)  # windows say nothing of ends
    parts = [np.maximum(tokens[:, :-1], 0), held, tokens[:, 1:][held], np.concatenate(legal)]
    parts += [np.zeros(0, dtype=np.int64), nowhere]
    return Examples(*map(token_model.tensor, parts)), token_model.tensor(counts[:, :-1])


def one_cycle(step: int, steps: int) -> float:
    """The factor of the learning rate: rises from 1/25 over the first 30 %, then falls to 0."""
    rise = max(1, round(0.3 * steps))
    if step < rise:
        return 1 / 25 + (1 - 1 / 25) * (1 - math.cos(math.pi * (step + 1) / rise)) / 2
    return max(1e-4, (1 + math.cos(math.pi * (step + 1 - rise) / max(1, steps - rise))) / 2)
