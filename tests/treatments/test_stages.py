from typing import Any

import numpy as np
import pytest
import torch
from logs import Log

from bench import registry
from bench.architectures.biaxial.system import Biaxial
from bench.contract import Budget, Likelihood
from bench.data.grades import difficulty
from bench.errors import BenchError
from bench.music import Score
from bench.training import saved
from bench.treatments.companions import on_grid
from bench.treatments.curriculum import Curriculum, by_difficulty
from bench.treatments.stages import Stage, learn, shares
from bench.treatments.transfer import Transfer

SMALL = {"time_layers": [6, 5], "note_layers": [4, 3], "dropout": 0.5}
INNER = {"class": "bench.architectures.biaxial:Biaxial", "settings": SMALL, "source": "1"}
OVERFITTING = {
    "class": "bench.architectures.lstm_2x512:LSTM2x512",
    "settings": {"hidden": 64, "dropout": 0.0, "batch": 4, "sequence": 8, "rate": 0.01},
    "source": "1",
}


def tune(seed: int, grid: int = 4) -> Score:
    rng = np.random.default_rng(seed)
    notes = 5 + 3 * seed
    onset, pitch = rng.integers(0, 40, notes), rng.integers(50, 70, notes)
    return Score.from_notes(onset, rng.integers(1, 4, notes), pitch, length=44, grid=grid)


TUNES, VALID = [tune(seed) for seed in range(6)], [tune(9)]
OTHERS = {"others": [tune(seed) for seed in range(20, 29)]}


class Pupil:
    """Remembers what it was taught."""

    likelihood = Likelihood("exact")

    def __init__(self) -> None:
        self.lessons: list[tuple[Any, Any, int]] = []
        self.heads = 0

    def fit(self, train, valid, budget, seed, log) -> None:
        self.lessons = [(train, valid, budget.amount)]

    def go_on(self, train, valid, budget, seed, log) -> None:
        self.lessons.append((train, valid, budget.amount))

    def reset_head(self, train, seed) -> None:
        self.heads += 1
        self.lessons.append("head")

    def sample(self, prompts, steps, seed): ...
    def log_likelihood(self, scores): ...
    def save(self, folder): ...
    @classmethod
    def load(cls, folder): ...


def pupil_of(treatment: Any) -> Pupil:
    treatment.inner = Pupil()
    treatment.fit(TUNES, VALID, Budget(240), 0, Log())
    return treatment.inner


def weights(system: Any) -> list[torch.Tensor]:
    return list(system.inner.network.state_dict().values())


def test_a_curriculum_goes_from_easy_to_hard_and_ends_with_everything() -> None:
    curriculum = Curriculum(wrapped=INNER)
    curriculum.provide(OTHERS)
    lessons = pupil_of(curriculum).lessons
    assert [amount for _, _, amount in lessons] == [0, 10, 10, 10, 10, 200]
    graded = [difficulty(piece) for pieces, _, _ in lessons[1:5] for piece in pieces]
    assert graded == sorted(graded)
    assert len(graded) == len(OTHERS["others"])
    assert lessons[-1][0] is TUNES
    assert [len(valid) for _, valid, _ in lessons[1:]] == [0, 0, 0, 0, 1]


def test_every_tenth_piece_of_a_grade_is_held_out_to_stop_at() -> None:
    pieces = [Score.from_notes([0], [1], [20 + n], length=16, grid=4) for n in range(44)]
    curriculum = Curriculum(wrapped=INNER, grades=2)
    curriculum.provide({"others": pieces})
    lessons = pupil_of(curriculum).lessons
    lots = by_difficulty(pieces, 2)
    for (learnt, held_out, _), lot in zip(lessons[1:3], lots, strict=True):
        assert held_out == [lot[9], lot[19]]
        assert sorted(s.content_hash for s in [*learnt, *held_out]) == sorted(
            s.content_hash for s in lot
        )
    assert lessons[-1][:2] == (TUNES, VALID)


def test_a_grade_is_not_overfit() -> None:
    """What a grade held out decides which of its weights go on."""
    log = Log()
    curriculum = Curriculum(wrapped=OVERFITTING, grades=1, share=0.9)
    rng = np.random.default_rng(0)  # can only be overfit
    noise = [Score.from_rolls(rng.random((32, 88)) < 0.05, grid=4) for _ in range(10)]
    curriculum.fit(noise, noise[:1], Budget(1000), 0, log)
    held_out = log.curve("stage_valid_loss")
    assert min(held_out) < held_out[-1]  # it had begun to, and was stopped
    ended = max(log.curves["stage_valid_loss"])
    assert ended < 900
    assert max(log.curves["valid_loss"]) > ended


def test_without_a_graded_set_the_training_pieces_are_graded() -> None:
    lessons = pupil_of(Curriculum(wrapped=INNER)).lessons
    assert {s.content_hash for pieces, _, _ in lessons[1:5] for s in pieces} == {
        s.content_hash for s in TUNES
    }


def test_fewer_pieces_than_grades_are_still_graded() -> None:
    assert [len(lot) for lot in by_difficulty(TUNES[:2], 4)] == [1, 1, 1, 1]


@pytest.mark.parametrize("fresh", [False, True])
def test_transfer_learns_the_others_first_and_only_fine_tuning_renews_the_head(
    fresh: bool,
) -> None:
    transfer = Transfer(wrapped=INNER, fresh_head=fresh)
    transfer.provide(OTHERS)
    lessons = pupil_of(transfer).lessons
    assert [("head" if lesson == "head" else lesson[2]) for lesson in lessons] == (
        [0, 171, "head", 69] if fresh else [0, 171, 69]
    )
    assert lessons[1][0] == OTHERS["others"]
    assert lessons[-1][0] is TUNES


def test_without_another_set_transfer_is_plain_training() -> None:
    assert [amount for _, _, amount in pupil_of(Transfer(wrapped=INNER)).lessons] == [0, 240]


@pytest.mark.parametrize("fresh", [False, True])
def test_the_second_genre_begins_with_the_weights_that_the_first_left(fresh: bool) -> None:
    weights = []
    for fresh_head in (False, fresh):
        system = Biaxial(**SMALL)
        first = Stage(OTHERS["others"], Budget(5))
        learn(system, [first, Stage(TUNES, Budget(0), fresh_head)], [], 0, Log())
        weights.append(system.network.state_dict())
    kept, renewed = weights
    changed = {name for name in kept if not torch.equal(kept[name], renewed[name])}
    assert changed == ({"dense.weight", "dense.bias"} if fresh else set())


@pytest.mark.parametrize(
    ("name", "renewed"),
    [("deep-jammer-extended", set()), ("deep-jammer-finetune", {"dense.weight", "dense.bias"})],
)
def test_between_the_genres_no_tensor_changes_but_those_of_a_renewed_dense_layer(
    name: str, renewed: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    weights: list[dict[str, torch.Tensor]] = []
    go_on = Biaxial.go_on

    def watched(system: Biaxial, *arguments: Any) -> None:
        for act in (lambda: None, lambda: go_on(system, *arguments)):
            act()
            weights.append({k: v.clone() for k, v in system.network.state_dict().items()})

    monkeypatch.setattr(Biaxial, "go_on", watched)
    settings = registry.system(name).settings | {"wrapped": INNER}
    transfer = Transfer(**settings)
    transfer.provide(OTHERS)
    transfer.fit(TUNES, VALID, Budget(14), 0, Log())
    # before and after each of three calls
    new, still_new, first_start, first_end, second_start, second_end = weights

    def changed(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> set[str]:
        return {name for name in before if not torch.equal(before[name], after[name])}

    assert not changed(new, still_new)
    assert not changed(still_new, first_start)
    assert changed(first_end, second_start) == renewed
    assert changed(first_start, first_end) == set(new)  # training changes all weights
    assert changed(second_start, second_end) == set(new)


def test_a_budget_is_shared_to_the_update() -> None:
    for amount in range(40):
        amounts = [part.amount for part in shares(Budget(amount), [1, 1, 1, 1, 20])]
        assert sum(amounts) == amount
        assert amounts[:4] == ([1] * 4 if amount >= 5 else [0] * 4)


@pytest.mark.parametrize("place", range(8))
def test_a_curriculum_resumed_anywhere_ends_bit_equal_to_an_unbroken_one(place: int) -> None:
    def curriculum(log: Log) -> Curriculum:
        system = Curriculum(wrapped=INNER, grades=2, share=0.25)
        system.provide(OTHERS)
        system.fit(TUNES, VALID, Budget(8), 0, log)
        return system

    log = Log(keep=True)
    unbroken = curriculum(log)
    assert len(log.states) == 8
    again = Log(log.states[place])
    for whole, after in zip(weights(unbroken), weights(curriculum(again)), strict=True):
        assert torch.equal(whole, after)
    assert again.reports == log.reports[place + 1 :]


def test_all_stages_are_reported_as_one_training() -> None:
    log = Log()
    system = Curriculum(wrapped=INNER, grades=2, share=0.25)
    system.fit(TUNES, VALID, Budget(8), 0, log)
    assert [step for step, _ in log.points] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert [(done, total) for done, total, _ in log.reports] == [(n, 8) for n in range(1, 9)]
    assert (np.diff([music for _, _, music in log.reports]) > 0).all()


def test_asked_to_stop_it_stops_there() -> None:
    log = Log(keep=True)
    Curriculum(wrapped=INNER, grades=2, share=0.25).fit(TUNES, VALID, Budget(8), 0, log)
    stopped = Curriculum(wrapped=INNER, grades=2, share=0.25)
    stopped.fit(TUNES, VALID, Budget(8), 0, Log({**log.states[2], "stop": True}))
    state = log.states[2]["inner"]["model"]
    for name, value in stopped.inner.network.state_dict().items():
        assert torch.equal(value, state[name])


def test_what_cannot_learn_in_stages_is_refused() -> None:
    wrapped = {"class": "baselines.bounds:Noise", "settings": {}, "source": "1"}
    with pytest.raises(BenchError, match="Noise cannot learn in stages"):
        Curriculum(wrapped=wrapped).fit(TUNES, VALID, Budget(4), 0, Log())


def test_a_saved_treatment_comes_back_with_what_it_wraps(tmp_path: Any) -> None:
    system = Curriculum(wrapped=INNER)
    system.fit(TUNES, VALID, Budget(5), 0, Log())
    system.save(tmp_path)
    loaded = Curriculum.load(tmp_path)
    assert isinstance(loaded.inner, Biaxial)
    assert loaded.settings == system.settings
    assert np.array_equal(loaded.log_likelihood(VALID), system.log_likelihood(VALID))
    assert saved.load(tmp_path)[0]["wrapped"] == INNER


def test_on_a_coarser_grid_only_its_steps_are_kept() -> None:
    for seed in range(5):
        piece = tune(seed)
        coarse = on_grid([piece], 1)[0]
        assert (coarse.grid, coarse.length) == (1, 11)
        assert np.array_equal(coarse.sounding(), piece.sounding()[::4])
    assert on_grid([piece], 4)[0] is piece
    with pytest.raises(BenchError, match="cannot be put on a grid of 6"):
        on_grid([piece], 6)
