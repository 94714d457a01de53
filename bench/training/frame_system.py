"""What every network of frames shares: windows to learn from, likelihood and generation.

A network reads the frames that have sounded and gives a context; given the context it says how
likely a next frame is, and draws one. Before the first frame of a piece it reads a silent frame.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.contract import Budget, Floats, Likelihood, Log
from bench.music import Score
from bench.music.score import Roll
from bench.seeds import generators
from bench.training import loop, saved
from bench.training.cuda_graph import Recorded
from bench.training.settings import Configured

DRAWN = 256  # frames drawn together for the frame accuracy: bounds the memory
LOOKS = 10  # validations within a pass, at most
LEARNING = 3  # learning from a frame takes as long as reading so many

State = tuple[Tensor, ...]  # the second dimension of each tensor is the piece


class FrameNetwork(nn.Module, ABC):
    """p(frame | the frames before it), in two parts: reading, and the next frame's distribution."""

    keys: int

    @property
    def draws(self) -> int:
        """How many random numbers are needed to draw a frame."""
        return self.keys

    @abstractmethod
    def start(self, steps: Tensor) -> State:
        """The state before anything is read, of pieces that begin at steps `steps` (pieces,)."""

    @abstractmethod
    def read(self, frames: Tensor, state: State) -> tuple[Tensor, State]:
        """(pieces, time, keys) frames -> the context after each (pieces, time, ...), the state."""

    @abstractmethod
    def log_probability(self, context: Tensor, frames: Tensor) -> Tensor:
        """(...) log p of frames (..., keys), each given its context (..., size)."""

    @abstractmethod
    def draw(self, context: Tensor, uniform: Tensor) -> Tensor:
        """(pieces, keys) a frame for each context, from random numbers (pieces, draws)."""

    def loss(self, windows: Windows) -> Tensor:
        """Mean -log p of the frames that the windows hold."""
        context, _ = self.read(windows.before, self.start(windows.steps))
        surprise = -self.log_probability(context, windows.frames)
        return (surprise * windows.held).sum() / windows.held.sum()


def independent(logits: Tensor, frames: Tensor) -> Tensor:
    """(...) log p of frames (..., keys) whose keys sound independently of each other."""
    if logits.dtype == torch.bfloat16:
        logits = logits.float()
    loss = nn.functional.binary_cross_entropy_with_logits
    return -loss(logits, frames.to(logits.dtype), reduction="none").sum(dim=-1)


@dataclass(frozen=True, eq=False)
class Windows:
    """Excerpts of pieces, side by side; short ones are padded at their end."""

    before: Tensor  # (windows, time, keys) the frame before each; silence before the first
    frames: Tensor  # (windows, time, keys)
    held: Tensor  # (windows, time) 1 where the piece has a frame, 0 in the padding
    steps: Tensor  # (windows,) where in its piece each begins


def log_odds(pieces: Sequence[Roll]) -> Tensor:
    """(keys,) log-odds that a key sounds at a step; half a step more counted of either.

    Output biases start here, so that how often each key sounds need not be learnt.
    """
    frames = np.concatenate(list(pieces))
    sounded = frames.sum(axis=0) + 0.5
    return torch.from_numpy(np.log(sounded / (len(frames) + 1 - sounded))).float()


def starts(pieces: Sequence[Roll], length: int, stride: int | None = None) -> NDArray[np.int64]:
    """(windows, 2) piece and first step of windows that cover every frame.

    A window begins every `stride` steps; by default after the end of the one before.
    """
    rows = [
        (number, start)
        for number, piece in enumerate(pieces)
        for start in range(0, len(piece), stride or length)
    ]
    return np.array(rows, dtype=np.int64).reshape(-1, 2)


def cut(
    pieces: Sequence[Roll], rows: NDArray[np.int64], length: int, *, whole: bool = False
) -> Windows:
    """The windows of `length` steps, or (unless `whole`) as many as the longest of them has."""
    parts = [pieces[piece][max(0, start - 1) : start + length] for piece, start in rows]
    sizes = [len(part) - (start > 0) for part, (_, start) in zip(parts, rows, strict=True)]
    time = length if whole else max(sizes)
    frames = np.zeros((len(rows), 1 + time, pieces[0].shape[1]), dtype=np.float32)
    held = np.zeros((len(rows), time), dtype=np.float32)
    for row, (part, size) in enumerate(zip(parts, sizes, strict=True)):
        frames[row, 1 + size - len(part) : 1 + size] = part
        held[row, :size] = 1
    all_frames = _tensor(frames)
    return Windows(all_frames[:, :-1], all_frames[:, 1:], _tensor(held), _tensor(rows[:, 1]))


class FrameSystem(Configured, ABC):
    """A network of frames as a contestant. A subclass says which network, and how it learns."""

    likelihood: Likelihood = Likelihood("exact", "frames")
    PIECES: ClassVar[int] = 256  # of one forward pass: bounds the memory
    STEPS: ClassVar[int] = 64
    PRECISION: ClassVar[torch.dtype] = torch.float64  # of the likelihood
    keys: int
    network: Any  # the subclass's own FrameNetwork

    @property
    def parameter_count(self) -> int:
        """How many numbers the network has to learn."""
        return sum(parameter.numel() for parameter in self.network.parameters())

    # -- learning -----------------------------------------------------------------------------

    @abstractmethod
    def build(self) -> FrameNetwork:
        """A network for `keys` keys, newly initialised."""

    @abstractmethod
    def train(
        self, train: Sequence[Roll], valid: Sequence[Roll], budget: Budget, seed: int, log: Log
    ) -> None:
        """Train the network."""

    def fit(
        self, train: Sequence[Score], valid: Sequence[Score], budget: Budget, seed: int, log: Log
    ) -> None:
        """Learn the frames of the training pieces; stop early by those of the validation pieces."""
        rolls = [score.sounding() for score in train], [score.sounding() for score in valid]
        self.learn(*rolls, budget, seed, log)

    def learn(
        self, train: Sequence[Roll], valid: Sequence[Roll], budget: Budget, seed: int, log: Log
    ) -> None:
        """As `fit`, from frames of any number of keys."""
        self.keys = train[0].shape[1]
        with loop.seeded(seed):
            self.network = self.build().to(loop.device())
        self.begin(train)
        self.train(train, [piece for piece in valid if len(piece)], budget, seed, log)

    def begin(self, train: Sequence[Roll]) -> None:
        """Initialise what depends on the training pieces; by default nothing."""

    def minimise(
        self,
        loss: Callable[[int], Tensor],
        valid: Sequence[Roll],
        optimiser: torch.optim.Optimizer,
        budget: Budget,
        per_pass: int,
        seed: int,
        log: Log,
        *,
        music_steps: int,
        patience: int | None,
        every: int = 50,
        often: bool = False,
        **options: Any,
    ) -> None:
        """Train with `loss(step)` for the budget; validate after every pass, or `often`.

        Passes of less than `every` updates count as so many. `often`: for networks that are overfit within a
        few passes. Then validation takes a tenth of the time that the updates take, but at most
        `LOOKS` are made within what counts as a pass. `patience` counts passes in both cases.
        """
        every, looks = max(every, per_pass), 1
        if often and valid:
            looks = max(
                1, min(LOOKS, every * LEARNING * music_steps // (10 * sum(map(len, valid))))
            )
        loop.train(
            self.network,
            loss,
            optimiser,
            steps=loop.updates(budget, per_pass),
            seed=seed,
            log=log,
            validate=(lambda: self.surprise(valid)) if valid else None,
            every=-(-every // looks),
            patience=patience and patience * looks,
            music_steps=music_steps,
            **options,
        )

    def surprise(self, pieces: Sequence[Roll]) -> float:
        """Mean -log p of the pieces' frames under the network as it stands."""
        return -float(np.concatenate(self._log_probabilities(self.network, pieces)).mean())

    # -- likelihood ---------------------------------------------------------------------------

    def log_likelihood(self, scores: Sequence[Score]) -> Floats:
        """(pieces,) log p of the pieces' frames in nats."""
        steps = self.log_probabilities([score.sounding() for score in scores])
        return np.array([step.sum() for step in steps])

    def log_probabilities(self, pieces: Sequence[Roll]) -> list[Floats]:
        """log p of every frame (steps,) of every piece, given the frames before it."""
        return self._log_probabilities(self.precise(self.PRECISION), pieces)

    def precise(self, kind: torch.dtype = torch.float64) -> Any:
        """A copy in double precision, where the size of a batch does not change the rounding."""
        return copy.deepcopy(self.network).to(kind).eval()

    @torch.no_grad()
    def _log_probabilities(self, network: FrameNetwork, pieces: Sequence[Roll]) -> list[Floats]:
        nats = [np.zeros(len(piece)) for piece in pieces]
        for group, start, frames, context in self._contexts(network, pieces):
            logs = network.log_probability(context, frames)
            for row, piece in zip(logs.double().cpu().numpy(), group, strict=True):
                steps = nats[piece][start : start + self.STEPS]
                steps[:] = row[: len(steps)]
        return nats

    def _contexts(
        self, network: FrameNetwork, pieces: Sequence[Roll]
    ) -> Iterator[tuple[list[int], int, Tensor, Tensor]]:
        """Reads the pieces, some together and STEPS steps at a time.

        Gives each time the numbers of the pieces, the first step, the frames (pieces, time, keys)
        from that step on, and the context (pieces, time, ...) of each. After a piece's end comes
        padding.
        """
        kind = next(network.parameters()).dtype
        # The longest first, so that pieces that have ended are the last rows of the batch.
        order = sorted(range(len(pieces)), key=lambda piece: -len(pieces[piece]))
        for group in parts(order, self.PIECES):
            state = network.start(torch.zeros(len(group), dtype=torch.long, device=loop.device()))
            for start in range(0, len(pieces[group[0]]), self.STEPS):
                group = [piece for piece in group if len(pieces[piece]) > start]
                state = tuple(part[:, : len(group)].contiguous() for part in state)
                rows = np.array([(piece, start) for piece in group])
                windows = cut(pieces, rows, self.STEPS)
                context, state = network.read(windows.before.to(kind), state)
                yield group, start, windows.frames.to(kind), context

    def next_frames(
        self, scores: Sequence[Score], places: Sequence[NDArray[np.int64]], seed: int
    ) -> list[Roll]:
        """(places, keys) frames of each piece, each drawn given the piece's true frames before it."""
        pieces = [score.sounding() for score in scores]
        return self.drawn_frames(pieces, places, generators(scores, seed))

    @torch.no_grad()
    def drawn_frames(
        self,
        pieces: Sequence[Roll],
        places: Sequence[NDArray[np.int64]],
        streams: Sequence[np.random.Generator],
    ) -> list[Roll]:
        """As `next_frames`, from frames of any number of keys."""
        network = self.precise(self.PRECISION)
        drawn = [np.zeros((len(steps), self.keys), dtype=bool) for steps in places]
        for group, start, _, context in self._contexts(network, pieces):
            asked = [
                (row, place, step - start)
                for row, piece in enumerate(group)
                for place, step in enumerate(places[piece])
                if start <= step < start + self.STEPS
            ]
            for part in parts(asked, DRAWN):
                rows, numbers, inside = np.array(part).T
                uniform = np.stack([streams[group[row]].random(network.draws) for row in rows])
                own = context[torch.from_numpy(rows), torch.from_numpy(inside)]
                frames = network.draw(own, _tensor(uniform).to(own.dtype)).cpu().numpy() > 0.5
                for row, place, frame in zip(rows, numbers, frames, strict=True):
                    drawn[group[row]][place] = frame
        return drawn

    # -- generation ---------------------------------------------------------------------------

    def sample(self, prompts: Sequence[Score], steps: int, seed: int) -> list[Score]:
        """Continue the prompts frame by frame, many pieces at once."""
        network, streams = self.precise(), generators(prompts, seed)
        frames: dict[int, Roll] = {}
        for length in sorted({prompt.length for prompt in prompts}):
            alike = [row for row, prompt in enumerate(prompts) if prompt.length == length]
            for group in parts(alike, self.PIECES):
                beginnings = np.stack([prompts[row].sounding() for row in group])
                drawn = self._continue(network, beginnings, steps, [streams[row] for row in group])
                frames |= dict(zip(group, drawn, strict=True))
        return [
            Score.from_rolls(frames[row], grid=prompt.grid) for row, prompt in enumerate(prompts)
        ]

    @torch.no_grad()
    def _continue(
        self,
        network: FrameNetwork,
        beginnings: Roll,
        steps: int,
        streams: list[np.random.Generator],
    ) -> Roll:
        """(pieces, steps, keys) frames drawn after the beginnings (pieces, time, keys)."""
        kind = next(network.parameters()).dtype
        draw = Recorded(lambda context, uniform: (network.draw(context, uniform),))
        state = network.start(torch.zeros(len(beginnings), dtype=torch.long, device=loop.device()))
        before = np.pad(beginnings, ((0, 0), (1, 0), (0, 0)))  # silence before the first frame
        for start in range(0, before.shape[1], self.STEPS):
            part = _tensor(before[:, start : start + self.STEPS]).to(kind)
            context, state = network.read(part, state)
        drawn = np.zeros((len(beginnings), steps, self.keys), dtype=bool)
        for step in range(steps):
            uniform = np.stack([stream.random(network.draws) for stream in streams])
            (frame,) = draw(context[:, -1], _tensor(uniform).to(kind))
            drawn[:, step] = frame.cpu().numpy() > 0.5
            if step + 1 < steps:
                context, state = network.read(frame[:, None], state)
        return drawn

    # -- saving -------------------------------------------------------------------------------

    def save(self, folder: Path) -> None:
        """Write settings and weights."""
        arrays = {name: value.cpu().numpy() for name, value in self.network.state_dict().items()}
        saved.save(folder, {"settings": asdict(self.settings), "keys": self.keys}, arrays)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The system as it was saved."""
        values, arrays = saved.load(folder)
        system = cls(**values["settings"])
        system.keys = values["keys"]
        with loop.seeded(0):
            system.network = system.build()
        weights = {name: torch.from_numpy(value) for name, value in arrays.items()}
        system.network.load_state_dict(weights)
        system.network.to(loop.device()).eval()
        return system


def parts(items: Any, size: int) -> Iterator[Any]:
    """The items, `size` at a time."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _tensor(array: NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array)).to(loop.device())
