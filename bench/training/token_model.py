"""What networks that read one token after another share: learning, scoring and drawing sequences.

A sequence is the tokens of one piece, after a special token that marks the beginning. A grammar
knows which tokens may follow in each piece. Learning (see `bench.training.text`), drawing and scoring
use the same distribution, the network's probabilities restricted to the legal tokens, so that every
sample is well formed.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.contract import Floats
from bench.music import Score
from bench.training import large_softmax, loop

LARGE = 2**11  # from this size of the vocabulary on, not all logits are in memory at once
HIDDEN = 2**25  # numbers that a network may hold of the pieces it scores at once
PIECES = 64  # drawn at once, at most,
CARRIED = 2**28  # and with no more numbers of state than these: 2 GB

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
State = Any  # what a network carries from token to token; opaque to this module


class Network(Protocol):
    """A network over tokens. What it computes before its last layer is called hidden."""

    width: int  # of a hidden vector

    def out(self, hidden: Tensor) -> Tensor:
        """(..., width) -> (..., tokens) logits of the next token."""

    def hidden(self, inputs: Sequence[Ints]) -> list[Tensor]:
        """(length, width) for every sequence: the hidden vector after each of its tokens."""

    def read(self, inputs: Sequence[Ints]) -> tuple[Tensor, State]:
        """(sequences, width) after the last token of each, and the state to go on from."""

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """The same after one more token (sequences,) each."""

    def keep(self, state: State, rows: Tensor) -> State:
        """The state of these sequences only."""


class Grammar(Protocol):
    """The position in each of several pieces, and which tokens may follow."""

    done: Bools  # (pieces,) where the end is reached

    def legal(self) -> Bools:
        """(pieces, tokens) which tokens may follow."""

    def ending(self) -> Bools:
        """(pieces, tokens) which tokens lie at or after the piece's end."""

    def take(self, tokens: Ints) -> None:
        """Advance every piece that is not done by one token."""


# -- learning -------------------------------------------------------------------------------------


def windows(sequences: Sequence[Ints], beginning: int, size: int) -> Ints:
    """(windows, size + 1) every token is a target once, after those before it; -1 is padding."""
    rows = []
    for sequence in sequences:
        tokens = np.append(beginning, sequence)
        for start in range(0, len(sequence), size):
            row = np.full(size + 1, -1)
            part = tokens[start : start + size + 1]
            row[: len(part)] = part
            rows.append(row)
    return np.array(rows, dtype=np.int64).reshape(-1, size + 1)


def random_windows(
    sequences: Sequence[Ints], beginning: int, size: int, count: int, rng: np.random.Generator
) -> Ints:
    """(count, size + 1) windows at random places; a long sequence gives more of them."""
    lengths = np.array([len(sequence) for sequence in sequences])
    rows = np.full((count, size + 1), -1)
    for row in rows:
        number = int(rng.choice(len(sequences), p=lengths / lengths.sum()))
        tokens = np.append(beginning, sequences[number])
        start = int(rng.integers(max(1, len(tokens) - size)))
        part = tokens[start : start + size + 1]
        row[: len(part)] = part
    return rows[:, : int((rows >= 0).sum(axis=1).max())]


def surprise(out: nn.Linear, hidden: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy of the targets (...) given (..., width); -1 is padding."""
    hidden, targets = hidden[targets >= 0], targets[targets >= 0]  # (tokens, width)
    if out.out_features >= LARGE:
        return large_softmax.surprise(out, hidden, targets) / len(targets)
    return nn.functional.cross_entropy(out(hidden), targets)


def legal_surprise(
    out: nn.Linear, hidden: Tensor, targets: Tensor, legal: Tensor, ends: Tensor, ending: Tensor
) -> Tensor:
    """Mean -log p of the targets (places,) among the legal tokens (places, tokens).

    At the places `ends` the target is any legal token of the rows of `ending` (ends, tokens).
    """
    if out.out_features >= LARGE:
        rest = torch.ones_like(targets, dtype=torch.bool).index_fill(0, ends, False)
        total = large_softmax.surprise(out, hidden[rest], targets[rest], legal[rest])
        hidden, legal, rows = hidden[ends], legal[ends], len(targets)
        logits = out(hidden).to(out.weight.dtype).masked_fill(~legal, -torch.inf)
        total += (logits.logsumexp(1) - _any(logits, ending)).sum()
        return total / rows
    logits = out(hidden).to(out.weight.dtype).masked_fill(~legal, -torch.inf)
    chosen = logits.gather(1, targets.clamp(min=0)[:, None])[:, 0]
    chosen = chosen.index_copy(0, ends, _any(logits[ends], ending))
    mean: Tensor = (logits.logsumexp(1) - chosen).mean()
    return mean


def _any(logits: Tensor, tokens: Tensor) -> Tensor:
    """(rows,) log of the sum of exp(logits) over some tokens (rows, tokens)."""
    total: Tensor = logits.masked_fill(~tokens, -torch.inf).logsumexp(1)
    return total


# -- scoring --------------------------------------------------------------------------------------


def groups(lengths: Sequence[int], width: int) -> Iterator[list[int]]:
    """The pieces in groups of similar length whose hidden vectors fit into memory."""
    order = sorted(range(len(lengths)), key=lambda piece: -lengths[piece])
    while order:
        longest = max(1, lengths[order[0]])
        alike = sum(lengths[piece] >= 0.7 * longest for piece in order)
        count = max(1, min(alike, HIDDEN // (longest * width)))
        yield order[:count]
        order = order[count:]


@torch.no_grad()
def log_likelihood(
    network: Network,
    sequences: Sequence[Ints],
    beginning: int,
    along: Callable[[int], Grammar],
) -> Floats:
    """(pieces,) log of the probability that exactly these tokens are drawn, in nats.

    `along` makes the grammar of a piece, given by number, with a row for each token and one for
    the end. The last factor of a piece is the probability of any token at or after its end.
    """
    nats = np.zeros(len(sequences))
    for group in groups([len(sequence) + 1 for sequence in sequences], network.width):
        held = network.hidden([np.append(beginning, sequences[piece]) for piece in group])
        for piece, hidden in zip(group, held, strict=True):
            logs, grammar = network.out(hidden).double().cpu().numpy(), along(piece)
            legal, tokens = grammar.legal(), sequences[piece]
            wanted = np.zeros_like(legal)
            wanted[np.arange(len(tokens)), tokens] = True
            wanted[-1] = grammar.ending()[-1]
            nats[piece] = (log_sum(logs, legal & wanted) - log_sum(logs, legal)).sum()
    return nats


def log_sum(logs: Floats, chosen: Bools) -> Floats:
    """(rows,) log of the sum of exp(logs) over the chosen columns."""
    highest = logs.max(axis=1, keepdims=True)
    with np.errstate(divide="ignore"):
        total: Floats = np.log(np.where(chosen, np.exp(logs - highest), 0.0).sum(axis=1))
    return np.asarray(total + highest[:, 0])


# -- drawing --------------------------------------------------------------------------------------


def at_once(network: Any) -> int:
    """How many pieces a network draws together; few where its state is large (Transformers)."""
    carried: int = getattr(network, "carried", 1)
    return max(1, min(PIECES, CARRIED // carried))


@torch.no_grad()
def draw(
    network: Network,
    prompts: Sequence[Ints],
    grammar: Grammar,
    streams: Sequence[np.random.Generator],
    choose: Callable[[Floats, Floats], Ints] | None = None,
) -> list[Ints]:
    """The tokens that follow each prompt, until its piece is done.

    A prompt's first token is the beginning.
    The token that ends a piece is left out. A piece is also done where no token is legal.
    `choose` picks a token for each piece, from probabilities (pieces, tokens) and random numbers
    (pieces, 2).
    """
    choose = choose or softmax
    drawn: list[list[int]] = [[] for _ in prompts]
    rows = np.flatnonzero(~grammar.done)
    if not len(rows):
        return [np.zeros(0, dtype=np.int64) for _ in prompts]
    hidden, state = network.read([prompts[int(row)] for row in rows])
    while True:
        logs = network.out(hidden).double().cpu().numpy()
        legal = grammar.legal()[rows]
        grammar.done[rows] |= ~legal.any(axis=1)
        alive = ~grammar.done[rows]
        logs = np.where(legal, logs, -np.inf)
        with np.errstate(invalid="ignore"):
            chances = np.exp(logs - logs.max(axis=1, keepdims=True))
        numbers = np.stack([streams[int(row)].random(2) for row in rows])
        chosen = np.zeros(len(rows), dtype=np.int64)
        chosen[alive] = choose(chances[alive], numbers[alive])
        tokens = np.zeros(len(prompts), dtype=np.int64)
        tokens[rows] = chosen
        grammar.take(tokens)
        alive = ~grammar.done[rows]
        for row, token in zip(rows[alive], chosen[alive], strict=True):
            drawn[row].append(int(token))
        if not alive.any():
            return [np.array(tokens, dtype=np.int64) for tokens in drawn]
        if alive.mean() <= 0.75:  # drop the pieces that are done: they only cost time
            kept = torch.from_numpy(np.flatnonzero(alive)).to(hidden.device)
            rows, chosen, state = rows[alive], chosen[alive], network.keep(state, kept)
        hidden, state = network.step(torch.from_numpy(chosen).to(hidden.device), state)


def softmax(chances: Floats, numbers: Floats) -> Ints:
    """(pieces,) a token drawn from probabilities (pieces, tokens), which need not sum to 1."""
    ends = chances.cumsum(axis=1)
    drawn = (ends <= numbers[:, :1] * ends[:, -1:]).sum(axis=1)
    last = chances.shape[1] - 1 - (chances[:, ::-1] > 0).argmax(axis=1)  # of probability > 0
    return np.asarray(np.minimum(drawn, last), dtype=np.int64)


def argmax(chances: Floats, numbers: Floats) -> Ints:
    """(pieces,) the most probable token."""
    best: Ints = chances.argmax(axis=1)
    return best


def mixed(chances: Floats, numbers: Floats) -> Ints:
    """(pieces,) a drawn token or the most probable one, each half of the time."""
    best, drawn = argmax(chances, numbers), softmax(chances, numbers)
    chosen: Ints = np.where(numbers[:, 1] < 0.5, best, drawn)
    return chosen


SAMPLERS = {"softmax": softmax, "argmax": argmax, "mixed": mixed}


def tensor(array: NDArray[Any]) -> Tensor:
    """The array on the device of the networks."""
    return torch.from_numpy(array).to(loop.device())


# -- what systems share ---------------------------------------------------------------------------


def nats_per_step(system: Any, scores: Sequence[Score]) -> float:
    """Minus the likelihood that the system gives these pieces, per step."""
    total: float = -system.log_likelihood(scores).sum() / sum(score.length for score in scores)
    return total


def tokens_per_step(scores: Sequence[Score], tokens: int) -> float:
    """How many of the tokens of these pieces a step has, on average."""
    return tokens / max(1, sum(score.length for score in scores))


def precise(network: nn.Module) -> Any:
    """A copy in double precision, where the size of a batch does not change the rounding."""
    return copy.deepcopy(network).double().eval()


def weights(network: nn.Module) -> dict[str, NDArray[Any]]:
    """The weights by name, to be saved."""
    return {f"network.{name}": w.cpu().numpy() for name, w in network.state_dict().items()}


def restore(network: nn.Module, arrays: dict[str, NDArray[Any]]) -> None:
    """Give the network the weights that were saved, and move it to the device."""
    own = {k.removeprefix("network."): v for k, v in arrays.items() if k.startswith("network.")}
    network.load_state_dict({name: torch.from_numpy(array) for name, array in own.items()})
    network.to(loop.device()).eval()
