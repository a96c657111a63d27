"""Simulated cells: pictures of one size, whose kinds differ in what cytology looks at."""

import io

import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from galeno.ingest.cells import LEUKOCYTES, SIDE, SMEARS, draw_cell, write_png

KINDS = SMEARS | LEUKOCYTES


def draw(name: str, n: int = 60) -> NDArray[np.float64]:
    rng = np.random.default_rng(5)
    return np.array([draw_cell(KINDS[name], rng) for _ in range(n)], dtype=np.float64)


def dark_area(pictures: NDArray[np.float64]) -> float:
    """Median share of pixels that are much darker than the brightest of the picture: the nucleus."""
    grey = pictures.mean(axis=3)
    return float(np.median((grey < 0.7 * grey.max(axis=(1, 2), keepdims=True)).mean(axis=(1, 2))))


def redness(pictures: NDArray[np.float64]) -> float:
    """Median share of pixels where red is far above blue: granules of an eosinophil."""
    return float(np.median((pictures[..., 0] - pictures[..., 2] > 40).mean(axis=(1, 2))))


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(sorted(KINDS)), st.integers(0, 10_000))
def test_any_picture_can_be_opened(name: str, seed: int) -> None:
    pixels = draw_cell(KINDS[name], np.random.default_rng(seed))
    file = write_png(pixels)
    with PIL.Image.open(io.BytesIO(file)) as picture:
        assert (picture.format, picture.mode, picture.size) == ("PNG", "RGB", (SIDE, SIDE))
        assert picture.info == {}
        assert np.array_equal(np.asarray(picture), pixels)
    assert pixels.std() > 5  # something is in it
    assert file == write_png(draw_cell(KINDS[name], np.random.default_rng(seed)))


def test_the_nucleus_grows_with_the_disease() -> None:
    normal, dysplastic, malignant = (dark_area(draw(name)) for name in SMEARS)
    assert 0 < normal < dysplastic < malignant < 0.6


@pytest.mark.parametrize("other", ["lymphocyte", "neutrophil"])
def test_eosinophils_have_red_granules(other: str) -> None:
    assert redness(draw("eosinophil")) > redness(draw(other)) + 0.01


def test_kinds_overlap() -> None:
    """The darkest normal cells have more nucleus than the palest malignant ones: no figure alone decides."""
    areas = {
        name: [dark_area(picture[None]) for picture in draw(name, 100)] for name in ("normal", "malignant")
    }
    assert np.quantile(areas["normal"], 0.95) > np.quantile(areas["malignant"], 0.1)
