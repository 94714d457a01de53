"""Systems on a GPU: on one made of the processor everywhere, and on a real one with `-m gpu`."""

import copy
import csv
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import stand_in_gpu
import torch
from logs import Log, Stopped
from torch import nn

from bench import check, registry, training
from bench.architectures.gpt_remi import GPTNetwork
from bench.contract import Budget, System
from bench.jobs import process
from bench.training import attention, cuda_graph
from bench.training.cuda_graph import Recorded

# One of each kind, and those that take long. The others are the same classes at other sizes.
QUICK = {
    *("rnn-rbm", "rnn-nade", "chord-lstm", "midi-lstm", "sigmoid-lstm", "remi-lstm-simple"),
    *("remi-transformer-simple", "onehot-lstm-simple", "gpt-remi", "axial-transformer"),
    *("note-lstm", "note-logistic", "lstm-2x512", "lstm-curriculum", "markov-chain"),
}
LONG = {
    *("deep-jammer-small", "deep-jammer-finetune", "biaxial-dropout", "biaxial-keynorm"),
    *("rbm-window", "tonicnet", "onehot-lstm-complex", "remi-transformer-last10"),
}


@contextmanager
def real() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCH_DEVICE", "cuda")
        process.repeatable("cuda")
        yield


ON_CUDA = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
STAND_IN = stand_in_gpu.plugged_in


def cases() -> Iterator[Any]:
    """Every variant of every system on a real GPU, and of one of each kind on the stand-in."""
    for spec in registry.systems().values():
        for variant in spec.variants() if spec.kind not in ("floor", "ceiling") else ():
            name = f"{spec.id}-{variant}"
            yield pytest.param(real, spec, variant, id=f"cuda-{name}", marks=ON_CUDA)
            if spec.id in QUICK | LONG:
                marks = pytest.mark.slow if spec.id in LONG else ()
                yield pytest.param(STAND_IN, spec, variant, id=f"stand-in-{name}", marks=marks)


@pytest.fixture(
    params=[
        pytest.param(STAND_IN, id="stand-in"),
        pytest.param(real, id="cuda", marks=ON_CUDA),
    ]
)
def gpu(request: pytest.FixtureRequest) -> Any:
    """Inside it, systems live on the GPU."""
    return request.param


def fitted(spec: Any, variant: Any) -> tuple[System, list[float]]:
    system, toy, log = spec.build(variant, "small"), check.toy_dataset(), Log()
    if hasattr(system, "provide"):
        system.provide({})
    system.fit(toy.split("train"), toy.split("valid"), Budget(3), 0, log)
    return system, log.curve("train_loss")


def test_the_gpu_has_a_gpus_rules(gpu: Any) -> None:
    layer, x = nn.Linear(3, 2), torch.randn(4, 3)
    with gpu():
        own = layer.to(training.device())
        with pytest.raises(RuntimeError, match="same device"):
            own(x)
        with pytest.raises((TypeError, RuntimeError), match="numpy"):
            own(x.to(training.device())).detach().numpy()
        with torch.autocast("cuda", torch.bfloat16):
            product = own(x.to(training.device()))
            total = nn.functional.softplus(product).sum()
        assert (product.dtype, total.dtype) == (torch.bfloat16, torch.float)
        total.backward()
        assert own.weight.grad.dtype == torch.float


@pytest.mark.parametrize(("machine", "spec", "variant"), list(cases()))
def test_a_system_learns_draws_and_scores_on_a_gpu_as_on_the_processor(
    machine: Any, spec: Any, variant: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prompts, test = check.toy_prompts(), check.toy_dataset().split("test")
    results: dict[bool, Any] = {}
    _, expected = fitted(spec, variant)
    for on_gpu in (True, False):
        with machine() if on_gpu else nullcontext():
            if on_gpu:
                system, losses = fitted(spec, variant)
                system.save(tmp_path)
            system = type(system).load(tmp_path)  # the same weights in both places
            nats = system.log_likelihood(test) if system.likelihood.kind != "none" else None
            results[on_gpu] = system.sample(prompts, 6, seed=0), nats
    assert "without a CUDA graph" not in capsys.readouterr().out
    # Trained in half precision: the same course, not the same numbers.
    assert np.allclose(losses, expected, rtol=0.05, atol=0.05)
    same = [a == b for a, b in zip(results[True][0], results[False][0], strict=True)]
    assert sum(same) >= len(same) - 1  # a rounding may turn one draw over
    if results[True][1] is not None:
        assert np.allclose(results[True][1], results[False][1], rtol=1e-5)


@pytest.mark.parametrize("name", ["axial-transformer", "lstm-2x512", "gpt-remi"])
def test_training_that_was_interrupted_on_a_gpu_ends_as_if_it_had_not_been(
    name: str, gpu: Any
) -> None:
    toy = check.toy_dataset()
    pieces = toy.split("train"), toy.split("valid")

    def trained(log: Log) -> Any:
        system: Any = registry.systems()[name].build("corrected", "small")
        system.fit(*pieces, Budget(4), 0, log)
        return {key: value.cpu() for key, value in system.network.state_dict().items()}

    with gpu():
        whole, first = trained(Log()), Log(stop_at=2)
        with pytest.raises(Stopped):
            trained(first)
        rest = Log(first.state)
        resumed = trained(rest)
    assert rest.checkpoints == 2  # it did not begin anew
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)


# -- what is recorded -----------------------------------------------------------------------------


def test_what_is_played_back_follows_its_arguments(gpu: Any) -> None:
    runs = []

    def compute(x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, ...]:
        runs.append(1)
        total = x.clone()
        for row in range(len(y)):
            total += y[row] * total.tanh()
        return total, (total > 0).to(x.dtype)

    step = Recorded(compute)
    rng = torch.Generator().manual_seed(0)
    with gpu():
        where = training.device()
        for size in (3, 5, 3, 5, 3):
            x, y = torch.randn(size, generator=rng), torch.randn(4, size, generator=rng)
            total, sign = (part.cpu() for part in step(x.to(where), y.to(where)))
            expected, positive = compute(x, y)
            assert torch.allclose(total, expected)
            assert torch.equal(sign, positive)
        # Of each size so many runs as it takes to record it, and those on the processor.
        assert len(runs) == 2 * (cuda_graph.WARM_UP + 1) + 5


def test_a_state_goes_from_one_call_into_the_next(gpu: Any) -> None:
    layer = nn.LSTMCell(3, 4).double()
    inputs = torch.randn(6, 2, 3, dtype=torch.double)
    with gpu(), torch.no_grad():
        own = copy.deepcopy(layer).to(training.device())
        step = Recorded(lambda x, h, c: own(x, (h, c)))
        h, c = (torch.zeros(2, 4, dtype=torch.double).to(training.device()) for _ in range(2))
        for x in inputs:
            h, c = step(x.to(training.device()), h, c)
        recorded = h.cpu()
    plain = None
    with torch.no_grad():
        for x in inputs:
            plain = layer(x, plain)
    assert torch.allclose(recorded, plain[0])


@pytest.mark.parametrize(
    "waits",
    [
        lambda x: x[x > 0].sum()[None],
        lambda x: x * float(x.sum()),
        lambda x: x + torch.ones(3).to(x.device),
    ],
    ids=["a mask", "a number read back", "numbers sent"],
)
def test_what_cannot_be_recorded_is_computed_all_the_same(
    waits: Any, gpu: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with gpu():
        step = Recorded(lambda x: (waits(x),))
        for values in ([1.0, -2.0, 3.0], [4.0, 5.0, -6.0]):
            x = torch.tensor(values)
            (recorded,) = step(x.to(training.device()))
            assert torch.equal(recorded.cpu(), waits(x))
    assert capsys.readouterr().out.count("without a CUDA graph") == 1


def test_nothing_is_recorded_on_the_processor() -> None:
    step = Recorded(lambda x: (x + 1,))
    assert torch.equal(step(torch.zeros(2))[0], torch.ones(2))
    assert not step.recordings


def test_a_token_from_the_cache_is_the_same_at_every_reach(
    gpu: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Past several reaches, past the end of the context, and with sequences that are done."""
    monkeypatch.setattr(attention, "REACH", 4)
    torch.manual_seed(0)
    network = GPTNetwork(2, 8, 2, 16, 0.0, 12).double().eval()
    rng = np.random.default_rng(0)
    begun = [rng.integers(218, size=length) for length in (3, 1, 7)]
    tokens = rng.integers(218, size=(20, 3))
    kept = np.array([0, 2])

    def hidden(network: GPTNetwork) -> list[torch.Tensor]:
        where = training.device()
        last, reading = network.read(begun)
        states = [last.cpu()]
        for step, more in enumerate(tokens):
            if step == 9:
                reading = network.keep(reading, torch.from_numpy(kept).to(where))
            more = more[kept] if step >= 9 else more
            last, reading = network.step(torch.from_numpy(more).to(where), reading)
            states.append(last.cpu())
        return states

    with torch.no_grad():
        expected = hidden(network)
        with gpu():
            on_gpu = hidden(copy.deepcopy(network).to(training.device()))
    for ours, theirs in zip(on_gpu, expected, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-12)


# -- a run ----------------------------------------------------------------------------------------


def test_a_run_on_a_machine_with_a_gpu_takes_its_jobs_through_to_the_board(
    home: Any, driver: Any
) -> None:
    """Two jobs share the GPU; checkpoints, samples, likelihoods, scores and snapshots are made."""
    driver("0, GPU-aa, 81559")
    place = Path(__file__).parent / "gpu_machine"
    home.environment["PYTHONPATH"] = f"{place}:{home.environment['PYTHONPATH']}"
    home.environment["PATH"] = os.environ["PATH"]
    run = home.arguments("axial-transformer", "lstm-2x512", "human", "noise")
    run[run.index("cpu")] = "cuda"
    done = home.process(*run, "--snapshots", "2", "--workers", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    rows = {row["system"]: row for row in csv.DictReader((home.runs / "leaderboard.csv").open())}
    assert {row["status"] for row in rows.values()} == {"ok"}
    assert {row["device"] for row in rows.values()} == {"cuda"}
    for name in ("axial-transformer", "lstm-2x512"):
        assert rows[name]["hardware"] == "stand-in"
        assert float(rows[name]["nats_per_step"]) < 61
    again = home.process(*run, "--snapshots", "2", "--workers", "2")
    assert "jobs are done already" in again.stdout
