"""PNG, JPEG and TIFF, as Pillow decodes them."""

import io
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image as pillow  # noqa: N813 - so that it is not taken for galeno's Image

from galeno.media.fault import MediaFault
from galeno.media.levels import to_bytes
from galeno.media.limits import ImageLimits
from galeno.media.quiet import quiet
from galeno.media.signature import Format

_ORIENTATION = 0x0112
_UPRIGHT = {
    2: pillow.Transpose.FLIP_LEFT_RIGHT,
    3: pillow.Transpose.ROTATE_180,
    4: pillow.Transpose.FLIP_TOP_BOTTOM,
    5: pillow.Transpose.TRANSPOSE,
    6: pillow.Transpose.ROTATE_270,
    7: pillow.Transpose.TRANSVERSE,
    8: pillow.Transpose.ROTATE_90,
}
_WIDE_MODES = ("I", "I;16", "I;16B", "I;16L", "I;16N", "F")
_STRIPS = (273, 279)
_TILES = (324, 325)
_TIFF_BYTES = {3: 2, 4: 4, 5: 8, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
"""Bytes of a value of each type; 1 of the others."""
_TILE_SIDES = (322, 323)
_MOST_CHUNKS = 100_000
"""Chunks of a PNG: a small file can hold millions of empty ones."""
_STRIP = 256
"""Rows of an image that are converted at a time."""
SCANS = 200
"""Scans of a JPEG: each goes over all pixels, and a small file can hold millions."""


def read_picture(file: bytes, found: Format, limits: ImageLimits) -> NDArray[np.uint8]:
    """The first page, upright, its transparency over black.

    Args:
        file: PNG, JPEG or TIFF.
        found: which of them.
        limits: its bounds.

    Returns:
        shape (height, width) or (height, width, 3).

    Raises:
        MediaFault: truncated, damaged or too_large.
    """
    if found == "png":
        _check_png(file)
    elif found == "jpeg" and file.count(b"\xff\xda") > SCANS:
        raise MediaFault("too_large", f"The image has more than {SCANS} scans")
    try:
        with quiet(), pillow.open(io.BytesIO(file), formats=(found.upper(),)) as picture:
            check_size(picture.width, picture.height, limits)
            if found == "tiff":
                _check_tiff(picture, len(file), limits)
            picture.load()
            return _to_pixels(_upright(picture))
    except MediaFault:
        raise
    except (pillow.DecompressionBombError, MemoryError):
        raise MediaFault("too_large", "The image unpacks to more than is taken") from None
    except Exception as error:  # decoders raise anything over a broken file
        raise _broken(file, found, str(error)) from None


def check_size(width: int, height: int, limits: ImageLimits) -> None:
    """Raise MediaFault for an image that has no pixels, or too many."""
    if width < 1 or height < 1:
        raise MediaFault("damaged", "The image has no pixels")
    if width * height > limits.pixels:
        raise MediaFault("too_large", f"The image has more than {limits.pixels:,} pixels")


def _broken(file: bytes, found: Format, said: str) -> MediaFault:
    """What a decoder's failure means."""
    cut = "truncated" in said or "Truncated" in said
    if found == "jpeg":
        cut = cut or b"\xff\xd9" not in file[-64:]
    if found == "tiff":
        cut = cut or _is_cut_tiff(file)
    if cut:
        return MediaFault("truncated", "The image ends before its header says")
    return MediaFault("damaged", "The image cannot be decoded")


def _is_cut_tiff(file: bytes) -> bool:
    """Whether the first directory, or a value that it points to, is not within the file (TIFF 6.0)."""
    order: Literal["little", "big"] = "little" if file[:2] == b"II" else "big"

    def number(start: int, size: int) -> int:
        return int.from_bytes(file[start : start + size], order)

    first = number(4, 4)
    entries = range(first + 2, first + 2 + 12 * number(first, 2), 12)
    if first + 2 > len(file) or entries.stop + 4 > len(file):
        return True
    sizes = [number(entry + 4, 4) * _TIFF_BYTES.get(number(entry + 2, 2), 1) for entry in entries]
    return any(
        size > 4 and number(entry + 8, 4) + size > len(file)
        for entry, size in zip(entries, sizes, strict=True)
    )


def _check_png(file: bytes) -> None:
    """Raise MediaFault where the chunks do not come to an end within the file."""
    start = 8
    for _ in range(_MOST_CHUNKS):
        if start + 12 > len(file):
            raise MediaFault("truncated", "The image ends before its header says")
        size = int.from_bytes(file[start : start + 4], "big")
        if file[start + 4 : start + 8] == b"IEND":
            return
        start += 12 + size
    raise MediaFault("too_large", f"The image has more than {_MOST_CHUNKS:,} chunks")


def _check_tiff(picture: pillow.Image, size: int, limits: ImageLimits) -> None:
    """Raise MediaFault where strips or tiles lie beyond the file, or one tile is larger than all may be."""
    tags = getattr(picture, "tag_v2", {})
    width, length = (int(tags.get(tag, 1)) for tag in _TILE_SIDES)
    if width * length > limits.pixels:
        raise MediaFault("too_large", f"The image has tiles of more than {limits.pixels:,} pixels")
    for offsets, counts in (_STRIPS, _TILES):
        pairs = zip(tags.get(offsets, ()), tags.get(counts, ()), strict=False)
        if any(int(offset) + int(count) > size for offset, count in pairs):
            raise MediaFault("truncated", "The image ends before its header says")


def _upright(picture: pillow.Image) -> pillow.Image:
    """The picture turned as its EXIF says; an EXIF that cannot be read turns nothing."""
    try:
        turn = _UPRIGHT.get(picture.getexif().get(_ORIENTATION, 1))
    except Exception:  # EXIF is thrown away anyway
        turn = None
    return picture if turn is None else picture.transpose(turn)


def _to_pixels(picture: pillow.Image) -> NDArray[np.uint8]:
    """Grey or colour, whatever the mode."""
    if picture.mode in _WIDE_MODES:
        return to_bytes(np.asarray(picture))
    clear = picture.has_transparency_data
    grey = not clear and picture.mode in {"1", "L"}
    pixels = np.empty(
        (picture.height, picture.width) if grey else (picture.height, picture.width, 3), np.uint8
    )
    # strip by strip: of a large image, one more copy is hundreds of megabytes
    for top in range(0, picture.height, _STRIP):
        bottom = min(top + _STRIP, picture.height)
        strip = picture.crop((0, top, picture.width, bottom))
        # colours times opacity are what is seen over black
        shown = strip.convert("RGBA").convert("RGBa") if clear else strip.convert("L" if grey else "RGB")
        pixels[top:bottom] = np.asarray(shown)[..., :3] if clear else np.asarray(shown)
    return pixels
