import itertools

import numpy as np
import pytest

from baselines.markov import MarkovChain
from bench import registry
from bench.contract import Budget
from bench.errors import BenchError
from bench.music import Score

RNG = np.random.default_rng(0)
PIECES = [
    Score.from_notes(
        RNG.integers(0, 30, 60), RNG.integers(1, 5, 60), RNG.integers(60, 68, 60), length=33
    )
    for _ in range(4)
]
PERIOD_2 = Score.from_notes(
    np.repeat(np.arange(40), 2), np.ones(80), np.tile([60, 64, 65, 69], 20), length=40
)


def fitted(quiet, pieces=PIECES, **settings) -> MarkovChain:
    chain = MarkovChain(**settings)
    chain.fit(pieces, [], Budget(0), 0, quiet)
    return chain


def test_entries_are_counts_of_what_follows_what(quiet) -> None:
    chain = fitted(quiet, smoothing=0.0)
    states = [chain.states(piece) for piece in PIECES]
    for x, y in [(78, 78), (78, 80), (79, 78), (82, 91)]:
        before = sum((s[:-1, x]).sum() for s in states)
        both = sum((s[:-1, x] & s[1:, y]).sum() for s in states)
        assert before > 0
        assert chain.matrix[x, y] == both / before


def test_entries_are_probabilities_and_rows_sum_to_the_mean_number_of_states_that_follow(
    quiet,
) -> None:
    chain = fitted(quiet, smoothing=0.0)
    assert ((chain.matrix >= 0) & (chain.matrix <= 1)).all()
    states = [chain.states(piece) for piece in PIECES]
    for x in (78, 79, 85):
        following = np.concatenate([s[1:][s[:-1, x]] for s in states])
        assert np.isclose(chain.matrix[x].sum(), following.sum(axis=1).mean())


def test_a_state_that_never_was_leads_nowhere_without_smoothing_and_somewhere_with_it(
    quiet,
) -> None:
    never = 2 * (21 - 21)  # the lowest key
    assert (fitted(quiet, smoothing=0.0).matrix[never] == 0).all()
    assert (fitted(quiet).matrix[never] > 0).all()


def test_only_summed_probabilities_exceed_one(quiet) -> None:
    most = {}
    for combine in ("sum", "mean", "noisy-or"):
        chain = fitted(quiet, combine=combine)
        states = np.concatenate([chain.states(piece) for piece in PIECES])
        most[combine] = chain.probabilities(chain.causes(states)).max()
    assert most["sum"] > 1.5
    assert max(most["mean"], most["noisy-or"]) <= 1


def test_after_silence_only_the_published_chain_stays_silent(quiet) -> None:
    rests = [Score.from_notes([0, 4, 8, 12], [2] * 4, [80, 84, 87, 80], length=16)]
    published = fitted(quiet, rests, **registry.system("markov-chain").as_published.settings)
    prompts = [Score.silence(4)] * 20
    assert not any(len(score) for score in published.sample(prompts, 40, seed=0))
    assert all(len(score) for score in fitted(quiet, rests).sample(prompts, 40, seed=0))


@pytest.mark.parametrize("combine", ["mean", "noisy-or"])
def test_a_piece_of_period_two_is_reproduced(quiet, combine) -> None:
    chain = fitted(quiet, [PERIOD_2], combine=combine, smoothing=0.0)
    (sample,) = chain.sample([PERIOD_2.slice(0, 2)], 38, seed=0)
    assert sample == PERIOD_2.slice(2, 40)
    assert chain.log_likelihood([PERIOD_2])[0] > -1e-4


def test_the_transposed_product_differs_where_the_matrix_is_not_symmetric(quiet) -> None:
    # C leads to D, D to E, E to C: read backwards, C leads to E.
    cycle = Score.from_notes(np.arange(30), np.ones(30), np.tile([60, 62, 64], 10), length=30)
    straight = fitted(quiet, [cycle], smoothing=0.0)
    turned = fitted(quiet, [cycle], smoothing=0.0, transposed=True)
    prompt = cycle.slice(0, 1)
    assert straight.sample([prompt], 2, seed=0)[0].pitch.tolist() == [62, 64]
    assert turned.sample([prompt], 2, seed=0)[0].pitch.tolist() == [64, 62]


def test_the_mean_keeps_the_number_of_notes_and_the_others_multiply_it(quiet) -> None:
    def notes(combine: str) -> float:
        chain = fitted(quiet, combine=combine)
        samples = chain.sample([Score.silence(0)] * 20, 32, seed=0)
        return float(np.mean([s.sounding().sum(axis=1)[16:].mean() for s in samples]))

    true = np.mean([piece.sounding().sum(axis=1).mean() for piece in PIECES])
    assert 0.7 * true < notes("mean") < 1.4 * true
    assert notes("noisy-or") > 1.8 * true


def test_the_wrong_mask_silences_the_low_half_unless_the_high_half_sounds(quiet) -> None:
    low = Score.from_notes([0, 4, 8, 12], [2, 2, 2, 2], [40, 45, 40, 45], length=16)
    halves = fitted(quiet, [low], mask="halves", combine="sum", smoothing=0.0)
    assert not len(halves.sample([low], 16, seed=0)[0])
    assert len(fitted(quiet, [low], combine="sum", smoothing=0.0).sample([low], 16, seed=0)[0])


@pytest.mark.parametrize("combine", ["mean", "noisy-or"])
def test_probabilities_of_all_scores_of_three_steps_on_two_keys_sum_to_one(quiet, combine) -> None:
    pieces = [Score.from_notes([0, 0, 1, 2], [2, 1, 2, 1], [60, 61, 61, 60], length=4)]
    chain = fitted(quiet, pieces, lowest=60, highest=61, combine=combine)
    total, seen = 0.0, set()
    for bits in itertools.product([False, True], repeat=12):
        rolls = np.zeros((2, 3, 88), dtype=bool)
        rolls[:, :, 39:41] = np.reshape(bits, (2, 3, 2))
        score = Score.from_rolls(*rolls)
        if score not in seen:
            seen.add(score)
            total += np.exp(chain._log_likelihood(chain.states(score)))
    assert len(seen) == 13**2  # silent, struck or held, three times: 13 ways per key
    assert np.isclose(total, 1, atol=1e-12)


@pytest.mark.parametrize("stop", [1, 7, 20])
def test_a_step_is_drawn_as_often_as_the_likelihood_says(quiet, stop) -> None:
    chain, n = fitted(quiet), 1000
    start = PIECES[0].slice(0, stop)
    play, articulate = chain.play_and_articulate(chain.causes(chain.states(start)[-1:]))
    samples = chain.sample([start] * n, 1, seed=0)
    drawn = np.mean([s.sounding()[0] for s in samples], axis=0)
    assert (np.abs(drawn - play[0]) <= 5 * np.sqrt(play[0] * (1 - play[0]) / n) + 1 / n).all()
    assert ((articulate > 0) & (articulate < 1)).all()


def test_as_published_covers_78_notes_and_says_why_it_has_no_likelihood(quiet) -> None:
    settings = registry.system("markov-chain").as_published.settings
    chain = fitted(quiet, **settings)
    s = chain.settings
    assert (s.combine, s.transposed, s.mask) == ("sum", True, "halves")
    assert chain.states(PIECES[0]).shape[1] == 156
    assert chain.likelihood.kind == "none"
    assert chain.likelihood.reason


def test_striking_a_held_key_again_has_a_price_of_its_own(quiet) -> None:
    held = Score.from_notes([0], [8], [60], length=8)
    struck = Score.from_notes([0, 4], [4, 4], [60, 60], length=8)
    chain = fitted(quiet, [held] * 5)
    assert chain.log_likelihood([held])[0] > chain.log_likelihood([struck])[0] > -np.inf


def test_an_unknown_setting_names_the_known_ones() -> None:
    with pytest.raises(BenchError, match="choose mean, noisy-or or sum"):
        MarkovChain(combine="product")
    with pytest.raises(BenchError, match="choose play or halves"):
        MarkovChain(mask="none")
