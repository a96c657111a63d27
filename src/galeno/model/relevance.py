"""Where a sound or an image speaks for a condition: what becomes of the probability when a part is hidden.

Occlusion (Zeiler and Fergus, Visualizing and understanding convolutional networks, ECCV 2014): part by part
is replaced by what is usual around it, and the same encoders, graphs and calibration answer again. It works
for any encoder, and says what the model looks at; not that this is the cause, nor that the model is right.
Of two parts that say the same, hiding one changes little.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from galeno.errors import InputError, NotFoundError
from galeno.features.encoder import DESCRIPTION
from galeno.media.image import read_image
from galeno.media.sound import Sound, read_sound
from galeno.model.model import Model

GRID = 10
"""Rows and columns of the map of an image; two by two of them are hidden at a time."""
BANDS, SPANS = 6, 10
"""Rows (frequency) and columns (time) of the map of a sound."""
LOWEST, HIGHEST = 60.0, 1900.0
"""Hz that the map of a sound covers."""
SECONDS = 900.0
"""Of sound that are listened to for a map; of a long sound the map is coarser."""
_FRAME = 256
_RATE = 4000
"""Samples a second that are described; what is above `HIGHEST` is not."""
_FINEST = 1000


@dataclass(frozen=True, slots=True, eq=False)
class Relevance:
    """What hiding each part takes from the probability of a condition."""

    column: str
    condition: str
    probability: float
    """Of the condition, with nothing hidden."""
    values: NDArray[np.float64]
    """Probability lost when the part is hidden, -1 to 1, shape (rows, columns); of an image the first row is
    the top one, of a sound the lowest band."""
    row_edges: tuple[float, ...]
    """Of a sound in Hz; of an image in shares of its height."""
    column_edges: tuple[float, ...]
    """Of a sound in seconds; of an image in shares of its width."""


def over_spectrogram(relevance: Relevance, highest: float, height: int) -> NDArray[np.float64]:
    """Relevance of a sound on a spectrogram's own grid: highest frequency first, in equal steps.

    Args:
        relevance: of a sound.
        highest: frequency at the top, in Hz; 0 is at the bottom.
        height: rows.

    Returns:
        shape (height, spans); zero outside the bands.
    """
    middles = highest * (1 - (np.arange(height) + 0.5) / height)
    bands = np.searchsorted(relevance.row_edges, middles, side="right") - 1
    inside = (bands >= 0) & (bands < len(relevance.values))
    rows = relevance.values[np.clip(bands, 0, len(relevance.values) - 1)]
    return np.where(inside[:, np.newaxis], rows, 0.0)


def locate(model: Model, record: Mapping[str, object], column: str, condition: str) -> Relevance:
    """Hide part by part of a sound or an image, and see what the model then answers.

    Args:
        model: what answered.
        record: column to raw value, as in `Model.diagnose`.
        column: of the sound or the image.
        condition: one of the study's.

    Raises:
        InputError: the study has no such condition.
        NotFoundError: the record has no sound or image in this column.
    """
    if condition not in model.classes:
        raise InputError([("condition", "is none of the study's conditions")])
    values, _ = model.contract.answer_record(record)
    content = values.get(column)
    if column not in model.contract.files or not isinstance(content, bytes):
        raise NotFoundError("the record has no sound or image in this column", where=column)
    place = model.classes.index(condition)
    described = model.describer.describe_record(values)

    whole = model.answer_matrix(model.assembler.transform_records([described]))
    probability = float(whole[0, place])

    def ask(descriptions: Iterator[bytes]) -> NDArray[np.float64]:
        """Probability of the condition for each description of the sound or image."""
        records = [{**described, f"{column}{DESCRIPTION}": one} for one in descriptions]
        answers: NDArray[np.float64] = model.answer_matrix(model.assembler.transform_records(records))
        return answers[:, place]

    if model.study.columns[column].type == "image":
        pixels = read_image(content).pixels
        answers = ask(model.describer.describe_image(part) for part in _hide_patches(pixels))
        lost = _spread((probability - answers).reshape(GRID - 1, GRID - 1))
        edges = tuple(np.linspace(0, 1, GRID + 1).tolist())
        return Relevance(column, condition, probability, lost, edges, edges)
    sound = _slower(read_sound(content))
    bands, spans = _parts(sound)
    # Of the sound as its parts are made, so that nothing but what is hidden makes a difference.
    base = ask(iter([model.describer.describe_sound(sound)]))
    answers = ask(model.describer.describe_sound(part) for part in _hide_bands(sound, bands, spans))
    lost = (base - answers).reshape(len(bands) - 1, len(spans) - 1)
    return Relevance(column, condition, probability, lost, bands, spans)


def _hide_patches(pixels: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    """The image with one patch blurred away, patch by patch."""
    height, width = pixels.shape[:2]
    spread = (height / 5, width / 5, *([0] * (pixels.ndim - 2)))
    blurred = ndimage.gaussian_filter(pixels.astype(np.float32), spread).round().astype(np.uint8)
    rows = np.linspace(0, height, GRID + 1).round().astype(int)
    columns = np.linspace(0, width, GRID + 1).round().astype(int)
    for top, bottom in zip(rows[:-2], rows[2:], strict=True):
        for left, right in zip(columns[:-2], columns[2:], strict=True):
            part = pixels.copy()
            part[top:bottom, left:right] = blurred[top:bottom, left:right]
            yield part


def _spread(lost: NDArray[np.float64]) -> NDArray[np.float64]:
    """From patches that overlap to the cells of the grid: the mean of the patches that cover a cell."""
    total, times = np.zeros((GRID, GRID)), np.zeros((GRID, GRID))
    for row in (0, 1):
        for column in (0, 1):
            total[row : row + GRID - 1, column : column + GRID - 1] += lost
            times[row : row + GRID - 1, column : column + GRID - 1] += 1
    return total / times


def _slower(sound: Sound) -> Sound:
    """The sound at the rate that it is described at, or at its own where that is lower."""
    if sound.rate <= _RATE:
        return sound
    from scipy import signal  # takes a second, and most models have no sounds

    ratio = Fraction(_RATE, sound.rate).limit_denominator(_FINEST)
    samples = signal.resample_poly(sound.samples, ratio.numerator, ratio.denominator)
    return Sound(samples.astype(np.float32), _RATE)


def _parts(sound: Sound) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Edges of the bands in Hz, on a scale of pitch, and of the spans in seconds."""
    affordable = max(2.0, SECONDS / max(sound.seconds, 1.0))
    bands = int(np.clip(np.sqrt(affordable * BANDS / SPANS), 1, BANDS))
    spans = int(np.clip(affordable / bands, 2, SPANS))
    highest = min(HIGHEST, sound.rate / 2)
    pitch = np.geomspace(min(LOWEST, highest / 2), highest, bands + 1)
    return tuple(pitch.tolist()), tuple(np.linspace(0, sound.seconds, spans + 1).tolist())


def _hide_bands(sound: Sound, bands: Sequence[float], spans: Sequence[float]) -> Iterator[Sound]:
    """The sound with one band of one span brought to its quiet level, part by part, lowest band first."""
    from scipy import signal

    frame = min(_FRAME, len(sound.samples))
    frequencies, times, waves = signal.stft(sound.samples, sound.rate, nperseg=frame)
    size = np.abs(waves)
    quiet = np.quantile(size, 0.1, axis=1, keepdims=True)
    softer = np.minimum(1.0, quiet / np.maximum(size, 1e-12))
    for low, high in pairwise(bands):
        inside = ((frequencies >= low) & (frequencies < high))[:, np.newaxis]
        for start, end in pairwise(spans):
            part = np.where(inside & ((times >= start) & (times < end)), waves * softer, waves)
            _, samples = signal.istft(part, sound.rate, nperseg=frame)
            yield Sound(samples[: len(sound.samples)].astype(np.float32), sound.rate)
