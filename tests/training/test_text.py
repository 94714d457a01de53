from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from bench.architectures.gpt_remi import GPTRemi
from bench.architectures.midi_lstm import MidiLSTM, WordRules
from bench.architectures.remi_lstm import RemiLSTM
from bench.architectures.remi_transformer import RemiTransformer
from bench.architectures.tonicnet import VOICES, TonicNet, examples_of, tokens_of
from bench.check import NoLog, toy_dataset
from bench.contract import Budget, System
from bench.encodings import midi_messages, remi
from bench.training import remi_pieces, token_model
from bench.training.text import END, Packed, Text

TOY = toy_dataset()
SYSTEMS: dict[str, Callable[[], System]] = {
    "remi-lstm": lambda: RemiLSTM(embedding=8, hidden=12),
    "remi-transformer": lambda: RemiTransformer(
        layers=1, width=16, heads=2, full=16, context=512, dropout=0.0
    ),
    "gpt-remi": lambda: GPTRemi(layers=1, width=16, heads=2, full=16, context=512, dropout=0.0),
}


@pytest.mark.parametrize("name", SYSTEMS)
def test_the_loss_that_trains_is_minus_the_likelihood_of_whole_pieces(name: str) -> None:
    system = SYSTEMS[name]()
    system.fit(TOY.split("train"), [], Budget(5), 0, NoLog())
    pieces = TOY.split("valid")
    text = remi_pieces.text(pieces)
    rows = token_model.windows(text.pieces, 0, 512)
    assert len(rows) == len(pieces)
    with torch.no_grad():
        loss = float(system.network.loss(text.examples(rows)))
    assert loss * text.size == pytest.approx(-system.log_likelihood(pieces).sum(), rel=1e-5)


def test_the_loss_of_messages_is_minus_their_likelihood_where_all_are_known() -> None:
    pieces = TOY.split("train")
    system = MidiLSTM(hidden=12, embedding=8)
    system.fit(pieces, [], Budget(5), 0, NoLog())
    rows = [midi_messages.messages(piece) for piece in pieces]
    lengths = [piece.length for piece in pieces]
    rules = WordRules(midi_messages.Grammar.along(system.vocabulary, rows, lengths))
    words = [system.vocabulary.encode(row) for row in rows]
    text = Text.of(words, system.network.beginning, rules)
    whole = token_model.windows(text.pieces, 0, 10**4)
    with torch.no_grad():
        loss = float(system.network.double().loss(text.examples(whole[:, :400])))
    # The likelihood also counts that a known message could have been spelled out: a little more.
    system.escape_bias = 0.0
    likely = -system.log_likelihood(pieces).sum() / text.size
    assert likely <= loss < likely + 0.01


def test_the_loss_of_voices_is_minus_their_likelihood() -> None:
    pieces = TOY.split("valid")
    system = TonicNet(embedding=8, hidden=12, layers=1, counter=4, dropout=0.0)
    system.fit(TOY.split("train"), [], Budget(5), 0, NoLog())
    tokens = [tokens_of(piece.sounding()) for piece in pieces]
    steps = max(map(len, tokens))
    with torch.no_grad():
        loss = float(system.network.loss(*examples_of([(piece, 0) for piece in tokens], steps)))
    nats = loss * VOICES * sum(map(len, tokens))
    assert nats == pytest.approx(-system.log_likelihood(pieces).sum(), rel=1e-5)


def test_what_may_not_follow_has_no_part_in_the_loss() -> None:
    out = nn.Linear(4, 10).double()
    hidden = torch.randn(6, 4, dtype=torch.double)
    targets = torch.tensor([3, 1, END, 0, END, 9])
    legal = torch.rand(6, 10) < 0.5
    legal[torch.arange(6), targets.clamp(min=0)] = True
    legal[:, 9] = True
    ends = torch.tensor([2, 4])
    ending = torch.zeros(2, 10, dtype=torch.bool)
    ending[:, 6:] = True
    chances = (out(hidden).exp() * legal).detach()
    wanted = nn.functional.one_hot(targets.clamp(min=0), 10).bool()
    wanted[ends] = ending
    expected = -((chances * wanted).sum(1) / chances.sum(1)).log().mean()
    gradients = []
    for large in (2**11, 10):  # all logits at once, and in parts
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(token_model, "LARGE", large)
            out.zero_grad()
            loss = token_model.legal_surprise(out, hidden, targets, legal, ends, ending)
            loss.backward()
        assert torch.isclose(loss, expected, atol=1e-12)
        gradients.append(out.weight.grad.clone())
    assert torch.allclose(*gradients, atol=1e-12)


def test_the_last_place_of_a_piece_is_its_end_and_comes_once() -> None:
    pieces = TOY.split("train")
    text = remi_pieces.text(pieces)
    rows = token_model.windows(text.pieces, 0, 7)
    examples = text.examples(rows)
    assert int((examples.targets == END).sum()) == len(pieces)
    assert examples.ends.tolist() == np.flatnonzero(examples.targets == END).tolist()
    tokens = examples.targets[examples.targets != END].numpy()
    assert (tokens == np.concatenate([remi.encode(piece) for piece in pieces])).all()


def test_packed_rules_are_those_of_the_grammar() -> None:
    pieces = TOY.split("valid")
    grammars = [remi.Grammar.along(remi.encode(p), p.length, p.grid) for p in pieces]
    packed, places = Packed.of(grammars), np.array([3, 100, 5, 17])
    legal = np.concatenate([grammar.legal() for grammar in grammars])
    ending = np.concatenate([grammar.ending() for grammar in grammars])
    assert (packed.legal(places) == legal[places]).all()
    assert (packed.ending(places) == ending[places]).all()
