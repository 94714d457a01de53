from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from bench import registry
from bench.architectures.midi_lstm import MessageNetwork, MidiLSTM
from bench.check import NoLog
from bench.contract import Budget
from bench.encodings import midi_messages
from bench.errors import BenchError
from bench.music import Score
from bench.training import token_model

SMALL = {"hidden": 8, "embedding": 6, "sequence": 9, "batch": 4}
RNG = np.random.default_rng(0)


def tiny_scores(count: int, keys: int = 3, length: int = 3) -> list[Score]:
    return [
        Score.from_notes(
            RNG.integers(0, length, 4),
            RNG.integers(1, length + 1, 4),
            RNG.integers(21, 21 + keys, 4),
            length=length,
        )
        for _ in range(count)
    ]


def every_score(keys: int, length: int) -> list[Score]:
    """All pieces of so many keys and steps: each key rests, is struck or sounds on at each step."""
    lines = [
        line
        for line in product("-xo", repeat=length)
        if all(s != "o" or (i and line[i - 1] != "-") for i, s in enumerate(line))
    ]
    scores = []
    for chosen in product(lines, repeat=keys):
        sounding, onsets = np.zeros((2, length, 88), dtype=bool)
        for key, line in enumerate(chosen):
            sounding[:, key] = [s != "-" for s in line]
            onsets[:, key] = [s == "x" for s in line]
        scores.append(Score.from_rolls(sounding, onsets))
    return scores


def fitted(updates: int = 30, **settings: object) -> MidiLSTM:
    system = MidiLSTM(**SMALL | {"rate": 0.02} | settings)
    system.fit(tiny_scores(5), tiny_scores(3), Budget(updates), 0, NoLog())
    return system


@pytest.mark.parametrize("words", [3, 100])
def test_parameters_are_counted_as_in_the_paper(words: int) -> None:
    network = MessageNetwork(words, embedding=128, hidden=128, layers=2)
    count = sum(parameter.numel() for parameter in network.parameters())
    second_bias = 2 * 4 * 128
    assert count == 257 * words + 263_168 + second_bias + (128 + 129) + 128
    assert 257 * 35_509 + 263_168 == 9_388_981  # the paper's Bach corpus


@pytest.mark.parametrize("updates", [0, 30])
def test_all_pieces_together_have_probability_one(
    updates: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(midi_messages, "KEYS", 3)
    system = fitted(updates)
    scores = every_score(3, 3)
    assert len(scores) == 13**3
    assert np.isclose(np.exp(system.log_likelihood(scores)).sum(), 1, atol=1e-9)


def test_what_is_drawn_is_what_the_likelihood_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(midi_messages, "KEYS", 2)
    scores = every_score(2, 2)
    system = MidiLSTM(**SMALL, rate=0.02)
    system.fit(scores, [], Budget(40), 0, NoLog())  # every message is known
    system.escape_bias = -50.0
    monkeypatch.setattr(token_model, "PIECES", 1000)
    n = 3000
    drawn = system.sample([Score.silence(0)] * n, 2, seed=0)
    hashes = [Score.from_rolls(s.sounding(), s.onsets()).content_hash for s in drawn]
    for score, nats in zip(scores, system.log_likelihood(scores), strict=True):
        chance = float(np.exp(nats))
        share = hashes.count(score.content_hash) / n
        assert abs(share - chance) < 4.5 * np.sqrt(chance / n) + 1e-4


def test_many_pieces_at_once_are_as_likely_as_one_by_one() -> None:
    system = fitted()
    pieces = [*tiny_scores(6), Score.silence(0), Score.silence(9), tiny_scores(1)[0].slice(0, 2)]
    alone = [system.log_likelihood([piece])[0] for piece in pieces]
    assert np.allclose(system.log_likelihood(pieces), alone, atol=1e-10)


def test_an_unknown_message_is_unlikely_but_possible() -> None:
    system = fitted()
    nats = system.log_likelihood([Score.from_notes([7], [9], [99], length=40), Score.silence(40)])
    assert np.isfinite(nats).all()
    assert nats[0] < nats[1]


def test_hanging_notes_and_idle_releases_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    fitted(0, grammar=False).sample([Score.silence(0)] * 8, 30, seed=0)
    hanging, idle = (int(word) for word in capsys.readouterr().out.split() if word.isdigit()
                     and word != "8")  # fmt: skip
    assert hanging > 0
    assert idle > 0
    fitted(0).sample([Score.silence(0)] * 8, 30, seed=0)
    assert " 0 idle" in capsys.readouterr().out


def test_the_catalogue_takes_the_grammar_away_only_as_published() -> None:
    spec = registry.system("midi-lstm")
    published, corrected = spec.build("as-published").settings, spec.build().settings
    assert (published.grammar, published.sampler) == (False, "mixed")
    assert (corrected.grammar, corrected.sampler) == (True, "softmax")


def test_without_the_grammar_the_likelihood_is_a_looser_bound() -> None:
    system, pieces = fitted(), tiny_scores(20)
    strict = system.log_likelihood(pieces).sum()
    system.settings = replace(system.settings, grammar=False)  # the same weights
    assert system.log_likelihood(pieces).sum() < strict
    assert fitted(0).likelihood.kind == "exact"
    assert fitted(0, grammar=False).likelihood.kind == "upper"


def test_a_note_held_out_of_the_prompt_may_sound_on() -> None:
    held = [Score.from_notes([0, 8], [8, 8], [60, 62], length=16)] * 3
    system = MidiLSTM(**SMALL, rate=0.05)
    system.fit(held, [], Budget(60), 0, NoLog())
    (sample,) = system.sample([held[0].slice(0, 4)], 8, seed=0)
    assert [sample.onset[0], sample.duration[0], sample.pitch[0]] == [0, 4, 60]


def test_an_unknown_sampler_names_the_known_ones() -> None:
    with pytest.raises(BenchError, match="choose softmax, argmax or mixed"):
        MidiLSTM(sampler="beam")  # type: ignore[arg-type]


def test_messages_are_shown_with_their_keys_and_those_of_one_wait_apart() -> None:
    system = fitted()
    sets = system.note_embeddings()
    (every, vectors), (one_wait, fewer) = sets.values()
    words = system.vocabulary
    assert len(every) == len(vectors) == len(words)
    place = int(words.counts.argmax())
    down, key, wait = words.rows[place]
    name = ["A0", "B♭0", "B0"][key]
    assert every[0] == f"{name} {'on' if down else 'off'} +{wait}"
    assert (vectors[0] == system.network.embed.weight[place].detach().double().numpy()).all()
    waits = {
        wait: int(words.counts[words.rows[:, 2] == wait].sum()) for wait in words.rows[:, 2] if wait
    }
    usual = int(max(waits, key=lambda wait: waits[wait]))
    assert list(sets)[1] == f"messages after {usual} step" + "s" * (usual > 1)
    assert len(set(one_wait)) == len(one_wait) == len(fewer) == (words.rows[:, 2] == usual).sum()
    assert all(label.split(" ")[1] in ("on", "off") for label in one_wait)
    assert system.token_counts.sum() == words.counts.sum()
