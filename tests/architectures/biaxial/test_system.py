from dataclasses import asdict
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from logs import Log
from torch import Tensor, nn

from bench import registry, training
from bench.architectures.biaxial.linear_lstm import LinearLSTM
from bench.architectures.biaxial.network import BiaxialNetwork, NoteFeatures, surprise
from bench.architectures.biaxial.player import Player, adapted
from bench.architectures.biaxial.segments import Segments
from bench.architectures.biaxial.system import Biaxial, beginnings
from bench.check import toy_dataset
from bench.contract import Budget
from bench.encodings import note_states
from bench.errors import BenchError
from bench.music import Score

TINY: dict[str, Any] = {"time_layers": (6, 5), "note_layers": (4, 3)}
BIAXIAL = [
    spec for spec in registry.systems().values() if spec.class_path.endswith("biaxial:Biaxial")
]
AS_PUBLISHED: dict[str, Any] = BIAXIAL[0].as_published.settings
TUNE = Score.from_notes(
    np.arange(0, 40, 2), np.full(20, 2), 60 + np.arange(20) * 7 % 12, length=40
)  # struck anew every second step
REPEATS = Score.from_notes(np.arange(40), np.ones(40), 60 + np.arange(40) // 8, length=40)


def features(keys: int = 88, **settings: Any) -> NoteFeatures:
    plain = {"scaled": True, "wraps": False, "marks_beginning": True}
    return NoteFeatures(settings.pop("lowest", 21), keys, **(plain | settings)).double()


def network(
    keys: int = 9, dropout: float = 0.0, linear: bool = False, **how: Any
) -> BiaxialNetwork:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = BiaxialNetwork(features(keys, **how), (6, 5), (4, 3), dropout, linear).double()
        for parameter in made.parameters():
            nn.init.normal_(parameter, std=0.7)
        return made.eval()


def roll(batch: int, time: int, keys: int, seed: int = 0) -> Tensor:
    rng = np.random.default_rng(seed)
    play = rng.random((batch, time, keys)) < 0.3
    return torch.from_numpy(np.stack([play, play & (rng.random(play.shape) < 0.5)], -1)).double()


def logits_of(made: BiaxialNetwork, states: Tensor, following: Tensor) -> Tensor:
    step = torch.arange(-1, states.shape[1] - 1).expand(len(states), -1)
    with torch.no_grad():
        return made(states, following, step, torch.full((len(states), 1), 16))[0]


def fitted(updates: int = 2, **settings: Any) -> Biaxial:
    system = Biaxial(**TINY | settings)
    system.fit([TUNE, REPEATS], [TUNE], Budget(updates), 0, Log())
    return system


# -- features -------------------------------------------------------------------------------------


def reference_features(state: list[list[int]], time: int, lowest: int) -> list[list[int]]:
    """hexahedria's data.py, in its own words."""
    context = [0] * 12
    for note, notestate in enumerate(state):
        if notestate[0] == 1:
            context[(note + lowest) % 12] += 1
    beat = [2 * x - 1 for x in [time % 2, (time // 2) % 2, (time // 4) % 2, (time // 8) % 2]]

    def get(place: int) -> list[int]:
        try:
            return state[place]
        except IndexError:
            return [0, 0]

    rows = []
    for note in range(len(state)):
        pitchclass = (note + lowest) % 12
        rows.append(
            [note]
            + [int(i == pitchclass) for i in range(12)]
            + [x for i in range(-12, 13) for x in get(note + i)]
            + context[pitchclass:]
            + context[:pitchclass]
            + beat
            + [0]
        )
    return rows


@pytest.mark.parametrize("lowest", [24, 21])
@pytest.mark.parametrize("time", [0, 5, 14])
def test_as_published_the_features_are_hexahedrias_own(time: int, lowest: int) -> None:
    state = roll(1, 1, 78, seed=time)[0, 0]
    published = features(78, lowest=lowest, scaled=False, wraps=True, marks_beginning=False)
    actual = published(state, torch.tensor(time), torch.tensor(16))
    expected = reference_features(state.int().tolist(), time, lowest)
    assert actual.shape == (78, 80)
    assert torch.equal(actual, torch.tensor(expected).double())


def test_the_highest_note_is_seen_from_the_lowest_ones_only_as_published() -> None:
    state = torch.zeros(78, 2).double()
    state[77] = 1
    offset_minus_six = 13 + 2 * (12 - 6)
    for wraps in (True, False):
        seen = features(78, lowest=24, wraps=wraps)(state, torch.tensor(0), torch.tensor(16))[5]
        assert seen[offset_minus_six : offset_minus_six + 2].tolist() == [wraps, wraps]
        assert seen[13:63].sum() == 2 * wraps


@pytest.mark.parametrize("bar", [4, 8, 16, 32])
def test_the_beat_counts_sixteenths_of_the_bar_on_every_grid(bar: int) -> None:
    silence = torch.zeros(bar, 88, 2).double()
    actual = features()(silence, torch.arange(bar) + 3 * bar, torch.tensor(bar))
    sixteenths = ((actual[:, 0, 75:79] + 1) / 2 @ torch.tensor([1.0, 2, 4, 8]).double()).tolist()
    assert sixteenths == [16 * step // bar for step in range(bar)]


def test_the_last_feature_marks_the_beginning() -> None:
    silence = torch.zeros(2, 88, 2).double()
    actual = features()(silence, torch.tensor([-1, 0]), torch.tensor(16))
    assert actual[:, :, -1].unique(dim=1).tolist() == [[1], [0]]
    assert actual[0, 0, 75:79].tolist() == [1, 1, 1, 1]  # as at the end of a bar


# -- the network ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("time", "note", "one_bias", "second_bias"),
    [
        ((300, 300), (100, 50), 1_369_902, 3000),
        ((150, 150), (50, 25), 367_452, 1500),
        ((75, 75), (25, 13), 104_456, 752),
    ],
)
def test_parameters_are_counted_as_in_the_paper(
    time: tuple[int, int], note: tuple[int, int], one_bias: int, second_bias: int
) -> None:
    for linear in (True, False):
        made = BiaxialNetwork(features(), time, note, 0.0, linear)
        count = sum(parameter.numel() for parameter in made.parameters())
        assert count == one_bias + second_bias * (not linear)


@pytest.mark.parametrize("linear", [False, True])
def test_changing_the_future_leaves_past_outputs_bit_equal(linear: bool) -> None:
    made, states = network(linear=linear), roll(2, 9, 9)
    following, changed = states[:, 1:], states.clone()
    changed[:, 5:] = 1 - changed[:, 5:]
    before = logits_of(made, states[:, :-1], following)
    after = logits_of(made, changed[:, :-1], changed[:, 1:])
    assert torch.equal(before[:, :4], after[:, :4])
    assert not torch.equal(before[:, 4], after[:, 4])


def test_a_choice_changes_only_the_notes_above_it_in_its_step() -> None:
    made, states = network(), roll(1, 6, 9)
    following = states.clone()
    changed = following.clone()
    changed[0, 3, 4, 0] = 1 - changed[0, 3, 4, 0]
    moved = logits_of(made, states, following) != logits_of(made, states, changed)
    assert moved[0, 3, 5:].all()
    moved[0, 3, 5:] = False
    assert not moved.any()


@pytest.mark.parametrize("linear", [False, True])
def test_step_by_step_with_carried_state_equals_the_whole_pass(linear: bool) -> None:
    made, states = network(linear=linear), roll(2, 7, 9)
    whole = logits_of(made, states[:, :-1], states[:, 1:])
    player = Player(made)
    carried = player.begin(2, 9)
    for step in range(6):
        last = torch.full((2,), step - 1)
        past = player.read(states[:, step], last, torch.full((2,), 16), carried)
        actual = torch.zeros(2, 9, 2).double()

        def choose(note: int, logits: Tensor, before: Tensor, step: int = step) -> Tensor:
            actual[:, note] = logits  # noqa: B023
            return states[:, step + 1, note]

        player.play(past, states[:, step], choose)
        assert torch.allclose(actual, whole[:, step], atol=1e-14)


class Given(nn.Module):
    """Takes features in place of states."""

    def forward(self, states: Tensor, step: Tensor, bar: Tensor) -> Tensor:
        return states


@pytest.mark.parametrize("linear", [False, True])
def test_the_time_axis_treats_all_notes_alike(linear: bool) -> None:
    made = network(linear=linear)
    made.features = Given()
    x, following = torch.randn(2, 5, 9, 80).double(), roll(2, 5, 9)
    order = torch.randperm(9, generator=torch.Generator().manual_seed(0))
    step = torch.zeros(2, 5)

    def run(x: Tensor) -> tuple[Tensor, list[Tensor]]:
        with torch.no_grad():
            logits, ended = made(x, following, step, step)
        return logits, [part.view(2, 9, -1) for state in ended for part in state]

    (logits, states), (turned_logits, turned) = run(x), run(x[:, :, order])
    for state, turned_state in zip(states, turned, strict=True):
        assert torch.allclose(state[:, order], turned_state, atol=1e-15)
    assert not torch.allclose(logits[:, :, order], turned_logits, atol=1e-3)  # the note axis


def test_without_absolute_features_the_time_axis_moves_with_the_music() -> None:
    made, shift = network(60), 5
    states = torch.zeros(6, 60, 2).double()
    states[:, 20:35] = roll(1, 6, 15)[0]
    moved = states.roll(shift, dims=1)

    def outputs(states: Tensor) -> Tensor:
        x = made.features(states, torch.arange(6), torch.full((6,), 16))
        x[..., :13] = 0  # position and pitch class
        for layer in made.time:
            x, _ = layer(x)
        return x

    assert torch.allclose(outputs(moved)[:, shift:], outputs(states)[:, :-shift], atol=1e-14)


def test_with_a_dense_layer_of_zeros_every_choice_costs_a_bit() -> None:
    made, states = network(), roll(2, 7, 9)
    nn.init.zeros_(made.dense.weight)
    nn.init.zeros_(made.dense.bias)
    following = states[:, 1:]
    nats = surprise(logits_of(made, states[:, :-1], following), following, following[..., 0])
    expected = np.log(2) * (2 * 6 * 9 + float(following[..., 0].sum()))
    assert np.isclose(float(nats.sum()), expected, rtol=1e-12)


def test_articulations_that_are_no_choice_get_no_gradient() -> None:
    following = roll(1, 4, 9)
    free = following[..., 0] * roll(1, 4, 9, seed=1)[..., 0]
    logits = torch.randn(1, 4, 9, 2).double().requires_grad_()
    surprise(logits, following, free).sum().backward()
    assert logits.grad is not None
    assert (logits.grad[..., 1] != 0).equal(free > 0)
    assert (logits.grad[..., 0] != 0).all()


def test_a_dropout_mask_lasts_for_the_whole_sequence() -> None:
    made = network(dropout=0.5)
    ones = torch.ones(20, 30, 8).double()
    made.train()
    dropped = made._drop(ones)
    assert torch.equal(dropped, dropped[:1].expand_as(dropped))
    assert sorted(dropped.unique().tolist()) == [0, 2]
    made.eval()
    assert torch.equal(made._drop(ones), ones)


def test_dropout_follows_each_of_the_four_lstms_and_only_in_training() -> None:
    made, fed = network(dropout=0.5), {}
    names = {"time.1": made.time[1], "note.0": made.note[0], "note.1": made.note[1]}
    for name, part in (names | {"dense": made.dense}).items():
        part.register_forward_pre_hook(lambda _, x, name=name: fed.update({name: x[0].detach()}))
    x, following = roll(2, 5, 9), roll(2, 5, 9, seed=1)
    for learning in (True, False):
        logits_of(made.train(learning), x, following)
        for name, given in fed.items():
            if name == "note.0":  # (keys, batch * time, ...), and what the note below does
                given = given[..., :5].view(9, 2, 5, 5).transpose(0, 2)
            gone = (given == 0).all(dim=0)  # for the whole sequence
            assert torch.equal(given == 0, gone.expand_as(given)), name
            assert 0.2 < gone.float().mean() < 0.8 if learning else not gone.any(), name
    assert torch.equal(logits_of(made, x, following), logits_of(made, x, following))


def test_the_forget_bias_is_one_and_the_state_begins_at_zero() -> None:
    made = fitted(0).network
    for part in (*made.time, *made.note):
        hidden = part.hidden_size
        forget = (part.bias_ih_l0 + part.bias_hh_l0)[hidden : 2 * hidden]
        assert torch.equal(forget, torch.ones(hidden))
        assert not hasattr(part, "start")


def test_every_parameter_receives_a_gradient() -> None:
    for linear in (False, True):
        made, states = network(linear=linear), roll(1, 6, 9)
        step = torch.arange(5)[None]
        logits, _ = made(states[:, :-1], states[:, 1:], step, torch.tensor([[16]]))
        logits.square().sum().backward()
        for name, parameter in made.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.abs().sum() > 0, name


def test_adadelta_is_the_originals() -> None:
    """theano_lstm's formula, which knows no learning rate."""
    weight = nn.Parameter(torch.tensor([0.3, -2.0]).double())
    optimiser = torch.optim.Adadelta([weight], lr=1.0, rho=0.95, eps=1e-6)
    x, squares, updates = weight.detach().clone(), torch.zeros(2).double(), torch.zeros(2).double()
    for step in range(50):
        gradient = torch.tensor([np.sin(step), 3.0 * float(x[1])]).double()
        weight.grad = gradient.clone()
        optimiser.step()
        squares = 0.95 * squares + 0.05 * gradient**2
        change = -torch.sqrt(updates + 1e-6) / torch.sqrt(squares + 1e-6) * gradient
        updates = 0.95 * updates + 0.05 * change**2
        x = x + change
        assert torch.allclose(weight.detach(), x, rtol=0, atol=1e-12)


# -- the system -----------------------------------------------------------------------------------

VARIANTS = pytest.mark.parametrize(
    ("settings", "published"), [({}, False), (AS_PUBLISHED, True)], ids=["corrected", "published"]
)


@pytest.mark.parametrize("spec", BIAXIAL, ids=lambda spec: spec.id)
def test_all_of_the_family_have_the_same_published_defects(spec: registry.SystemSpec) -> None:
    assert spec.as_published is not None
    assert spec.as_published.settings == AS_PUBLISHED
    # Corrected is what the class does. Of a segment's 128 steps the original predicts 127.
    assert AS_PUBLISHED.keys() & spec.settings.keys() <= {"segment"}
    assert AS_PUBLISHED["segment"] == 127


@pytest.mark.parametrize("spec", BIAXIAL, ids=lambda spec: spec.id)
def test_only_the_reduced_corrected_network_is_trained_by_adam(spec: registry.SystemSpec) -> None:
    for size, variant in product(("full", "reduced", "small"), ("corrected", "as-published")):
        settings = Biaxial(**spec.settings_of(variant, size)).settings
        reduced = (size, variant) == ("reduced", "corrected")
        assert settings.optimiser == ("adam" if reduced else "adadelta")
        assert settings.falls == reduced
        assert (settings.rate == 1) != reduced


def test_a_falling_rate_rises_for_ten_updates_and_ends_at_zero() -> None:
    log = Log()
    Biaxial(**TINY, optimiser="adam", rate=0.5, falls=True, every=0).fit(
        [TUNE, REPEATS], [], Budget(40), 0, log
    )
    rates = [values["rate"] for _, values in log.points if "rate" in values]
    assert len(rates) == 40
    assert rates == pytest.approx(
        [0.5 * min(1, (k + 1) / 10) * (1 + np.cos(np.pi * k / 40)) / 2 for k in range(40)]
    )
    assert max(rates) == rates[9]
    assert rates[-1] < 0.002


@VARIANTS
def test_keys_wrap_and_positions_are_unscaled_only_as_published(
    settings: dict[str, Any], published: bool
) -> None:
    system = fitted(0, **settings)
    keys, features = system.keys, system.network.features
    assert keys == (78 if published else 88)
    states = torch.zeros(keys, 2)
    states[-1] = 1
    actual = features(states, torch.tensor(-1), torch.tensor(16))
    assert torch.allclose(actual[:, 0], torch.arange(keys) / (1 if published else keys))
    assert bool(actual[5, 13:63].any()) == published
    assert actual[:, -1].tolist() == [0 if published else 1] * keys  # the beginning


@VARIANTS
def test_the_cell_is_linear_and_its_weights_tiny_only_as_published(
    settings: dict[str, Any], published: bool
) -> None:
    network = Biaxial(**settings).build()
    for layer in (*network.time, *network.note):
        assert isinstance(layer, LinearLSTM if published else nn.LSTM)
        if published:
            for weight in (layer.weight_ih_l0, layer.weight_hh_l0):
                assert np.isclose(float(weight.detach().std()), 1 / layer.hidden_size, rtol=0.05)


@VARIANTS
def test_at_even_chances_the_loss_is_ln_2_of_every_choice(
    settings: dict[str, Any], published: bool
) -> None:
    """Published: the sum over batch, time and notes; 35 482 on the paper's corpus of 5 x 127 x 78.

    Corrected: nats per step, of the articulations that are a choice.
    """
    system = fitted(0, **settings)
    for parameter in system.network.dense.parameters():
        nn.init.zeros_(parameter)
    batch = system._segments([TUNE, REPEATS], 128).batch([0, 1])
    keys = slice(system.settings.lowest - 21, system.settings.highest - 20)
    cells = choices = 0
    for piece in (TUNE, REPEATS):
        play, struck = piece.sounding()[:, keys], piece.onsets()[:, keys]
        first = np.zeros_like(play[:1])
        held = play & np.concatenate([first, play[:-1]])
        skipped = 1 if published else 0  # the original never predicts a first step
        cells += play[skipped:].size
        choices += int((play if published else held)[skipped:].sum())
        assert struck.any()
    expected = np.log(2) * (cells + choices) / (1 if published else 80)
    assert np.isclose(float(system._loss([batch]).detach()), expected, rtol=1e-5)


@VARIANTS
def test_only_articulations_that_are_a_choice_are_learnt_and_as_published_all_that_sound(
    settings: dict[str, Any], published: bool
) -> None:
    system, outputs = fitted(0, **settings), []
    system.network.register_forward_hook(lambda *parts: outputs.append(parts[2][0]))
    batch = system._segments([TUNE, REPEATS], 128).batch([0, 1])
    loss = system._loss([batch])
    (gradient,) = torch.autograd.grad(loss, outputs[0])
    sounds = batch.following[..., 0] > 0
    choice = sounds if published else sounds & (batch.states[..., 0] > 0)
    assert ((gradient[..., 1] != 0) == choice).all()
    assert 0 < choice.sum() < sounds.sum() or published


@VARIANTS
def test_an_update_is_theanos_adadelta_and_as_published_cuts_each_array_to_norm_5(
    settings: dict[str, Any], published: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Biaxial, "_loss", lambda self, parts, plain=Biaxial._loss: (
        1000 * plain(self, parts)  # so that something is cut
    ))  # fmt: skip
    begun, ended = fitted(0, **settings).network, fitted(1, **settings | {"every": 0}).network
    system = fitted(0, **settings)
    pieces = system._segments([TUNE, REPEATS], 128)
    system.network.train()
    chosen = training.batch(len(pieces), 5, 0, 0)
    system._loss([pieces.batch(chosen)]).backward()
    gradients = [parameter.grad for parameter in system.network.parameters()]
    whole = torch.stack([gradient.norm() for gradient in gradients]).norm()
    norms = [gradient.norm() if published else whole for gradient in gradients]
    assert max(norms) > 5
    for before, after, gradient, norm in zip(
        begun.parameters(), ended.parameters(), gradients, norms, strict=True
    ):
        gradient = gradient * torch.clamp(5 / norm, max=1)
        # The formula's first step, from memories of zero: no learning rate of 0.01 in it.
        step = gradient * np.sqrt(1e-6) / torch.sqrt(0.05 * gradient**2 + 1e-6)
        assert torch.allclose(after, before - step, atol=2e-6)


@VARIANTS
def test_only_as_published_does_a_long_silence_end_in_every_key_sounding(
    settings: dict[str, Any], published: bool
) -> None:
    """The exponent loses 0.02 at every step of silence: after 50 it is 0, and p ** 0 is 1."""
    system = fitted(0, **settings)
    nn.init.zeros_(system.network.dense.weight)
    nn.init.constant_(system.network.dense.bias, -1e3)
    (sample,) = system.sample([Score.silence(4)], 56, 0)
    sounding = sample.sounding().sum(axis=1)
    assert (sounding[:40] == 0).all()
    assert (sounding.max() == 78) == published
    assert sounding.max() in (0, 78)


def small_keyboard(restrikes: bool = True, **settings: Any) -> Biaxial:
    """A network of three keys with a likelihood of its own, its weights far from zero."""
    system = Biaxial(**TINY, lowest=60, highest=62, **settings)
    system.restrikes = restrikes
    system.network = network(3, lowest=60)
    return system


def scores_of_three_keys(steps: int) -> list[Score]:
    """All of them: each key at each step silent, held on from before, or struck."""
    scores = set()
    for cells in product(range(3), repeat=3 * steps):
        states = np.zeros((steps, 3, 2), dtype=bool)
        grid = np.array(cells).reshape(steps, 3)
        states[..., 0], states[..., 1] = grid > 0, grid == 2
        scores.add(note_states.decode(states, 4, 60))
    return list(scores)


def test_the_probabilities_of_all_scores_sum_to_one() -> None:
    system = small_keyboard()
    for steps, count in ((1, 8), (2, 125)):
        scores = scores_of_three_keys(steps)
        assert len(scores) == count  # per key: 2 of one step, 5 of two
        total = np.exp(system._log_likelihood(scores)).sum()
        assert np.isclose(total, 1, atol=1e-12)


def test_without_restrikes_the_probabilities_of_all_frames_sum_to_one() -> None:
    system = small_keyboard(restrikes=False)
    cells = np.array(list(product([False, True], repeat=6))).reshape(-1, 2, 3)
    frames = [note_states.decode(np.stack([c, np.zeros_like(c)], -1), 4, 60) for c in cells]
    assert np.isclose(np.exp(system._log_likelihood(frames)).sum(), 1, atol=1e-12)


def test_samples_are_as_frequent_as_their_probabilities_say() -> None:
    system = small_keyboard()
    many = 4000
    player = Player(system.network)
    draws = np.random.default_rng(0).random((many, 2, 3, 2))
    made = system._continue(player, np.zeros((many, 0, 3, 2), dtype=bool), draws, 16)
    drawn = [note_states.decode(states, 4, 60).content_hash for states in made]
    scores = scores_of_three_keys(2)
    expected = np.exp(system._log_likelihood(scores))
    counts = np.array([drawn.count(score.content_hash) for score in scores])
    assert counts.sum() == many
    deviation = np.sqrt(many * expected * (1 - expected))
    assert (np.abs(counts - many * expected) < 4.5 * deviation + 1).all()


def test_a_long_piece_read_in_parts_costs_what_it_costs_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    system = fitted()
    system.network.double()
    system.network.features.double()
    piece = [REPEATS]
    monkeypatch.setattr("bench.architectures.biaxial.system.STEPS", 256)
    whole = system.log_likelihood(piece)
    monkeypatch.setattr("bench.architectures.biaxial.system.STEPS", 7)
    assert np.allclose(system.log_likelihood(piece), whole, rtol=1e-5)


def test_frames_have_an_exact_likelihood_of_frames() -> None:
    assert fitted().likelihood.object == "score"
    frames = [Score.from_rolls(piece.sounding()) for piece in (TUNE, REPEATS)]
    system = Biaxial(**TINY)
    system.fit(frames, frames, Budget(1), 0, Log())
    assert (system.likelihood.kind, system.likelihood.object) == ("exact", "frames")
    again = system.log_likelihood([REPEATS, frames[1]])
    assert np.isclose(*again)  # what is struck again is not part of the object


def test_as_published_there_is_no_likelihood_and_a_reason_is_given() -> None:
    system = fitted(**AS_PUBLISHED)
    assert system.likelihood.kind == "none"
    with pytest.raises(BenchError, match="78 of 88 keys"):
        system.log_likelihood([TUNE])


def test_each_array_is_clipped_on_its_own_only_as_published() -> None:
    system = fitted(1, **AS_PUBLISHED)
    for parameter in system.network.parameters():
        parameter.grad = torch.full_like(parameter, 100.0)
    system._clip_each()
    for parameter in system.network.parameters():
        assert parameter.grad is not None
        assert np.isclose(float(parameter.grad.norm()), 5, rtol=1e-4)


def test_segments_begin_at_bar_lines_and_hold_every_step() -> None:
    pieces = [note_states.encode(REPEATS), note_states.encode(TUNE)[:9]]
    segments = Segments(pieces, [1, 1], 16, opening=True)
    assert [start for piece, start in segments.places if piece == 0] == list(range(0, 28, 4))
    assert [start for piece, start in segments.places if piece == 1] == [0]
    batch = segments.batch([6, 7])
    assert batch.counts.sum(dim=1).tolist() == [16, 9]
    assert batch.step[:, 0].tolist() == [23, -1]
    assert np.array_equal(batch.following[0].numpy(), pieces[0][24:40])
    assert np.array_equal(batch.states[0].numpy(), pieces[0][23:39])
    assert batch.states[1, 0].sum() == 0
    published = Segments(pieces, [1, 1], 16, opening=False).batch([0])
    assert np.array_equal(published.states[0].numpy(), pieces[0][0:16])
    assert published.step[0, 0] == 0


def test_a_batch_in_parts_has_the_gradient_of_the_whole() -> None:
    system = fitted()
    segments = system._segments([TUNE, REPEATS], 16)
    gradients = []
    for groups in ([[0, 1, 2]], [[0], [1, 2]]):
        system.network.zero_grad()
        loss = system._loss([segments.batch(group) for group in groups])
        loss.backward()
        gradients.append([loss.detach(), *(p.grad.clone() for p in system.network.parameters())])
    for whole, parts in zip(*gradients, strict=True):
        assert torch.allclose(whole, parts, atol=1e-5)


def test_it_learns_a_toy_piece() -> None:
    system = Biaxial(time_layers=(24, 24), note_layers=(12, 8), segment=32, batch=2)
    before = Biaxial(**asdict(system.settings))
    before.fit([TUNE], [], Budget(0), 0, Log())
    system.fit([TUNE], [], Budget(60), 0, Log())
    assert system.log_likelihood([TUNE])[0] > 0.7 * before.log_likelihood([TUNE])[0]


def test_a_second_fit_that_goes_on_keeps_the_weights_and_a_reset_only_changes_the_head() -> None:
    system = fitted()
    before = {name: value.clone() for name, value in system.network.state_dict().items()}
    system.go_on([TUNE], [], Budget(0), 1, Log())
    assert all(torch.equal(before[k], v) for k, v in system.network.state_dict().items())
    system.reset_head([REPEATS], 1)
    changed = {k for k, v in system.network.state_dict().items() if not torch.equal(before[k], v)}
    assert changed == {"dense.weight", "dense.bias"}


@pytest.mark.parametrize("settings", [{"dropout": 0.5}, AS_PUBLISHED])
def test_a_resumed_run_ends_bit_equal_to_an_unbroken_one(settings: dict[str, Any]) -> None:
    unbroken, log = Biaxial(**TINY | settings), Log(keep=True)
    unbroken.fit([TUNE, REPEATS], [TUNE], Budget(4), 0, log)
    resumed, rest = Biaxial(**TINY | settings), Log(log.states[1])
    resumed.fit([TUNE, REPEATS], [TUNE], Budget(4), 0, rest)
    assert (log.checkpoints, rest.checkpoints) == (4, 2)  # it did not begin anew
    for whole, after in zip(
        unbroken.network.state_dict().values(), resumed.network.state_dict().values(), strict=True
    ):
        assert torch.equal(whole, after)


def test_the_exponent_falls_in_silence_and_returns_to_one() -> None:
    exponent = torch.tensor([1.0, 0.5, 1.4, 0.01])
    assert torch.allclose(
        adapted(exponent, torch.tensor([0.0, 3.0, 1.0, 0.0])),
        torch.tensor([0.98, 0.65, 0.98, -0.01]),
    )


@pytest.mark.parametrize("settings", [{}, AS_PUBLISHED])
def test_a_piece_does_not_depend_on_the_pieces_beside_it(settings: dict[str, Any]) -> None:
    system = fitted(**settings)
    prompts = [TUNE.slice(0, 16), REPEATS.slice(0, 16), Score.silence(0), REPEATS.slice(0, 8)]
    together = system.sample(prompts * 2, 12, 3)
    assert [system.sample([prompt], 12, 3)[0] for prompt in prompts] == together[:4]


def test_the_validation_loss_is_minus_the_likelihood_of_whole_pieces() -> None:
    toy, log = toy_dataset(), Log()
    valid = toy.split("valid")
    system = Biaxial(time_layers=[6], note_layers=[5], segment=64, batch=8, every=7)
    system.fit(toy.split("train"), valid, Budget(14), 0, log)
    nats = -system.log_likelihood(valid).sum() / sum(piece.length for piece in valid)
    assert min(log.curve("valid_loss")) == pytest.approx(nats, rel=1e-5)


def test_validation_reads_beginnings_of_evenly_spaced_pieces() -> None:
    pieces = [Score.silence(length) for length in (100, 40, 60, 300, 10, 80)]
    assert beginnings(pieces, 10_000) == pieces
    some = beginnings(pieces, 160)
    assert [piece.length for piece in some] == [20, 20, 20, 20, 10, 20]
    assert 120 < sum(piece.length for piece in beginnings(pieces * 10, 160)) < 200


def test_next_frames_are_drawn_as_samples_that_continue_the_true_past() -> None:
    toy, count = toy_dataset(), 300
    system = Biaxial(time_layers=[6], note_layers=[5], segment=32, batch=2, rate=3.0)
    system.fit(toy.split("train"), [], Budget(30), 0, Log())
    piece, step = toy.split("test")[0], 9
    places = [np.array([2, step])] * count
    drawn = np.stack([frames[1] for frames in system.next_frames([piece] * count, places, 0)])
    sampled = system.sample([piece.slice(0, step)] * count, 1, 1)
    expected = np.stack([score.sounding()[0] for score in sampled])
    rates = (drawn.mean(axis=0) + expected.mean(axis=0)) / 2
    error = np.abs(drawn.mean(axis=0) - expected.mean(axis=0))
    assert (error < 4.5 * np.sqrt(2 * rates * (1 - rates) / count) + 1e-9).all()
    assert 0.2 < rates.sum() < 20


def test_a_piece_has_the_same_next_frames_beside_others() -> None:
    toy = toy_dataset()
    system = fitted()
    pieces = [toy.split("test")[0], toy.split("test")[1].slice(0, 20)]
    places = [np.array([0, 3, 40]), np.array([], dtype=np.int64)]
    alone = system.next_frames(pieces[:1], places[:1], 0)
    together = system.next_frames(pieces, places, 0)
    assert (alone[0] == together[0]).all()
    assert together[1].shape == (0, 88)
