from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from logs import Log
from torch import nn

from bench import registry
from bench.contract import Budget
from bench.errors import BenchError
from bench.music import Score
from bench.treatments.rbm_window import RBM, RBMWindow

INNER = {"class": "baselines.bounds:Noise", "settings": {"rates": "pitch"}, "source": "1"}
PIECES = [
    Score.from_notes(np.arange(40), np.ones(40), 50 + (np.arange(40) * k) % 20) for k in (3, 7)
]


def binary(units: int) -> torch.Tensor:
    return torch.tensor(list(product([0.0, 1.0], repeat=units)), dtype=torch.double)


@pytest.fixture
def rbm() -> RBM:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = RBM(5, 4).double()
        for parameter in made.parameters():
            nn.init.normal_(parameter)
        return made


def energy(rbm: RBM, v: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
    """(v, h) E of every pair."""
    return -(v @ rbm.visible)[:, None] - (h @ rbm.hidden)[None] - v @ rbm.weight @ h.t()


def small(**settings: Any) -> RBMWindow:
    system = RBMWindow(**{"wrapped": INNER, "hidden": 12, "batch": 4} | settings)
    system.fit(PIECES, [], Budget(2), 0, Log())
    return system


def test_the_papers_rbm_has_the_papers_parameters() -> None:
    paper = RBM(16 * 78 * 2, 1500)
    assert sum(parameter.numel() for parameter in paper.parameters()) == 3_747_996


def test_the_free_energy_sums_the_hidden_units_out(rbm: RBM) -> None:
    v, h = binary(5), binary(4)
    assert torch.allclose(rbm.free_energy(v), -(-energy(rbm, v, h)).logsumexp(1), atol=1e-13)


def test_the_partition_function_is_the_same_from_both_sides(rbm: RBM) -> None:
    v, h = binary(5), binary(4)
    turned = RBM(4, 5).double()
    turned.load_state_dict({"weight": rbm.weight.t(), "visible": rbm.hidden, "hidden": rbm.visible})
    ours, theirs = (-rbm.free_energy(v)).logsumexp(0), (-turned.free_energy(h)).logsumexp(0)
    assert torch.isclose(ours, theirs, atol=1e-12)


def test_a_step_of_the_chain_leaves_its_distribution_as_it_is(rbm: RBM) -> None:
    v, h = binary(5), binary(4)
    p = (-rbm.free_energy(v)).softmax(0)
    up, down = rbm.up(v), rbm.down(h)
    to_h = (up[:, None] * h + (1 - up[:, None]) * (1 - h)).prod(-1)  # (v, h)
    to_v = (down[:, None] * v + (1 - down[:, None]) * (1 - v)).prod(-1)  # (h, v)
    assert torch.allclose(p @ to_h @ to_v, p, atol=1e-14)


def test_on_data_that_are_its_own_samples_the_contrast_pulls_nowhere(rbm: RBM) -> None:
    v = binary(5)
    p = (-rbm.free_energy(v)).softmax(0).detach().numpy()
    sizes = []
    for chances in (p, np.full(32, 1 / 32)):
        draws = torch.from_numpy(np.random.default_rng(0).choice(32, 200_000, p=chances))
        rbm.zero_grad()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            rbm.contrast(v[draws]).backward()
        sizes.append([float(parameter.grad.abs().max()) for parameter in rbm.parameters()])
    assert max(sizes[0]) < 0.01
    assert min(sizes[1]) > 0.05  # on others it does


def test_the_free_energy_is_finite_far_out(rbm: RBM) -> None:
    with torch.no_grad():
        rbm.weight.zero_()
        rbm.hidden.copy_(torch.tensor([1e4, -1e4, 0, 0]))
    assert torch.allclose(
        rbm.free_energy(torch.zeros(1, 5).double()), torch.tensor(-1e4 - 2 * np.log(2))
    )


def test_the_odds_of_a_key_are_exact_given_all_other_cells() -> None:
    keys = 3
    with torch.random.fork_rng():
        torch.manual_seed(0)
        rbm = RBM(16 * keys * 2, 7).double()
        for parameter in rbm.parameters():
            nn.init.normal_(parameter)
        windows = torch.rand(40, 16, keys, 2).round().double()
    windows[:, -1, :, 1] *= windows[:, -1, :, 0]
    odds = rbm.odds(windows.flatten(1))
    for key, (state, cells) in product(range(keys), enumerate([(0, 0), (1, 0), (1, 1)])):
        silent, there = windows.clone(), windows.clone()
        silent[:, -1, key], there[:, -1, key] = torch.zeros(2), torch.tensor(cells)
        exact = rbm.free_energy(silent.flatten(1)) - rbm.free_energy(there.flatten(1))
        impossible = (windows[:, -2, key, 0] == 0) & (state == 1)
        assert torch.allclose(odds[~impossible, key, state], exact[~impossible], atol=1e-10)
        assert torch.isneginf(odds[impossible, key, state]).all()


def test_an_rbm_that_always_predicts_the_input_gives_it_back() -> None:
    system = small()
    system.certain = 0.0
    nn.init.zeros_(system.rbm.weight)
    given = np.zeros((1, 6, 88, 2), dtype=bool)
    given[:, :, [3, 40]] = True
    with torch.no_grad():
        wanted = np.where(given[0, 0].ravel(), 50.0, -50.0)
        system.rbm.visible.copy_(torch.from_numpy(np.tile(wanted, 16)))
    first = np.zeros((1, 15, 88, 2), dtype=bool)
    assert np.array_equal(system.correct(first, given, []), given)


def test_as_published_the_chain_forgets_its_input() -> None:
    """Every cell has a hidden unit that mostly has the same value."""
    inputs = np.zeros((2, 10, 78, 2), dtype=bool)
    inputs[0, :, [3, 40]], inputs[1, :, ::2] = True, True
    published = registry.system("rbm-window").as_published
    assert published is not None
    system = small(**published.settings)
    assert (system.settings.change, system.settings.gibbs) == ("window", 10)
    assert len(system.rbm.visible) == 2496  # 16 steps of 78 keys, played and struck
    system.rbm = RBM(2496, 2496)
    with torch.no_grad():
        system.rbm.weight.copy_(2 * torch.eye(2496))
        system.rbm.visible.fill_(-1.5)
        system.rbm.hidden.fill_(-0.5)
    first = np.zeros((2, 15, 78, 2), dtype=bool)
    made = system.correct(first, inputs, [np.random.default_rng(0) for _ in range(2)])
    assert (inputs[0] != inputs[1]).mean() > 0.4
    assert (made[0] != made[1]).mean() < 0.05  # the same, whatever came in


@pytest.mark.parametrize("change", ["unlikely", "step"])
def test_the_older_steps_are_kept_and_come_from_the_prompt(change: str) -> None:
    system = small(change=change)
    system.certain = 0.0
    first = system.beginning(PIECES[0])
    assert np.array_equal(first, system.states(PIECES[0])[-15:])
    assert system.beginning(Score.silence(3)).sum() == 0
    # The newest step becomes whatever sounded 15 steps before it.
    with torch.no_grad():
        system.rbm.weight.zero_()
        system.rbm.visible.fill_(-20.0)
        system.rbm.hidden.fill_(-40.0)
        for unit, key in enumerate([60 - 21, 64 - 21]):
            system.rbm.weight[2 * key, unit] = 60.0
            system.rbm.weight[15 * 176 + 2 * key : 15 * 176 + 2 * key + 2, unit] = 30.0
    first[:] = False
    first[0, 60 - 21], first[4, 64 - 21] = True, True
    silence = np.zeros((1, 20, 88, 2), dtype=bool)
    made = system.correct(first[None], silence, [np.random.default_rng(0)])[0]
    assert np.argwhere(made[:, :, 0]).tolist() == [
        [0, 60 - 21],
        [4, 64 - 21],
        [15, 60 - 21],
        [19, 64 - 21],
    ]


def test_a_gibbs_step_changes_the_whole_window_or_only_its_newest_step() -> None:
    """The newest step sounds where the one before it does; the older steps, drawn, are silent."""
    made = {}
    for change in ("step", "window"):
        system = small(change=change, gibbs=2)
        with torch.no_grad():
            system.rbm.weight.zero_()
            system.rbm.visible.fill_(-20.0)
            system.rbm.hidden.fill_(-40.0)
            system.rbm.weight[14 * 176 + 80, 0] = 60.0
            system.rbm.weight[15 * 176 + 80, 0] = 30.0
            system.rbm.visible[14 * 176 + 80] = -100.0
        first = np.zeros((1, 15, 88, 2), dtype=bool)
        first[0, -1, 40] = True
        silence = np.zeros((1, 3, 88, 2), dtype=bool)
        made[change] = system.correct(first, silence, [np.random.default_rng(0)])[0, :, 40, 0]
    assert made["step"].tolist() == [True] * 3
    assert made["window"].tolist() == [False] * 3


def music(seed: int, pieces: int) -> list[Score]:
    """Four chords round and round, in one of two voicings, each key held for a bar of 4 steps."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(pieces):
        notes = []
        for bar in range(12):
            root = [0, 5, 7, 0][bar % 4]
            keys = [48 + root, 64 + root, 67 + root, 60 + root + 12 * int(rng.integers(2))]
            notes += [(4 * bar, 4, key) for key in keys]
        onset, duration, pitch = np.array(notes).T
        made.append(Score.from_notes(onset, duration, pitch, length=48))
    return made


def test_wrong_notes_become_fewer_and_right_ones_stay() -> None:
    system = RBMWindow(wrapped=INNER, hidden=40, batch=32, rate=0.1, per_update=1, keeps=0.97)
    system.fit(music(0, 20), music(1, 6), Budget(500), 0, Log())
    true = np.stack([system.states(piece) for piece in music(2, 8)])
    first, true = true[:, 1:16], true[:, 16:]
    rng = np.random.default_rng(3)
    wrong = true.copy()
    for piece in wrong:  # a tenth of the notes moves by a semitone or two
        for step, key in np.argwhere(piece[:, :, 1]):
            if rng.random() < 0.1:
                to = key + rng.choice([-2, -1, 1, 2])
                piece[step : step + 4, to] |= piece[step : step + 4, key]
                piece[step : step + 4, key] = False
    kept, mended = system.correct(first, true, []), system.correct(first, wrong, [])
    notes = true[..., 1]
    assert (kept[..., 1] & notes).sum() >= 0.95 * notes.sum()
    assert (kept != true).sum() <= 0.05 * true.sum()
    assert 0 < (mended != true).sum() < 0.7 * (wrong != true).sum()


def test_it_keeps_the_share_of_real_notes_that_it_is_told_to_keep() -> None:
    certain = []
    for keeps in (0.5, 0.9, 0.99):
        system = small(keeps=keeps)
        certain.append(system.certain)
    assert certain == sorted(certain)
    assert 0 <= certain[0] < certain[2] < np.inf


@pytest.mark.parametrize(
    "settings",
    [{}, {"change": "step"}, {"change": "window", "gibbs": 2, "lowest": 24, "highest": 101}],
)
def test_samples_keep_length_and_do_not_depend_on_the_others(
    settings: dict[str, Any], capsys: Any
) -> None:
    system = small(**settings)
    prompts = [PIECES[0].slice(0, 16), Score.silence(0), PIECES[1].slice(0, 4)]
    together = system.sample(prompts, 20, 1)
    assert [score.length for score in together] == [20] * 3
    assert "cells per step" in capsys.readouterr().out
    for place, prompt in enumerate(prompts):
        assert system.sample([prompt], 20, 1) == [together[place]]


def test_it_learns_which_cells_are_on() -> None:
    system = RBMWindow(wrapped=INNER, hidden=30, batch=16, rate=0.05)
    windows = torch.zeros(2, 16 * 176)
    windows[0, ::3], windows[1, ::5] = 1, 1
    with torch.random.fork_rng():
        torch.manual_seed(0)
        system.rbm = RBM(16 * 176, 30)
        optimiser = torch.optim.SGD(system.rbm.parameters(), lr=0.1)
        for _ in range(200):
            optimiser.zero_grad()
            system.rbm.contrast(windows).backward()
            optimiser.step()
        rebuilt = system.rbm.down(system.rbm.up(windows)) >= 0.5
    assert (rebuilt == windows.bool()).float().mean() > 0.99


def test_a_saved_system_comes_back_and_has_no_likelihood(tmp_path: Any) -> None:
    system = small()
    system.save(tmp_path)
    loaded = RBMWindow.load(tmp_path)
    prompts = [PIECES[0].slice(0, 16)]
    assert loaded.sample(prompts, 9, 0) == system.sample(prompts, 9, 0)
    assert loaded.likelihood.kind == "none"
    with pytest.raises(BenchError, match="how likely a corrected sample is"):
        loaded.log_likelihood(PIECES)


def test_a_system_that_runs_backward_is_refused() -> None:
    reversal = registry.system("biaxial-reversed+wraps=noise")
    wrapped = {"class": reversal.class_path, "settings": reversal.settings_of("corrected")}
    with pytest.raises(BenchError, match="does not run backward"):
        RBMWindow(wrapped=wrapped)


def test_pieces_shorter_than_a_window_are_refused() -> None:
    with pytest.raises(BenchError, match="has 16 steps"):
        RBMWindow(wrapped=INNER).fit([PIECES[0].slice(0, 9)], [], Budget(1), 0, Log())


def test_the_progress_of_the_rbm_follows_that_of_the_system() -> None:
    log = Log()
    system = RBMWindow(wrapped=INNER, hidden=12, batch=4, per_update=3)
    system.fit(PIECES, [], Budget(5), 0, log)
    assert [(done, total) for done, total, _ in log.reports] == [
        (5 + done, 5 + 3 * 5) for done in range(1, 16)
    ]
