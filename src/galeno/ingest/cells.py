"""Simulated pictures of single stained cells, 32 by 32 pixels, of nobody's body.

A cell is a soft outline of cytoplasm with one nucleus or several lobes, chromatin of some grain, a nucleolus,
granules; stain, focus, light and what lies beside it differ from slide to slide. What sets the kinds apart
(nucleus to cytoplasm, outline, darkness and grain of the chromatin, lobes, granules) is what cytology looks
at; the numbers were chosen by hand so that kinds overlap.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import PIL.Image
from numpy.typing import NDArray

SIDE = 32
"""Pixels."""

_Floats = NDArray[np.float64]

_Y, _X = (axis - (SIDE - 1) / 2 for axis in np.mgrid[0:SIDE, 0:SIDE].astype(np.float64))
_GROUND = np.array([232.0, 226.0, 234.0])
_CHROMATIN = np.array([92.0, 62.0, 142.0])
_EDGE = 1.6
"""Pixels over which an outline fades at good focus."""


@dataclass(frozen=True, slots=True)
class Look:
    """How a kind of cell looks, on average.

    Attributes:
        size: radius of the cell, pixels.
        nucleus: radius of the nucleus, as a share of the cell's.
        round: shorter axis of the nucleus beside the longer, 1 for a circle.
        ragged: how far the outline of the nucleus strays, as a share of its radius.
        dark: how much of the stain the chromatin takes, 0 to 1.
        grain: contrast of the chromatin's clumps.
        nucleolus: chance that one shows.
        lobes: of the nucleus.
        granules: mean number.
        cytoplasm: colour, red, green and blue, 0 to 255.
        granule: colour of a granule.
    """

    size: float
    nucleus: float
    round: float = 0.88
    ragged: float = 0.03
    dark: float = 0.6
    grain: float = 0.1
    nucleolus: float = 0.1
    lobes: int = 1
    granules: float = 0.0
    cytoplasm: tuple[float, float, float] = (196.0, 190.0, 220.0)
    granule: tuple[float, float, float] = (160.0, 110.0, 160.0)


SMEARS: Mapping[str, Look] = {
    "normal": Look(12.5, 0.38, 0.88, 0.03, 0.55, 0.08, 0.08),
    "dysplastic": Look(12.0, 0.5, 0.82, 0.07, 0.66, 0.14, 0.2),
    "malignant": Look(11.5, 0.61, 0.74, 0.12, 0.74, 0.21, 0.5),
}
"""Classes of `cohort:images`."""

LEUKOCYTES: Mapping[str, Look] = {
    "lymphocyte": Look(8.5, 0.76, 0.9, 0.03, 0.75, 0.1, 0.05, cytoplasm=(170, 185, 225)),
    "neutrophil": Look(
        10.5, 0.6, 0.85, 0.05, 0.72, 0.12, 0.0, 3, 9, cytoplasm=(226, 200, 215), granule=(190, 150, 190)
    ),
    "eosinophil": Look(
        11.0, 0.58, 0.85, 0.05, 0.68, 0.12, 0.0, 2, 22, cytoplasm=(230, 195, 190), granule=(214, 100, 80)
    ),
}
"""What a smear of `cohort:everything` shows."""


def draw_cell(look: Look, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A picture of one cell of a kind.

    Args:
        look: averages of the kind.
        rng: source of chance.

    Returns:
        shape (`SIDE`, `SIDE`, 3), red, green and blue.
    """
    size = look.size * float(np.exp(rng.normal(0, 0.1)))
    focus = _EDGE * float(np.exp(rng.normal(0, 0.25)))
    middle = rng.normal(0, 1.2, 2)
    picture = np.tile(_GROUND, (SIDE, SIDE, 1))
    _beside(picture, focus, rng)
    shade = np.array(look.cytoplasm) + rng.normal(0, 7, 3)
    body = _outline(_Blob(middle, size, float(np.clip(rng.normal(0.9, 0.06), 0.7, 1)), 0.06), focus, rng)
    _paint(picture, rng.uniform(0.75, 0.95) * body, shade)
    _granulate(picture, look, middle, size, rng)
    nucleus = _nucleus(look, middle, size, focus, rng)
    dark = np.clip(rng.normal(look.dark, 0.09), 0.3, 0.95)
    clumps = _clumps(rng) * look.grain * np.exp(rng.normal(0, 0.35))
    _paint(picture, nucleus * np.clip(dark * (1 + clumps), 0, 1), _CHROMATIN + rng.normal(0, 8, 3))
    if rng.random() < look.nucleolus:
        spot = _outline(_Blob(middle + rng.normal(0, 1.2, 2), rng.uniform(1.0, 1.8)), focus, rng)
        _paint(picture, 0.7 * spot * nucleus, np.array([62.0, 30.0, 92.0]))
    light = np.exp(rng.normal(0, 0.05)) * np.exp(rng.normal(0, 0.025, 3))
    tilt = 1 + rng.normal(0, 0.03) * _X / SIDE + rng.normal(0, 0.03) * _Y / SIDE
    picture = picture * light * tilt[..., None] + rng.normal(0, 4, picture.shape)
    return np.asarray(np.clip(np.rint(picture), 0, 255), dtype=np.uint8)


def write_png(pixels: NDArray[np.uint8]) -> bytes:
    """Pixels, shape (height, width, 3), as a PNG file; the same pixels give the same bytes."""
    file = io.BytesIO()
    PIL.Image.fromarray(pixels).save(file, "PNG", compress_level=6)
    return file.getvalue()


@dataclass(frozen=True, slots=True)
class _Blob:
    """An ellipse of any direction whose border strays.

    Attributes:
        middle: right and down of the picture's middle, pixels, shape (2,).
        radius: pixels.
        ratio: shorter axis beside the longer.
        ragged: how far the border strays, as a share of the radius.
    """

    middle: _Floats
    radius: float
    ratio: float = 0.95
    ragged: float = 0.0


def _outline(blob: _Blob, focus: float, rng: np.random.Generator) -> _Floats:
    """1 inside, 0 outside, fading over `focus` pixels; shape (`SIDE`, `SIDE`)."""
    turn = rng.uniform(0, np.pi)
    across, down = _X - blob.middle[0], _Y - blob.middle[1]
    long = (np.cos(turn) * across + np.sin(turn) * down) * np.sqrt(blob.ratio)
    short = (np.cos(turn) * down - np.sin(turn) * across) / np.sqrt(blob.ratio)
    angle = np.arctan2(short, long)
    waves = sum(rng.normal(0, 1.5 / n) * np.cos(n * angle + rng.uniform(0, 2 * np.pi)) for n in (2, 3, 4, 5))
    border = blob.radius * (1 + blob.ragged * waves)
    return np.asarray(1 / (1 + np.exp(4 * (np.hypot(long, short) - border) / focus)), dtype=np.float64)


def _nucleus(look: Look, middle: _Floats, size: float, focus: float, rng: np.random.Generator) -> _Floats:
    """One blob, or lobes around the middle of the cell that together have about its area."""
    radius = size * float(np.clip(look.nucleus * np.exp(rng.normal(0, 0.13)), 0.2, 0.92))
    ratio = float(np.clip(rng.normal(look.round, 0.08), 0.45, 1))
    ragged = look.ragged * float(np.exp(rng.normal(0, 0.4)))
    if look.lobes == 1:
        return _outline(_Blob(middle + rng.normal(0, 0.08 * size, 2), radius, ratio, ragged), focus, rng)
    # one may lie on another, or be cut in two: neighbouring numbers of lobes are common
    lobes = max(1, look.lobes + int(rng.choice([-1, 0, 1], p=[0.2, 0.6, 0.2])))
    start = rng.uniform(0, 2 * np.pi)
    whole = np.zeros((SIDE, SIDE))
    for lobe in range(lobes):
        angle = start + 4.6 * lobe / lobes + rng.normal(0, 0.2)
        place = middle + 0.62 * radius * np.array([np.cos(angle), np.sin(angle)])
        whole = np.maximum(whole, _outline(_Blob(place, radius / lobes**0.55, ratio, ragged), focus, rng))
    return whole


def _clumps(rng: np.random.Generator) -> _Floats:
    """Grain of the chromatin: noise of mean 0 and standard deviation 1, smooth over about two pixels."""
    values = rng.standard_normal((SIDE, SIDE))
    values = values + np.roll(values, 1, 0) + np.roll(values, 1, 1) + np.roll(values, (1, 1), (0, 1))
    return np.asarray(values / values.std(), dtype=np.float64)


def _granulate(picture: _Floats, look: Look, middle: _Floats, size: float, rng: np.random.Generator) -> None:
    count = rng.poisson(look.granules * np.exp(rng.normal(0, 0.3)))
    angle = rng.uniform(0, 2 * np.pi, count)
    away = 0.85 * size * np.sqrt(rng.random(count))
    tone = np.array(look.granule) + rng.normal(0, 12, 3)
    for across, down in zip(middle[0] + away * np.cos(angle), middle[1] + away * np.sin(angle), strict=True):
        _paint(picture, 0.75 * np.exp(-((_X - across) ** 2 + (_Y - down) ** 2) / 0.9), tone)


def _beside(picture: _Floats, focus: float, rng: np.random.Generator) -> None:
    """A pale neighbour at the border of the picture, in half of them."""
    if rng.random() < 0.5:
        angle = rng.uniform(0, 2 * np.pi)
        place = 20.0 * np.array([np.cos(angle), np.sin(angle)])
        blob = _outline(_Blob(place, rng.uniform(5, 9), 0.9, 0.04), 1.5 * focus, rng)
        _paint(picture, 0.6 * blob, np.array([228.0, 172.0, 178.0]) + rng.normal(0, 8, 3))


def _paint(picture: _Floats, cover: _Floats, colour: _Floats) -> None:
    picture += cover[..., None] * (colour - picture)
