"""How fast the biaxial networks are, as ratios to naive ways. Run by hand: pytest tests/benchmarks -s

Each side is timed in processor seconds of one thread, one after the other.
"""

import time
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bench.architectures.biaxial import Biaxial
from bench.architectures.biaxial_network import BiaxialNetwork, surprise
from bench.architectures.biaxial_segments import Batch
from bench.architectures.linear_lstm import LinearLSTM
from bench.music import Score

SMALL = {"time_layers": (75, 75), "note_layers": (25, 13)}
KEYS = 88


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def seconds(work: Callable[[], object], repeats: int = 1) -> float:
    """The least processor time of some runs."""
    times = []
    for _ in range(repeats):
        begun = time.process_time()
        work()
        times.append(time.process_time() - begun)
    return min(times)


def system() -> Biaxial:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = Biaxial(**SMALL)
        made.network = made._network()
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


def test_training_against_a_loop_over_time_steps(capsys: pytest.CaptureFixture[str]) -> None:
    """One update of Deep Jammer's small network on 5 segments; of 32 steps, for the loop's sake."""
    made = system()
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
    ours = seconds(lambda: update(whole), 3)
    theirs = seconds(lambda: update(lambda: step_by_step(network, batch)))
    with capsys.disabled():
        print(f"\nloop {theirs:.2f} s, ours {ours:.2f} s: {theirs / ours:.1f} times faster")
    assert theirs / ours > 5


def test_generation_against_reading_the_history_again(capsys: pytest.CaptureFixture[str]) -> None:
    """128 steps of one piece after a bar; the peer runs the whole history before every step."""
    made, steps = system(), 128
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
    theirs = seconds(again) * many
    ours = seconds(lambda: made.sample([prompt] * many, steps, 0))
    alone = seconds(lambda: made.sample([prompt], steps, 0))
    with capsys.disabled():
        print(
            f"\n16 pieces: again {theirs:.1f} s, ours {ours:.1f} s: {theirs / ours:.1f} times"
            f" faster; one piece {theirs / many / alone:.1f} times"
        )
    assert theirs / ours > 8


def test_the_linear_candidate_against_plain_autograd(capsys: pytest.CaptureFixture[str]) -> None:
    """One layer of Deep Jammer's large network: 127 steps, 5 segments of 78 notes, 300 units.

    The peer takes each step out of the projection of all, `projected[t]`: autograd then fills a
    gradient of the whole projection at every step. A loop over `projected.unbind()` avoids that;
    on one core, where the matrix products rule, it is as fast as ours, which is printed too.
    """
    layer, x = LinearLSTM(80, 300), torch.randn(127, 5 * 78, 80, requires_grad=True)

    def loop(steps: Callable[[Tensor], Iterable[Tensor]]) -> Tensor:
        h, c = (part.expand(x.shape[1], -1) for part in layer.start)
        projected, outputs = x @ layer.weight_ih_l0.t() + layer.bias_ih_l0, []
        for step in steps(projected):
            i, f, g, o = (step + h @ layer.weight_hh_l0.t()).chunk(4, 1)
            c = f.sigmoid() * c + i.sigmoid() * g
            h = o.sigmoid() * c.tanh()
            outputs.append(h)
        return torch.stack(outputs)

    def update(run: Callable[[], Tensor]) -> None:
        layer.zero_grad()
        run().square().sum().backward()

    def plain() -> Tensor:
        return loop(lambda projected: (projected[t] for t in range(len(projected))))

    with torch.no_grad():
        assert torch.allclose(plain(), layer(x)[0], atol=1e-5)
    ours = seconds(lambda: update(lambda: layer(x)[0]), 2)
    theirs = seconds(lambda: update(plain))
    better = seconds(lambda: update(lambda: loop(torch.unbind)), 2)
    with capsys.disabled():
        print(
            f"\nautograd {theirs:.2f} s, ours {ours:.2f} s: {theirs / ours:.1f} times faster;"
            f" than a loop over unbound steps {better / ours:.1f} times"
        )
    assert theirs / ours > 5
