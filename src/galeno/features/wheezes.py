"""Wheezes: narrow peaks of the spectrum that last."""

from itertools import pairwise

import numpy as np
from scipy import ndimage

from galeno.features.spectra import FloatArray, bin_of, measure_harmonicity

_EDGES = (100.0, 300.0, 600.0, 1600.0)
"""Hz; a peak below is the heart's, and hardly any wheeze lies above."""
_SURROUNDINGS = ((13, 6.0), (41, 12.0))
"""Bins that a peak must stand out of (some 100 Hz, and 320 Hz), and the dB at which it is clear."""
_LASTING = (3, 7)
"""Frames that a peak must stay: about 110 ms and 210 ms, the frames' own length told."""


def name_wheezes() -> tuple[str, ...]:
    """Names of `describe_wheezes`, in its order."""
    names = []
    for around, _ in _SURROUNDINGS:
        for frames in _LASTING:
            for low, high in pairwise(_EDGES):
                kind = f"tones {low:.0f}-{high:.0f} Hz lasting {frames} of {around}"
                names += [f"{kind} {statistic}" for statistic in ("50 %", "90 %", "clear")]
    return (*names, *(f"harmonicity {statistic}" for statistic in ("mean", "deviation", "50 %", "90 %")))


def describe_wheezes(power: FloatArray, levels: FloatArray) -> FloatArray:
    """How much the strongest lasting peak of each band stands out, over time.

    A wheeze is a tone of more than 80 to 100 ms (Sovijärvi et al. 2000). Peaks are looked for in the spectrum
    less its trend (Taplidou & Hadjileontiadis, Comput Biol Med 37, 2007). The height of a peak is the least
    of the frames it must stay; it may move by a bin.

    Args:
        power: shape (frames, bins).
        levels: the same in decibels.

    Returns:
        dB, shares of time, and harmonicity from 0 to 1; shape (len(name_wheezes()),).
    """
    numbers: list[float] = []
    for around, clear in _SURROUNDINGS:
        trend = ndimage.uniform_filter1d(levels, around, axis=1, mode="nearest")
        standing = (levels - trend)[:, : bin_of(_EDGES[-1]) + 1]
        standing = ndimage.maximum_filter1d(standing, 3, axis=1, mode="nearest")
        for frames in _LASTING:
            lasting = ndimage.minimum_filter1d(standing, frames, axis=0, mode="nearest")
            for low, high in pairwise(_EDGES):
                height = lasting[:, bin_of(low) : bin_of(high)].max(axis=1)
                numbers += [*np.quantile(height, (0.5, 0.9)), (height > clear).mean()]
    harmonicity = measure_harmonicity(power)
    numbers += [harmonicity.mean(), harmonicity.std(), *np.quantile(harmonicity, (0.5, 0.9))]
    return np.array(numbers, np.float32)
