"""Perceived loudness by ITU-R BS.1770-4, and samples scaled to a common loudness."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

TARGET = -23.0  # LUFS: EBU R 128
CEILING = -1.0  # dB true peak: lossy coding adds a little

Samples = NDArray[np.float32]  # (frames, channels)


def k_weighting(rate: int) -> NDArray[np.float64]:
    """(2, 6) the two filters before the meter, as second-order sections.

    The standard tabulates them at 48 kHz only; there these analogue prototypes give its table.
    """
    k, q = np.tan(np.pi * 1681.974450955533 / rate), 0.7071752369554196
    high = 10 ** (3.999843853973347 / 20)  # the head: a shelf of 4 dB
    band = high**0.4996667741545416
    shelf = [high + band * k / q + k * k, 2 * (k * k - high), high - band * k / q + k * k]
    poles = [1 + k / q + k * k, 2 * (k * k - 1), 1 - k / q + k * k]
    head = np.array([*shelf, *poles]) / poles[0]
    k, q = np.tan(np.pi * 38.13547087602444 / rate), 0.5003270373238773
    poles = [1 + k / q + k * k, 2 * (k * k - 1), 1 - k / q + k * k]
    high_pass = np.array([1, -2, 1, *(np.array(poles) / poles[0])])
    return np.stack([head, high_pass])


def loudness(samples: Samples, rate: int = 44100) -> float:
    """The integrated loudness in LUFS of one or two channels; minus infinity for silence.

    Audio that is shorter than the meter's block of 0.4 seconds counts as one block.
    """
    from scipy.signal import sosfilt

    if not len(samples):
        return -np.inf
    block, hop = round(0.4 * rate), round(0.1 * rate)
    weighted = sosfilt(k_weighting(rate), samples.astype(np.float64), axis=0)
    energy = np.concatenate([[0.0], np.cumsum((weighted**2).sum(axis=1))])
    block = min(block, len(samples))
    starts = np.arange(0, len(samples) - block + 1, hop)
    power = (energy[starts + block] - energy[starts]) / block
    loud = power[_lufs(power) > -70]
    if not len(loud):
        return -np.inf
    loud = loud[_lufs(loud) > _lufs(loud.mean()) - 10]
    return float(_lufs(loud.mean()))


def _lufs(power: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(divide="ignore"):
        return np.asarray(-0.691 + 10 * np.log10(np.maximum(power, 0)))


def true_peak(samples: Samples) -> float:
    """The highest amplitude of the wave between the samples, 1 being full scale."""
    from scipy.signal import resample_poly

    if not len(samples):
        return 0.0
    between = resample_poly(samples.astype(np.float64), 4, 1, axis=0)
    return float(max(np.abs(between).max(), np.abs(samples).max()))


def normalise(samples: Samples, lufs: float = TARGET, rate: int = 44100) -> Samples:
    """The samples at that loudness, or as loud as the ceiling of -1 dB allows; silence stays."""
    before = loudness(samples, rate)
    if not np.isfinite(before):
        return samples.astype(np.float32)
    gain = 10 ** ((lufs - before) / 20)
    gain = min(gain, 10 ** (CEILING / 20) / true_peak(samples))
    return (samples * gain).astype(np.float32)
