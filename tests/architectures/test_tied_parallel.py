import numpy as np
import pytest
import torch
from logs import Log

from bench.architectures.tied_parallel import (
    BiaxialFrames,
    BiaxialFramesNetwork,
    TiedNade,
    TiedNadeNetwork,
    TiedNetwork,
)
from bench.contract import Budget

ALL = (np.arange(2**8)[:, None] >> np.arange(8) & 1).astype(bool)
RNG = np.random.default_rng(0)
KINDS = ["nade", "biaxial"]


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def network(kind: str, keys: int = 8, dropout: float = 0.0) -> TiedNetwork:
    made: TiedNetwork
    sizes = {"window": 3, "hidden": 5, "layers": 2, "dropout": dropout, "input_dropout": dropout}
    if kind == "nade":
        made = TiedNadeNetwork(keys, **sizes, units=6, reach=4)
    else:
        made = BiaxialFramesNetwork(keys, **sizes, note_layers=(6, 4))
    made = made.double()
    for parameter in made.parameters():
        parameter.data += 0.5 * torch.randn_like(parameter)
    return made.eval()


def read(net: TiedNetwork, frames: torch.Tensor) -> torch.Tensor:
    return net.read(frames, net.start(torch.zeros(len(frames), dtype=torch.long)))[0]


def logits(net: TiedNetwork, frames: torch.Tensor) -> torch.Tensor:
    """(batch, time, keys) of every frame given those before it."""
    before = torch.nn.functional.pad(frames, (0, 0, 1, 0))[:, :-1]
    return net.predict(read(net, before), frames)


def phrase(keys: int, lowest: int) -> torch.Tensor:
    """(1, 9, keys) the same music, so many keys above the lowest."""
    music = np.random.default_rng(3).integers(2, size=(1, 9, 6))
    frames = torch.zeros(1, 9, keys, dtype=torch.double)
    frames[..., lowest : lowest + 6] = torch.from_numpy(music)
    return frames


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_is_predicted_from_the_keys_below_it_alone(kind: str) -> None:
    net, context = network(kind), torch.randn(1, 1, 8, 5, dtype=torch.double)
    for key in range(8):
        frame = (torch.rand(1, 1, 8) < 0.4).double()
        turned = frame.clone()
        turned[..., key] = 1 - turned[..., key]
        same = (net.predict(context, frame) == net.predict(context, turned))[0, 0].tolist()
        reached = range(key + 1, min(8, key + 1 + (4 if kind == "nade" else 8)))
        assert same == [other not in reached for other in range(8)]


def test_transposed_music_is_predicted_by_the_tied_nade_as_many_keys_further() -> None:
    net = network("nade", 40)
    first, second = logits(net, phrase(40, 12)), logits(net, phrase(40, 19))
    # Keys that see no end of the keyboard, neither in the frame before nor in the keys below.
    assert torch.allclose(first[..., 4:30], second[..., 11:37], atol=1e-12)
    assert first[..., 4:30].std() > 0.1


def test_the_pitch_class_moves_along_with_transposed_music() -> None:
    for kind in KINDS:
        net = network(kind, 40)
        first, second = read(net, phrase(40, 12)), read(net, phrase(40, 19))
        assert torch.allclose(first[:, :, 3:30], second[:, :, 10:37], atol=1e-12)


def test_a_key_sees_pitch_classes_beginning_with_its_own() -> None:
    net = network("nade", 30)
    frame = torch.zeros(1, 1, 30, dtype=torch.double)
    frame[..., [2, 14, 21]] = 1
    seen = net.features(frame, torch.tensor([[5]]))[0, 0]
    assert seen[2, 7:19].tolist() == [2, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]
    assert seen[23, :7].tolist() == [0, 1, 0, 0, 0, 0, 0]  # three keys to either side
    assert seen[0, 19:].tolist() == [1, -1, 1, -1]  # step 5 in bits, the lowest first


@pytest.mark.parametrize("kind", KINDS)
def test_the_number_of_parameters_does_not_depend_on_the_keys(kind: str) -> None:
    counts = [sum(p.numel() for p in network(kind, keys).parameters()) for keys in (8, 88)]
    assert counts[0] == counts[1]


def test_the_nade_is_that_of_the_formula() -> None:
    net = network("nade")
    assert isinstance(net, TiedNadeNetwork)
    context, frame = torch.randn(1, 1, 8, 5, dtype=torch.double), torch.ones(1, 1, 8).double()
    frame[..., [1, 4]] = 0
    predicted = net.predict(context, frame)[0, 0]
    for key in range(8):
        b, *c = net.biases(context[0, 0, key])
        a = torch.stack(c)
        for distance in range(1, 5):
            if key >= distance:
                a = a + frame[0, 0, key - distance] * net.w[4 - distance]
        assert torch.isclose(predicted[key], b + a.sigmoid() @ net.v)


@pytest.mark.parametrize("build", [TiedNade, BiaxialFrames])
def test_keys_that_no_training_piece_has_sound_independently_and_rarely(build: type) -> None:
    pieces = [ALL[RNG.integers(16, size=12) * 2] for _ in range(4)]  # keys 1 to 4 of eight
    system = build(hidden=8, window=3, sequence=6)
    system.PRECISION = torch.float64
    system.learn(pieces, pieces[:1], Budget(20), 0, Log())
    assert system.network.inside == slice(1, 5)
    past = pieces[0][:3]
    logs = [step[-1] for step in system.log_probabilities([np.vstack([past, f]) for f in ALL])]
    assert np.isclose(np.exp(logs).sum(), 1)
    outside = np.exp(logs)[ALL[:, 5:].any(axis=1) | ALL[:, 0]].sum()
    assert 0 < outside < 0.15


@pytest.mark.parametrize("build", [TiedNade, BiaxialFrames])
def test_small_sets_are_gone_over_so_many_times_at_most(build: type) -> None:
    pieces, log = [ALL[RNG.integers(16, size=12)] for _ in range(4)], Log()
    system = build(hidden=8, window=3, sequence=6, batch=4, passes=3)
    system.learn(pieces, [], Budget(1000), 0, log)
    assert log.checkpoints == 3 * 2


def test_a_saved_system_keeps_its_keys_and_its_likelihood(tmp_path) -> None:
    pieces = [ALL[RNG.integers(16, size=12) * 2] for _ in range(4)]
    system = TiedNade(hidden=8, window=3, sequence=6)
    system.learn(pieces, pieces[:1], Budget(5), 0, Log())
    system.save(tmp_path)
    again = TiedNade.load(tmp_path)
    assert again.network.inside == slice(1, 5)
    for first, second in zip(*(s.log_probabilities(pieces) for s in (system, again)), strict=True):
        assert (first == second).all()
