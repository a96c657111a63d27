"""Sounds and images that the tests of describer, encoder and fusion share."""

import numpy as np
import polars as pl

from galeno.media.image import make_image, write_image
from galeno.media.sound import Sound, write_sound
from galeno.records import PATIENT
from galeno.study import Study

CLASSES = ("low", "high")


def make_media_study(**features: object) -> Study:
    """A sound, an image, a text and a number, and two classes."""
    return Study.model_validate(
        {
            "name": "media",
            "records": {"source": "media.csv", "target": "class", "patient": "who"},
            "classes": [{"name": name} for name in CLASSES],
            "columns": {
                "age": {"type": "number"},
                "breath": {"type": "sound"},
                "film": {"type": "image"},
            },
            "features": features,
        }
    )


def make_tone(frequency: float, seed: int, seconds: float = 1.5) -> bytes:
    """The content of a tone in noise."""
    rng = np.random.default_rng(seed)
    times = np.arange(int(4000 * seconds)) / 4000
    wave = 0.3 * np.sin(2 * np.pi * frequency * times) + 0.05 * rng.normal(size=len(times))
    return write_sound(Sound(wave.astype(np.float32), 4000))


def make_square(bright: bool, seed: int, *, colour: bool = False) -> bytes:
    """The content of an image with a square in noise, bright or dark."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(90, 140, (28, 28)).astype(np.uint8)
    top, left = rng.integers(4, 12, 2)
    pixels[top : top + 10, left : left + 10] += 90 if bright else 0
    if colour:
        pixels = np.stack([pixels, pixels // 2, 255 - pixels], axis=2)
    return write_image(make_image(pixels))


def make_media_rows(count: int, seed: int, *, missing: float = 0.25) -> tuple[pl.DataFrame, np.ndarray]:
    """Typed rows, some without sound or image, and their class indices."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    rows = []
    for row, label in enumerate(labels):
        rows.append(
            {
                "age": float(rng.normal(50 + 5 * label, 10)),
                "breath": None if rng.random() < missing else make_tone(200 + 500 * label, seed + row),
                "film": None if rng.random() < missing else make_square(bool(label), seed + row),
                PATIENT: f"p{row // 2}",
            }
        )
    schema = {"age": pl.Float64, "breath": pl.Binary, "film": pl.Binary, PATIENT: pl.String}
    return pl.DataFrame(rows, schema=schema), labels.astype(np.int64)
