"""Spectra of a sound over time: mel bands, cepstrum, contrast, shape and harmonicity of each frame."""

from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage, sparse

RATE = 4000
"""Samples a second of every sound here, in Hz: lung sounds end below 2 kHz."""
LOWEST, HIGHEST = 60.0, 1900.0
"""The band looked at, in Hz (breath sounds: Sovijärvi et al., Eur Respir Rev 10, 2000)."""
FRAME, HOP, POINTS = 256, 100, 512
"""Samples in a frame (64 ms), from one frame to the next (25 ms), and in its padded Fourier transform."""
MELS = 64
CEPSTRA = 13
CONTRAST_EDGES = (60.0, 120.0, 200.0, 320.0, 500.0, 800.0, 1200.0, 1900.0)
SHAPES = ("centre octaves", "spread octaves", "flatness dB", "half below octaves", "85 % below octaves")
_EXTREME = 0.2
"""Share of a band's bins that make its peaks, and its valleys."""
_FLOOR = 1e-8
"""Power that counts as none in a sound of mean power about 1: -80 dB."""
_BLOCK = 2048
"""Frames transformed at once, which bounds the memory."""
_SHORTEST_LAG, _LONGEST_LAG = 10, 56
"""Samples; tones from 71 to 400 Hz."""

FloatArray = NDArray[np.float32]


def mel_frequencies() -> NDArray[np.float64]:
    """Frequencies at which the mel bands peak, in Hz, ascending, shape (MELS,)."""
    return _mel_edges()[1:-1]


def bin_of(frequency: float) -> int:
    """The bin of a power spectrum nearest to a frequency in Hz."""
    return round(frequency * POINTS / RATE)


def measure_power(sound: FloatArray) -> FloatArray:
    """Power spectra of overlapping Hann frames (Welch 1967, without the averaging).

    Args:
        sound: at RATE, shape (samples,), at least FRAME of them.

    Returns:
        Shape (frames, POINTS // 2 + 1); 1 in the mean for white noise of variance 1.
    """
    frames = np.lib.stride_tricks.sliding_window_view(sound, FRAME)[::HOP]
    window = np.hanning(FRAME + 1)[:-1].astype(np.float32)
    window /= np.sqrt(np.square(window).sum())
    power = np.empty((len(frames), POINTS // 2 + 1), np.float32)
    for start in range(0, len(frames), _BLOCK):
        waves = fft.rfft(frames[start : start + _BLOCK] * window, POINTS, axis=1)
        power[start : start + _BLOCK] = np.square(waves.real) + np.square(waves.imag)
    return power


def to_decibels(power: FloatArray) -> FloatArray:
    """10 log10 of power, at least -80 dB, the shape of `power`."""
    decibels: FloatArray = np.log10(np.maximum(power, np.float32(_FLOOR))) * np.float32(10)
    return decibels


def to_mel(power: FloatArray) -> FloatArray:
    """Decibels in triangular bands evenly spaced in mel (O'Shaughnessy 1987), shape (frames, MELS)."""
    # Sparse times dense adds in one order, whatever the number of threads; a matrix product need not.
    return to_decibels(np.ascontiguousarray((_mel_filters() @ power.T).T))


def to_cepstrum(mel: FloatArray) -> FloatArray:
    """MFCC (Davis & Mermelstein 1980): orthonormal DCT-II over the bands, shape (frames, CEPSTRA)."""
    return np.asarray(fft.dct(mel, norm="ortho", axis=1)[:, :CEPSTRA], np.float32)


def measure_slopes(values: FloatArray, width: int = 4) -> FloatArray:
    """Least-squares slopes over 2 * width + 1 frames ("deltas"), the shape of `values`."""
    weights = np.arange(-width, width + 1, dtype=np.float64)
    slopes: FloatArray = ndimage.correlate1d(
        values, weights / np.square(weights).sum(), axis=0, mode="nearest"
    )
    return slopes


def measure_contrast(levels: FloatArray) -> FloatArray:
    """Peaks above valleys in each band (Jiang et al., ICME 2002).

    Args:
        levels: decibels of power, shape (frames, POINTS // 2 + 1).

    Returns:
        dB, shape (frames, bands of CONTRAST_EDGES).
    """
    bands = []
    for low, high in pairwise(CONTRAST_EDGES):
        band = np.sort(levels[:, bin_of(low) : bin_of(high)], axis=1)
        few = max(1, round(band.shape[1] * _EXTREME))
        bands.append(band[:, -few:].mean(axis=1) - band[:, :few].mean(axis=1))
    return np.column_stack(bands)


def measure_shape(power: FloatArray) -> FloatArray:
    """Where the power of each frame lies: the SHAPES, octaves above LOWEST, shape (frames, 5)."""
    first, end = bin_of(LOWEST), bin_of(HIGHEST)
    inside = np.maximum(power[:, first:end], np.float32(_FLOOR))
    octaves = np.log2(np.arange(first, end, dtype=np.float32) / first)
    share = inside / inside.sum(axis=1, keepdims=True)
    center = (share * octaves).sum(axis=1)
    spread = np.sqrt(np.maximum((share * np.square(octaves)).sum(axis=1) - np.square(center), 0))
    flatness = to_decibels(inside).mean(axis=1) - to_decibels(inside.mean(axis=1))
    below = np.cumsum(share, axis=1)
    ends = [octaves[np.minimum((below < part).sum(axis=1), len(octaves) - 1)] for part in (0.5, 0.85)]
    return np.column_stack([center, spread, flatness, *ends])


def measure_harmonicity(power: FloatArray) -> FloatArray:
    """Largest autocorrelation at lags of 2.5 to 14 ms, from 0 to 1 (Boersma 1993), shape (frames,)."""
    lags = fft.irfft(power, axis=1)
    largest = lags[:, _SHORTEST_LAG : _LONGEST_LAG + 1].max(axis=1)
    harmonicity: FloatArray = np.maximum(largest, 0) / np.maximum(lags[:, 0], np.float32(_FLOOR))
    return harmonicity


def measure_bands(power: FloatArray, edges: tuple[float, ...]) -> FloatArray:
    """Decibels of the mean power between neighbouring edges in Hz, shape (frames, edges - 1)."""
    bands = [power[:, bin_of(low) : bin_of(high)].mean(axis=1) for low, high in pairwise(edges)]
    return to_decibels(np.column_stack(bands))


def _mel_edges() -> NDArray[np.float64]:
    low, high = (2595 * np.log10(1 + edge / 700) for edge in (LOWEST, HIGHEST))
    edges: NDArray[np.float64] = 700 * (10 ** (np.linspace(low, high, MELS + 2) / 2595) - 1)
    return edges


@cache
def _mel_filters() -> sparse.csr_array:
    """Triangles of unit sum, shape (MELS, POINTS // 2 + 1)."""
    edges = _mel_edges()[:, np.newaxis]
    bins = np.fft.rfftfreq(POINTS, 1 / RATE)
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    triangles = np.maximum(np.minimum(rising, falling), 0)
    return sparse.csr_array((triangles / triangles.sum(axis=1, keepdims=True)).astype(np.float32))
