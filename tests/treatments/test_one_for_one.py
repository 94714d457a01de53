"""Reversal, key normalisation, one mode: what they make of pieces, prompts and probabilities."""

from itertools import product
from typing import Any

import numpy as np
import pytest
from logs import Log

from bench.contract import Budget, Likelihood
from bench.encodings import note_states
from bench.music import Score
from bench.music.key import key
from bench.treatments.key_normalisation import KeyNormalisation, to_c, turn
from bench.treatments.one_mode import OneMode
from bench.treatments.reversal import Reversal, reverse

INNER = {"class": "baselines.markov:MarkovChain", "settings": {}, "source": "1"}


def music(seed: int) -> Score:
    rng = np.random.default_rng(seed)
    return Score.from_notes(
        rng.integers(0, 30, 40), rng.integers(1, 9, 40), rng.integers(40, 90, 40), length=32
    )


def scale(tonic: int, mode: str) -> Score:
    steps = [0, 2, 4, 5, 7, 9, 11, 12] if mode == "major" else [0, 2, 3, 5, 7, 8, 11, 12]
    lengths = [4, 1, 2, 1, 3, 1, 1, 3]
    onset = np.cumsum([0, *lengths[:-1]])
    return Score.from_notes(onset, lengths, tonic + np.array(steps), length=16)


PIECES = [music(seed) for seed in range(6)]


def fitted(treatment: Any) -> Any:
    treatment.fit(PIECES[:4], PIECES[4:5], Budget(1), 0, Log())
    return treatment


# -- reversal -------------------------------------------------------------------------------------


@pytest.mark.parametrize("piece", [*PIECES, Score.silence(5), Score.silence(0)])
def test_reversal_twice_is_the_piece_itself(piece: Score) -> None:
    assert reverse(reverse(piece)) == piece


def test_reversed_frames_run_backwards_and_an_attack_becomes_a_release() -> None:
    piece = PIECES[0]
    backwards = reverse(piece)
    assert np.array_equal(backwards.sounding(), piece.sounding()[::-1])
    note = Score.from_notes([1], [3], [60], length=10)
    assert reverse(note).onset.tolist() == [6]


def test_the_reversed_probabilities_sum_to_one() -> None:
    """Over all scores of two steps on two keys and silence elsewhere, as much as forwards."""
    backwards = fitted(Reversal(wrapped=INNER))
    scores = set()
    for cells in product(range(3), repeat=4):
        grid, states = np.array(cells).reshape(2, 2), np.zeros((2, 88, 2), dtype=bool)
        states[:, 40:42, 0], states[:, 40:42, 1] = grid > 0, grid == 2
        scores.add(note_states.decode(states, 4))
    everything = list(scores)
    reversed_sum = np.exp(backwards.log_likelihood(everything)).sum()
    forwards = np.exp(backwards.inner.log_likelihood(everything)).sum()
    assert np.isclose(reversed_sum, forwards, rtol=1e-12)
    assert {reverse(score).content_hash for score in scores} == {s.content_hash for s in scores}


def test_a_reversed_system_leads_up_to_its_prompt() -> None:
    class Echo:
        """Continues a prompt with its last step, held."""

        def sample(self, prompts, steps, seed):
            return [
                Score.from_rolls(np.repeat(prompt.sounding()[-1:], steps, axis=0))
                for prompt in prompts
            ]

    treatment = Reversal(wrapped=INNER)
    treatment.inner = Echo()
    prompt = Score.from_notes([0, 2], [2, 2], [60, 72])  # reversed it ends with what it began with
    assert treatment.sample([prompt], 4, 0)[0].pitch.tolist() == [60]


# -- key normalisation ----------------------------------------------------------------------------


@pytest.mark.parametrize(("tonic", "mode"), list(product(range(48, 60), ("major", "minor"))))
def test_every_scale_comes_to_c_or_a_and_keeps_its_intervals(tonic: int, mode: str) -> None:
    piece = scale(tonic, mode)
    shifted = turn(piece, to_c(piece))
    new_key = key(shifted)
    assert new_key is not None
    assert (new_key.tonic, new_key.mode) == ((0, "major") if mode == "major" else (9, "minor"))
    assert np.array_equal(np.diff(shifted.pitch), np.diff(piece.pitch))
    assert to_c(shifted) == 0  # a second shift changes nothing
    assert -6 <= to_c(piece) <= 5


@pytest.mark.parametrize("seed", range(20))
def test_normalising_music_again_changes_nothing_and_intervals_stay(seed: int) -> None:
    piece = music(seed)
    shifted = turn(piece, to_c(piece))
    assert turn(shifted, to_c(shifted)) == shifted
    assert shifted == piece.transpose(to_c(piece))  # far from the ends of the keyboard


@pytest.mark.parametrize("semitones", range(-6, 6))
def test_every_shift_can_be_undone(semitones: int) -> None:
    everywhere = Score.from_notes(np.zeros(88), np.ones(88), np.arange(21, 109))
    for piece in (*PIECES, everywhere):
        assert turn(turn(piece, semitones), -semitones) == piece


def test_the_shift_costs_log_twelve_and_it_is_a_bound() -> None:
    system = fitted(KeyNormalisation(wrapped=INNER))
    assert system.likelihood.kind == "upper"
    shifted = [turn(piece, to_c(piece)) for piece in PIECES]
    expected = system.inner.log_likelihood(shifted) - np.log(12)
    assert np.allclose(system.log_likelihood(PIECES), expected)
    assert system.log_likelihood([Score.silence(0)]) == [0]
    nothing = KeyNormalisation(
        wrapped={**INNER, "settings": {"combine": "sum"}}
    )  # has no likelihood itself
    assert nothing.likelihood.kind == "none"


def test_a_transposed_piece_is_as_likely() -> None:
    system = fitted(KeyNormalisation(wrapped=INNER))
    nats = system.log_likelihood([scale(tonic, "major") for tonic in range(48, 60)])
    assert np.allclose(nats[:7], nats[0])  # those that come to the same octave
    assert np.allclose(nats[7:], nats[7])


def test_samples_come_back_into_the_prompts_key() -> None:
    system = fitted(KeyNormalisation(wrapped=INNER))
    prompts = [scale(48, "major"), scale(50, "major")]
    first = system.sample(prompts[:1], 16, 0)[0]
    # Both prompts look alike to the wrapped system, so alone they give the same music, shifted.
    assert system.sample(prompts[1:], 16, 0)[0] == turn(first, 2)


@pytest.mark.parametrize("treatment", [KeyNormalisation, Reversal])
def test_prompts_that_are_treated_alike_do_not_change_each_others_samples(treatment: Any) -> None:
    system = fitted(treatment(wrapped=INNER))
    prompts = [scale(48, "major"), scale(50, "major"), scale(48, "major"), Score.silence(0)]
    together = system.sample(prompts, 16, 0)
    for place in (0, 1, 3):
        assert system.sample([prompts[place]], 16, 0) == [together[place]]
    assert together[0] != together[2]


# -- one mode -------------------------------------------------------------------------------------


class Listener:
    likelihood = Likelihood("exact")

    def fit(self, train, valid, budget, seed, log):
        self.heard = train, valid


@pytest.mark.parametrize("mode", ["major", "minor"])
def test_one_mode_learns_the_pieces_of_that_mode(mode: str, capsys: Any) -> None:
    system = OneMode(wrapped=INNER, mode=mode)
    system.inner = Listener()
    pieces = {m: [scale(tonic, m) for tonic in range(50, 55)] for m in ("major", "minor")}
    system.fit(pieces["major"] + pieces["minor"], pieces["minor"], Budget(1), 0, Log())
    assert system.inner.heard == (pieces[mode], pieces["minor"])
    assert f"5 of 10 training pieces are in {mode}" in capsys.readouterr().out


def test_where_no_piece_is_in_the_mode_all_are_learnt_and_the_count_is_printed(capsys: Any) -> None:
    system = OneMode(wrapped=INNER, mode="minor")
    system.inner = Listener()
    pieces = [scale(50, "major")]
    system.fit(pieces, pieces, Budget(1), 0, Log())
    assert system.inner.heard == (pieces, pieces)
    assert "0 of 1 training pieces are in minor" in capsys.readouterr().out
