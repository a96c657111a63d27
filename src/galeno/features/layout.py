"""How the description of a sound, an image or a text is laid out: one row of numbers, in stretches."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import prod

import numpy as np
from numpy.typing import NDArray

from galeno.features.audio import log_mel, sound_blocks
from galeno.features.image import image_blocks, thumbnail
from galeno.recipes import AudioFeatures, ImageFeatures

Shape = tuple[int, ...]
SOUND_TENSOR: Shape = (8, 64, 96)
"""What a network sees of a sound: windows, mel bands, frames."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Numbers of one kind within a description."""

    name: str
    start: int
    stop: int
    tensor: Shape = ()
    """Shape of what a network takes; empty for numbers that mean something one by one."""


@cache
def sound_layout(recipe: AudioFeatures) -> tuple[Stretch, ...]:
    """Of a sound."""
    tensors = [("windows", SOUND_TENSOR)] if recipe.network != "none" else []
    return _lay_out(sound_blocks(), tensors)


@cache
def image_layout(recipe: ImageFeatures, embedding: int = 0) -> tuple[Stretch, ...]:
    """Of an image.

    Args:
        recipe: of the study.
        embedding: numbers that the backbone gives.
    """
    blocks = [*image_blocks(recipe.size), *([("backbone", embedding)] if embedding else [])]
    tensors: list[tuple[str, Shape]] = []
    if recipe.network != "none":
        tensors.append(("thumbnail", (3, recipe.size, recipe.size)))
    if recipe.backbone and recipe.fine_tune:
        tensors.append(("picture", (3, recipe.backbone_size, recipe.backbone_size)))
    return _lay_out(blocks, tensors)


def text_layout(embedding: int) -> tuple[Stretch, ...]:
    """Of a text."""
    return (Stretch("sentence", 0, embedding),)


def sound_tensor(samples: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    """Windows of the log-mel picture, evenly spread, shape SOUND_TENSOR; a short sound is repeated."""
    count, _, width = SOUND_TENSOR
    picture = log_mel(samples, rate)
    frames = picture.shape[1]
    if frames < width:
        picture = np.tile(picture, (1, -(-width // frames)))
        frames = picture.shape[1]
    starts = np.linspace(0, frames - width, count).round().astype(int)
    return np.stack([picture[:, start : start + width] for start in starts]).astype(np.float32)


def image_tensor(pixels: NDArray[np.uint8], size: int) -> NDArray[np.float32]:
    """Red, green and blue from 0 to 1, shape (3, size, size); of a grey image all the same."""
    small = thumbnail(pixels, size)
    if small.ndim == 2:
        small = np.repeat(small[:, :, np.newaxis], 3, axis=2)
    return np.ascontiguousarray(small.transpose(2, 0, 1), np.float32) / np.float32(255)


def _lay_out(blocks: Sequence[tuple[str, int]], tensors: Sequence[tuple[str, Shape]]) -> tuple[Stretch, ...]:
    stretches = []
    at = 0
    for name, count in blocks:
        stretches.append(Stretch(name, at, at + count))
        at += count
    for name, shape in tensors:
        stretches.append(Stretch(name, at, at + prod(shape), shape))
        at += prod(shape)
    return tuple(stretches)
