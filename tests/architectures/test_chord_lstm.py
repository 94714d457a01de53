import os
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from logs import Log, Stopped

from bench.architectures import chord_lstm
from bench.architectures.chord_lstm import ChordLSTM, ChordNetwork
from bench.contract import Budget
from bench.errors import BenchError
from bench.music import Score
from bench.training import token_model

ALL = (np.arange(2**8)[:, None] >> np.arange(8) & 1).astype(bool)  # every frame of 8 keys
RNG = np.random.default_rng(0)
TINY = [ALL[RNG.integers(12, size=length)] for length in (9, 14, 3, 21)]
HELD_OUT = [ALL[RNG.integers(16, size=length)] for length in (8, 12)]
SMALL = {"hidden": 8, "embedding": 6, "sequence": 5, "batch": 4}
# Four chords in a fixed round: the next one is certain.
ROUND = Score.from_notes(
    np.repeat(np.arange(32), 3),
    np.ones(96),
    np.tile([60, 64, 67, 60, 65, 69, 59, 62, 67, 57, 60, 64], 8),
    length=32,
)


def tiny(updates: int = 6, **settings: Any) -> ChordLSTM:
    system = ChordLSTM(**SMALL | settings)
    system.learn(TINY, HELD_OUT, Budget(updates), 0, Log())
    return system


@pytest.fixture(scope="module")
def learnt() -> ChordLSTM:
    """Has overfit the round."""
    system = ChordLSTM(hidden=32, embedding=16, sequence=16, batch=4, rate=0.02)
    system.fit([ROUND, ROUND.slice(2, 32)], [ROUND.slice(1, 20)], Budget(80), 0, Log())
    return system


@pytest.mark.parametrize("chords", [3, 100])
def test_parameters_are_counted_as_in_the_paper(chords: int) -> None:
    network = ChordNetwork(chords, embedding=128, hidden=128, layers=2)
    count = sum(parameter.numel() for parameter in network.parameters())
    paper = 257 * chords + 263_168  # one bias per gate, no escape, no beginning
    second_bias = 2 * 4 * 128
    assert count == paper + second_bias + (128 + 129) + 128


@pytest.mark.parametrize(("chords", "published"), [(39_289, 10_360_441), (21_510, 5_791_238)])
def test_the_papers_vocabularies_give_its_counts(chords: int, published: int) -> None:
    network = ChordNetwork(chords, embedding=128, hidden=128, layers=2)
    beside = 2 * 4 * 128 + (128 + 129) + 128  # the second bias, the escape, the beginning
    assert sum(parameter.numel() for parameter in network.parameters()) == published + beside


def test_the_forget_bias_is_one() -> None:
    network = ChordNetwork(3, embedding=4, hidden=5, layers=2)
    for layer in range(2):
        total = getattr(network.lstm, f"bias_ih_l{layer}") + getattr(
            network.lstm, f"bias_hh_l{layer}"
        )
        assert torch.equal(total[5:10], torch.ones(5))


def test_every_parameter_receives_a_gradient() -> None:
    network = ChordNetwork(4, embedding=6, hidden=5, layers=2)
    network.loss(torch.tensor([[5, 0, 1, 2, 3, 4, 0], [5, 4, 3, 2, 1, -1, -1]])).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_the_loss_is_the_mean_surprise_of_the_tokens_that_are_there() -> None:
    network = ChordNetwork(4, embedding=6, hidden=5, layers=2).double()
    windows = torch.tensor([[5, 0, 1, 2], [5, 4, -1, -1]])
    total = 0.0
    for row, length in ((0, 3), (1, 1)):
        hidden, _ = network(windows[row : row + 1, :length])
        logs = network.out(hidden)[0].log_softmax(dim=1)
        total -= sum(logs[step, windows[row, step + 1]].item() for step in range(length))
    assert np.isclose(network.loss(windows).item(), total / 4, atol=1e-12)


def test_a_pass_has_every_step_once_as_target_after_what_came_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    batches: list[torch.Tensor] = []
    loss = ChordNetwork.loss
    monkeypatch.setattr(
        ChordNetwork,
        "loss",
        lambda network, windows: batches.append(windows) or loss(network, windows),
    )
    pieces = [*TINY, *TINY]  # every chord is in two pieces, so that none counts as unknown
    system = ChordLSTM(**SMALL)
    system.learn(pieces, [], Budget(1, "passes"), 0, Log())
    beginning = len(system.vocabulary) + 1
    tokens = [np.append(beginning, system.vocabulary.encode(piece)).tolist() for piece in pieces]
    rows = torch.cat(batches).numpy()
    assert rows.shape[1] == SMALL["sequence"] + 1
    targets = [row[1:][row[1:] >= 0].tolist() for row in rows]
    expected = [
        piece[start : start + SMALL["sequence"]]
        for piece in tokens
        for start in range(1, len(piece), SMALL["sequence"])
    ]
    assert sorted(targets) == sorted(expected)
    pairs = {pair for row in rows for pair in pairwise(row) if pair[1] >= 0}
    assert pairs == {pair for piece in tokens for pair in pairwise(piece)}


@pytest.mark.parametrize("context", [0, 1, 6])
@pytest.mark.parametrize("updates", [0, 6])
def test_the_next_frame_has_probability_one_over_all_frames(context: int, updates: int) -> None:
    system = tiny(updates)
    past = HELD_OUT[0][:context]  # with chords that are unknown
    steps = system.log_probabilities([np.vstack([past, frame]) for frame in ALL])
    assert np.isclose(sum(np.exp(step[-1]) for step in steps), 1, atol=1e-9)


def test_all_pieces_of_two_steps_have_probability_one() -> None:
    frames = ALL[:8, :3]
    system = ChordLSTM(**SMALL)
    system.learn(
        [frames[[0, 1, 2, 1, 0]], frames[[2, 4, 2]]], [frames[[1, 7]]], Budget(3), 0, Log()
    )
    pieces = [frames[[first, second]] for first in range(8) for second in range(8)]
    logs = system.log_probabilities(pieces)
    assert np.isclose(sum(np.exp(log.sum()) for log in logs), 1, atol=1e-9)


def test_changing_the_future_leaves_past_probabilities_bit_equal() -> None:
    system, piece = tiny(), HELD_OUT[1]
    changed = piece.copy()
    changed[7:] = ~changed[7:]
    before, after = (system.log_probabilities([p])[0] for p in (piece, changed))
    assert (before[:7] == after[:7]).all()
    assert (before[7:] != after[7:]).all()


def test_many_pieces_at_once_are_as_likely_as_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    system = tiny()
    pieces = [*TINY, TINY[0][:0], *HELD_OUT, TINY[1][:1]]
    whole = [system.log_probabilities([piece])[0] for piece in pieces]
    monkeypatch.setattr(chord_lstm, "STEPS", 4)
    monkeypatch.setattr(chord_lstm, "PIECES", 3)
    monkeypatch.setattr(chord_lstm, "rows_at_once", lambda tokens, device: 3)
    for alone, together in zip(whole, system.log_probabilities(pieces), strict=True):
        assert alone.shape == together.shape
        assert np.allclose(alone, together, atol=1e-12, rtol=0)


def test_step_by_step_with_carried_state_equals_the_whole_sequence() -> None:
    network = token_model.precise(tiny().network)
    tokens = torch.tensor([[3, 1, 0, 2, 4, 4, 1]])
    whole, _ = network(tokens)
    state = None
    for step in range(7):
        hidden, state = network(tokens[:, step : step + 1], state)
        assert torch.allclose(hidden[:, 0], whole[:, step], atol=1e-14)


def test_what_is_drawn_is_what_the_likelihood_says() -> None:
    notes = [Score.from_rolls(np.pad(piece, ((0, 0), (40, 40)))) for piece in TINY]
    system, n = ChordLSTM(**SMALL), 4000
    system.fit(notes, notes[:1], Budget(20), 0, Log())
    prompt = notes[3].slice(0, 6)
    chords = system.vocabulary.chords
    past, precise = prompt.sounding(), token_model.precise(system.network)
    _, named, _ = system._codes(precise, [np.vstack([past, c]) for c in chords])
    chances = np.exp(named.reshape(len(chords), 7)[:, -1])  # given that there is no escape
    assert np.isclose(chances.sum(), 1)
    samples = system.sample([prompt] * n, 1, seed=0)
    drawn = system.vocabulary.encode(np.stack([sample.sounding()[0] for sample in samples]))
    share = np.bincount(drawn, minlength=len(chords)) / n
    assert (np.abs(share - chances) < 4 * np.sqrt(chances / n)).all()


def test_the_first_chord_of_a_piece_from_nothing_is_drawn_as_the_beginning_says() -> None:
    notes = [Score.from_rolls(np.pad(piece, ((0, 0), (40, 40)))) for piece in TINY]
    system, n = ChordLSTM(**SMALL), 4000
    system.fit(notes, notes[:1], Budget(20), 0, Log())
    precise = token_model.precise(system.network)
    _, named, _ = system._codes(precise, list(system.vocabulary.chords[:, None]))
    samples = system.sample([Score.silence(0)] * n, 1, seed=0)
    drawn = system.vocabulary.encode(np.stack([sample.sounding()[0] for sample in samples]))
    chances = np.exp(named)
    share = np.bincount(drawn, minlength=len(chances)) / n
    assert (np.abs(share - chances) < 4 * np.sqrt(chances / n)).all()


def test_a_round_is_overfit_and_continued(learnt: ChordLSTM) -> None:
    (sample,) = learnt.sample([ROUND.slice(0, 6)], 20, seed=0)
    true = Score.from_rolls(ROUND.slice(6, 26).sounding())
    assert np.mean((sample.sounding() == true.sounding()).all(axis=1)) > 0.9
    assert -learnt.log_likelihood([ROUND])[0] / 32 < 0.3


def test_the_loss_falls() -> None:
    log = Log()
    ChordLSTM(**SMALL, rate=0.02).fit([ROUND, ROUND.slice(2, 32)], [ROUND], Budget(60), 0, log)
    assert log.curve("train_loss")[-1] < 0.5 * log.curve("train_loss")[0]
    assert log.curve("valid_loss")[-1] < log.curve("valid_loss")[0]


def test_samplers_take_the_likeliest_chord_a_draw_or_one_of_both() -> None:
    notes, share = Score.from_notes([0, 1, 2], [1, 1, 1], [60, 62, 64]), {}
    for sampler in ("softmax", "argmax", "mixed"):
        system = ChordLSTM(**SMALL, sampler=sampler)
        system.fit([notes], [], Budget(0), 0, Log())
        with torch.no_grad():  # the three chords, then the escape
            system.network.out.weight.zero_()
            system.network.out.bias.copy_(torch.tensor([0.2, 0.5, 0.3, 1.0]).log())
        samples = system.sample([Score.silence(0)] * 100, 40, 0)
        drawn = system.vocabulary.encode(np.concatenate([sample.sounding() for sample in samples]))
        share[sampler] = np.bincount(drawn, minlength=3) / 4000
    assert np.allclose(share["softmax"], [0.2, 0.5, 0.3], atol=0.03)
    assert share["argmax"].tolist() == [0, 1, 0]
    assert np.allclose(share["mixed"], [0.1, 0.75, 0.15], atol=0.03)


def test_an_unknown_sampler_names_the_known_ones() -> None:
    with pytest.raises(BenchError, match="choose softmax, argmax or mixed"):
        ChordLSTM(sampler="beam")  # type: ignore[arg-type]


def test_training_ends_early_and_keeps_the_best_weights() -> None:
    log = Log()
    system = ChordLSTM(**SMALL | {"rate": 0.1, "patience": 2})
    system.learn(TINY, HELD_OUT, Budget(2000), 0, log)
    losses = log.curve("valid_loss")
    assert len(losses) < 100
    assert losses[-3] == min(losses)
    steps = np.concatenate(system.log_probabilities(HELD_OUT))
    assert np.isclose(-steps.mean(), min(losses), atol=1e-5)


def test_without_validation_pieces_it_learns_all_the_same() -> None:
    system = ChordLSTM(**SMALL)
    system.learn(TINY, [], Budget(3), 0, Log())
    assert system.escape_bias == 0
    assert np.isfinite(np.concatenate(system.log_probabilities(HELD_OUT))).all()


def test_the_untrained_network_spreads_itself_over_all_chords() -> None:
    untrained, trained = tiny(50, train=False), tiny(50)
    (logs,) = untrained.log_probabilities([TINY[3]])
    assert np.allclose(logs, -np.log(len(untrained.vocabulary) + 1), atol=0.7)
    assert np.mean(trained.log_probabilities([TINY[3]])[0]) > np.mean(logs)


def test_killed_and_resumed_it_learns_the_same_to_the_bit() -> None:
    log, broken = Log(stop_at=7), ChordLSTM(**SMALL)
    with pytest.raises(Stopped):
        broken.learn(TINY, HELD_OUT, Budget(25), 0, log)
    resumed = ChordLSTM(**SMALL)
    resumed.learn(TINY, HELD_OUT, Budget(25), 0, log)
    assert log.checkpoints == 25  # it did not begin anew
    for after, unbroken in zip(
        resumed.log_probabilities(HELD_OUT), tiny(25).log_probabilities(HELD_OUT), strict=True
    ):
        assert (after == unbroken).all()


def test_of_more_than_four_keys_three_are_kept_at_random() -> None:
    roll = ALL[RNG.integers(256, size=500)]
    thin = chord_lstm.thinned(roll, 4, np.random.default_rng(0))
    crowded = roll.sum(axis=1) > 4
    assert (thin[~crowded] == roll[~crowded]).all()
    assert (thin[crowded].sum(axis=1) == 3).all()
    assert not (thin & ~roll).any()
    assert thin[crowded].any(axis=0).all()  # every key is kept sometimes


@pytest.mark.slow
def test_truncated_musedata_has_the_papers_vocabulary() -> None:
    from bench import data
    from bench.encodings.chords import ChordVocabulary

    if not os.environ.get("BENCH_DATA_DIR"):
        pytest.skip("MuseData is in no folder: set BENCH_DATA_DIR")
    pieces = [score.sounding() for score in data.load("musedata").split("train")]
    rng = np.random.default_rng(0)
    thin = [chord_lstm.thinned(piece, 4, rng) for piece in pieces]
    assert sum((piece.sum(axis=1) > 4).sum() for piece in pieces) == 60_756
    assert abs(len(ChordVocabulary.of(thin)) - 21_510) < 150
    from_four = [chord_lstm.thinned(piece, 3, rng) for piece in pieces]  # the other reading
    assert 12_900 <= len(ChordVocabulary.of(from_four)) < 13_000


def test_single_notes_are_shown_beside_the_most_frequent_chords(learnt: ChordLSTM) -> None:
    sets = learnt.note_embeddings()
    assert list(sets) == ["chords", "single notes"]
    chords, vectors = sets["chords"]
    assert (chords, vectors.tolist()) == (learnt.note_embedding()[0], vectors.tolist())
    notes, own = sets["single notes"]
    assert len(notes) == len(own) == int((learnt.vocabulary.chords.sum(axis=1) == 1).sum())
    assert not any("-" in note or note == "silence" for note in notes)
    for note, vector in zip(notes, own, strict=True):
        assert (vectors[chords.index(note)] == vector).all()
