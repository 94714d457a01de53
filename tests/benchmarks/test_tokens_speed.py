"""How fast token networks are, as ratios to naive ways. Run by hand: pytest tests/benchmarks -s

Processor time of one thread, so that neighbours matter little.
"""

import resource
import time

import numpy as np
import torch
from torch import nn

from bench.architectures import language, remi_pieces
from bench.architectures.remi_lstm import RemiNetwork
from bench.architectures.remi_transformer import TransformerNetwork
from bench.check import toy_prompts


def seconds(work, repeats=3):
    """The least processor time of some runs."""
    times = []
    for _ in range(repeats):
        begun = time.process_time()
        work()
        times.append(time.process_time() - begun)
    return min(times)


def test_a_softmax_in_parts_against_a_whole_one(capsys):
    """2500 hidden vectors of 128 and the 39289 chords of MuseData, with the gradient."""
    torch.set_num_threads(1)
    out = nn.Linear(128, 39_289)
    hidden, targets = torch.randn(2500, 128), torch.randint(39_289, (2500,))

    def whole():
        nn.functional.cross_entropy(out(hidden), targets).backward()

    def peak():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

    before = peak()
    parts = seconds(lambda: language.surprise(out, hidden, targets).backward(), 2)
    in_parts = peak() - before
    theirs = seconds(whole, 2)
    with capsys.disabled():
        print(
            f"\nwhole {theirs:.2f} s, in parts {parts:.2f} s ({parts / theirs:.2f} of the time);"
            f" memory +{in_parts} MB in parts, +{peak() - before} MB whole"
        )
    assert in_parts < peak() - before


def test_a_transformers_token_with_the_cache_against_reading_all_anew(capsys):
    """The complex one of Rao & Xie: 12 layers of 1024, the 500th token of one piece."""
    torch.set_num_threads(1)
    network = TransformerNetwork(12, 1024, 8, 2048, 0.0, 512).eval()
    past, more = np.random.default_rng(0).integers(218, size=500), torch.tensor([7])
    with torch.no_grad():
        _, cache = network.read([past])

        def cached():
            cache.length = torch.tensor([500])
            network.step(more, cache)

        anew = seconds(lambda: network(torch.from_numpy(np.append(past, 7)[None])))
        ours = seconds(cached, 10)
    with capsys.disabled():
        print(f"\nanew {anew:.2f} s, cached {1000 * ours:.0f} ms: {anew / ours:.0f} times faster")
    assert anew / ours > 20


def test_many_pieces_at_once_against_one_after_the_other(capsys):
    """The simple LSTM of Rao & Xie, 32 pieces of 32 steps."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = RemiNetwork(128, 512, 1, 0, 0.0, 0.0).eval()
    prompts = [toy_prompts()[0].transpose(shift) for shift in range(-16, 16)]
    loop = seconds(lambda: [remi_pieces.sample(network, [p], 32, 0) for p in prompts], 1)
    ours = seconds(lambda: remi_pieces.sample(network, prompts, 32, 0), 1)
    with capsys.disabled():
        print(f"\nloop {loop:.1f} s, batch {ours:.2f} s: {loop / ours:.1f} times faster")
    assert loop / ours > 2
