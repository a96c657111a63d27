"""Images: every format and mode, what is refused, bounds."""

import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from media_files import image_files, npy_file, npz_file, picture_file, pixels, sound_file
from PIL import Image as pillow  # noqa: N813

from galeno.media.fault import MediaFault
from galeno.media.image import Image, read_image, write_image
from galeno.media.limits import ImageLimits

FILES = image_files()


def fault(file: bytes, limits: ImageLimits | None = None) -> str:
    with pytest.raises(MediaFault) as raised:
        read_image(file, limits or ImageLimits())
    return raised.value.rule


@pytest.mark.parametrize("kind", FILES)
def test_every_format_is_read_and_gives_the_same_image_again(kind: str) -> None:
    image = read_image(FILES[kind])
    assert image.pixels.dtype == np.uint8
    assert image.pixels.shape[:2] == (24, 32)
    again = read_image(write_image(image))
    assert np.array_equal(again.pixels, image.pixels)
    assert write_image(again) == write_image(image)
    assert write_image(again) == write_image(image)


def test_the_same_pixels_have_one_content_in_any_lossless_file() -> None:
    kinds = ("png", "tiff lzw", "npz", "dicom implicit", "dicom deflated")
    assert len({write_image(read_image(FILES[kind])) for kind in kinds}) == 1
    grey = pixels()
    assert len({write_image(Image(shape)) for shape in (grey, grey.T, grey.reshape(32, 24))}) == 3


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "I;16", "I", "F"]
)
def test_every_mode_becomes_grey_or_colour(mode: str) -> None:
    colour = pillow.fromarray(pixels(colour=True))
    picture = colour.convert("L").convert(mode) if mode in {"I;16", "I", "F"} else colour.convert(mode)
    image = read_image(picture_file("TIFF", picture))
    assert image.pixels.shape in {(24, 32), (24, 32, 3)}
    assert image.pixels.max() > 200


def test_transparency_is_over_black() -> None:
    clear = np.dstack([pixels(colour=True), np.zeros((24, 32), np.uint8)])
    clear[:4, :, 3] = 255
    shown = read_image(picture_file("PNG", clear)).pixels
    assert np.array_equal(shown[:4], clear[:4, :, :3])
    assert not shown[4:].any()


def test_what_is_half_transparent_is_darker_in_every_row() -> None:
    colours = np.random.default_rng(5).integers(0, 256, (600, 7, 4), np.uint8)
    over = pillow.new("RGBA", (7, 600), (0, 0, 0, 255))
    whole = np.asarray(pillow.alpha_composite(over, pillow.fromarray(colours)).convert("RGB"))
    assert np.array_equal(read_image(picture_file("PNG", colours)).pixels, whole)


def test_wide_greys_are_brought_to_8_bits() -> None:
    wide = np.arange(24 * 32, dtype=np.uint16).reshape(24, 32)
    for most, divisor in ((65535, 257), (4095, 4095 / 255), (255, 1)):
        scaled = (wide.astype(float) * most / wide.max()).round().astype(np.uint16)
        shown = read_image(picture_file("PNG", scaled)).pixels
        assert np.abs(shown - scaled / divisor).max() <= 0.5
        assert np.array_equal(read_image(npy_file(scaled)).pixels, shown)
    share = pixels() / 255
    assert np.array_equal(read_image(npy_file(share)).pixels, pixels())
    assert np.array_equal(read_image(npy_file(share * 7 - 3)).pixels, pixels())


def test_arrays_of_any_layout() -> None:
    colour = pixels(colour=True)
    assert np.array_equal(read_image(npy_file(np.asfortranarray(colour))).pixels, colour)
    assert np.array_equal(read_image(npy_file(colour[:, :, :1])).pixels, colour[:, :, 0])
    for other in (np.zeros((2, 3, 4, 3)), np.zeros(5), np.array([["a", "b"]]), np.ones((3, 3)) * 1j):
        assert fault(npy_file(other)) == "wrong_type"
    assert fault(npz_file(a=colour, b=colour)) == "wrong_type"
    assert fault(npy_file(np.full((4, 4), np.nan))) == "damaged"


@pytest.mark.parametrize("turn", range(1, 9))
def test_a_photograph_is_upright(turn: int) -> None:
    exif = pillow.Exif()
    exif[0x0112] = turn
    turned = pillow.fromarray(pixels(8, 8, colour=True)).resize((64, 128), pillow.Resampling.NEAREST)
    shown = read_image(picture_file("JPEG", turned, exif=exif, quality=95)).pixels
    assert shown.shape == ((128, 64, 3) if turn < 5 else (64, 128, 3))
    if turn == 3:
        assert np.abs(shown[::-1, ::-1].astype(int) - np.asarray(turned)).mean() < 10


def test_a_grey_picture_in_three_channels_is_grey() -> None:
    assert read_image(picture_file("PNG", np.dstack([pixels()] * 3))).pixels.ndim == 2


def test_large_images_are_shrunk_by_area() -> None:
    large = np.kron(pixels(8, 16), np.ones((256, 256), np.uint8))
    image = read_image(picture_file("PNG", large))
    assert image.pixels.shape == (512, 1024)
    assert np.array_equal(image.pixels[::64, ::64], pixels(8, 16))
    assert read_image(picture_file("PNG", pixels(2, 3000))).pixels.shape == (1, 1024)


@pytest.mark.parametrize("kind", [kind for kind in FILES if kind != "dicom deflated"])
@pytest.mark.parametrize("share", [0.95, 0.5, 0.1])
def test_a_file_that_was_cut_is_truncated(kind: str, share: float) -> None:
    file = FILES[kind]
    assert fault(file[: max(int(len(file) * share), 140)]) == "truncated"


def test_other_files_are_refused_by_rule() -> None:
    assert fault(b"") == "empty_file"
    assert fault(b"%PDF-1.7 ...") == "wrong_type"
    assert fault(sound_file("wav")) == "wrong_type"
    assert fault(picture_file("GIF", pixels())) == "wrong_type"
    assert fault(picture_file("PNG", np.full((5, 5), 9, np.uint8))) == "blank_image"
    assert fault(FILES["png"], ImageLimits(bytes=50)) == "too_large"
    assert fault(FILES["png"], ImageLimits(pixels=24 * 32 - 1)) == "too_large"
    flipped = bytearray(FILES["png"])
    flipped[60] ^= 1
    assert fault(bytes(flipped)) == "damaged"


def png_chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


@pytest.mark.parametrize("side", [6400, 11_000, 60_000])
def test_a_small_file_with_many_pixels_is_not_unpacked(side: int) -> None:
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")]
    assert fault(b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks)) == "too_large"


def test_a_jpeg_with_scans_without_end_is_not_decoded() -> None:
    file = FILES["jpeg progressive"]
    scan = file[file.rfind(b"\xff\xda") : -2]
    assert fault(file[:-2] + scan * 300 + file[-2:]) == "too_large"


def test_a_zip_that_unpacks_to_more_is_not_unpacked() -> None:
    assert fault(npz_file(image=np.zeros((2000, 2000))), ImageLimits(bytes=1 << 20)) == "too_large"


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.booleans(), st.integers(0, 9))
def test_any_pixels_come_back(height: int, width: int, colour: bool, seed: int) -> None:
    picture = pixels(height, width, colour=colour, seed=seed)
    if np.all(picture == picture[0, 0]):
        picture = np.pad(picture, ((0, 1), (0, 0), (0, 0))[: picture.ndim], constant_values=7)
        picture[0, 0] = 200
    back = read_image(write_image(Image(picture))).pixels
    assert np.array_equal(back, picture) or np.array_equal(np.dstack([back] * 3), picture)


def test_chunks_without_end_stop() -> None:
    whole = FILES["png"]
    empty = b"\0\0\0\0teXt" + struct.pack(">I", zlib.crc32(b"teXt"))
    assert fault(whole[:33] + empty * 100_001 + whole[33:]) == "too_large"
    assert read_image(whole[:33] + empty * 10 + whole[33:]).pixels.shape == (24, 32)
