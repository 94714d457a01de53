"""How fast the biaxial networks are, compared with naive ways."""

from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import Tensor, nn

from bench.architectures.biaxial.linear_lstm import LinearLSTM
from bench.architectures.biaxial.network import BiaxialNetwork, surprise
from bench.architectures.biaxial.segments import Batch
from bench.architectures.biaxial.system import Biaxial
from bench.music import Score

SMALL = {"time_layers": (75, 75), "note_layers": (25, 13)}
LARGE = {"time_layers": (300, 300), "note_layers": (100, 50)}
KEYS = 88


def system(sizes: dict[str, tuple[int, ...]]) -> Biaxial:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = Biaxial(**sizes)
        made.network = made.build()
        return made


def music(seed: int, steps: int = 128) -> Score:
    rng = np.random.default_rng(seed)
    notes = 2 * steps
    return Score.from_notes(
        rng.integers(0, steps - 4, notes),
        rng.integers(1, 5, notes),
        rng.integers(40, 80, notes),
        length=steps,
    )


def copied(layer: nn.Module) -> nn.LSTMCell:
    cell = nn.LSTMCell(layer.input_size, layer.hidden_size)
    cell.load_state_dict({k.removesuffix("_l0"): v for k, v in layer.state_dict().items()})
    return cell


def note_by_note(cells: list[nn.LSTMCell], network: BiaxialNetwork, x: Tensor, y: Tensor) -> Tensor:
    """(batch, keys, 2) the logits of one step, from what the time layers say of it."""
    state = [None] * len(cells)
    below, logits = torch.zeros_like(y[:, 0]), []
    for note in range(x.shape[1]):
        heard = torch.cat([x[:, note], below], 1)
        for place, cell in enumerate(cells):
            state[place] = cell(heard, state[place])
            heard = state[place][0]
        logits.append(network.dense(heard))
        below = y[:, note]
    return torch.stack(logits, 1)


def step_by_step(network: BiaxialNetwork, batch: Batch) -> Tensor:
    """The same logits in a loop over time steps, and in each a loop over notes."""
    times, notes = ([copied(layer) for layer in part] for part in (network.time, network.note))
    size, steps = batch.step.shape
    state, logits = [None] * len(times), []
    for step in range(steps):
        x = network.features(batch.states[:, step], batch.step[:, step], batch.bar[:, 0])
        heard = x.reshape(size * KEYS, -1)
        for place, cell in enumerate(times):
            state[place] = cell(heard, state[place])
            heard = state[place][0]
        following = batch.following[:, step]
        logits.append(note_by_note(notes, network, heard.view(size, KEYS, -1), following))
    return torch.stack(logits, 1)


def test_training_against_a_loop_over_time_steps(seconds, measured) -> None:
    """One update of Deep Jammer's small network on 5 segments; of 32 steps, for the loop's sake."""
    made = system(SMALL)
    network = made.network
    batch = made._segments([music(seed, 32) for seed in range(5)], 32).batch(range(5))

    def update(run: Callable[[], Tensor]) -> None:
        network.zero_grad()
        logits = run()
        surprise(logits, batch.following, batch.following[..., 0]).sum().backward()

    def whole() -> Tensor:
        return network(batch.states, batch.following, batch.step, batch.bar)[0]

    with torch.no_grad():
        assert torch.allclose(whole(), step_by_step(network, batch), atol=1e-5)
    ours, theirs = seconds(
        lambda: update(whole), lambda: update(lambda: step_by_step(network, batch)), repeats=2
    )
    measured(
        "training",
        "an update of deep-jammer-small",
        size="5 segments of 32 steps, 88 keys",
        against="a loop over time steps and, in each, over notes",
        ours=ours,
        theirs=theirs,
        aim=5,
    )


def test_generation_against_reading_the_history_again(seconds, measured) -> None:
    """128 steps of one piece after a bar; the peer runs the whole history before every step."""
    made, steps = system(LARGE), 128
    network, prompt = made.network.eval(), music(0, 16)
    notes = [copied(layer) for layer in network.note]
    rng = torch.Generator().manual_seed(0)

    @torch.no_grad()
    def again() -> None:
        heard = torch.zeros(1, 17, KEYS, 2)
        heard[0, 1:] = torch.from_numpy(made._states(prompt)).float()
        for _ in range(steps):
            length = heard.shape[1]
            at = torch.arange(length)[None] - 1
            x = network.features(heard, at, torch.tensor([[16]])).transpose(0, 1)
            x = x.reshape(length, KEYS, -1)
            for layer in network.time:
                x, _ = layer(x)
            state, drawn = [None] * len(notes), []
            below = torch.zeros(1, 2)
            for note in range(KEYS):
                y = torch.cat([x[-1, note : note + 1], below], 1)
                for place, cell in enumerate(notes):
                    state[place] = cell(y, state[place])
                    y = state[place][0]
                below = (torch.rand(1, 2, generator=rng) < network.dense(y).sigmoid()).float()
                drawn.append(below)
            heard = torch.cat([heard, torch.stack(drawn, 1)[:, None]], 1)

    many = 16
    ours, theirs, alone = seconds(
        lambda: made.sample([prompt] * many, steps, 0),
        again,
        lambda: made.sample([prompt], steps, 0),
        repeats=1,
    )
    for pieces, took in ((1, alone), (many, ours)):
        measured(
            "generation",
            "deep-jammer-large, state carried",
            size=f"128 steps after a bar, pieces at once: {pieces}",
            against="the whole history read before every step, piece by piece",
            ours=took,
            theirs=theirs * pieces,
            aim=8,
        )


def test_the_linear_candidate_against_plain_autograd(seconds, measured) -> None:
    """The time layers of Deep Jammer's large network, forward and backward.

    Autograd's gradient of `x[t]` is as large as the whole of x, at every step. That is what the
    peers pay for: in a loop over `x.unbind()`, which ours is, autograd is as fast as a backward
    pass written by hand was.
    """
    layers = [LinearLSTM(80, 300), LinearLSTM(300, 300)]
    x = torch.randn(127, 78, 80)

    def loop(layer: LinearLSTM, steps: Iterable[Tensor]) -> Tensor:
        h, c = (part.expand(x.shape[1], -1) for part in layer.start)
        outputs = []
        for projected in steps:
            i, f, g, o = (projected + h @ layer.weight_hh_l0.t()).chunk(4, 1)
            c = f.sigmoid() * c + i.sigmoid() * g
            h = o.sigmoid() * c.tanh()
            outputs.append(h)
        return torch.stack(outputs)

    def project(layer: LinearLSTM, heard: Tensor) -> Tensor:
        return heard @ layer.weight_ih_l0.t() + layer.bias_ih_l0

    def each_step_projected(layer: LinearLSTM, heard: Tensor) -> Tensor:
        return loop(layer, (project(layer, heard[t]) for t in range(len(heard))))

    def projected_and_indexed(layer: LinearLSTM, heard: Tensor) -> Tensor:
        projected = project(layer, heard)
        return loop(layer, (projected[t] for t in range(len(heard))))

    def ours(layer: LinearLSTM, heard: Tensor) -> Tensor:
        return layer(heard)[0]

    def run(layers: Iterable[nn.Module], way: Callable[[nn.Module, Tensor], Tensor]) -> Tensor:
        heard = x
        for layer in layers:
            heard = way(layer, heard)
        return heard

    squashed = [nn.LSTM(80, 300), nn.LSTM(300, 300)]
    ways = [
        (layers, ours),
        (layers, projected_and_indexed),
        (layers, each_step_projected),
        (squashed, ours),
    ]
    with torch.no_grad():
        for _, way in ways[1:3]:
            assert torch.allclose(run(layers, way), run(layers, ours), atol=1e-5)
    took, *others = seconds(
        *(lambda way=way: run(*way).square().sum().backward() for way in ways), repeats=2
    )
    peers = [
        ("autograd through `projected[t]`, projected at once", 5),
        ("autograd through `x[t]`, each step projected by itself", 5),
        ("`nn.LSTM`, which cannot compute it: its candidate has a tanh", None),
    ]
    for (against, aim), theirs in zip(peers, others, strict=True):
        measured(
            "training",
            "LSTM with a linear candidate, forward and backward",
            size="127 steps, 78 notes, layers of 300 and 300",
            against=against,
            ours=took,
            theirs=theirs,
            aim=aim,
        )
