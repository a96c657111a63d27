"""A picture as numbers: intensities, edges, textures and colours. Nothing is learned here.

X-rays of another machine are brighter, darker, harder or noisier. So the pixels keep only the order of
their intensities, edges and textures only differences relative to those around them, after a smoothing.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from galeno.features.gradients import describe_gradients, gradient_names
from galeno.features.patterns import describe_patterns, pattern_names

IMAGE_VERSION = 1
"""Goes up whenever the same picture gives other numbers."""
SIZES = (28, 32, 48, 64)
"""Pixels along a side that pictures are brought to."""
_BLOCK = 50_000
"""Pixels described at a time: what they need fits in the cache of a core."""
_COLOUR_GRID = 4
_COLOUR_LEVELS = 4
_CHANNELS = ("red", "green", "blue", "red-green", "yellow-blue")


def thumbnail(pixels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """The picture in a square, as area averages; its aspect is kept, its edges fill what is left.

    Args:
        pixels: shape (height, width) or (height, width, 3).
        size: pixels along a side of the square.

    Returns:
        Shape (size, size) or (size, size, 3); the picture itself where it has that size already.

    Raises:
        ValueError: the array is no picture of 8-bit pixels.
    """
    if (
        pixels.dtype != np.uint8
        or pixels.ndim not in {2, 3}
        or not pixels.size
        or pixels.shape[2:] not in {(), (3,)}
    ):
        raise ValueError("a picture is uint8, of shape (height, width) or (height, width, 3)")
    height, width = pixels.shape[:2]
    if (height, width) == (size, size):
        return pixels
    longest = max(height, width)
    rows, columns = (max(1, (2 * size * side + longest) // (2 * longest)) for side in (height, width))
    planes = pixels.reshape(height, width, -1)
    made = np.stack([_shrink(planes[:, :, k], rows, columns) for k in range(planes.shape[2])], axis=2)
    top, left = (size - rows) // 2, (size - columns) // 2
    around = ((top, size - rows - top), (left, size - columns - left), (0, 0))
    return np.pad(made, around, mode="edge").reshape(size, size, *pixels.shape[2:])


def _shrink(plane: NDArray[np.uint8], rows: int, columns: int) -> NDArray[np.uint8]:
    height, width = plane.shape
    # Whole numbers throughout: the average is exact, and rounded once.
    total = _overlaps(height, rows) @ (_overlaps(width, columns) @ plane.T.astype(np.int64)).T
    area = height * width
    return np.asarray((2 * total + area) // (2 * area)).astype(np.uint8)


def _overlaps(fine: int, coarse: int) -> sparse.csr_array:
    """How much of each of `fine` steps lies in each of `coarse` ones, shape (coarse, fine), whole numbers."""
    starts = np.arange(coarse) * fine
    first, last = starts // coarse, -(-(starts + fine) // coarse)
    counts = last - first
    pointers = np.concatenate([[0], np.cumsum(counts)])
    steps = np.arange(pointers[-1]) - np.repeat(pointers[:-1] - first, counts)
    begin = np.repeat(starts, counts)
    shares = np.minimum((steps + 1) * coarse, begin + fine) - np.maximum(steps * coarse, begin)
    return sparse.csr_array((shares, steps, pointers), shape=(coarse, fine))


@cache
def image_names(size: int) -> tuple[str, ...]:
    """Names of what `describe_image` gives, in its order."""
    pixels = tuple(f"pixel {row}.{column}" for row in range(size) for column in range(size))
    return pixels + gradient_names() + pattern_names() + _colour_names()


@cache
def image_blocks(size: int) -> tuple[tuple[str, int], ...]:
    """The kinds of numbers, in their order, and how many there are of each."""
    return (
        ("pixels", size * size),
        ("gradients", len(gradient_names())),
        ("patterns", len(pattern_names())),
        ("colour", len(_colour_names())),
    )


def describe_image(pixels: NDArray[np.uint8], size: int) -> NDArray[np.float32]:
    """Describe one picture.

    Args:
        pixels: shape (height, width) or (height, width, 3), red, green, blue.
        size: pixels along a side that the picture is brought to first; one of `SIZES`.

    Returns:
        Shape (len(image_names(size)),).

    Raises:
        ValueError: the array is no picture of 8-bit pixels, or the size is none of `SIZES`.
    """
    row: NDArray[np.float32] = describe_images([pixels], size)[0]
    return row


def describe_images(pixels: Sequence[NDArray[np.uint8]], size: int) -> NDArray[np.float32]:
    """Describe pictures, each as `describe_image` does, to the last bit.

    Args:
        pixels: pictures, whose heights, widths and channels may differ.
        size: as for `describe_image`.

    Returns:
        Shape (pictures, len(image_names(size))).

    Raises:
        ValueError: an array is no picture of 8-bit pixels, or the size is none of `SIZES`.
    """
    if size not in SIZES:
        raise ValueError(f"size is one of {SIZES}")
    made = np.zeros((len(pixels), len(image_names(size))), dtype=np.float32)
    step = _BLOCK // size**2
    for start in range(0, len(pixels), step):
        squares = [thumbnail(picture, size) for picture in pixels[start : start + step]]
        _describe_block(squares, size, made[start : start + step])
    return made


def _describe_block(squares: list[NDArray[np.uint8]], size: int, made: NDArray[np.float32]) -> None:
    grey = np.stack([_to_grey(square) for square in squares])
    smooth = _smooth(grey).reshape(len(squares), -1)
    pixels, edges, textures, colours = np.split(made, _ends(size), axis=1)
    pixels[:] = _rank(grey.reshape(len(squares), -1))
    edges[:] = describe_gradients(np.ascontiguousarray(_standardise(smooth).T), size).T
    textures[:] = describe_patterns(smooth, size)
    for k, square in enumerate(squares):
        if square.ndim == 3 and np.ptp(square, axis=2).any():
            colours[k] = _describe_colours(square)


@cache
def _ends(size: int) -> list[int]:
    return [int(end) for end in np.cumsum([count for _, count in image_blocks(size)])[:-1]]


def _to_grey(square: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Luma of ITU-R BT.601, rounded."""
    if square.ndim == 2:
        return square
    weighted = square.astype(np.int32) @ np.array([299, 587, 114], dtype=np.int32)
    return ((weighted + 500) // 1000).astype(np.uint8)


def _smooth(grey: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Sixteen times the average of each pixel and those around it, by the weights 1, 2, 1; shape as given."""
    wide = np.pad(grey.astype(np.int32), ((0, 0), (1, 1), (1, 1)), mode="edge")
    wide = wide[:, :-2] + 2 * wide[:, 1:-1] + wide[:, 2:]
    return np.ascontiguousarray(wide[:, :, :-2] + 2 * wide[:, :, 1:-1] + wide[:, :, 2:])


def _rank(grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Share of the picture's pixels that are darker less the share that are lighter; shape as given."""
    images, pixels = grey.shape
    places = grey + np.arange(images, dtype=np.int64)[:, None] * 256
    counts = np.bincount(places.ravel(), minlength=images * 256).reshape(images, 256)
    darker = 2 * np.cumsum(counts, axis=1) - counts - pixels
    return np.asarray((darker / pixels).astype(np.float32).ravel()[places])


def _standardise(smooth: NDArray[np.int32]) -> NDArray[np.float32]:
    """Less the mean of each picture, by its standard deviation; an even picture becomes zeros."""
    exact = smooth.astype(np.int64)  # sums of whole numbers do not depend on their order
    pixels = exact.shape[1]
    total = exact.sum(axis=1, keepdims=True)
    variance = pixels * (exact * exact).sum(axis=1, keepdims=True) - total * total
    return np.asarray((pixels * exact - total) / np.sqrt(np.maximum(variance, 1)), np.float32)


@cache
def _colour_names() -> tuple[str, ...]:
    cells = range(_COLOUR_GRID)
    levels = range(_COLOUR_LEVELS)
    return (
        tuple(f"{channel}, region {i}.{j}" for channel in _CHANNELS for i in cells for j in cells)
        + tuple(f"spread of {channel}" for channel in _CHANNELS)
        + tuple(f"share of red {r}, green {g}, blue {b}" for r in levels for g in levels for b in levels)
    )


def _describe_colours(square: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Average of each channel by region, its spread, and the shares of coarse colours (square roots)."""
    size = len(square)
    red, green, blue = (square[:, :, k].astype(np.int64) for k in range(3))
    edges = [size * k // _COLOUR_GRID for k in range(_COLOUR_GRID + 1)]
    means, spreads = [], []
    for plane in (red, green, blue, red - green, red + green - 2 * blue):
        sums = np.add.reduceat(np.add.reduceat(plane, edges[:-1], axis=0), edges[:-1], axis=1)
        sides = np.diff(edges)
        means.append((sums / (sides[:, None] * sides)).ravel() / 255)
        pixels = plane.size
        variance = (pixels * int((plane * plane).sum()) - int(plane.sum()) ** 2) / pixels**2
        spreads.append(variance**0.5 / 255)
    step = 256 // _COLOUR_LEVELS
    bins = ((red // step) * _COLOUR_LEVELS + green // step) * _COLOUR_LEVELS + blue // step
    shares = np.bincount(bins.ravel(), minlength=_COLOUR_LEVELS**3) / bins.size
    return np.concatenate([*means, spreads, np.sqrt(shares)]).astype(np.float32)
