"""How fast token networks are, compared with naive ways."""

import ctypes
from pathlib import Path

import numpy as np
import torch
from torch import nn

from bench.architectures.remi_lstm import RemiNetwork
from bench.architectures.remi_transformer import TransformerNetwork
from bench.check import toy_prompts
from bench.training import remi_pieces, token_model


def memory(work):
    """How many MB more than before are held at most; on Linux."""
    status = Path("/proc/self/status")

    def line(name):
        text = next(x for x in status.read_text().splitlines() if x.startswith(name))
        return int(text.split()[1]) // 1024

    ctypes.CDLL("libc.so.6").malloc_trim(0)  # what was freed before is no room for now
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak
    before = line("VmRSS")
    work()
    return line("VmHWM") - before


def test_a_softmax_in_parts_against_a_whole_one(seconds, measured):
    """2500 hidden vectors of 128 and the 39289 chords of MuseData, with the gradient."""
    out = nn.Linear(128, 39_289)
    hidden, targets = torch.randn(2500, 128), torch.randint(39_289, (2500,))

    def whole():
        nn.functional.cross_entropy(out(hidden), targets).backward()

    def parts():
        token_model.surprise(out, hidden, targets).backward()

    in_parts, at_once = memory(parts), memory(whole)
    took, theirs = seconds(parts, whole, repeats=2)
    measured(
        "training",
        "a softmax in parts, forward and backward",
        size="2500 hidden vectors of 128, 39289 chords",
        against="a softmax at once",
        ours=took,
        theirs=theirs,
        note=f"memory {in_parts} MB in parts, {at_once} MB at once",
    )


def test_a_transformers_token_with_the_cache_against_reading_all_anew(seconds, measured):
    """The complex one of Rao & Xie: 12 layers of 1024, the 500th token of one piece."""
    network = TransformerNetwork(12, 1024, 8, 2048, 0.0, 512).eval()
    past, more = np.random.default_rng(0).integers(218, size=500), torch.tensor([7])
    with torch.no_grad():
        _, reading = network.read([past])

        def cached():
            reading.cache.length.fill_(500)
            reading.cache.longest = 500
            return network.step(more, reading)[0]

        everything = torch.from_numpy(np.append(past, 7)[None])
        assert torch.allclose(cached(), network(everything)[:, -1], atol=1e-4)
        took, theirs = seconds(cached, lambda: network(everything), repeats=5)
    measured(
        "generation",
        "remi-transformer-complex, with its cache",
        size="the 500th token of one piece, 12 layers of 1024",
        against="the whole history read before every token",
        ours=took,
        theirs=theirs,
        aim=30,
    )


def test_many_pieces_at_once_against_one_after_the_other(seconds, measured):
    """The simple LSTM of Rao & Xie, 32 pieces of 32 steps."""
    network = RemiNetwork(128, 512, 1, 0, 0.0, 0.0).eval()
    prompts = [toy_prompts()[0].transpose(shift) for shift in range(-16, 16)]
    ours, loop = seconds(
        lambda: remi_pieces.sample(network, prompts, 32, 0),
        lambda: [remi_pieces.sample(network, [p], 32, 0) for p in prompts],
        repeats=1,
    )
    measured(
        "generation",
        "remi-lstm-simple, pieces at once",
        size="32 pieces of 32 steps",
        against="one after the other",
        ours=ours,
        theirs=loop,
    )
