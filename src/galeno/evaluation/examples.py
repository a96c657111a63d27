"""Examples in a report: a sound or an image, what was answered, and where it speaks, as small pictures.

An example holds nothing of its record but the picture, the conditions and their probabilities.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image as pillow  # noqa: N813 - so that it is not taken for galeno's Image

from galeno.media.content import Kind
from galeno.media.image import read_image
from galeno.media.picture import highest_shown, image_png, overlay, spectrogram_png
from galeno.media.sound import read_sound
from galeno.model.relevance import Relevance, over_spectrogram

Outcome = Literal["right", "wrong", "unsure"]
"""`unsure`: answered with less probability than the study wants, right or not."""

MOST_BYTES: Final = 60_000
"""Of one picture."""
SIDE: Final = 224
"""Pixels of a picture's longer side, of an image."""
HEIGHT, WIDTH = 144, 432
"""Pixels of a spectrogram."""
FULL: Final = 0.05
"""Change of a probability that is drawn in full colour at least; else noise would look like a finding."""
LEAST: Final = 0.005
"""Changes of a probability below it are not told: half a percentage point."""
_COLOURS = (128, 64, 32, 16)


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a sound or an image, and what hiding it does.

    Attributes:
        change: what the probability loses when it is hidden, below zero what it gains.
        rows: from and to; of a sound in Hz, of an image in shares of its height.
        columns: from and to; of a sound in seconds, of an image in shares of its width.
    """

    change: float
    rows: tuple[float, float]
    columns: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Marked:
    """A picture with what speaks for and against a condition drawn over it.

    Attributes:
        condition: what it speaks for or against.
        probability: of the condition, with nothing hidden.
        png: the picture.
        parts: the one that speaks most for it and the one that speaks most against it; without those that
            change less than LEAST.
    """

    condition: str
    probability: float
    png: bytes
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Example:
    """One sound or image of the test part, as the model answered its record.

    Attributes:
        column: that it is a value of.
        kind: sound or image.
        outcome: how it was answered.
        truth: the record's condition.
        answer: the condition named first.
        probability: of the answer.
        extent: of a sound its seconds and the Hz at the top of its picture; of an image its width and height
            in pixels.
        png: its picture, or its spectrogram.
        marked: the same with relevance, for the answer, and for the truth where that is another.
    """

    column: str
    kind: Kind
    outcome: Outcome
    truth: str
    answer: str
    probability: float
    extent: tuple[float, float]
    png: bytes
    marked: tuple[Marked, ...]


@dataclass(frozen=True, slots=True)
class Drawing:
    """A sound or an image as pictures; see `Example` for what they are."""

    extent: tuple[float, float]
    png: bytes
    marked: tuple[Marked, ...]


def draw(kind: Kind, content: bytes, found: Sequence[Relevance]) -> Drawing:
    """A clean content as a picture, and as one more for each relevance.

    Args:
        kind: of the content.
        content: FLAC or PNG, as `media.content` writes it.
        found: its relevance for each condition that is to be shown.

    Returns:
        PNGs of up to 128 colours, without text, below MOST_BYTES each.
    """
    if kind == "image":
        image = read_image(content)
        height, width = image.pixels.shape[:2]
        plain, extent = image_png(image, SIDE), (float(width), float(height))
        grids = [one.values for one in found]
    else:
        sound = read_sound(content)
        plain, extent = spectrogram_png(sound, HEIGHT, WIDTH), (sound.seconds, highest_shown(sound))
        grids = [over_spectrogram(one, highest_shown(sound), HEIGHT) for one in found]
    marked = tuple(
        Marked(one.condition, one.probability, _shrink(overlay(plain, grid / _full(grid))), _parts(one))
        for one, grid in zip(found, grids, strict=True)
    )
    return Drawing(extent, _shrink(plain), marked)


def _full(grid: NDArray[np.float64]) -> float:
    """The change that is drawn in full colour."""
    return max(FULL, float(np.abs(grid).max(initial=0)))


def _parts(relevance: Relevance) -> tuple[Part, ...]:
    """What speaks most for the condition, and what most against it."""
    values, rows, columns = relevance.values, relevance.row_edges, relevance.column_edges
    parts = []
    for sign in (1, -1):
        row, column = np.unravel_index(int(np.argmax(values * sign)), values.shape)
        change = float(values[row, column])
        if change * sign >= LEAST:
            across = (columns[column], columns[column + 1])
            parts.append(Part(change, (rows[row], rows[row + 1]), across))
    return tuple(parts)


def _shrink(png: bytes) -> bytes:
    """The picture with a palette: of fewer colours, and at last of fewer pixels, where it is too large."""
    with pillow.open(io.BytesIO(png), formats=("PNG",)) as opened:
        picture = opened.convert("RGB")
    while True:
        for colours in _COLOURS:
            made = io.BytesIO()
            picture.quantize(colours, dither=pillow.Dither.NONE).save(made, "PNG", optimize=True)
            if made.tell() < MOST_BYTES:
                return made.getvalue()
        picture = picture.resize((max(1, picture.width // 2), max(1, picture.height // 2)))
