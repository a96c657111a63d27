"""An image: read from a file within bounds, and written as plain PNG.

Pillow decodes PNG, JPEG and TIFF (https://pillow.readthedocs.io); the size that a header claims is looked at
before anything is decoded. Writing that is burned into the pixels, as some devices do with the patient's
name, is not detected and stays.
"""

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image as pillow  # noqa: N813 - our own Image is the noun here

from galeno.media.fault import MediaFault
from galeno.media.limits import ImageLimits
from galeno.media.pictures import read_picture
from galeno.media.signature import IMAGE_FORMATS, Format, format_of, kind_of
from galeno.media.single_array import read_npy, read_single_npz

__all__ = ["Image", "ImageLimits", "make_image", "read_image", "write_image"]

LONGEST_SIDE = 1024
"""Pixels; larger images are shrunk to this by area averages."""


@dataclass(frozen=True, slots=True, eq=False)
class Image:
    """An image.

    Args:
        pixels: uint8, shape (height, width) for grey or (height, width, 3) for red, green and blue.
    """

    pixels: NDArray[np.uint8]


def read_image(file: bytes, limits: ImageLimits = ImageLimits()) -> Image:  # noqa: B008 - frozen
    """Read PNG, JPEG, TIFF, one NumPy array (.npy, or .npz with one array) or DICOM.

    Args:
        file: the file, as it came.
        limits: its bounds.

    Returns:
        its first page (of DICOM: the middle frame), upright as EXIF says, transparency over black, at most
        LONGEST_SIDE along its longer side; a colour image without colour is grey. Values of more than 8 bits
        are brought to 8 as `galeno.media.levels.to_bytes` says.

    Raises:
        MediaFault: empty_file, wrong_type, truncated, damaged, too_large or blank_image.
    """
    if not file:
        raise MediaFault("empty_file", "The file is empty")
    if len(file) > limits.bytes:
        raise MediaFault("too_large", f"The file is larger than {limits.bytes >> 20} MiB")
    found = format_of(file)
    if found is None or found not in IMAGE_FORMATS:
        said = "a sound, not an image" if kind_of(file) else "not an image in PNG, JPEG, TIFF, NumPy or DICOM"
        raise MediaFault("wrong_type", f"The file is {said}")
    return make_image(_pixels(file, found, limits))


def make_image(pixels: NDArray[np.uint8]) -> Image:
    """An image within bounds.

    Args:
        pixels: shape (height, width) or (height, width, 3).

    Raises:
        MediaFault: blank_image.
    """
    # Before, so that a grey picture is shrunk once; after, because colours may even out.
    made = _without_colour(_shrink(_without_colour(pixels)))
    if np.all(made == made[0, 0]):
        raise MediaFault("blank_image", "The image is of one colour")
    return Image(made)


def write_image(image: Image) -> bytes:
    """The image as PNG with 8 bits a channel and no other chunks than its size, pixels and end.

    Returns:
        the bytes, the same for the same image with the same zlib. `read_image` gives the image back.
    """
    made = io.BytesIO()
    pillow.fromarray(image.pixels).save(made, "PNG", compress_level=6)
    return made.getvalue()


def _pixels(file: bytes, found: Format, limits: ImageLimits) -> NDArray[np.uint8]:
    """The picture as its format has it."""
    if found == "dicom":
        # Loading pydicom takes longer than most images.
        from galeno.media.dicom import read_dicom_pixels

        return read_dicom_pixels(file, limits)
    if found == "npy":
        return read_npy(file, limits)
    if found == "npz":
        return read_single_npz(file, limits)
    return read_picture(file, found, limits)


def _shrink(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture with at most LONGEST_SIDE pixels along a side, as area averages."""
    height, width = pixels.shape[:2]
    longest = max(height, width)
    if longest <= LONGEST_SIDE:
        return pixels
    sides = [max(1, (2 * side * LONGEST_SIDE + longest) // (2 * longest)) for side in (width, height)]
    shrunk = pillow.fromarray(pixels).resize((sides[0], sides[1]), pillow.Resampling.BOX)
    return np.asarray(shrunk)


def _without_colour(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """One channel where the three are the same."""
    if pixels.ndim == 2:
        return np.ascontiguousarray(pixels)
    grey = pixels[:, :, 0]
    if np.array_equal(grey, pixels[:, :, 1]) and np.array_equal(grey, pixels[:, :, 2]):
        return np.ascontiguousarray(grey)
    return np.ascontiguousarray(pixels)
