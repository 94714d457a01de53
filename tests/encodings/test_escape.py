import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bench.encodings.escape import Spelling, likeliest_bias, mixture

ALL = (np.arange(2**8)[:, None] >> np.arange(8) & 1).astype(bool)  # every frame of 8 keys


def test_spelling_sums_to_one_over_all_frames() -> None:
    spelling = Spelling.of(ALL[[3, 7, 7, 130]])
    assert np.isclose(np.exp(spelling.log_probability(ALL)).sum(), 1, atol=1e-12)


def test_spelling_is_the_product_over_the_keys() -> None:
    spelling = Spelling(np.linspace(0.1, 0.8, 8))
    product = np.where(ALL, spelling.rates, 1 - spelling.rates).prod(axis=1)
    assert np.allclose(np.exp(spelling.log_probability(ALL)), product, atol=1e-15)


def test_spelling_draws_each_key_at_its_rate() -> None:
    spelling, n = Spelling(np.array([0.02, 0.5, 0.9])), 100_000
    drawn = spelling.draw(np.random.default_rng(0), n).mean(axis=0)
    assert (np.abs(drawn - spelling.rates) < 4 * np.sqrt(spelling.rates / n)).all()


def test_a_key_never_heard_in_training_keeps_a_chance() -> None:
    assert np.isfinite(Spelling.of(ALL[[0, 0]]).log_probability(ALL)).all()


@given(st.floats(-50, 50))
def test_the_mixture_sums_to_one_over_all_frames(escape: float) -> None:
    named = np.full(2**8, -np.inf)
    named[[3, 7, 130]] = np.log([0.5, 0.3, 0.2])
    spelled = Spelling.of(ALL[[3, 7, 7, 130]]).log_probability(ALL)
    assert np.isclose(np.exp(mixture(escape, named, spelled)).sum(), 1, atol=1e-12)


def test_the_bias_makes_the_frames_likelier_than_any_other_on_a_fine_grid() -> None:
    rng = np.random.default_rng(0)
    named = np.where(rng.random(500) < 0.2, -np.inf, rng.normal(-3, 1, 500))
    spelled, escape = rng.normal(-9, 2, 500), rng.normal(-2, 1, 500)
    best = mixture(escape + likeliest_bias(escape, named, spelled), named, spelled).sum()
    others = [mixture(escape + b, named, spelled).sum() for b in np.linspace(-10, 10, 401)]
    assert best > max(others) - 0.01


def test_the_escape_stays_possible_where_no_frame_needed_it() -> None:
    escape, named = np.zeros(100), np.full(100, -1.0)
    bias = likeliest_bias(escape, named, np.full(100, -50.0))
    assert 1 / 1000 < 1 / (1 + np.exp(-bias)) < 1 / 100


def test_without_frames_there_is_no_bias() -> None:
    assert likeliest_bias(np.zeros(0), np.zeros(0), np.zeros(0)) == 0
