"""Pictures of kept sounds and images: as they are, and with what speaks in them drawn over."""

from typing import Final

import numpy as np

from galeno.media.image import read_image
from galeno.media.picture import highest_shown, image_png, overlay, spectrogram_png
from galeno.media.sound import read_sound
from galeno.model.relevance import Relevance, over_spectrogram
from galeno.service.media_intake import HeldFile

SIDE: Final = 512
"""Pixels of a picture's longer side, of an image."""
LEAST: Final = 0.05
"""Change of a probability that is drawn in full colour at least; else noise would look like a finding."""
_ROWS: Final = 256


def draw_file(held: HeldFile, data: bytes) -> bytes:
    """The picture of a clean file, as PNG: an image, or the spectrogram of a sound."""
    if held.kind == "image":
        return image_png(read_image(data), SIDE)
    return spectrogram_png(read_sound(data))


def draw_relevance(relevance: Relevance, held: HeldFile, data: bytes) -> bytes:
    """`draw_file` with the relevance drawn over: warm where it speaks for the condition, cool against.

    Args:
        relevance: of the file.
        held: what it is.
        data: the clean file.

    Returns:
        PNG. The colour is full at the greatest change of the probability, or at LEAST where all are smaller.
    """
    most = max(LEAST, float(np.abs(relevance.values).max(initial=0)))
    if held.kind == "image":
        return overlay(draw_file(held, data), relevance.values / most)
    sound = read_sound(data)
    return overlay(spectrogram_png(sound), over_spectrogram(relevance, highest_shown(sound), _ROWS) / most)
