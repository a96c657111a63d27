"""Histograms of oriented gradients: where the edges of a picture are, and which way they run.

After Dalal and Triggs, Histograms of oriented gradients for human detection (CVPR 2005). A gradient votes
by a power of the cosine to each orientation in place of a linear share of the angle: that needs no arc
tangent, whose last bit differs between processors.
"""

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

ORIENTATIONS = 8
"""Of the half circle: an edge from dark to light is the same as one from light to dark."""
GRIDS = (7, 4)
"""Cells along a side, for each histogram."""
_CLIP = np.float32(0.2)
"""Largest part of a block that one orientation of one cell may have (L2-Hys)."""
_SMALL = np.float32(0.15)
"""Added to the norm of a block, so that the noise of an even region does not become an edge; in units of
the standard deviation of the picture."""
_CORNERS = ((0, 0), (0, 1), (1, 0), (1, 1))
"""Cells of a block of 2 x 2: rows and columns from its first cell."""


@cache
def gradient_names() -> tuple[str, ...]:
    """Names of what `describe_gradients` gives, in its order."""
    return tuple(
        f"edges {180 * k // ORIENTATIONS} deg, cell {row + down}.{column + right} of {grid}x{grid}, "
        f"block {row}.{column}"
        for grid in GRIDS
        for down, right in _CORNERS
        for k in range(ORIENTATIONS)
        for row in range(grid - 1)
        for column in range(grid - 1)
    )


def describe_gradients(grey: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Histograms by cell, each normalised within every block of 2 x 2 cells that holds it.

    Args:
        grey: intensities of mean 0 and standard deviation 1, shape (size * size, images).
        size: pixels along a side.

    Returns:
        Shape (len(gradient_names()), images). A column depends on no other column.
    """
    votes = _vote(grey.reshape(size, size, -1))
    return np.concatenate([_normalise(_pool(votes, size, grid), grid) for grid in GRIDS])


def _vote(grey: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Strength of the gradient in each orientation at each pixel, each of shape (pixels, images)."""
    size = len(grey)
    down, right = np.zeros_like(grey), np.zeros_like(grey)
    down[1:-1] = grey[2:] - grey[:-2]
    right[:, 1:-1] = grey[:, 2:] - grey[:, :-2]
    down, right = down.reshape(size * size, -1), right.reshape(size * size, -1)
    squared = right * right + down * down
    strength = np.sqrt(squared)
    scale = strength / np.maximum(squared, np.float32(1e-12))
    # cosine and sine of twice the angle, times the strength
    cosine, sine = (right * right - down * down) * scale, np.float32(2) * right * down * scale
    votes = []
    inverse = np.float32(1) / np.maximum(strength, np.float32(1e-6))
    for k in range(ORIENTATIONS):
        turn = 2 * math.pi * k / ORIENTATIONS
        near = np.maximum(cosine * np.float32(math.cos(turn)) + sine * np.float32(math.sin(turn)), 0)
        near = near * inverse
        near *= near
        near *= near
        votes.append(near * strength)
    return votes


@cache
def _pooling(size: int, grid: int) -> sparse.csr_array:
    """Bilinear shares of the pixels in the cells, shape (grid * grid, size * size)."""
    centers = (np.arange(grid) + 0.5) * size / grid
    places = np.arange(size) + 0.5
    line = np.maximum(0, 1 - np.abs(places - centers[:, None]) * grid / size)
    line /= line.sum(axis=1, keepdims=True)
    return sparse.csr_array(np.kron(line, line).astype(np.float32))


def _pool(votes: list[NDArray[np.float32]], size: int, grid: int) -> list[NDArray[np.float32]]:
    pooling = _pooling(size, grid)
    return [(pooling @ vote).reshape(grid, grid, -1) for vote in votes]


def _normalise(cells: list[NDArray[np.float32]], grid: int) -> NDArray[np.float32]:
    """Every block divided by its norm, clipped, and divided again."""
    last, images = grid - 1, cells[0].shape[2]
    parts = [cell[down : down + last, right : right + last] for down, right in _CORNERS for cell in cells]
    norm = np.sqrt(_add_squares(parts)) + _SMALL
    parts = [np.minimum(part / norm, _CLIP) for part in parts]
    norm = np.sqrt(_add_squares(parts)) + _SMALL
    return np.concatenate([(part / norm).reshape(last * last, images) for part in parts])


def _add_squares(parts: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    # One after the other: the order of a sum along an axis may depend on how many images there are.
    total = parts[0] * parts[0]
    for part in parts[1:]:
        total = total + part * part
    return total
