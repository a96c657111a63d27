"""Local binary patterns: which texture each region of a picture has, whatever its brightness.

After Ojala, Pietikäinen and Mäenpää, Multiresolution gray-scale and rotation invariant texture
classification with local binary patterns (PAMI 2002): 8 neighbours, the uniform patterns one by one.
"""

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

RADII = (1, 2)
"""Pixels from the middle to the neighbours."""
REGIONS = 4
"""Regions along a side that have a histogram of their own."""
_NEIGHBOURS = 8
_FRACTION = 256
"""Weights of the interpolation are whole numbers of this part, so that equal neighbours stay equal."""


@cache
def pattern_names() -> tuple[str, ...]:
    """Names of what `describe_patterns` gives, in its order."""
    kinds = [f"{k} bright" for k in range(_NEIGHBOURS + 1)] + ["not uniform"]
    return tuple(
        f"pattern r{radius} {kind}, region {row}.{column}"
        for radius in RADII
        for row in range(REGIONS)
        for column in range(REGIONS)
        for kind in kinds
    )


def describe_patterns(grey: NDArray[np.int32], size: int) -> NDArray[np.float32]:
    """Square roots of the shares of the patterns in each region.

    Args:
        grey: whole numbers from 0 to 4,096, shape (images, size * size).
        size: pixels along a side.

    Returns:
        Shape (images, len(pattern_names())). A row depends on no other row.
    """
    pictures = grey.reshape(-1, size, size)
    return np.concatenate([_histograms(pictures, radius) for radius in RADII], axis=1)


def _histograms(pictures: NDArray[np.int32], radius: int) -> NDArray[np.float32]:
    images, size = pictures.shape[:2]
    inner = size - 2 * radius
    middle = pictures[:, radius:-radius, radius:-radius] * _FRACTION**2
    codes = np.zeros(middle.shape, dtype=np.uint8)
    for k, neighbour in enumerate(_neighbours(pictures, radius)):
        codes |= (neighbour >= middle).astype(np.uint8) << np.uint8(k)
    regions, pixels = _regions(inner)
    bins = _NEIGHBOURS + 2
    places = _kinds()[codes].reshape(images, -1) + regions
    places += np.arange(images)[:, None] * (REGIONS**2 * bins)
    counts = np.bincount(places.ravel(), minlength=images * REGIONS**2 * bins)
    shares = counts.reshape(images, REGIONS**2, bins) / pixels[:, None]
    return np.sqrt(shares).astype(np.float32).reshape(images, -1)


def _neighbours(pictures: NDArray[np.int32], radius: int) -> list[NDArray[np.int32]]:
    """The 8 neighbours of each pixel, interpolated, times the square of `_FRACTION`."""
    size = pictures.shape[1]
    found = []
    for k in range(_NEIGHBOURS):
        angle = 2 * math.pi * k / _NEIGHBOURS
        down, right = (
            round(-radius * math.sin(angle) * _FRACTION),
            round(radius * math.cos(angle) * _FRACTION),
        )
        (row, low), (column, left) = divmod(down, _FRACTION), divmod(right, _FRACTION)
        total = np.zeros((), dtype=np.int32)
        for step, share in ((0, _FRACTION - low), (1, low)):
            for side, part in ((0, _FRACTION - left), (1, left)):
                if share * part:
                    top, start = radius + row + step, radius + column + side
                    end = size - 2 * radius
                    total = total + pictures[:, top : top + end, start : start + end] * (share * part)
        found.append(total)
    return found


@cache
def _kinds() -> NDArray[np.int64]:
    """Of each of the 256 codes: how many neighbours are bright, or that it changes more than twice."""
    kinds = np.full(256, _NEIGHBOURS + 1)
    for code in range(256):
        bits = [(code >> k) & 1 for k in range(_NEIGHBOURS)]
        if sum(bits[k] != bits[k - 1] for k in range(_NEIGHBOURS)) <= 2:
            kinds[code] = sum(bits)
    return kinds


@cache
def _regions(inner: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Of each inner pixel, where the histogram of its region begins; and the pixels of each region."""
    line = np.arange(inner) * REGIONS // inner
    region = (line[:, None] * REGIONS + line).ravel()
    return region * (_NEIGHBOURS + 2), np.bincount(region, minlength=REGIONS**2)
