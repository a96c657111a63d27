"""Pictures of sounds, images and of what spoke for an answer, for reports and pages."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image as pillow  # noqa: N813 - so that it is not taken for galeno's Image

from galeno.media.image import Image
from galeno.media.sound import Sound

HIGHEST_SHOWN = 2000.0
"""Hz; lung sounds have nothing above (Sovijärvi et al., European Respiratory Review 10:77, 2000)."""
FOR_COLOUR = (213, 94, 0)
AGAINST_COLOUR = (0, 114, 178)
"""Vermilion and blue, which the colour-blind tell apart (Okabe and Ito, 2008)."""
_WINDOW_SECONDS = 0.05
_RANGE = 70.0
_VIRIDIS = (
    (68, 1, 84),
    (71, 45, 123),
    (59, 82, 139),
    (44, 114, 142),
    (33, 145, 140),
    (40, 174, 128),
    (94, 201, 98),
    (173, 220, 48),
    (253, 231, 37),
)


def spectrogram_png(sound: Sound, height: int = 256, width: int = 768) -> bytes:
    """The power of a sound over time and frequency, in decibels.

    Time goes from left to right over the whole sound, frequency linearly from 0 at the bottom to
    `highest_shown` at the top. Yellow is the loudest, dark blue is 70 dB below or less.

    Args:
        sound: the sound.
        height: pixels.
        width: pixels.

    Returns:
        PNG, colour, without text.
    """
    from scipy import signal  # takes a while, and most commands draw nothing

    window = min(len(sound.samples), max(16, 2 * round(sound.rate * _WINDOW_SECONDS / 2)))
    frequencies, _, power = signal.spectrogram(
        sound.samples,
        sound.rate,
        window=signal.get_window("hann", window),
        noverlap=window // 2,
        detrend="constant",
        mode="psd",
    )
    shown = power[frequencies <= highest_shown(sound)][::-1]
    level = 10 * np.log10(shown.astype(np.float64) + 1e-20)
    top = float(np.quantile(level, 0.999))
    shares = np.clip((level - top + _RANGE) / _RANGE, 0, 1).astype(np.float32)
    return _png(_colours(_resized(shares, height, width)))


def highest_shown(sound: Sound) -> float:
    """Frequency in Hz at the top of `spectrogram_png`."""
    return min(HIGHEST_SHOWN, sound.rate / 2)


def image_png(image: Image, side: int) -> bytes:
    """An image with its longer side of so many pixels.

    Args:
        image: the image.
        side: pixels; an image that is smaller shows its own pixels as squares.

    Returns:
        PNG, grey or colour.
    """
    height, width = image.pixels.shape[:2]
    longest = max(height, width)
    size = max(1, round(width * side / longest)), max(1, round(height * side / longest))
    how = pillow.Resampling.NEAREST if side > longest else pillow.Resampling.BOX
    return _png(np.asarray(pillow.fromarray(image.pixels).resize(size, how)))


def overlay(
    picture: bytes | NDArray[np.uint8], relevance: NDArray[np.floating], opacity: float = 0.65
) -> bytes:
    """A picture, turned grey, with relevance in colour over it: on colours it would not be seen.

    Args:
        picture: PNG made here, or pixels of shape (height, width) or (height, width, 3).
        relevance: shape (rows, columns), over the whole picture, row 0 at its top; 1 speaks most for the
            answer, -1 most against it. What lies outside is clipped, what is no number is 0.
        opacity: of the colour at 1 and -1; 0 is transparent.

    Returns:
        PNG, colour, in the size of the picture: warm for, cool against.
    """
    if isinstance(picture, bytes):
        with pillow.open(io.BytesIO(picture), formats=("PNG",)) as opened:
            grey = np.asarray(opened.convert("L"))
    else:
        grey = np.asarray(pillow.fromarray(picture).convert("L"))
    height, width = grey.shape
    wanted = np.clip(np.nan_to_num(relevance), -1, 1).astype(np.float32)
    share = _resized(wanted, height, width)[:, :, None]
    colour = np.where(share > 0, np.array(FOR_COLOUR), np.array(AGAINST_COLOUR))
    alpha = np.abs(share) * opacity
    return _png(np.rint(grey[:, :, None] * (1 - alpha) + colour * alpha).astype(np.uint8))


def _resized(values: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """Values on another grid: area averages where it is coarser, straight lines where it is finer."""
    return np.asarray(pillow.fromarray(values).resize((width, height), pillow.Resampling.BILINEAR))


def _colours(shares: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Shares in 0..1 as colours from dark blue to yellow."""
    anchors = np.linspace(0, 1, len(_VIRIDIS))
    channels = [np.interp(shares, anchors, [colour[k] for colour in _VIRIDIS]) for k in range(3)]
    return np.rint(np.stack(channels, axis=2)).astype(np.uint8)


def _png(pixels: NDArray[np.uint8]) -> bytes:
    made = io.BytesIO()
    pillow.fromarray(pixels).save(made, "PNG", compress_level=6)
    return made.getvalue()
