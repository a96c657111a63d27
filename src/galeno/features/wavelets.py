"""Wavelet levels of a sound: how strong each octave is, and the crackles in it."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from galeno.features.spectra import RATE, FloatArray

LEVELS = 6
CRACKLE_LEVELS = 4
"""Levels with crackles: octaves from 125 Hz up."""
_LOW_PASS = (
    0.23037781330885523,
    0.7148465705525415,
    0.6308807679295904,
    -0.02798376941698385,
    -0.18703481171888114,
    0.030841381835986965,
    0.032883011666982945,
    -0.010597401784997278,
)
"""Daubechies' orthonormal wavelet of four vanishing moments (Ten Lectures, 1992, table 6.1)."""
_ENERGY = ("share dB", "kurtosis", "mean to median", "99 % to median")
_CRACKLE = ("starts", "strong starts", "ratio deviation", "ratio 99 %", "kurtosis 50 %", "kurtosis 90 %")
_SHORT, _LONG = 0.008, 0.2
"""Seconds; a crackle takes 5 to 15 ms (Sovijärvi et al. 2000)."""
_CLEAR, _STRONG = 1.1, 1.6
"""Logarithms of short over long energy at which a crackle starts: three and five times."""
_TINY = 1e-8


def split_octaves(sound: FloatArray) -> list[FloatArray]:
    """Details of a discrete wavelet transform (Mallat 1989), the finest first.

    Args:
        sound: at RATE, shape (samples,).

    Returns:
        LEVELS arrays; that of level k holds the octave below RATE / 2**k, about samples / 2**k values.
    """
    low = np.array(_LOW_PASS)
    high = low[::-1] * np.array([1, -1] * (len(low) // 2))
    details, rest = [], sound
    for _ in range(LEVELS):
        details.append(ndimage.correlate1d(rest, high, mode="mirror")[::2])
        rest = ndimage.correlate1d(rest, low, mode="mirror")[::2]
    return details


def name_wavelets() -> tuple[str, ...]:
    """Names of `describe_wavelets`, in its order."""
    return tuple(f"wavelet {octave} {kind}" for octave in _name_octaves(LEVELS) for kind in _ENERGY)


def describe_wavelets(details: list[FloatArray]) -> FloatArray:
    """Share of the energy and heaviness of the tails of each level, shape (len(name_wavelets()),)."""
    energies = np.array([np.square(detail).mean(dtype=np.float64) for detail in details]) + _TINY
    shares = 10 * np.log10(energies / energies.sum())
    numbers: list[float] = []
    for detail, share in zip(details, shares, strict=True):
        sizes = np.abs(detail)
        middle, large = np.quantile(sizes, (0.5, 0.99))
        tails = (_kurtosis(detail[np.newaxis])[0], sizes.mean() / (middle + 1e-4), large / (middle + 1e-4))
        numbers += [share, *np.log(np.array(tails) + 1)]
    return np.array(numbers, np.float32)


def name_crackles() -> tuple[str, ...]:
    """Names of `describe_crackles`, in its order."""
    return tuple(f"crackles {octave} {kind}" for octave in _name_octaves(CRACKLE_LEVELS) for kind in _CRACKLE)


def describe_crackles(details: list[FloatArray]) -> FloatArray:
    """Short bursts in each octave from 125 Hz up.

    Energy of 8 ms over that of 200 ms around it, and the kurtosis of pieces of 200 ms, both of which breath
    noise keeps low (the wavelet separation of Hadjileontiadis & Panas, IEEE T Biomed Eng 44, 1997, rests on
    the same).

    Returns:
        Logarithms of starts a second, of ratios and of kurtosis, shape (len(name_crackles()),).
    """
    numbers: list[float] = []
    for level, detail in enumerate(details[:CRACKLE_LEVELS]):
        rate = RATE / 2 ** (level + 1)
        energy = np.square(detail, dtype=np.float64)
        short = ndimage.uniform_filter1d(energy, max(2, round(_SHORT * rate)), mode="nearest")
        around = ndimage.uniform_filter1d(energy, round(_LONG * rate), mode="nearest")
        ratio = np.log(np.maximum(short, _TINY) / np.maximum(around, _TINY))
        seconds = len(detail) / rate
        starts = [np.count_nonzero((ratio[1:] > x) & (ratio[:-1] <= x)) for x in (_CLEAR, _STRONG)]
        tails = np.log(_kurtosis(_cut(detail, round(_LONG * rate))) + 1)
        numbers += [
            *np.log1p(np.array(starts) / seconds),
            ratio.std(),
            np.quantile(ratio, 0.99),
            *np.quantile(tails, (0.5, 0.9)),
        ]
    return np.array(numbers, np.float32)


def _name_octaves(levels: int) -> list[str]:
    return [f"{RATE / 2 ** (k + 2):.0f}-{RATE / 2 ** (k + 1):.0f} Hz" for k in range(levels)]


def _cut(values: FloatArray, size: int) -> FloatArray:
    """Pieces of one size, what is left over dropped; one piece of all where there is less."""
    pieces = len(values) // size
    return values[: pieces * size].reshape(pieces, size) if pieces else values[np.newaxis]


def _kurtosis(pieces: FloatArray) -> NDArray[np.float64]:
    """Fourth moment over the square of the second, along rows; 0 for silence."""
    squares = np.square(pieces, dtype=np.float64)
    kurtosis: NDArray[np.float64] = np.square(squares).mean(axis=1) / (
        np.square(squares.mean(axis=1)) + _TINY**2
    )
    return kurtosis
