import numpy as np
import pytest

from bench.music.loudness import k_weighting, loudness, normalise, true_peak


def sine(frequency, seconds=5.0, amplitude=1.0, rate=48000, channels=2):
    wave = amplitude * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)
    return np.repeat(wave[:, None], channels, axis=1).astype(np.float32)


def test_the_filters_are_those_of_the_standard_at_48_khz():
    # ITU-R BS.1770-4, tables 1 and 2.
    head = [1.53512485958697, -2.69169618940638, 1.19839281085285]
    head += [1.0, -1.69065929318241, 0.73248077421585]
    high_pass = [1.0, -2.0, 1.0, 1.0, -1.99004745483398, 0.99007225036621]
    assert np.allclose(k_weighting(48000), [head, high_pass], atol=1e-8)


@pytest.mark.parametrize("rate", [44100, 48000])
def test_a_full_scale_sine_of_1_khz_reads_minus_3_01_in_one_channel(rate):
    assert loudness(sine(997, rate=rate, channels=1), rate) == pytest.approx(-3.01, abs=0.01)
    assert loudness(sine(997, rate=rate), rate) == pytest.approx(0.0, abs=0.01)


def test_the_meter_passes_the_cases_of_ebu_tech_3341():
    def tone(*parts):  # dB below full scale, seconds
        return np.concatenate([sine(1000, s, 10 ** (db / 20)) for db, s in parts])

    assert loudness(tone((-23, 20)), 48000) == pytest.approx(-23, abs=0.1)
    assert loudness(tone((-33, 20)), 48000) == pytest.approx(-33, abs=0.1)
    gated = tone((-36, 10), (-23, 60), (-36, 10))
    assert loudness(gated, 48000) == pytest.approx(-23, abs=0.1)
    gated = tone((-72, 10), (-36, 10), (-23, 60), (-36, 10), (-72, 10))
    assert loudness(gated, 48000) == pytest.approx(-23, abs=0.1)
    gated = tone((-26, 20), (-20, 20.1), (-26, 20))
    assert loudness(gated, 48000) == pytest.approx(-23, abs=0.1)


def test_silence_has_no_loudness_and_stays_silence():
    for frames in (0, 100, 44100):
        silence = np.zeros((frames, 2), dtype=np.float32)
        assert loudness(silence) == -np.inf
        assert not normalise(silence).any()


def test_what_is_shorter_than_a_block_is_one_block():
    assert loudness(sine(997, seconds=0.2, rate=44100)) == pytest.approx(0.0, abs=0.2)


@pytest.mark.parametrize("amplitude", [0.001, 0.1, 1.0])
def test_normalised_samples_have_the_loudness(amplitude):
    samples = normalise(sine(440, amplitude=amplitude, rate=44100))
    assert samples.dtype == np.float32
    assert loudness(samples) == pytest.approx(-23, abs=0.01)


def test_the_ceiling_comes_before_the_loudness():
    clicks = np.zeros((44100 * 2, 2), dtype=np.float32)
    clicks[::11025] = 0.5
    samples = normalise(clicks)
    assert true_peak(samples) == pytest.approx(10 ** (-1 / 20), abs=1e-4)
    assert loudness(samples) < -23


def test_the_true_peak_lies_between_the_samples():
    # A quarter of the rate, sampled at 45 degrees: no sample is above 0.707.
    wave = np.sin(np.pi / 2 * np.arange(4000) + np.pi / 4)[:, None]
    assert np.abs(wave).max() < 0.708
    assert true_peak(wave.astype(np.float32)[100:-100]) == pytest.approx(1.0, abs=0.05)
