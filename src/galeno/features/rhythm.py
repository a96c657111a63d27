"""Rhythm of a sound: how fast and how much its bands rise and fall, by breath, heart and wheeze."""

from itertools import pairwise

import numpy as np
from scipy import fft

from galeno.features.spectra import HOP, RATE, FloatArray, measure_bands

_BANDS = (60.0, 150.0, 300.0, 600.0, 1200.0, 1900.0)
_RATES = (0.1, 0.4, 0.8, 1.5, 3.0, 6.0, 12.0, 20.0)
"""Hz; breaths come at 0.1 to 0.8, heart beats at 0.8 to 3."""
_POINTS = 2048
"""Least length of the transform, so that even a short sound has a bin for each rate."""


def name_rhythm() -> tuple[str, ...]:
    """Names of `describe_rhythm`, in its order."""
    bands = [f"{low:.0f}-{high:.0f} Hz" for low, high in pairwise(_BANDS)]
    rates = [f"at {low:g}-{high:g} Hz" for low, high in pairwise(_RATES)]
    return tuple(f"rhythm of {band} {kind}" for kind in (*rates, "deviation") for band in bands)


def describe_rhythm(power: FloatArray) -> FloatArray:
    """Modulation spectrum of the level in each band (Houtgast & Steeneken 1985, here of decibels).

    Args:
        power: shape (frames, bins).

    Returns:
        Logarithms of power density, and standard deviations in dB, shape (len(name_rhythm()),).
    """
    levels = measure_bands(power, _BANDS)
    levels = levels - levels.mean(axis=0)
    window = np.hanning(len(levels) + 2)[1:-1, np.newaxis].astype(np.float32)
    points = max(_POINTS, fft.next_fast_len(len(levels), real=True))
    waves = fft.rfft(levels * window / np.sqrt(np.square(window).sum()), points, axis=0)
    density = np.square(waves.real) + np.square(waves.imag)
    rates = np.fft.rfftfreq(points, HOP / RATE)
    strong = [density[(rates >= low) & (rates < high)].mean(axis=0) for low, high in pairwise(_RATES)]
    return np.concatenate([np.log(np.stack(strong) + 1).ravel(), levels.std(axis=0)]).astype(np.float32)
