"""Numbers of a picture to 8 bits."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from galeno.media.fault import MediaFault

_WIDTHS = (8, 12, 16)
_BLOCK = 1 << 20


def to_bytes(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Bring pixel values of any numeric type to 0..255.

    Whole numbers without a negative one are taken as 8, 12 or 16 bits, the fewest that hold their maximum;
    fractions within 0..1 as shares of white; all else is stretched from its minimum to its maximum.

    Args:
        values: any shape; integer or float.

    Returns:
        The same shape.

    Raises:
        MediaFault: damaged, where a value is not finite.
    """
    if values.dtype == np.uint8:
        return np.ascontiguousarray(values)
    least, most = float(values.min()), float(values.max())
    if not np.isfinite(least) or not np.isfinite(most):
        raise MediaFault("damaged", "The image has pixels that are no numbers")
    if values.dtype.kind == "f":
        low, high = (0.0, 1.0) if least >= 0 and most <= 1 else (least, most)
    elif least >= 0 and most < 1 << _WIDTHS[-1]:
        low, high = 0.0, float((1 << next(width for width in _WIDTHS if most < 1 << width)) - 1)
    else:
        low, high = least, most
    return stretch(values, low, high)


def stretch(values: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    """Map low..high to 0..255 in equal steps; what lies outside is black or white.

    Args:
        values: any shape.
        low: what becomes black.
        high: what becomes white; below `low` where dark and light are exchanged.

    Returns:
        The same shape; all black where low and high are the same.
    """
    if low == high:
        return np.zeros(values.shape, np.uint8)
    # Halved, so that the widest range of a double does not overflow.
    span = high / 2 - low / 2
    return shade(values, lambda block: (block / 2 - low / 2) / span)


def shade(
    values: NDArray[Any], share: Callable[[NDArray[np.float64]], NDArray[np.float64]]
) -> NDArray[np.uint8]:
    """Map values to shares of white, a block at a time: doubles of a large picture take much memory.

    Args:
        values: any shape.
        share: from values to 0..1; outside is clipped, and what is no number is black.

    Returns:
        The same shape.
    """
    flat = np.ascontiguousarray(values).ravel()
    made = np.empty(flat.shape, np.uint8)
    with np.errstate(all="ignore"):
        for start in range(0, len(flat), _BLOCK):
            shares = np.nan_to_num(share(flat[start : start + _BLOCK].astype(np.float64)))
            made[start : start + _BLOCK] = np.rint(np.clip(shares, 0, 1) * 255)
    return made.reshape(values.shape)
