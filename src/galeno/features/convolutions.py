"""Random convolutions of a picture along time, after ROCKET and MiniRocket."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import sparse

from galeno.features.spectra import FloatArray

KERNELS = 100
_SEED = 20201
_TAPS, _HIGH_TAPS = 9, 3
_DILATIONS = (1, 2, 4, 8)
_MOST_CHANNELS = 9
_HIGH_PERCENT = 95


@dataclass(frozen=True, slots=True)
class _Kernels:
    """Kernels of one dilation: what they take of each channel, their weights by tap, and what is added."""

    channels: sparse.csr_array
    weights: FloatArray
    biases: FloatArray
    dilation: int


def name_convolutions() -> tuple[str, ...]:
    """Names of `convolve`, in its order."""
    kinds = ("positive", f"{_HIGH_PERCENT} %")
    return tuple(f"convolution {k + 1} {kind}" for k in range(KERNELS) for kind in kinds)


def convolve(picture: FloatArray) -> FloatArray:
    """Share of positive values, and the level that 5 % exceed, of each random kernel's convolution.

    Kernels are of MiniRocket's kind (Dempster, Schmidt & Webb, KDD 2021: nine taps, three of them 2 and the
    others -1); channels, dilations and biases are random as in ROCKET (Dempster, Petitjean & Webb, DMKD 34,
    2020), and always the same. A quantile stands for ROCKET's maximum, which would grow with the length.

    Args:
        picture: shape (frames, channels), each channel of mean 0 and variance about 1.

    Returns:
        Shape (2 * KERNELS,).
    """
    picture = np.ascontiguousarray(picture.T)
    frames = picture.shape[1]
    rank = (frames - 1) * _HIGH_PERCENT // 100
    numbers = []
    for kernels in _draw_kernels(len(picture)):
        reach = kernels.dilation * (_TAPS // 2)
        series = np.zeros((len(kernels.biases), frames + 2 * reach), np.float32)
        series[:, reach : reach + frames] = kernels.channels @ picture
        made = np.repeat(kernels.biases, frames, axis=1)
        for tap in range(_TAPS):
            start = tap * kernels.dilation
            made += kernels.weights[:, tap, np.newaxis] * series[:, start : start + frames]
        positive = np.count_nonzero(made > 0, axis=1) / frames
        numbers.append(np.column_stack([positive, np.partition(made, rank, axis=1)[:, rank]]))
    return np.concatenate(numbers).ravel().astype(np.float32)


@cache
def _draw_kernels(channels: int) -> tuple[_Kernels, ...]:
    random = np.random.default_rng(_SEED)
    size = KERNELS // len(_DILATIONS)
    drawn = []
    for dilation in _DILATIONS:
        taken = np.zeros((size, channels), np.float32)
        weights = np.full((size, _TAPS), -1, np.float32)
        for row, taps in zip(taken, weights, strict=True):
            count = int(2 ** random.uniform(0, np.log2(min(channels, _MOST_CHANNELS))))
            row[random.choice(channels, count, replace=False)] = random.choice([-1, 1], count) / np.sqrt(
                count
            )
            taps[random.choice(_TAPS, _HIGH_TAPS, replace=False)] = 2
        weights /= np.sqrt(np.square(weights).sum(axis=1, keepdims=True))  # white noise keeps its variance
        biases = random.uniform(-1, 1, (size, 1)).astype(np.float32)
        drawn.append(_Kernels(sparse.csr_array(taken), weights, biases, dilation))
    return tuple(drawn)
