import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galeno.features.gradients import GRIDS, ORIENTATIONS
from galeno.features.image import (
    SIZES,
    describe_image,
    describe_images,
    image_blocks,
    image_names,
    thumbnail,
)
from galeno.features.patterns import RADII, REGIONS

Pictures = list[np.ndarray]


def picture(seed: int, *shape: int, low: int = 0, high: int = 256) -> np.ndarray:
    """Noise on a slope, so that there are both edges and textures."""
    rng = np.random.default_rng(seed)
    slope = np.linspace(0, 1, shape[1])[:, None] if len(shape) == 3 else np.linspace(0, 1, shape[1])
    mixed = 0.5 * slope + 0.5 * rng.random(shape)
    return (low + mixed * (high - low - 1)).astype(np.uint8)


@st.composite
def pictures(draw: Any) -> Pictures:
    shapes = st.tuples(st.integers(1, 70), st.integers(1, 70), st.booleans(), st.integers(0, 2**32 - 1))
    return [
        picture(seed, height, width, *([3] if colour else []))
        for height, width, colour, seed in draw(st.lists(shapes, min_size=1, max_size=6))
    ]


def part(row: np.ndarray, name: str, size: int = 28) -> np.ndarray:
    """The numbers of one kind."""
    start = 0
    for kind, count in image_blocks(size):
        if kind == name:
            return row[..., start : start + count]
        start += count
    raise KeyError(name)


def bits(values: np.ndarray) -> bytes:
    return np.ascontiguousarray(values).tobytes()


@settings(max_examples=25, deadline=None)
@given(pictures(), st.sampled_from(SIZES))
def test_a_batch_gives_the_bits_of_each_picture_alone(given: Pictures, size: int) -> None:
    together = describe_images(given, size)
    assert together.shape == (len(given), len(image_names(size)))
    assert together.dtype == np.float32
    assert np.isfinite(together).all()
    assert np.abs(together).max() < 10
    assert bits(together) == bits(np.stack([describe_image(each, size) for each in given]))


@pytest.mark.parametrize("size", SIZES)
def test_place_in_a_long_batch_changes_no_bit(size: int) -> None:
    given = [picture(seed, size, size) for seed in range(150)]
    together = describe_images(given, size)
    for count, start in ((1, 149), (2, 63), (65, 60), (149, 1)):
        assert bits(describe_images(given[start : start + count], size)) == bits(
            together[start : start + count]
        )


@pytest.mark.parametrize("size", SIZES)
def test_every_number_has_a_name_of_its_own(size: int) -> None:
    assert [kind for kind, _ in image_blocks(size)] == ["pixels", "gradients", "patterns", "colour"]
    assert image_blocks(size)[0][1] == size * size
    assert sum(count for _, count in image_blocks(size)) == len(image_names(size))
    assert len(set(image_names(size))) == len(image_names(size))


def test_no_pictures_give_no_rows() -> None:
    assert describe_images([], 28).shape == (0, len(image_names(28)))


@given(st.integers(0, 2**32 - 1), st.integers(-60, 60))
@settings(max_examples=25, deadline=None)
def test_brightness_changes_nothing(seed: int, brighter: int) -> None:
    plain = picture(seed, 28, 28, low=60, high=190)
    assert bits(describe_image((plain + np.int16(brighter)).astype(np.uint8), 28)) == bits(
        describe_image(plain, 28)
    )


@given(st.integers(0, 2**32 - 1), st.integers(2, 5))
@settings(max_examples=25, deadline=None)
def test_contrast_changes_next_to_nothing(seed: int, times: int) -> None:
    plain = picture(seed, 28, 28, high=50)
    soft, hard = describe_image(plain, 28), describe_image(plain * np.uint8(times), 28)
    assert bits(part(soft, "pixels")) == bits(part(hard, "pixels"))
    assert bits(part(soft, "patterns")) == bits(part(hard, "patterns"))
    assert np.allclose(soft, hard, atol=1e-5)


def test_pixels_keep_only_the_order_of_the_intensities() -> None:
    plain = picture(0, 28, 28, high=120)
    curve = np.concatenate([[0], np.cumsum(np.random.default_rng(1).integers(1, 3, 119))]).astype(np.uint8)
    assert bits(part(describe_image(plain, 28), "pixels")) == bits(
        part(describe_image(curve[plain], 28), "pixels")
    )
    half = np.zeros((28, 28), np.uint8)
    half[:, 14:] = 9
    assert np.array_equal(part(describe_image(half, 28), "pixels"), np.where(half.ravel(), 0.5, -0.5))


@pytest.mark.parametrize("turn", range(ORIENTATIONS))
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("size", [28, 64])
def test_a_turned_edge_goes_to_its_orientation(turn: int, sign: int, size: int) -> None:
    angle = math.pi * turn / ORIENTATIONS
    line = np.arange(size) - (size - 1) / 2
    across = line[None, :] * math.cos(angle) + line[:, None] * math.sin(angle)
    edge = (128 + 100 * np.tanh(sign * across)).astype(np.uint8)
    gradients = part(describe_image(edge, size), "gradients", size)
    start = 0
    for grid in GRIDS:
        count = 4 * ORIENTATIONS * (grid - 1) ** 2
        by_turn = gradients[start : start + count].reshape(4, ORIENTATIONS, -1).sum(axis=(0, 2))
        assert by_turn.argmax() == turn
        assert by_turn[turn] > 1.2 * np.delete(by_turn, turn).max()
        start += count


@pytest.mark.parametrize("upright", [True, False])
def test_names_of_gradients_say_where_the_edge_is(upright: bool) -> None:
    edge = np.full((28, 28), 50, np.uint8)
    edge[:, 4:] = 200
    row = describe_image(edge if upright else edge.T, 28)
    fine = part(row, "gradients")[: 4 * ORIENTATIONS * (GRIDS[0] - 1) ** 2]
    strong = [image_names(28)[784 + k] for k in np.flatnonzero(fine > 0.9 * fine.max())]
    assert len(strong) >= 6
    for name in strong:
        turn, place = name.removeprefix("edges ").split(" of ")[0].split(" deg, cell ")
        down, right = map(int, place.split("."))
        assert turn == ("0" if upright else "90")
        assert (right if upright else down) <= 1


def test_an_even_picture_has_no_edges_and_one_pattern() -> None:
    row = describe_image(np.full((28, 28), 77, np.uint8), 28)
    assert not part(row, "pixels").any()
    assert not part(row, "gradients").any()
    patterns = part(row, "patterns").reshape(len(RADII), REGIONS**2, -1)
    assert (patterns[:, :, 8] == 1).all()
    assert patterns.sum() == len(RADII) * REGIONS**2


def test_a_slope_has_five_neighbours_that_are_not_darker() -> None:
    slope = np.tile(np.arange(28, dtype=np.uint8) * 9, (28, 1))
    for turned in (slope, slope[:, ::-1], slope.T, slope.T[::-1]):
        patterns = part(describe_image(turned, 28), "patterns").reshape(len(RADII), REGIONS**2, -1)
        assert (patterns[:, :, 5] == 1).all()


def test_a_dot_and_a_hole_are_told_apart() -> None:
    dot = np.full((28, 28), 20, np.uint8)
    dot[3, 24] = 250
    names = image_names(28)
    at = names.index("pattern r2 0 bright, region 0.3")
    assert describe_image(dot, 28)[at] > 0
    assert describe_image(255 - dot, 28)[at] == 0


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(SIZES))
def test_patterns_of_a_region_share_its_pixels(seed: int, size: int) -> None:
    patterns = part(describe_image(picture(seed, size, size), size), "patterns", size)
    shares = (patterns.astype(np.float64) ** 2).reshape(len(RADII), REGIONS**2, -1).sum(axis=2)
    assert np.allclose(shares, 1, atol=1e-6)


def test_grey_has_no_colour_however_it_is_stored() -> None:
    grey = picture(3, 28, 28)
    row = describe_image(grey, 28)
    assert not part(row, "colour").any()
    assert bits(describe_image(np.repeat(grey[:, :, None], 3, axis=2), 28)) == bits(row)


def test_colours_tell_apart_what_greys_do_not() -> None:
    grey = np.full((28, 28, 3), 100, np.uint8)
    purple, green = grey.copy(), grey.copy()
    purple[:], green[:] = (150, 60, 174), (50, 140, 26)  # nearly the same luma
    made = describe_images([purple, green], 28)
    assert np.array_equal(part(made[0], "pixels"), part(made[1], "pixels"))
    assert np.abs(part(made[0], "colour") - part(made[1], "colour")).max() > 0.3
    names = image_names(28)
    assert made[0, names.index("red, region 2.1")] == np.float32(150 / 255)
    assert made[1, names.index("share of red 0, green 2, blue 0")] == 1
    assert made[1, names.index("spread of green")] == 0


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 90), st.integers(1, 90), st.sampled_from(SIZES), st.booleans(), st.integers(0, 99))
def test_thumbnail_stays_within_the_picture(
    height: int, width: int, size: int, colour: bool, seed: int
) -> None:
    plain = picture(seed, height, width, *([3] if colour else []))
    small = thumbnail(plain, size)
    assert small.shape == (size, size, *plain.shape[2:])
    assert small.dtype == np.uint8
    assert plain.min() <= small.min() <= small.max() <= plain.max()
    assert np.array_equal(thumbnail(np.swapaxes(plain, 0, 1), size), np.swapaxes(small, 0, 1))


def test_thumbnail_of_its_own_size_is_the_picture() -> None:
    plain = picture(0, 32, 32)
    assert thumbnail(plain, 32) is plain


@pytest.mark.parametrize("times", [2, 3, 7])
def test_thumbnail_averages_whole_pixels(times: int) -> None:
    plain = picture(times, 28 * times, 28 * times)
    exact = plain.reshape(28, times, 28, times).mean(axis=(1, 3))
    assert np.abs(thumbnail(plain, 28) - exact).max() <= 0.5 + 1e-9
    small = picture(1, 16, 16)
    assert np.array_equal(thumbnail(small, 64), np.kron(small, np.ones((4, 4), np.uint8)))


def test_thumbnail_averages_parts_of_pixels() -> None:
    plain = picture(5, 45, 45)
    fine = np.kron(plain.astype(np.float64), np.ones((28, 28)))
    exact = fine.reshape(28, 45, 28, 45).mean(axis=(1, 3))
    assert np.abs(thumbnail(plain, 28) - exact).max() <= 0.5 + 1e-9


def test_thumbnail_keeps_the_aspect() -> None:
    wide = picture(2, 30, 60)
    small = thumbnail(wide, 32)
    assert np.array_equal(small[8:24], thumbnail(np.pad(wide, ((15, 15), (0, 0))), 32)[8:24])
    assert (small[:8] == small[8]).all()
    assert (small[24:] == small[23]).all()


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((28, 28)),
        np.zeros(28, np.uint8),
        np.zeros((28, 28, 4), np.uint8),
        np.zeros((0, 28), np.uint8),
        np.zeros((2, 28, 28, 3), np.uint8),
    ],
    ids=["floats", "line", "four channels", "empty", "several"],
)
def test_what_is_no_picture_is_refused(bad: np.ndarray) -> None:
    with pytest.raises(ValueError, match="a picture is uint8"):
        describe_image(bad, 28)


def test_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="size is one of"):
        describe_image(picture(0, 28, 28), 20)
