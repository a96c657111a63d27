"""One picture as a NumPy array (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html)."""

import io
from dataclasses import dataclass
from math import prod
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from galeno.media.archive import open_archive, read_member
from galeno.media.fault import MediaFault
from galeno.media.levels import to_bytes
from galeno.media.limits import ImageLimits
from galeno.media.pictures import check_size
from galeno.media.quiet import quiet

LARGEST_HEADER = 1 << 14
"""Bytes of the header of an array."""
_NUMBERS = "uif"


@dataclass(frozen=True, slots=True)
class ArrayHeader:
    """What an array claims to be.

    Args:
        shape: its shape.
        by_column: whether the first axis varies fastest.
        dtype: type of its values.
        start: offset of its values.
    """

    shape: tuple[int, ...]
    by_column: bool
    dtype: np.dtype[Any]
    start: int

    @property
    def bytes(self) -> int:
        """Bytes of its values."""
        return prod(self.shape) * self.dtype.itemsize


def read_header(file: BinaryIO) -> ArrayHeader:
    """Read the header of a .npy file; never unpickles.

    Args:
        file: at its beginning.

    Raises:
        MediaFault: damaged.
    """
    start = file.read(12)
    length = start[8:10] if start[6:7] == b"\x01" else start[8:12]
    if start[6:8] not in {b"\x01\x00", b"\x02\x00"} or int.from_bytes(length, "little") > LARGEST_HEADER:
        raise MediaFault("damaged", "The array has a header of another kind")
    head = io.BytesIO(start + file.read(LARGEST_HEADER))
    head.seek(8)
    read = np.lib.format.read_array_header_1_0 if start[6] == 1 else np.lib.format.read_array_header_2_0
    try:
        with quiet():
            shape, by_column, dtype = read(head)
    except Exception:  # the header is an expression, and fails in as many ways
        raise MediaFault("damaged", "The array has a header that cannot be read") from None
    if any(side < 0 for side in shape):
        raise MediaFault("damaged", "The array has a header that cannot be read")
    return ArrayHeader(shape, by_column, dtype, head.tell())


def read_npy(file: bytes, limits: ImageLimits) -> NDArray[np.uint8]:
    """Read a picture from a .npy file.

    Args:
        file: shape (height, width), (height, width, 1) or (height, width, 3); integers or floats.
        limits: its bounds.

    Returns:
        shape (height, width) or (height, width, 3), brought to 8 bits.

    Raises:
        MediaFault: wrong_type, truncated, damaged or too_large.
    """
    header = read_header(io.BytesIO(file))
    shape = header.shape
    if header.dtype.kind not in _NUMBERS or header.dtype.itemsize > 8:
        raise MediaFault("wrong_type", "The array does not hold plain numbers")
    if len(shape) not in {2, 3} or shape[2:] not in {(), (1,), (3,)}:
        raise MediaFault("wrong_type", "The array is not of the shape of one picture")
    check_size(shape[1], shape[0], limits)
    if len(file) - header.start < header.bytes:
        raise MediaFault("truncated", "The array ends before its header says")
    values = np.frombuffer(file, header.dtype, prod(shape), header.start)
    pixels = values.reshape(shape[::-1]).T if header.by_column else values.reshape(shape)
    made = to_bytes(pixels)
    return made[:, :, 0] if shape[2:] == (1,) else made


def read_single_npz(file: bytes, limits: ImageLimits) -> NDArray[np.uint8]:
    """Read a picture from a .npz file that holds one array, and nothing else.

    Raises:
        MediaFault: wrong_type, truncated, damaged or too_large.
    """
    with open_archive(file) as archive:
        members = archive.infolist()
        if len(members) != 1 or not members[0].filename.endswith(".npy"):
            raise MediaFault("wrong_type", "The file is an archive, not one picture as a NumPy array")
        return read_npy(read_member(archive, members[0], limits.bytes), limits)
