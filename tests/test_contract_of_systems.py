"""What every system here promises, whatever it is."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from logs import Log

from baselines.bounds import Human, Noise, Silence
from baselines.chords import RandomChords
from baselines.markov import MarkovChain
from bench.architectures.chord_lstm import ChordLSTM
from bench.contract import Budget, System
from bench.errors import BenchError
from bench.music import Score

AS_PUBLISHED = {
    "lowest": 24,
    "highest": 101,
    "combine": "sum",
    "transposed": True,
    "mask": "halves",
    "smoothing": 0.0,
}
SMALL = {"hidden": 8, "embedding": 6, "sequence": 7, "batch": 4}
SYSTEMS: dict[str, Callable[[], System]] = {
    "noise": Noise,
    "silence": Silence,
    "random-chords": RandomChords,
    "markov-chain": MarkovChain,
    "markov-chain as published": lambda: MarkovChain(**AS_PUBLISHED),
    "chord-lstm": lambda: ChordLSTM(**SMALL),
    "chord-lstm-untrained": lambda: ChordLSTM(**SMALL, train=False),
}
EXACT = ["noise", "random-chords", "markov-chain", "chord-lstm"]


def tune(seed: int, grid: int = 4) -> Score:
    rng = np.random.default_rng(seed)
    chords = np.array([[60, 64, 67], [60, 65, 69], [59, 62, 67], [57, 60, 64]])
    pitch = chords[rng.integers(4, size=8)] + 0
    onset = np.repeat(np.arange(8) * 2, 3)
    return Score.from_notes(onset, np.full(24, 2), pitch.ravel(), length=18, grid=grid)


TRAIN, VALID = [tune(seed) for seed in range(6)], [tune(seed) for seed in (10, 11)]
PROMPTS = [
    tune(20).slice(0, 8),
    tune(21).slice(0, 5),
    Score.from_notes([0], [1], [72]),  # one note
    Score.silence(4),
    Score.silence(0),  # a piece from nothing
    Score.silence(0),
]


def fitted(name: str, seed: int = 1) -> System:
    system = SYSTEMS[name]()
    system.fit(TRAIN, VALID, Budget(3), seed, Log())
    return system


@pytest.fixture(params=SYSTEMS)
def system(request: pytest.FixtureRequest) -> System:
    return fitted(request.param)


@pytest.fixture(params=EXACT)
def exact(request: pytest.FixtureRequest) -> System:
    return fitted(request.param)


def test_each_is_a_system(system: System) -> None:
    assert isinstance(system, System)


@pytest.mark.parametrize("steps", [0, 1, 16])
def test_samples_have_exactly_the_steps_asked_for_on_the_prompts_grid(
    system: System, steps: int
) -> None:
    coarse = [tune(20, grid=1).slice(0, 4), Score.silence(0, grid=1)]
    for prompts, grid in [(PROMPTS, 4), (coarse, 1), ([], 4)]:
        samples = system.sample(prompts, steps, seed=0)
        assert [(s.length, s.grid) for s in samples] == [(steps, grid)] * len(prompts)


def test_the_same_seed_gives_the_same_pieces(system: System) -> None:
    assert system.sample(PROMPTS, 16, seed=3) == system.sample(PROMPTS, 16, seed=3)


@pytest.mark.parametrize("name", EXACT)
def test_fitting_twice_gives_the_same_system(name: str) -> None:
    first, second = fitted(name), fitted(name)
    assert first.sample(PROMPTS, 16, seed=3) == second.sample(PROMPTS, 16, seed=3)
    assert (first.log_likelihood(VALID) == second.log_likelihood(VALID)).all()


def test_another_seed_gives_other_pieces(exact: System) -> None:
    assert exact.sample(PROMPTS, 16, seed=3) != exact.sample(PROMPTS, 16, seed=4)


def test_a_piece_does_not_depend_on_the_prompts_beside_it(system: System) -> None:
    together = system.sample(PROMPTS, 24, seed=5)
    for place in range(5):
        assert system.sample(PROMPTS[place : place + 1], 24, seed=5) == [together[place]]
    assert system.sample(PROMPTS[::-1], 24, seed=5)[2:] == together[:4][::-1]


def test_a_saved_system_comes_back(system: System, tmp_path: Path) -> None:
    system.save(tmp_path)
    loaded = type(system).load(tmp_path)
    assert loaded.likelihood == system.likelihood
    assert vars(loaded).keys() == vars(system).keys()
    assert loaded.sample(PROMPTS, 16, seed=2) == system.sample(PROMPTS, 16, seed=2)
    if system.likelihood.kind != "none":
        assert (loaded.log_likelihood(VALID) == system.log_likelihood(VALID)).all()
    assert {file.suffix for file in tmp_path.iterdir()} <= {".json", ".safetensors"}


def test_loading_from_an_empty_folder_says_so(system: System, tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="holds no saved system"):
        type(system).load(tmp_path)


def test_a_system_without_a_likelihood_gives_the_reason(system: System) -> None:
    if system.likelihood.kind == "none":
        assert system.likelihood.reason
        with pytest.raises(BenchError, match=system.likelihood.reason):
            system.log_likelihood(VALID)


def test_a_likelihood_does_not_depend_on_the_pieces_beside_it(exact: System) -> None:
    pieces: Sequence[Score] = [*VALID, *PROMPTS, *TRAIN]
    one_by_one = [exact.log_likelihood([piece])[0] for piece in pieces]
    assert np.allclose(exact.log_likelihood(pieces), one_by_one, atol=1e-9, rtol=0)


def test_the_beginning_of_a_piece_is_never_less_likely_than_the_whole(exact: System) -> None:
    piece = VALID[0]
    beginnings = exact.log_likelihood([piece.slice(0, stop) for stop in range(piece.length + 1)])
    assert beginnings[0] == 0  # a piece of no steps is certain
    assert (np.diff(beginnings) <= 1e-9).all()


def test_music_never_heard_is_unlikely_but_possible(exact: System) -> None:
    strange = Score.from_notes([0, 0, 3, 4], [2, 5, 1, 2], [21, 108, 25, 21], length=9)
    logs = exact.log_likelihood([strange, VALID[0].slice(0, 9)])
    assert np.isfinite(logs).all()
    assert logs[0] < logs[1]


def test_the_order_of_the_training_pieces_changes_no_count() -> None:
    for name in EXACT[:3]:
        turned = SYSTEMS[name]()
        turned.fit(TRAIN[::-1], VALID, Budget(3), 1, Log())
        straight = fitted(name)
        assert np.allclose(turned.log_likelihood(VALID), straight.log_likelihood(VALID))


def test_human_returns_what_was_revealed_and_nothing_else(tmp_path: Path) -> None:
    human = Human()
    human.fit(TRAIN, VALID, Budget(0), 0, Log())
    with pytest.raises(BenchError, match="reveal"):
        human.sample(PROMPTS[:2], 8, seed=0)
    human.reveal([tune(20).slice(8, 18), tune(21).slice(5, 18)])
    assert human.sample(PROMPTS[:2], 8, 0) == [tune(20).slice(8, 16), tune(21).slice(5, 13)]
    with pytest.raises(BenchError, match="2 were revealed for 3 prompts"):
        human.sample(PROMPTS[:3], 8, seed=0)
    with pytest.raises(BenchError, match="10 steps of the 11 asked"):
        human.sample(PROMPTS[:2], 11, seed=0)
    human.save(tmp_path)
    with pytest.raises(BenchError, match="none were revealed"):
        Human.load(tmp_path).sample(PROMPTS[:1], 8, seed=0)
