"""Bounds of files, looked at before anything is decoded."""

from dataclasses import dataclass

LARGEST = 64 << 20
"""Bytes of a file."""
LARGEST_SENT = 32 << 20
"""Bytes of a file that comes over the wire."""


@dataclass(frozen=True, slots=True)
class SoundLimits:
    """Bounds of a sound.

    Args:
        bytes: of the file.
        seconds: longest sound; above 48 kHz the bound is as many samples as it is at 48 kHz.
        shortest: seconds of the shortest sound.
        clipped: share of samples that may lie in runs of three or more at the very top or bottom.
        silent: a sound that never departs this far from its mean is silent (1 is full scale).
    """

    bytes: int = LARGEST
    seconds: float = 600.0
    shortest: float = 0.5
    clipped: float = 0.05
    silent: float = 1e-4


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """Bounds of an image.

    Args:
        bytes: of the file.
        pixels: of one picture of it, before it is shrunk.
    """

    bytes: int = LARGEST
    pixels: int = 40_000_000
