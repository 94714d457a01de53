from dataclasses import replace

import numpy as np
import pytest

from bench.contract import Metric, Reference
from bench.music import Score, concatenate
from bench.protocol.corruptions import backwards
from metrics.prompt import TRAITS, PromptFit, PromptFitGap, rates, traits, weights_of

BAR, STEPS = 16, 64


def piece(seed, steps=BAR + STEPS):
    """Eighths around a height, and within a key, of its own."""
    rng = np.random.default_rng(seed)
    low, scale = 40 + 2 * (seed % 9), np.array([0, 2, 4, 5, 7, 9, 11])
    onset = np.arange(0, steps, 2)
    return Score.from_notes(
        onset, [2] * len(onset), low + rng.choice(scale, len(onset)), length=steps
    )


def reference(seeds, prompts=None, **more):
    whole = [piece(seed) for seed in seeds]
    return Reference(
        grid=4,
        bar=BAR,
        steps=STEPS,
        train=[piece(seed, 160) for seed in range(100, 120)],
        tuning=[],
        test=[],
        prompts=[p.slice(0, BAR) for p in whole] if prompts is None else prompts,
        continuations=[p.slice(BAR, BAR + STEPS) for p in whole],
        **more,
    )


COMPARED = reference(range(9))
OWN = list(COMPARED.continuations)
SWAPPED = [*OWN[4:], *OWN[:4]]


def score_of(cls, samples, compared=COMPARED):
    metric = cls()
    assert isinstance(metric, Metric)
    metric.prepare(compared)
    return metric.score(samples)


def test_true_continuations_fit_their_prompts_and_exchanged_ones_do_not():
    own = score_of(PromptFit, OWN).value
    swapped = score_of(PromptFit, SWAPPED).value
    assert own > 0.85
    assert swapped < 0.6
    assert score_of(PromptFitGap, OWN).value == 0
    assert score_of(PromptFitGap, SWAPPED).value > 0.3


@pytest.mark.parametrize("cls", [PromptFit, PromptFitGap])
def test_an_ending_and_what_leads_up_to_it_fit_as_their_mirror_image_does(cls):
    turned = replace(
        COMPARED,
        train=[*map(backwards, COMPARED.train)],
        prompts=[*map(backwards, COMPARED.prompts)],
        continuations=[*map(backwards, COMPARED.continuations)],
        backward=True,
    )
    for samples in (OWN, SWAPPED):
        there = score_of(cls, [*map(backwards, samples)], turned)
        assert there.value == pytest.approx(score_of(cls, samples).value)


def test_another_key_fits_less_well():
    moved = [Score.from_notes(p.onset, p.duration, p.pitch + 18, length=p.length) for p in OWN]
    assert score_of(PromptFit, moved).value < score_of(PromptFit, OWN).value - 0.2


def test_silence_fits_every_prompt_alike():
    result = score_of(PromptFit, [Score.silence(STEPS)] * len(OWN))
    assert result.per_piece.tolist() == [0.5] * len(OWN)


def test_one_piece_for_all_prompts_is_at_chance():
    assert score_of(PromptFit, [OWN[0]] * len(OWN)).value == pytest.approx(0.5)


def test_repeating_the_prompt_fits_too_well_which_is_a_gap():
    stuck = [concatenate([prompt] * 4) for prompt in COMPARED.prompts]
    assert score_of(PromptFit, stuck).value >= score_of(PromptFit, OWN).value
    torn = [*OWN[:6], *SWAPPED[6:]]  # music that fits its prompts less often
    compared = replace(COMPARED, continuations=torn)
    assert score_of(PromptFitGap, stuck, compared).value > 0.1


def test_a_silent_prompt_gives_no_rate_and_is_no_rival():
    prompts = [Score.silence(BAR), *COMPARED.prompts[1:]]
    compared = reference(range(9), prompts)
    shares = rates(compared, OWN)
    assert np.isnan(shares[0])
    assert shares[1:] == pytest.approx(rates(reference(range(9)), OWN)[1:], abs=0.2)
    silent = reference(range(9), [Score.silence(BAR)] * 9)
    for cls in (PromptFit, PromptFitGap):
        assert "no prompts in which anything sounds" in score_of(cls, OWN, silent).reason
        empty = reference(range(9), [Score.silence(0)] * 9)
        assert "no prompts in which anything sounds" in score_of(cls, OWN, empty).reason


def test_prompts_of_the_same_piece_are_no_rivals():
    compared = reference(range(9), prompt_pieces=["a"] * 9)
    result = score_of(PromptFit, OWN, compared)
    assert result.value is None
    assert "all prompts are from one piece" in result.reason
    assert "all prompts are from one piece" in score_of(PromptFitGap, OWN, compared).reason


def test_reasons():
    assert score_of(PromptFit, []).reason == "there are no samples"
    assert "9 prompts for 10 samples" in score_of(PromptFit, [*OWN, OWN[0]]).reason
    short = Reference(4, BAR, STEPS, [piece(0, 32)], [], [], COMPARED.prompts)
    assert "fewer than 4 training pieces" in score_of(PromptFit, OWN, short).reason
    alone = Reference(4, BAR, STEPS, COMPARED.train, [], [], COMPARED.prompts)
    assert "no true continuations" in score_of(PromptFitGap, OWN, alone).reason


def test_every_trait_is_most_at_what_is_the_same():
    fits = traits(COMPARED.prompts, [concatenate([p] * 4) for p in COMPARED.prompts], BAR)
    assert fits.shape == (len(TRAITS), 9, 9)
    own = np.diagonal(fits, axis1=1, axis2=2)
    assert (own[:5] >= fits[:5].max(axis=1) - 1e-9).all()


def test_the_weights_come_from_the_training_pieces_alone():
    other = reference(range(20, 29))
    assert weights_of(COMPARED) == pytest.approx(weights_of(other))
    assert len(weights_of(COMPARED)) == len(TRAITS)


def test_draws_vary_around_the_value():
    result = score_of(PromptFitGap, SWAPPED)
    assert result.draws.std() > 0
    assert result.draws.mean() == pytest.approx(result.value, abs=0.02)
