import numpy as np
import pytest

from baselines.bounds import Noise, Silence, key_rates
from bench.contract import Budget
from bench.errors import BenchError
from bench.music import Score

# Boulanger-Lewandowski et al. 2012, table 1, test set, nats per frame.
PUBLISHED = {
    "Piano_midi": {"uniform": 61.00, "shared": 12.90, "pitch": 11.05},
    "Nottingham": {"uniform": 61.00, "shared": 16.24, "pitch": 10.25},
    "MuseData": {"uniform": 61.00, "shared": 14.06, "pitch": 11.51},
    "JSB_Chorales": {"uniform": 61.00, "shared": 15.93, "pitch": 11.06},
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_noise_reaches_the_published_figures(name, icml2012, quiet) -> None:
    splits = icml2012(name)
    steps = sum(score.length for score in splits["test"])
    for rates, figure in PUBLISHED[name].items():
        noise = Noise(rates=rates)
        noise.fit(splits["train"], splits["valid"], Budget(0), 0, quiet)
        assert round(-noise.log_likelihood(splits["test"]).sum() / steps, 2) == figure


def test_at_even_chances_a_frame_costs_88_bits(quiet) -> None:
    noise = Noise(rates="uniform")
    noise.fit([Score.silence(1)], [], Budget(0), 0, quiet)
    piece = Score.from_notes([0, 2], [2, 8], [60, 64], length=10)
    assert noise.log_likelihood([piece])[0] / 10 == pytest.approx(-60.997, abs=5e-4)


def test_noise_plays_each_key_at_its_training_rate(quiet) -> None:
    piece = Score.from_notes([0, 2], [2, 8], [60, 64], length=10)
    noise = Noise(smoothing=1e-9)
    noise.fit([piece], [], Budget(0), 0, quiet)
    n = 40_000
    (sample,) = noise.sample([piece], n, seed=0)
    drawn = sample.sounding().mean(axis=0)
    rates = piece.sounding().mean(axis=0)
    assert (np.abs(drawn - rates) <= 4 * np.sqrt(rates * (1 - rates) / n) + 1e-6).all()


def test_a_shared_rate_is_the_mean_of_the_rates_per_pitch() -> None:
    frames = np.random.default_rng(0).random((50, 88)) < 0.1
    shared = key_rates(frames, "shared", 0.0)
    assert np.allclose(shared, key_rates(frames, "pitch", 0.0).mean())


def test_an_unknown_rate_names_the_known_ones(quiet) -> None:
    with pytest.raises(BenchError, match="choose pitch, shared or uniform"):
        Noise(rates="pitches").fit([Score.silence(1)], [], Budget(0), 0, quiet)


def test_silence_holds_no_note() -> None:
    assert all(not len(s) for s in Silence().sample([Score.silence(0)] * 3, 32, seed=0))
